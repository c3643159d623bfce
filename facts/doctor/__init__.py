"""The answers of ``conformance doctor``."""
