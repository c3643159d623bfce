"""Judgments of chapter 6, resilience: RES-01 to RES-08."""
