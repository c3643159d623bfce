"""Sentences of ``features/3_identity``: ID-01 to ID-12."""
