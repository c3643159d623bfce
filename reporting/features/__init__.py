"""Feature files, read without pytest, and the lint that holds them against the catalogue."""
