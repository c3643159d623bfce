"""Advice before a change of the authority: a plan of restarts, and whether the next phase of a rotation may begin."""
