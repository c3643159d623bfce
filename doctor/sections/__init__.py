"""The table of checks, by the part of the install that they are about. A new check is a `Check` in its section."""
