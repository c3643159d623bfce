"""A mesh that moves from istiod's authority to Teleport's: who holds whose certificate, and what has to be restarted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from facts.finding import Problem
from facts.istio.istio_ca import IstioAuthorities
from facts.provider.trust import TrustBundle
from facts.proxies.envoy import Validator
from facts.proxies.identity import ProxyIdentity
from facts.proxies.requests import SentRequests
from facts.svid import is_signed_by
from judge.advice.calls import Calls, calls_of
from judge.advice.migration import Migration, name_of, nameless, planned, workloads_of
from judge.fleet import not_read
from judge.mtls.ends import Ends
from judge.mtls.peers import Check, Peer, Standing


class Issuer(StrEnum):
    """The authority that a proxy's certificate leads to, by signatures; whether it is valid now does not matter."""

    TELEPORT = "Teleport"
    ISTIOD = "istiod"
    ANOTHER = "another authority"
    NONE = "no certificate"


class Moves(StrEnum):
    """The answer about a migration."""

    NOTHING = "there is nothing to move"
    SOMETHING = "there is something to move"
    UNKNOWN = "not determined"


@dataclass(frozen=True, slots=True)
class MigrationAdvice:
    """Where a migration stands.

    Attributes:
        moves: The answer.
        held: By workload the number of its proxies by the issuer of their certificate.
        plan: The order of restarts.
        calls: Who calls whom, which the plan rests on.
        is_supposed: No proxy has a valid certificate of Teleport. The plan supposes that such a proxy trusts the authorities
            that Teleport publishes, and no other.
        unread: Proxies that could not be read or asked; they are in no workload and in no way.
    """

    moves: Moves
    held: Mapping[str, Mapping[Issuer, int]]
    plan: Migration
    calls: Calls
    is_supposed: bool
    unread: tuple[Problem, ...]


def moving(
    ends: Ends,
    bundle: TrustBundle,
    istiod: IstioAuthorities,
    requests: Mapping[str, SentRequests],
    without: Collection[str] = (),
    *,
    out_of_sight: Iterable[Problem] = (),
) -> MigrationAdvice:
    """Say where the migration stands, and in which order to restart what has not moved.

    Args:
        ends: The mesh.
        bundle: Teleport's authorities.
        istiod: Those of istiod.
        requests: What each proxy has sent, by uid of its pod; nothing of one that could not be read.
        without: Uids of pods that do not count.
        out_of_sight: Open points: further pods with a proxy, which nobody can ask.
    """
    issuers = {uid: issuer_of(proxy, bundle, istiod) for uid, proxy in ends.identities.items() if uid not in without}
    held: dict[str, Counter[Issuer]] = {}
    for uid, issuer in issuers.items():
        held.setdefault(name_of(ends.pods[uid]), Counter())[issuer] += 1
    of_teleport = [uid for uid, issuer in issuers.items() if issuer is Issuer.TELEPORT]
    there = _most_frequent(ends, of_teleport)
    workloads = workloads_of(ends, there or supposed(bundle), stay=of_teleport, without=without)
    calls = calls_of(ends, requests, without)
    plan = replace(planned(workloads, calls.ways), is_guessed=calls.is_guessed)
    unread = (*not_read(each for each in ends.mesh.fleet.unread if each.pod.uid not in without), *out_of_sight)
    nothing = Moves.UNKNOWN if unread or not issuers else Moves.NOTHING
    return MigrationAdvice(
        moves=Moves.SOMETHING if plan.steps else nothing,
        held=dict(sorted(held.items())),
        plan=plan,
        calls=calls,
        is_supposed=there is None,
        unread=unread,
    )


def issuer_of(proxy: ProxyIdentity, bundle: TrustBundle, istiod: IstioAuthorities) -> Issuer:
    """The authority that issued a proxy's certificate."""
    if proxy.leaf is None:
        return Issuer.NONE
    if is_signed_by(proxy.leaf, bundle.authorities, proxy.intermediates):
        return Issuer.TELEPORT
    return Issuer.ISTIOD if is_signed_by(proxy.leaf, istiod.authorities, proxy.intermediates) else Issuer.ANOTHER


def _most_frequent(ends: Ends, of_teleport: Collection[str]) -> Peer | None:
    """What most of the proxies with a valid certificate of Teleport present and hold; None without any."""
    peers = Counter(nameless(ends.classes.of[uid].peer) for uid in of_teleport)
    valid = [peer for peer, _number in peers.most_common() if peer.standing is Standing.VALID]
    return valid[0] if valid else None


def supposed(bundle: TrustBundle) -> Peer:
    """What a proxy presents and holds that has its certificate and its authorities from Teleport alone."""
    return Peer(
        standing=Standing.VALID,
        is_authority=False,
        trust_domain=bundle.trust_domain,
        anchors=bundle.fingerprints,
        lapsed=frozenset(),
        fits=frozenset(),
        holds=Check(Validator.SPIFFE, frozenset((bundle.trust_domain, each) for each in bundle.fingerprints)),
    )
