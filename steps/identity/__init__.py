"""Steps of chapter 3, identity."""
