"""What the suite knows: frozen, typed facts and the pure parsers that make them from what was read. No I/O."""
