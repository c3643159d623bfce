"""Checks: the one table of what is asked of an install, from the requirement over its readings to the judgment."""
