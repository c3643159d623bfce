"""Judgments about Teleport's resources, tbot's configuration and a rotation of Teleport's authority. Pure."""
