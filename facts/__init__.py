"""Knowledge of the suite: frozen, typed facts, and the pure parsers that make them from readings. No I/O."""
