"""Facts that take time to see: histories of proxies, outages, CA rotations, and the timeline of a scenario."""
