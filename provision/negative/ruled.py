"""NEG-03: two workloads under rules that leave out the service account of one of them."""

from __future__ import annotations

from facts.errors import ConformanceError
from facts.teleport.resources import WorkloadIdentity
from facts.traffic.attempts import Candidate, NotRun
from observe.proxies.envoy import read_proxy
from provision.negative.probe import ProbeNamespaces
from provision.negative.rules import Rules

REFUSED, ALLOWED = "refused", "allowed"


class Ruled:
    """Workloads under narrowed rules.

    Args:
        probe_namespaces: Where they live.
        rules: Of the workload identity.
    """

    def __init__(self, probe_namespaces: ProbeNamespaces, rules: Rules) -> None:
        self._namespaces = probe_namespaces
        self._rules = rules
        self._former: WorkloadIdentity | ConformanceError | None = None

    @property
    def refused_account(self) -> str:
        """The service account that the rules leave out; no other in the cluster has this name."""
        return f"refused-{self._namespaces.objects.run_id.lower()}"

    def begin(self) -> None:
        """Narrows the rules and makes both workloads; a second call does nothing."""
        if self._former is not None:
            return
        try:
            self._former = self._rules.leave_out(self._identity_name(), self.refused_account)
        except ConformanceError as error:
            self._former = error  # nobody but this requirement needs it
            return
        template = self._namespaces.install.names.injection_template
        for name, account in ((REFUSED, self.refused_account), (ALLOWED, ALLOWED)):
            self._namespaces.make(self._namespaces.documents("sidecar.yaml", NAME=name, ACCOUNT=account, TEMPLATE=template))

    def former(self) -> WorkloadIdentity:
        """The workload identity as it was, before the rules were narrowed, which they are now.

        Raises:
            ConformanceError: They could not be narrowed.
        """
        self.begin()
        if isinstance(self._former, ConformanceError):
            raise self._former
        assert self._former is not None  # noqa: S101 - begin() leaves either of the two
        return self._former

    def allowed(self) -> Candidate | NotRun:
        """The workload that the narrowed rules allow."""
        return self._namespaces.ready(ALLOWED)

    def refused(self) -> Candidate | NotRun:
        """The workload that the narrowed rules refuse, when the SDS server has answered it."""
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
        """Puts the rules back, and sees that they are as they were.

        Raises:
            ProvisioningFailed: They are not; says what they were like.
        """
        self._rules.restore()

    def _identity_name(self) -> str:
        """The workload identity that tbot's selector names, or else the one of the settings."""
        services = self._namespaces.install.tbot.installed().config.services
        return (services[0].selector_name if services else "") or self._namespaces.install.names.workload_identity
