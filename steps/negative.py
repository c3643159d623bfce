"""Sentences of ``features/3_identity``: NEG-01 to NEG-07."""
