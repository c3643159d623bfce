"""The doctor: the checks of a broken install, and what they show together. Read-only, without Gherkin."""
