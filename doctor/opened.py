"""An install that is there, opened to be examined: readers, and with ``--allow namespaced`` probe pods. Wiring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from checks.check import Case
from checks.mtls import Sweeps
from facts.errors import WHAT_TO_DO, BadInput, ConformanceError
from facts.kubernetes.objects import Labelled
from facts.recorder import Recorder
from judge.verdict import Authority
from observe.kubernetes.api import must_have_context
from observe.kubernetes.cluster import Cluster
from observe.opened import open_install
from observe.requests import Requests
from observe.tools import Tools, tctl_of
from observe.wait import Pace
from providers.teleport.observe.facet import PING
from providers.teleport.observe.session import TeleportAddress
from provision.pods.probes import Probes
from provision.target import already_there, claim_of, fence
from reporting.writing.words import authority_in_words
from settings import Settings, Timeouts

READS = frozenset({"install", "mtls", "rotation"})
"""Profiles that decide what the one pass over the proxies reads: all that a diagnosis asks Envoy's admin interface for."""

PATIENCE = 5.0
"""Seconds for pods that are starting, all together. Who is on call wants to know what is so now, and can ask again."""

PROBES = 1 / 3
"""Part of the patience with pods that a probe pod of the doctor has. It waits for a quarter of that for an identity, which a
healthy tbot sends in three seconds; a person waits for the answer."""


TOLD = 100
"""Proxies after which the user is told how far it is."""


@dataclass
class Patient:
    """An install that is examined.

    Attributes:
        case: It, for the checks.
        requests: Counts what is asked.
        claimed: Addresses of Teleport that only tbot's own configuration vouches for, once one was asked.
        unverified: Lines on which nobody verifies who answers, and what switched that off.
    """

    case: Case
    requests: Requests
    claimed: list[str] = field(default_factory=list)
    unverified: tuple[str, ...] = ()

    def authority(self) -> str:
        """Whose authority the certificates were held against, in words, as far as the checks have asked by now."""
        return "; nobody verified ".join([self._authority(), *self.unverified])

    def _authority(self) -> str:
        ping = self.case.install.seen(PING)
        claimed = ", ".join(self.claimed)
        if claimed:
            return authority_in_words(Authority.UNKNOWN, claimed)
        if ping is None:
            asked = self.case.install.asked(PING)
            return "unknown: Teleport did not answer" if asked else "unknown: no check asked Teleport"
        return authority_in_words(Authority.STAND_IN if ping.stand_in else Authority.TELEPORT)


@contextmanager
def opened(
    settings: Settings,
    recorder: Recorder,
    run_id: str,
    *,
    is_scratch: Callable[[Labelled], bool],
    say: Callable[[str], None],
    reads: frozenset[str] = READS,
) -> Iterator[Patient]:
    """Open an install; at the end of the block everything that was made is removed.

    Args:
        settings: Name the context.
        recorder: Keeps what is asked.
        run_id: Names the probe pods' namespace.
        is_scratch: Tells whether the suite made a namespace for its own pods, which are no part of the install.
        say: Tells the user whom the doctor waits for, and how far it is with many proxies.
        reads: What the one pass over the proxies reads, see `READS`.

    Raises:
        BadInput: The context cannot be used, or a safety class is allowed that the doctor does not use.
        CouldNotTell: The API server does not answer.
    """
    if "disruptive" in settings.allowed_safety:
        raise BadInput(
            expected="namespaced, the only class beyond read-only that the doctor uses",
            seen="disruptive",
            where="--allow",
            remedy="give --allow namespaced, or leave it out",
        )
    must_have_context(settings.kubeconfig, settings.context)
    patience = _impatient(settings.patience)
    cluster = Cluster(settings.kubeconfig, settings.context, recorder, patience, settings.sizes)
    try:
        cluster.api.must_answer()
        if "namespaced" in settings.allowed_safety:
            with _probing(settings, cluster, run_id, say) as probes:
                yield _patient(settings, cluster, recorder, is_scratch=is_scratch, say=say, reads=reads, probes=probes)
        else:
            yield _patient(settings, cluster, recorder, is_scratch=is_scratch, say=say, reads=reads)
    finally:
        cluster.close()


def _impatient(patience: Timeouts) -> Timeouts:
    return patience.model_copy(update={"svid": min(patience.svid, PATIENCE), "pod_ready": min(patience.pod_ready, PATIENCE)})


def _patient(
    settings: Settings,
    cluster: Cluster,
    recorder: Recorder,
    *,
    is_scratch: Callable[[Labelled], bool],
    say: Callable[[str], None],
    reads: frozenset[str],
    probes: Probes | None = None,
) -> Patient:
    claimed: list[str] = []
    tctl = tctl_of(settings)

    install = open_install(
        settings,
        cluster,
        recorder,
        # Nothing here runs kubectl or istioctl: who is on call may have neither.
        tools=Tools("kubectl", "istioctl", tctl, settings.kubeconfig, settings.context, recorder, settings.patience.command),
        address=lambda: TeleportAddress(settings.teleport_proxy, settings.teleport_insecure, settings.teleport_ca),
        claimed=claimed.append,
        profiles=reads,
        is_scratch=is_scratch,
        requests=cluster.requests,
        within=settings.patience.survey,
        progress=lambda done, total: say(f"{done} of {total} proxies were asked") if done % TOLD == 0 else None,
    )
    case = Case(install, settings, Sweeps(lambda _handshakes: None, settings.mesh), probes)
    unverified = [cluster.api.unverified, "Teleport's proxy (--teleport-insecure)" if settings.teleport_insecure else ""]
    return Patient(case, cluster.requests, claimed, tuple(filter(None, unverified)))


@contextmanager
def _probing(settings: Settings, cluster: Cluster, run_id: str, say: Callable[[str], None]) -> Iterator[Probes]:
    """Probe pods, removed at the end; as any run that changes something, it holds the cluster's Lease meanwhile."""
    claim = claim_of(settings, run_id, say)
    target = already_there(settings, run_id, fence(claim, say))
    patience = settings.patience.pod_ready * PROBES
    probes = Probes(target.objects, cluster, image=target.sources.workload_image, patience=patience)
    try:
        if claim is not None and (without := claim.take()):
            say(without)
        yield probes
    finally:
        _tell_if_left(probes.remove, run_id, say)
        if settings.patience.teardown:
            _tell_if_left(lambda: target.objects.await_departures(Pace(settings.patience.teardown)), run_id, say)
        if claim is not None and (wrong := claim.release()):
            say(wrong)


def _tell_if_left(clean_up: Callable[[], object], run_id: str, say: Callable[[str], None]) -> None:
    """Clean up, or tell what is left and how to remove it: what was found is the answer all the same."""
    try:
        clean_up()
    except ConformanceError as error:
        way = f"conformance down --context CONTEXT --run {run_id} --yes"
        say(f"the probe pods may still be there: {error.compared}. {WHAT_TO_DO}: {error.remedy}; then `{way}`")
