"""NEG-03: two pods under rules that leave out the service account of one of them."""

from __future__ import annotations

from facts.errors import ConformanceError, CouldNotTell
from facts.traffic.attempts import Candidate, NotRun
from observe.proxies.envoy import read_proxy
from providers.teleport.facts.resources import WorkloadIdentity
from providers.teleport.facts.tbot import Tbot
from provision.negative.probe import ProbeNamespaces
from provision.negative.rules import LEFT_OUT, Rules
from provision.pods.running import only_on

REFUSED, ALLOWED = "refused", "allowed"


class RestrictedPods:
    """Pods under narrowed rules.

    Args:
        probe_namespaces: Namespaces that they live in.
        rules: Rules of the workload identity.
    """

    def __init__(self, probe_namespaces: ProbeNamespaces, rules: Rules) -> None:
        self._namespaces = probe_namespaces
        self._rules = rules
        self._former: WorkloadIdentity | ConformanceError | None = None

    def begin(self) -> None:
        """Narrow the rules and make both pods; a second call does nothing."""
        if self._former is not None:
            return
        # No other service account in the cluster has this name.
        refused = f"{LEFT_OUT}{self._namespaces.objects.run_id.lower()}"
        try:
            node = self._node()
            service = self._namespaces.install.tbot.all().first.service
            # The workload identity that tbot's selector names, or else the one in the settings.
            identity = (service.selector_name if service else "") or self._namespaces.install.names.workload_identity
            self._former = self._rules.leave_out(identity, refused)
        except ConformanceError as error:
            self._former = error  # only this requirement needs the rules
            return
        template = self._namespaces.install.names.injection_template
        for name, account in ((REFUSED, refused), (ALLOWED, ALLOWED)):
            made = self._namespaces.documents("sidecar.yaml", NAME=name, ACCOUNT=account, TEMPLATE=template)
            for document in made:
                if node and document["kind"] == "Pod":
                    document["spec"]["affinity"] = only_on(node)
            self._namespaces.make(made)

    def _node(self) -> str:
        """Name of a node on which tbot issues by the rules to narrow; empty where every tbot of the mesh does.

        Raises:
            CouldNotTell: Each node with such a tbot has another one as well.
        """
        tbots = self._namespaces.install.tbot.all()
        if all(_selectors(tbot) == _selectors(tbots.first) for tbot in tbots.each):
            return ""
        alone = [node for node in sorted(tbots.first.pods) if tbots.on(node) == (tbots.first,)]
        # A node that hosts injected pods takes these as well.
        taken = [node for node in self._namespaces.nodes() if node in alone] or alone
        if not taken:
            raise CouldNotTell(
                expected=f"a node that {tbots.first.daemon_set.ref} serves alone, to narrow the rules of its identity",
                seen="each of its nodes has another tbot, which issues by other rules",
                where=tbots.where,
                remedy="let the tbots of one node select the same workload identity",
            )
        return taken[0]

    def former(self) -> WorkloadIdentity:
        """Narrow the rules unless they are, and return the workload identity as it was before.

        Raises:
            ConformanceError: The suite could not narrow the rules.
        """
        self.begin()
        if isinstance(self._former, ConformanceError):
            raise self._former
        assert self._former is not None  # noqa: S101 - begin() sets one of the two
        return self._former

    def allowed(self) -> Candidate | NotRun:
        """Return the pod that the narrowed rules allow, once it is Ready."""
        return self._namespaces.ready(ALLOWED)

    def refused(self) -> Candidate | NotRun:
        """Return the pod that the narrowed rules refuse, once the SDS server has answered it."""
        namespace = self._namespaces.namespace
        running = self._namespaces.until(namespace, REFUSED, lambda p: p.proxy is not None and p.proxy.state == "running")
        if isinstance(running, NotRun):
            return running
        _leaf, outcome, evidence = self._namespaces.answered(running)
        pod = self._namespaces.until(namespace, REFUSED, lambda _pod: True)
        if isinstance(pod, NotRun):
            return pod
        proxy = read_proxy(self._namespaces.cluster, pod)
        return Candidate(pod, proxy, outcome, (*pod.evidence, *evidence, *proxy.evidence))

    def restore(self) -> None:
        """Restore the rules, and check that they are as before.

        Raises:
            ProvisioningFailed: They are not; says what Teleport has.
        """
        self._rules.restore()


def _selectors(tbot: Tbot) -> list[object]:
    """What the services of a tbot select for the mesh, each selection once."""
    found: list[object] = []
    for service in tbot.services_of_mesh:
        selector = (service.selector_name, service.selector_labels)
        if selector not in found:
            found.append(selector)
    return found
