"""The explanation of what was found: causes as data, and which of those that were found explains what else was found."""
