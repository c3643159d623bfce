"""The doctor: its table, its examination, and what it prints."""
