"""Tests of the lab: no Docker, no root, no network."""
