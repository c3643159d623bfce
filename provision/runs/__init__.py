"""Runs on one cluster: the hold that each takes, the originals that it keeps, and what it leaves when it is killed."""
