"""Judgments about the use that the mesh makes of its identities: who can shake hands with whom."""
