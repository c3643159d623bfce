"""A rotation of Teleport's SPIFFE authority, phase by phase through an admin tctl, back to standby in any case.

Only the phase ``standby`` removes an authority, which a proxy may still need. So the suite waits before it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from facts.errors import CouldNotTell, ProvisioningFailed
from facts.evidence import ObjectRef
from facts.proxies.identity import ProxyIdentity
from facts.recorder import KeptInMemory, Recorder
from observe.command import CommandResult
from observe.kubernetes.cluster import Cluster
from observe.proxies.survey import read_fleet
from observe.wait import NotYet, Pace, eventually
from providers.teleport.facts.ca_rotation import OLD, ROLLBACK, STANDBY, Generations, PhaseExpectation, told
from providers.teleport.facts.resources import ClusterStatus, NoSession
from providers.teleport.facts.tctl import remedy_for
from providers.teleport.observe.session import TeleportSession
from provision.disruption.supply import uses_the_socket
from provision.runs.fields import Field
from provision.runs.originals import Change, Originals, System

ROTATE = ("auth", "rotate", "--manual", "--type=spiffe")
AUTHORITY = ObjectRef("Teleport", "SPIFFE authority")

KIND = "rotation"
"""Kind under which a rotation is kept: Teleport has no resource of it."""


def under_way(teleport: str) -> Change:
    """Return the change that a rotation is to a Teleport cluster, named by its identity, until it ends."""
    return Change(System.TELEPORT, KIND, "spiffe", (Field(("phase",), STANDBY, "under way"),), teleport=teleport)


BUNDLE_INTERVAL = 1.0
"""Seconds between two readings of Teleport's bundle: its proxy allows 40 at once and then 20 a minute from one address."""

Lacks = Callable[[ProxyIdentity], str]
"""Returns what a proxy lacks of the state that the suite waits for; empty where it lacks nothing."""


class Rotation:
    """One rotation at a time.

    Args:
        teleport: Session with an admin tctl.
        cluster: Reads the cluster; what is read during a wait is no evidence.
        recorder: Records the output of tctl.
        originals: Keeps in mind that a rotation is under way.
        pace: Pace of the waits for the proxies at the beginning and at the end.
    """

    def __init__(
        self, teleport: TeleportSession, cluster: Cluster, recorder: Recorder, originals: Originals, pace: Pace
    ) -> None:
        self._teleport = teleport
        self._originals = originals
        self._kept = ""
        self._cluster = cluster.recording_to(KeptInMemory())
        self._recorder = recorder
        self._pace = pace
        self._uids: frozenset[str] = frozenset()
        self._generations: Generations | None = None
        self._entered = False

    def begin(self, uids: Collection[str]) -> Generations:
        """Check that no rotation is under way, and that every proxy uses the present authority; change nothing.

        Args:
            uids: Uids of the pods whose proxies must follow, besides all that use the node's socket.

        Returns:
            The present authorities.

        Raises:
            NotGiven: There is no admin session.
            CouldNotTell: A rotation is under way, or a proxy uses another authority.
        """
        self.must_be_possible()
        generations = Generations(self._teleport.bundle().authorities)
        wanted = PhaseExpectation(STANDBY, (OLD,), OLD)
        every = "every proxy trusts only Teleport's authority, and has its certificate from it"
        remedy = "a proxy that is already behind would fail in a rotation: see ID-06 and ROT-07"
        found = self._await(every, lambda proxy: wanted.lacks(proxy, generations), self._pace, uids, remedy)
        self._uids, self._generations = frozenset({*uids, *found}), generations
        return generations

    def must_be_possible(self) -> None:
        """Check that there is an admin session, and that no rotation is under way.

        Raises:
            NotGiven: There is no admin session.
            CouldNotTell: The session does not work, or a rotation is under way.
        """
        phase = phase_of(self._teleport)
        if phase != STANDBY:
            raise CouldNotTell(
                expected="no rotation of the SPIFFE authority to be under way",
                seen=f"it is in the phase {phase}" if phase else "tctl status names no phase",
                where="tctl status",
                remedy=f"end that rotation first: tctl {' '.join(ROTATE)} --phase=…",
            )

    def enter(self, phase: str) -> None:
        """Take Teleport to a phase.

        Raises:
            ProvisioningFailed: tctl refused, the cluster does not keep in mind that a rotation is under way, or the run has
                lost its hold on the cluster.
            CouldNotTell: tctl status does not work.
        """
        if self._entered:
            self._originals.may_change()
        else:
            self._kept = self._originals.keep(under_way(status_of(self._teleport).identity))
        self._entered = True  # before the change: Ctrl-C may come right after Teleport has accepted it
        self._take(phase)

    def _take(self, phase: str) -> None:
        enter_phase(self._teleport.tctl, self._recorder, phase)

    def published(self, wanted: PhaseExpectation, generations: Generations, timeout: float) -> Generations:
        """Wait until Teleport publishes the authorities of a phase; its proxy may be a moment behind the Auth Service.

        Args:
            generations: Authorities, as far as they are known.
            timeout: Seconds.

        Returns:
            The authorities, with those that came with the phase; unchanged where Teleport did not publish them in time.
        """

        def look() -> Generations:
            published = self._teleport.bundle().authorities
            known = generations if generations.new else generations.with_new(published)
            if (named := known.named(published)) != wanted.trusted:
                raise NotYet(f"it publishes {told(named)}")
            return known

        try:
            return eventually(f"Teleport publishes {told(wanted.trusted)}", look, Pace(timeout, BUNDLE_INTERVAL))
        except CouldNotTell:  # the step reads and judges it again, as with `is_followed`
            return generations

    def is_followed(self, wanted: PhaseExpectation, generations: Generations, timeout: float, *, but_on: str = "") -> bool:
        """Wait until every proxy has followed a phase; return False where one did not in time.

        Args:
            generations: Authorities.
            timeout: Seconds.
            but_on: Node whose proxies the suite does not wait for.
        """

        def lacks(proxy: ProxyIdentity) -> str:
            return "" if but_on and proxy.pod.node == but_on else wanted.lacks(proxy, generations)

        try:
            self._await(f"every proxy has followed {wanted.phase}", lacks, Pace(timeout), self._uids)
        except CouldNotTell:  # the step reads every proxy again and the judgment names those that are behind
            return False
        return True

    def end(self) -> bool:
        """End the rotation, and return to the old authority where the rotation is not complete.

        Where a proxy cannot follow, the suite leaves Teleport in ``rollback``, in which both authorities are valid.

        Returns:
            True where a rotation had begun, and another user has not ended it since.

        Raises:
            ProvisioningFailed: tctl refused.
            CouldNotTell: A proxy has not followed in time; says which, and what the user must do.
        """
        if self._generations is None or not self._entered or self._originals.is_gone(self._kept):
            return False
        published = self._teleport.bundle().authorities
        present, generations = Generations(published), self._generations.with_new(published)
        phase = phase_of(self._teleport)
        if phase != STANDBY:
            if phase != ROLLBACK:
                self._take(ROLLBACK)
            then = f"tctl {' '.join(ROTATE)} --phase=standby"
            left = f"Teleport is left in {ROLLBACK}; once no proxy needs the new authority: {then}"
            self._await(
                "no proxy needs the new authority", lambda p: _needs_new(p, generations), self._pace, self._uids, left
            )
            self._take(STANDBY)
            present = Generations(self._generations.old)
        wanted = PhaseExpectation(STANDBY, (OLD,), OLD)
        left = "Teleport is in standby; restart the pods that are behind once tbot serves them again (see ROT-07)"
        every = "every proxy trusts only Teleport's present authority, and has its certificate from it"
        self._await(every, lambda proxy: wanted.lacks(proxy, present), self._pace, self._uids, left)
        self._originals.forget(self._kept)
        self._entered = False
        return True

    def _await(
        self, what: str, lacks: Lacks, pace: Pace, uids: Collection[str], remedy: str = "look at the last observation"
    ) -> frozenset[str]:
        """Wait until no proxy lacks anything, reading several at once; return the uids of their pods."""
        done: set[str] = set()

        def look() -> None:
            alive = (p for p in self._cluster.pods() if not (p.uid in done or p.terminating or p.has_ended))
            fleet = read_fleet(self._cluster, [p for p in alive if p.uid in uids or uses_the_socket(p)])
            behind = [f"{u.pod}: {u.why}" for u in fleet.unread]
            for proxy in fleet.proxies:
                if said := lacks(proxy):
                    behind.append(f"{proxy.pod} on {proxy.pod.node} {said}")
                else:
                    done.add(proxy.pod.uid)
            if behind:
                raise NotYet("; ".join(behind))

        eventually(what, look, pace, remedy=remedy)
        return frozenset(done)


