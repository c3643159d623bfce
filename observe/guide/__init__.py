"""The guide's own commands and its test application."""
