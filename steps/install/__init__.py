"""Steps of chapter 1, the installation steps."""
