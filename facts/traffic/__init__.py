"""Requests and attempts: each with one outcome out of a closed list, and who refused it."""
