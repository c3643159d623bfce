"""Judgments of chapter 4, traffic: TRF-01 to TRF-07, and NEG-05, which is seen in traffic."""