def phase_of(teleport: TeleportSession) -> str:
    """Return the phase of Teleport's SPIFFE authority; empty where `tctl status` names none.

    Raises:
        CouldNotTell: The session does not work.
    """
    return status_of(teleport).spiffe_phase


def status_of(teleport: TeleportSession) -> ClusterStatus:
    """Return the answer of `tctl status`.

    Raises:
        CouldNotTell: The session does not work.
    """
    status = teleport.status()
    if isinstance(status, NoSession):
        raise CouldNotTell(
            expected="tctl status to print the phase of the SPIFFE authority",
            seen=status.said,
            where="tctl status",
            remedy="log in again with `tsh login`" if status.expired else "check the session with `tctl status`",
        )
    return status


def enter_phase(tctl: Callable[[Sequence[str]], CommandResult], recorder: Recorder, phase: str) -> None:
    """Take Teleport's rotation to a phase.

    Raises:
        ProvisioningFailed: tctl refused.
    """
    words = [*ROTATE, f"--phase={phase}"]
    answer = tctl(words)
    recorder.record(answer.as_evidence(AUTHORITY, shown_as=f"tctl {' '.join(words)}"))
    if answer.exit_code:
        raise ProvisioningFailed(
            expected=f"Teleport's rotation to enter the phase {phase}",
            seen=f"exit code {answer.exit_code}: {answer.tail()}",
            where=answer.line,
            remedy=remedy_for(answer.stderr, "check the state of the rotation: tctl status"),
        )


def _needs_new(proxy: ProxyIdentity, generations: Generations) -> str:
    """Return why a proxy needs the new authority; empty where it does not."""
    trusted, issuer = generations.trusted_by(proxy), generations.issuer_of(proxy.chain)
    if issuer != OLD:
        return f"has a certificate of {told([issuer])}"
    return "" if OLD in trusted else f"trusts {told(trusted)}"
