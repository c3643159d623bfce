"""Judgments of chapter 1, the installation steps: INST-01 to INST-16."""
