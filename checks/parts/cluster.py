"""The cluster: the tools and rights of the person who certifies, its nodes, and what acts on workloads of the mesh."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from checks import diagnosis, rotation
from checks.check import PROBES, Case, Check, Part, Reading
from facts.finding import Finding
from facts.kubernetes.access import Right
from facts.kubernetes.probes import NodeProbe, Refused
from facts.kubernetes.workloads import CronJob
from facts.versions import Tool, Version
from judge.install import prerequisites as judge


def version(case: Case) -> tuple[Version, tuple[str, ...]]:
    """The version of the API server."""
    return case.install.cluster.version()


def tctl(case: Case) -> Tool:
    """The version of tctl."""
    return case.install.tools.tctl()


def rights(case: Case) -> Sequence[Right]:
    """The API server's answers about every right that the suite needs."""
    return case.install.rights.reviewed()


def node_probes(case: Case) -> Sequence[NodeProbe | Refused]:
    """The reports of probe pods, configured like tbot, of every node that takes workloads."""
    install = case.install
    return case.probe_pods.on_nodes(install.cluster.workload_nodes(), install.tbot.kubelet_address())


def cron_jobs(case: Case) -> Sequence[CronJob]:
    """All CronJobs of the cluster."""
    return case.install.cluster.cron_jobs()


def _rights_suffice(case: Case) -> Iterable[Finding]:
    return [judge.rights_suffice(case.of(rights), case.install.cluster.where)]


_OF_THE_PERSON = "it is about the tools of the person who certifies; the doctor runs neither kubectl nor istioctl"

PART = Part(
    "cluster",
    (
        Check(
            "kubectl fits the API server",
            lambda case: [judge.kubectl_fits(case.install.tools.kubectl(), *case.of(version))],
            "INST-01",
            then="kubectl must be 1.27 or later and within one minor version of the API server",
            left_out=_OF_THE_PERSON,
        ),
        Check(
            "istioctl is recent enough",
            lambda case: [judge.istioctl_fits(case.install.tools.istioctl())],
            "INST-01",
            then="istioctl must be 1.28 or later",
            left_out=_OF_THE_PERSON,
        ),
        Check(
            "tctl fits Teleport",
            lambda case: [judge.tctl_fits(case.of(tctl), case.install.teleport.ping())],
            "INST-01",
            then="tctl must be within one major version of Teleport",
            left_out=_OF_THE_PERSON,
        ),
        Check(
            "this identity may read what the suite reads",
            _rights_suffice,
            "INST-02",
            then="the API server must grant all of them",
        ),
        Check.of_parts(
            "every node admits tbot, and its kubelet answers there",
            "INST-04",
            (
                "the API server must have admitted every probe with hostPath and hostPID",
                lambda case: [judge.nodes_admit_probes(case.of(node_probes))],
            ),
            (
                "every probe must reach its kubelet at the address that tbot uses",
                lambda case: [judge.kubelets_answer(case.of(node_probes))],
            ),
            (
                "every probe must read pod and container IDs from mountinfo",
                lambda case: [judge.mountinfo_identifies_pods(case.of(node_probes), case.install.cluster.pods())],
            ),
            needs=PROBES,
        ),
        Check("the nodes' clocks agree with the one of this machine", lambda case: diagnosis.clocks_off(case.install)),
        Check(
            "every node with a proxy is Ready, and every deleted pod with one is gone",
            lambda case: diagnosis.out_of_sight(case.install),
        ),
        Check("every pod with a proxy has found a node", lambda case: diagnosis.without_node(case.install)),
        Check(
            "the API server refuses no pod of a Deployment of the mesh",
            lambda case: diagnosis.refused_pods(case.install),
        ),
        Check(
            "no CronJob restarts workloads of the mesh",
            lambda case: [rotation.no_cron_job_restarts_workloads(case.install)],
            "ROT-05",
            then="no CronJob must restart workloads of the mesh",
        ),
    ),
    (
        Reading(("the version of the API server",), version),
        Reading(("the version of tctl",), tctl),
        Reading(("the suite asks the API server about every right that it needs",), rights),
        Reading(("a probe pod, configured like tbot, on every node that takes workloads",), node_probes, PROBES),
        Reading(("all CronJobs of the cluster",), cron_jobs),
    ),
)
