"""The decisions of the suite: pure functions from facts to findings, and from findings to verdicts. No I/O."""
