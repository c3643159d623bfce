"""What the suite tells: evidence store, the pytest plugin that collects, report and writers. Touches no cluster."""
