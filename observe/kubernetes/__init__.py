"""The API server: one request, one answer, one piece of evidence."""
