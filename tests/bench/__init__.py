"""How long things take, and how that compares: ``python -m tests.bench``. No tests: a slow machine is not a failure."""
