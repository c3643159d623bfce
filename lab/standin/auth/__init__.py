"""The half of the stand-in that runs as ``teleport start``: resources, joins, issuance, the SPIFFE CA and its bundle."""
