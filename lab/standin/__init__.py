"""A stand-in for Teleport, for machines that cannot have the real one.

Three programs with Teleport's command lines: ``teleport`` (:mod:`lab.standin.teleport`, auth and proxy), ``tctl``
(:mod:`lab.standin.tctl`) and ``tbot`` (:mod:`lab.standin.tbot`). :mod:`lab.standin.auth` is what runs beside the
cluster, :mod:`lab.standin.agent` what runs on each node. Resources, public endpoints, error texts, log lines and what
a workload sees on the node's socket are Teleport's; how the two halves talk to each other is private to this package
(:mod:`lab.standin.wire`) and differs from Teleport's.

Every program says on its first line that it is a stand-in. A run certified against it is a rehearsal.
"""
