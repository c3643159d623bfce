"""The guide's own commands: their fixed list, and how one is run against an install."""
