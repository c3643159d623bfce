"""The table of checks, by part of the install. A provider's own parts are in its folder; `checks.table` has all."""
