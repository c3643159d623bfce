"""The half of the stand-in that runs as ``tbot start`` on each node: join, attestation, SDS and the Workload API."""
