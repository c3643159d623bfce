"""Steps of chapter 5, rotation."""
