"""The story of one pod (`judge.diagnosis.story`), told from the readings of the checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches

from checks.check import Case
from doctor.defects import REPORT_IT, defect
from facts.errors import BadInput, ConformanceError, CouldNotTell
from facts.evidence import ObjectRef
from facts.istio.mesh import Mesh
from facts.kubernetes.objects import Pod
from facts.proxies.identity import ProxyIdentity, Unread
from facts.redaction import beginning
from judge.diagnosis import story
from judge.diagnosis.story import Line
from judge.findings import listed
from judge.install.application import SEE_NODES

LONGEST = 1000
"""Characters of what one line says, in the document as well."""

SHOWN = 10
"""Pods that an error lists."""


@dataclass(frozen=True, slots=True)
class Story:
    """One pod.

    Attributes:
        node: Its node; empty while it has none.
        lines: The steps to its certificate.
    """

    pod: ObjectRef
    node: str
    lines: tuple[Line, ...]


def pod_called(case: Case, name: str) -> Pod:
    """The pod of a name.

    Args:
        case: The install.
        name: NAMESPACE/NAME.

    Raises:
        BadInput: No living pod has it.
        CouldNotTell: The pods cannot be listed, or nobody can ask this one: its node is not Ready, or it was deleted.
    """
    cluster = case.install.cluster
    pods = cluster.living_pods()
    for pod in pods:
        if f"{pod.namespace}/{pod.name}" == name:
            return pod
    for pod in cluster.pods_of_install():
        if f"{pod.namespace}/{pod.name}" == name and not pod.has_ended:
            raise CouldNotTell(
                expected="a pod that can be asked for its certificate",
                seen="it was deleted, and terminates" if pod.terminating else f"its node {pod.node} is not Ready",
                where=str(pod.ref),
                remedy="name a pod that is to stay" if pod.terminating else SEE_NODES,
            )
    namespace = name.partition("/")[0]
    there = sorted(f"{p.namespace}/{p.name}" for p in pods if p.namespace == namespace)[:SHOWN]
    raise BadInput(
        expected=f"NAMESPACE/NAME of a living pod, such as {listed(there, 'one of another namespace')}",
        seen=name,
        where="--pod",
        remedy="kubectl get pods --all-namespaces",
    )


def must_have_namespace(case: Case, name: str) -> None:
    """Return if the cluster has a namespace of that name; of an empty name nothing is asked.

    Raises:
        BadInput: It has none, so that nothing concerns it.
        CouldNotTell: The namespaces cannot be listed.
    """
    if not name:
        return
    there = sorted(each.name for each in case.install.cluster.namespaces())
    if name not in there:
        near = get_close_matches(name, there, SHOWN) or there[:SHOWN]
        raise BadInput(
            expected=f"the name of a namespace of the cluster, such as {listed(near)}",
            seen=name,
            where="--namespace",
            remedy="kubectl get namespaces",
        )


def story_of(case: Case, pod: Pod) -> Story:
    """Tell the story of a pod from the readings of the checks; a reading that failed is a line that says so."""
    install = case.install
    steps: list[tuple[str, Callable[[], Line]]] = [
        ("injection", lambda: story.injection(pod, _plane_of(case, pod))),
        ("template", lambda: _template(case, pod)),
        ("socket mount", lambda: story.mount(pod, install.tbot.socket_directories())),
        ("tbot", lambda: story.tbot_of(pod, install.tbot.all())),
    ]
    if pod.is_injected:
        steps += [
            ("SDS mode", lambda: story.mode(_proxy_of(case, pod))),
            (
                "issuer",
                lambda: story.issuer(_proxy_of(case, pod), install.teleport.bundle(), install.istio.authorities()),
            ),
            ("SPIFFE ID", lambda: story.name(_proxy_of(case, pod), install.teleport.ping().cluster_name)),
            ("validity", lambda: story.validity(_proxy_of(case, pod))),
            ("streams", lambda: story.streams(_proxy_of(case, pod))),
            ("secrets in WARMING", lambda: story.warming(_proxy_of(case, pod))),
            ("refused updates", lambda: _refused(case, pod)),
        ]
    return Story(pod.ref, pod.node, tuple(_told(title, line) for title, line in steps))


def _told(title: str, line: Callable[[], Line]) -> Line:
    try:
        made = line()
        return replace(made, said=_shortened(made.said), wanted=_shortened(made.wanted))
    except ConformanceError as error:
        return Line(title, f"could not be read: {error.compared}", settle=error.remedy)
    except Exception as error:  # as a check's, it must not hide the other lines
        return Line(title, defect(error), settle=REPORT_IT)


def _shortened(text: str) -> str:
    """A text of a line: an annotation in it may be as long as its author likes."""
    return text if len(text) <= LONGEST else f"{beginning(text, LONGEST)} …"


def _plane_of(case: Case, pod: Pod) -> Mesh | None:
    found = case.install.istio.surveyed_pods_of_planes().of_each
    return next((plane for plane, pods in found if any(each.uid == pod.uid for each in pods)), None)


def _proxy_of(case: Case, pod: Pod) -> ProxyIdentity:
    outcome = next((each for each in case.install.proxies.fleet().outcomes if each.pod.uid == pod.uid), None)
    if isinstance(outcome, ProxyIdentity):
        return outcome
    if isinstance(outcome, Unread):
        raise outcome.why
    raise CouldNotTell(
        expected="a proxy that stays until it is read",
        seen=outcome.why if outcome is not None else _why_not_asked(pod),
        where=str(pod.ref),
        remedy="run again" if pod.node else "see why no node takes it (`kubectl describe pod`), and run again when it runs",
    )


def _why_not_asked(pod: Pod) -> str:
    return "it started after the others had been asked" if pod.node else "no node takes it, so that it does not run"


def _template(case: Case, pod: Pod) -> Line:
    plane = _plane_of(case, pod) or case.install.istio.mesh()
    return story.template(pod, plane, case.install.names.injection_template)


def _refused(case: Case, pod: Pod) -> Line:
    proxy = _proxy_of(case, pod)
    return story.refused(case.install.proxies.pushes([proxy]).get(pod.uid))
