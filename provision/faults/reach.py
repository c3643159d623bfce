"""What a fault might touch: the requirements that are judged under it, beside those that it must break.

A fault is certified by the requirements that it breaks, by those of its reach, and by the sample. The named sets say what is
read from the same place, so that a fault that spills over shows; the sample is the same for all faults.
"""

from __future__ import annotations

SAMPLE = frozenset({"INST-01", "INST-03", "INST-06", "INST-12", "INST-15", "CHK-9"})
"""Judged under every fault: one requirement for each place that is read, each cheap. The tools, Teleport's public face,
Istio's configuration, Teleport's resources, the API server's pods, and Envoy."""

TOOLS = frozenset({"INST-01", "INST-05"})
"""What is known by a tool's version."""

RESOURCES = frozenset({"INST-09", "INST-10", "INST-11", "INST-12", "INST-14", "CHK-2", "CHK-3", "CHK-4", "CHK-6"})
"""What is known by Teleport's resources, or by the identities that are issued from them now."""

ISTIO = frozenset({"INST-05", "INST-06", "INST-07", "INST-08", "CHK-1"})
"""What is known by Istio's configuration, its control plane and its injector."""

AGENT = frozenset({"INST-13", "INST-14", "INST-16", "CHK-5", "CHK-6", "CHK-8", "CHK-9"})
"""What is known by tbot, its configuration and its socket."""

WORKLOADS = frozenset({"INST-08", "INST-13", "INST-15", "CHK-5", "CHK-6", "CHK-7", "CHK-8", "CHK-9"})
"""What is known by the injected pods and their proxies."""

CERTIFICATES = frozenset({"ID-01", "ID-02", "ID-03", "ID-04", "ROT-01", "ROT-05", "ROT-06", "ROT-07"})
"""What is known by the certificates in the proxies, and by how they are kept fresh."""

NODES = frozenset({"INST-04", "INST-13", "INST-14", "CHK-5", "CHK-8"})
"""What is known by standing on a node."""

CERTIFIED_BY_ISTIOD = frozenset({"ID-01", "ID-03", "ID-04", "ID-06", "ID-07", "ID-10", "ID-11"})
"""What every sidecar fails that fell back to istiod: mode, issuer, lifetime, authorities, requests, and no audit event."""

TRAFFIC = frozenset({"TRF-01", "TRF-02", "TRF-04", "TRF-05"})
"""What needs two workloads, or a gateway and a workload, to accept each other."""
