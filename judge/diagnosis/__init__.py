"""Rules of the doctor: what the facts of an install show together that no requirement judges."""
