"""Checks: which readings of an install a judgment takes. Steps and the doctor make the same ones.

A judgment that takes one reading as it is needs no check: steps and the doctor call it themselves.
"""
