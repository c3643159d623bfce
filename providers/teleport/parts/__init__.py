"""The parts of the table of checks that are Teleport's: its endpoints and resources, and tbot."""
