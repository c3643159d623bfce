"""Sentences of ``features/4_traffic``: TRF-01 to TRF-07."""
