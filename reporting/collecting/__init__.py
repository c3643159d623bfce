"""The pytest plugin that collects, and the evidence store that it fills."""
