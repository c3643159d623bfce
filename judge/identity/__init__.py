"""Judgments of chapter 3, identity: ID-01 to ID-12 and NEG-01 to NEG-07 (NEG-05: `judge.traffic.peers`)."""
