"""The cluster: this identity's rights, and what acts on workloads of the mesh."""

from __future__ import annotations

from checks import diagnosis, rotation
from doctor.check import Answer, Case, Check, Needs, Section, probes_of
from judge.install import prerequisites


def _rights(case: Case) -> Answer:
    return [prerequisites.rights_suffice(case.install.rights.reviewed(), case.install.cluster.where)]


def _nodes(case: Case) -> Answer:
    install = case.install
    probes = probes_of(case).on_nodes(install.cluster.workload_nodes(), install.tbot.kubelet_address())
    return [
        prerequisites.nodes_admit_probes(probes),
        prerequisites.kubelets_answer(probes),
        prerequisites.mountinfo_identifies_pods(probes, install.cluster.pods()),
    ]


SECTION = Section(
    "cluster",
    (
        Check("this identity may read what the suite reads", _rights, "INST-02"),
        Check("every node admits tbot, and its kubelet answers there", _nodes, "INST-04", frozenset({Needs.PROBES})),
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
        ),
    ),
)
