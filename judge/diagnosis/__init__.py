"""Diagnosis: what the checks of an install show together, as causes, each with what it explains."""
