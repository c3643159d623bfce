"""Checks of Teleport's resources and of tbot: which readings of an install a judgment takes."""
