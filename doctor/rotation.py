"""Advice during a rotation of Teleport's SPIFFE authority: which phase, who lags, and whether the next phase may begin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from checks import diagnosis, mtls
from checks.check import Case
from doctor.advice import Advice, counted, plain_problems, problem_lines, remedy_lines
from facts.errors import WHAT_TO_DO, CouldNotTell
from facts.finding import Problem
from facts.kubernetes.objects import Pod
from facts.provider.trust import TrustBundle
from facts.proxies.identity import Fleet
from judge.advice.rotation import EXPECTED, MayBegin, RotationAdvice, advised, advised_by_bundle
from judge.findings import listed
from providers.teleport.facts.resources import ClusterStatus
from reporting.writing.words import LOOKS

SCHEMA_FILE = Path(__file__).with_name("rotation.schema.json")

EXIT_CODES = {MayBegin.YES: 0, MayBegin.NO_ROTATION: 0, MayBegin.NO: 1, MayBegin.UNKNOWN: 6}

NO_SESSION = "only a session at Teleport tells the phase (--tctl)"


def rotation(case: Case) -> Advice:
    """The advice on a rotation.

    Raises:
        CouldNotTell: Teleport's public bundle, tbot or the pods could not be read, the session is of another Teleport, or
            the suite does not know the phase.
    """
    teleport = case.install.teleport
    # Teleport before the proxies: what changes meanwhile can make a proxy differ from the phase, and no next phase allowed.
    status, why = _status(case)
    bundle = teleport.published()
    on_sockets = case.install.proxies.fleet_on_sockets()
    needless = [Problem(each.subject, each.said) for each in mtls.unused_gateways(case.install, case.sweeps)]
    left_out = {each.subject for each in needless}
    fleet = Fleet.of(each for each in on_sockets.outcomes if each.pod.ref not in left_out)
    dark = [each.about for each in diagnosis.out_of_sight(case.install, _is_on_a_socket)]
    advice = advised_by_bundle(bundle, fleet, dark) if status is None else _of_session(status, bundle, fleet, dark)
    return Advice(
        lines=tuple(_lines(advice, bundle, why, needless)),
        last=_last(advice),
        document={**_plain(advice, bundle, why), "left_out": plain_problems(needless)},
        exit_code=EXIT_CODES[advice.may_begin],
    )


def _is_on_a_socket(pod: Pod) -> bool:
    return bool(pod.socket_on_node or pod.spec.csi_socket)


def _status(case: Case) -> tuple[ClusterStatus | None, str]:
    """The answer of the session; None without one that tells the phase, with the reason."""
    if not case.settings.tctl:
        return None, NO_SESSION
    status, name = case.install.teleport.status(), case.install.teleport.ping().cluster_name
    if not isinstance(status, ClusterStatus):
        return None, f"tctl status does not work: {status.said}"
    if status.cluster_name != name:
        raise CouldNotTell(
            expected=f"a session at {name}, whose authorities are read",
            seen=f"one at {status.cluster_name}",
            where="tctl status",
            remedy="log in to that Teleport, or name the right one with --teleport-proxy",
        )
    if not status.spiffe_phase:
        return None, "tctl status has no line about the SPIFFE authority"
    return status, ""


def _of_session(status: ClusterStatus, bundle: TrustBundle, fleet: Fleet, dark: Sequence[Problem]) -> RotationAdvice:
    advice = advised(status, bundle, fleet, datetime.now(UTC), dark)
    if advice is None:
        raise CouldNotTell(
            expected=f"a phase that the suite knows: {listed(EXPECTED)}",
            seen=status.spiffe_phase,
            where="tctl status",
            remedy="see what Teleport's documentation says of this phase, and update the suite",
        )
    return advice


def _lines(advice: RotationAdvice, bundle: TrustBundle, why: str, needless: Sequence[Problem]) -> Iterator[str]:
    yield from ("Rotation of Teleport's SPIFFE authority", "")
    yield f"phase:       {_phase(advice, why)}"
    yield f"authorities: {len(bundle.authorities)}, which Teleport publishes"
    for each in bundle.authorities:
        yield f"    {each.sha256[:16]}… since {each.not_before:%F %T} UTC"
    yield f"proxies:     {advice.followed} of {sum(advice.nodes.values())} {_have_done(advice)}"
    for node, number in advice.nodes.items():
        if lagging := advice.lagging.get(node, 0):
            look = "; look at its tbot" if node in advice.nodes_behind else ""
            yield f"    {LOOKS['fail'][0]} {node}: {lagging} of {number} lag{look}"
    if advice.unread:
        yield from ("", "Proxies that could not be read", *problem_lines(advice.unread, "not-evaluated"))
    if needless:
        yield from ("", "Gateways that follow no rotation", *problem_lines(needless, "not-evaluated"))
    if advice.against:
        yield from ("", "Against the next phase" if advice.following else "Behind what Teleport publishes")
        yield from problem_lines(advice.against, "fail")
        yield from ("", "A phase takes up to one renewal interval of tbot to reach every proxy. If it has passed:")
        yield from remedy_lines(advice.against)
    if advice.may_begin is MayBegin.UNKNOWN and advice.might_be:
        yield from ("", f"{WHAT_TO_DO}: give an admin session with --tctl, which tells the phase")


def _phase(advice: RotationAdvice, why: str) -> str:
    if advice.phase:
        return f"{advice.phase}, by Teleport's single authority; {why}" if why else advice.phase
    return f"one of {', '.join(advice.might_be)}: {why}"


def _have_done(advice: RotationAdvice) -> str:
    if advice.phase:
        return f"have followed {advice.phase}"
    done = f"; all have done what {' and '.join(advice.done)} demand" if advice.done else ""
    return f"trust all of them, and hold a certificate of one{done}"


def _last(advice: RotationAdvice) -> str:
    """The answer, as the last line has it."""
    if advice.may_begin is MayBegin.YES:
        return f"{advice.may_begin.value}: {advice.following}"
    if advice.may_begin is MayBegin.NO:
        waits = f"{advice.may_begin.value} ({advice.following})" if advice.following else "not everything has followed"
        proxies = sum(advice.lagging.values())
        others = len(advice.against) - proxies
        return f"{waits}: {counted(proxies)} behind" + (", and Teleport itself stands against it" if others else "")
    if advice.may_begin is MayBegin.UNKNOWN and advice.unread:
        return f"{advice.may_begin.value}: {counted(len(advice.unread))} could not be read"
    if advice.may_begin is MayBegin.UNKNOWN and not advice.nodes:
        return f"{advice.may_begin.value}: no proxy uses tbot's sockets"
    return advice.may_begin.value + (": the phase is not known" if advice.may_begin is MayBegin.UNKNOWN else "")


def _plain(advice: RotationAdvice, bundle: TrustBundle, why: str) -> dict[str, Any]:
    return {
        "may_begin": advice.may_begin.value,
        "phase": advice.phase,
        "phase_unknown": why,
        "might_be": list(advice.might_be),
        "done": list(advice.done),
        "following": advice.following,
        "authorities": [
            {"sha256": each.sha256, "not_before": each.not_before.isoformat(), "not_after": each.not_after.isoformat()}
            for each in bundle.authorities
        ],
        "followed": advice.followed,
        "nodes": [
            {"name": node, "proxies": number, "lagging": advice.lagging.get(node, 0)}
            for node, number in advice.nodes.items()
        ],
        "against": plain_problems(advice.against),
        "unread": plain_problems(advice.unread),
    }
