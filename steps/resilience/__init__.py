"""Steps of chapter 6, resilience."""
