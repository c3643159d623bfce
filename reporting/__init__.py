"""Results: the evidence store, the pytest plugin that collects, the report and its writers. Touches no cluster."""
