"""Judgments of chapter 5, rotation: ROT-01 to ROT-08."""
