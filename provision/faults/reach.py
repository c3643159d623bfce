"""Requirements that a fault might affect: the suite judges them under the fault, beside those that the fault must break.

Each named set lists the requirements that the suite verifies by reading the same place, so that a side effect of a fault
shows. The sample is the same for all faults.
"""

from __future__ import annotations

SAMPLE = frozenset({"INST-01", "INST-03", "INST-06", "INST-12", "INST-15", "CHK-9"})
"""Judged under every fault: one cheap requirement for each place that the suite reads: tools, Teleport's public endpoint,
Istio's configuration, Teleport's resources, the API server's pods, and Envoy."""

TOOLS = frozenset({"INST-01", "INST-05"})
"""Verified by a tool's version; and INST-05, which compares versions, but none of a tool."""

TELEPORT = frozenset({"INST-09", "INST-10", "INST-11", "INST-12", "INST-14", "INST-17", "CHK-2", "CHK-3", "CHK-4", "CHK-6"})
"""Verified by Teleport's resources, or by the identities that Teleport issues from them now."""

ISTIO = frozenset({"INST-05", "INST-06", "INST-07", "INST-08", "CHK-1"})
"""Verified by Istio's configuration, its control plane and its injector."""

TBOT = frozenset({"INST-13", "INST-14", "INST-16", "INST-18", "CHK-5", "CHK-6", "CHK-8", "CHK-9"})
"""Verified by tbot, its configuration, its rights and its socket."""

INJECTED_PODS = frozenset({"INST-08", "INST-13", "INST-15", "CHK-5", "CHK-6", "CHK-7", "CHK-8", "CHK-9"})
"""Verified by the injected pods and their proxies."""

CERTIFICATES = frozenset({"ID-01", "ID-02", "ID-03", "ID-04", "ROT-01", "ROT-05", "ROT-06", "ROT-07"})
"""Verified by the certificates in the proxies and by their renewal."""

NODES = frozenset({"INST-04", "INST-13", "INST-14", "CHK-5", "CHK-8"})
"""Verified by a probe pod on each node."""

HYGIENE = frozenset({"HYG-01", "HYG-02", "HYG-03", "HYG-06", "INST-18"})
"""Verified by what surrounds the install: rights in the cluster, settings in force, a repository."""

MUTUAL_TLS = frozenset({"MTL-01", "MTL-02", "MTL-03", "MTL-04", "MTL-06"})
"""Verified by the TLS that every proxy is configured to speak, together with the identity that it holds."""

REFUSED = frozenset({"MTL-04", "MTL-06"})
"""Failed where proxies, the ingress gateway among them, refuse the identity of the test application."""

CERTIFIED_BY_ISTIOD = frozenset({"ID-01", "ID-03", "ID-04", "ID-06", "ID-07", "ID-10", "ID-11"})
"""Failed by every sidecar that fell back to istiod: mode, issuer, lifetime, authorities, requests, audit event."""

TRAFFIC = frozenset({"TRF-01", "TRF-02", "TRF-04", "TRF-05"})
"""Need two workloads, or a gateway and a workload, to accept each other."""

CUT_OFF = frozenset({"CHK-8", "CHK-9", "ID-01", "ID-11"})
"""Failed where no new secret reaches proxies, which still have the certificates that they got before."""
