"""Checks, with readings that are made up."""
