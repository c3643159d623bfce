"""Classes of proxies as peers in a handshake: those that present and validate alike are one class.

Envoy's SPIFFE validator picks the authorities of the trust domain that the first URI name of a certificate names. It refuses
the certificate of an authority, then one that leads to none of them, then one that is not valid now, then one without an
expected name; this order decides which reason a refusal has. The validator for a plain ``trusted_ca`` works alike, with the
same authorities for every trust domain.

Sources: Envoy's documentation of its certificate validators; SPIFFE X509-SVID, sections 4 and 5.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from facts.proxies.envoy import ROOT, Validator
from facts.proxies.identity import PodRef, ProxyIdentity
from facts.proxies.tls.context import Names, TlsContext, Trust, expects
from facts.svid import Certificate, verify_chain


class Refusal(StrEnum):
    """The reason for which one side ends a handshake or a connection."""

    AUTHORITY = "the certificate leads to no authority that it trusts for this trust domain"
    EXPIRED = "the certificate, or the authority that signed it, has expired"
    NOT_YET = "the certificate is not valid yet"
    NO_SVID = "the certificate is that of an authority, not of a workload"
    NAME = "no name in the certificate is an expected one"
    MISSING = "the client presents no certificate"
    SILENT = "it holds no certificate, or no authority to validate its peer with"
    PLAIN_AGAINST_TLS = "it takes TLS only, and is sent plain text"
    TLS_AGAINST_PLAIN = "it does not take the TLS of the mesh on this port"


BY_IDENTITY = frozenset(Refusal) - {Refusal.PLAIN_AGAINST_TLS, Refusal.TLS_AGAINST_PLAIN}
"""Refusals because of a certificate; the others are settings about who speaks TLS."""


class Standing(StrEnum):
    """The state of the certificate that a proxy presents, when it was read."""

    VALID = "valid"
    EXPIRED = "expired"
    NOT_YET = "not valid yet"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Check:
    """The authorities that one side validates the other with.

    Attributes:
        validator: The kind of validation; `Validator.NONE` where it holds no authority.
        trusted: Trust domain and SHA-256 of each authority.
        is_done: False where its context names nothing to validate with: every certificate is as good.
    """

    validator: Validator
    trusted: frozenset[tuple[str, str]]
    is_done: bool = True


NO_CHECK = Check(Validator.NONE, frozenset(), is_done=False)


@dataclass(frozen=True, slots=True)
class Peer:
    """What the proxies of one class present and hold.

    Attributes:
        standing: The state of the certificate.
        is_authority: It is a certificate that may sign others.
        trust_domain: Of its first URI name, as Envoy takes it; empty where it has none.
        anchors: SHA-256 of each known authority that the certificate leads to, and that is valid.
        lapsed: The same of authorities that are not valid any more, or not yet.
        fits: The lists of expected names, of all servers of the fleet, that have one of its names.
        holds: The authorities of its ``ROOTCA``.
    """

    standing: Standing
    is_authority: bool
    trust_domain: str
    anchors: frozenset[str]
    lapsed: frozenset[str]
    fits: frozenset[Names]
    holds: Check


@dataclass(frozen=True, slots=True)
class ProxyClass:
    """A class of proxies.

    Attributes:
        number: From 1, in the order of the first members.
        peer: What they have in common.
        issuer: Issuer of the first member's certificate; empty without a certificate.
        authorities: Names of the authorities that they hold, by trust domain.
        members: Their pods, at least one.
    """

    number: int
    peer: Peer
    issuer: str
    authorities: tuple[str, ...]
    members: tuple[PodRef, ...]


@dataclass(frozen=True, slots=True)
class Classes:
    """All classes of a fleet.

    Attributes:
        classes: In the order of their numbers.
        of: Class of each proxy, by uid of its pod.
    """

    classes: tuple[ProxyClass, ...]
    of: Mapping[str, ProxyClass]


def classified(
    proxies: Sequence[ProxyIdentity], expected: Collection[Names] = (), also: Iterable[Certificate] = ()
) -> Classes:
    """Sort proxies into classes.

    Args:
        expected: The lists of names that servers expect of their clients.
        also: Authorities that a proxy trusts beside its ``ROOTCA``.
    """
    known = {a.sha256: a for proxy in proxies for held in proxy.root_authorities.values() for a in held}
    known.update((a.sha256, a) for a in also)
    by_name: dict[str, list[Certificate]] = defaultdict(list)
    for authority in known.values():
        by_name[authority.subject].append(authority)
    lists = tuple(frozenset(expected))
    members: dict[Peer, list[ProxyIdentity]] = defaultdict(list)
    for proxy in proxies:
        members[_peer(proxy, lists, by_name)].append(proxy)
    classes = tuple(
        ProxyClass(
            number=number,
            peer=peer,
            issuer=alike[0].leaf.issuer if alike[0].leaf else "",
            authorities=tuple(
                f"{domain or 'any trust domain'}: {a.subject or 'an authority without a name'} ({a.sha256[:16]}…)"
                for domain, held in sorted(alike[0].root_authorities.items())
                for a in held
            ),
            members=tuple(proxy.pod for proxy in alike),
        )
        for number, (peer, alike) in enumerate(members.items(), 1)
    )
    return Classes(classes, {pod.uid: each for each in classes for pod in each.members})


def _peer(proxy: ProxyIdentity, lists: Sequence[Names], by_name: Mapping[str, Sequence[Certificate]]) -> Peer:
    anchors, lapsed = _anchors(proxy, by_name)
    return Peer(
        standing=_standing(proxy),
        is_authority=proxy.leaf is not None and _may_sign(proxy.leaf),
        trust_domain=_trust_domain(proxy.spiffe_ids),
        anchors=anchors,
        lapsed=lapsed,
        fits=frozenset(names for names in lists if expects(names, proxy.spiffe_ids)),
        holds=check_with(Trust.of(proxy.validator, proxy.root_authorities)),
    )


def _standing(proxy: ProxyIdentity) -> Standing:
    leaf = proxy.leaf
    if leaf is None:
        return Standing.ABSENT
    if proxy.read_at < leaf.not_before:
        return Standing.NOT_YET
    # One that is not valid yet stays that; of a chain, every certificate has to be valid.
    return Standing.VALID if all(c.is_valid_at(proxy.read_at) for c in proxy.chain) else Standing.EXPIRED


def _may_sign(leaf: Certificate) -> bool:
    return leaf.is_ca or bool(leaf.key_usage & {"key_cert_sign", "crl_sign"})


def _trust_domain(names: Sequence[str]) -> str:
    # Envoy takes what stands between the scheme and the first slash, and looks at nothing else of the name.
    scheme, _, rest = (names[0] if names else "").partition("spiffe://")
    domain, slash, _ = rest.partition("/")
    return domain if slash and not scheme else ""


def _anchors(proxy: ProxyIdentity, by_name: Mapping[str, Sequence[Certificate]]) -> tuple[frozenset[str], frozenset[str]]:
    leaf = proxy.leaf
    if leaf is None:
        return frozenset(), frozenset()
    candidates = {a.sha256: a for each in proxy.chain for a in by_name.get(each.issuer, ())}
    found = [a for a in candidates.values() if _leads_to(leaf, a, proxy.intermediates)]
    valid = frozenset(a.sha256 for a in found if a.is_valid_at(proxy.read_at))
    return valid, frozenset(a.sha256 for a in found) - valid


def _leads_to(leaf: Certificate, authority: Certificate, between: Sequence[Certificate]) -> bool:
    """Whether a path leads there, at a moment at which all of it is valid, if there is one: validity is judged apart."""
    path = (leaf, authority, *between)
    since, until = max(c.not_before for c in path), min(c.not_after for c in path)
    at = since if since <= until else leaf.not_before
    return verify_chain(leaf, [authority], at, between).ok


def check_with(trust: Trust) -> Check:
    """The check against some authorities."""
    return Check(trust.validator, frozenset((domain, a.sha256) for domain, held in trust.authorities for a in held))


def check_of(context: TlsContext, holder: Peer) -> Check | None:
    """The check that a context makes of its peer; None where it uses a secret whose content is unknown.

    Args:
        holder: The proxy that has it.
    """
    inline = check_with(context.inline)
    if not context.validation:
        return inline if inline.trusted or context.inline.validator is not Validator.NONE else NO_CHECK
    if context.validation != ROOT:
        return None
    # Envoy lays the secret over what the context holds; a validator of its own in the context stays in force.
    own_stays = inline.validator is Validator.SPIFFE and holder.holds.validator is Validator.TRUSTED_CA
    return inline if own_stays else holder.holds


def objection(to: Peer, check: Check, *, name_fits: bool) -> Refusal | None:
    """The reason for which a check refuses a peer's certificate; None where it accepts it.

    Args:
        to: The peer that presents.
        check: The check of the other side.
        name_fits: The peer has one of the expected names.
    """
    if not check.is_done:
        return None
    if check.validator is Validator.NONE:
        return Refusal.SILENT
    if to.is_authority and check.validator is Validator.SPIFFE:
        return Refusal.NO_SVID
    domain = to.trust_domain if check.validator is Validator.SPIFFE else ""
    trusted = {sha256 for of, sha256 in check.trusted if of == domain}
    if not trusted & (to.anchors | to.lapsed):
        return Refusal.AUTHORITY
    if to.standing is Standing.NOT_YET:
        return Refusal.NOT_YET
    if to.standing is Standing.EXPIRED or not trusted & to.anchors:
        return Refusal.EXPIRED
    return None if name_fits else Refusal.NAME
