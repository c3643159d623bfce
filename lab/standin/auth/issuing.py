"""Whether a workload gets an identity, which one, and the SVID for it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lab.standin import shapes
from lab.standin.auth import expression
from lab.standin.auth.certificates import SubjectNames
from lab.standin.auth.expression import Attributes
from lab.standin.auth.resources import Document, seconds
from lab.standin.failure import Kind, Refusal, within
from lab.standin.logs import Log

DEFAULT_TTL = timedelta(hours=1)
_DEFAULT_MAXIMUM = timedelta(hours=24)
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOSTNAME = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*")

_log = Log("auth:workload-identity")


@dataclass(frozen=True, slots=True)
class Grant:
    """A workload identity with its templates filled in for one workload.

    Attributes:
        name: the resource's name.
        revision: the resource's revision.
        path: the path of the SPIFFE ID, with its leading slash.
        hint: the hint for workloads.
        dns_names: DNS names of the SVID.
        subject: the SVID's subject.
        maximum_ttl: what longer wishes are cut to.
    """

    name: str
    revision: str
    path: str
    hint: str
    dns_names: tuple[str, ...]
    subject: SubjectNames
    maximum_ttl: timedelta

    def lifetime(self, requested: timedelta | None) -> timedelta:
        """How long the SVID lives: what was asked, by default an hour, at most the maximum."""
        wish = requested or DEFAULT_TTL
        if wish > self.maximum_ttl:
            _log.info(
                "Requested SVID TTL exceeds maximum, using maximum instead",
                requested_ttl=wish.total_seconds(),
                max_ttl=self.maximum_ttl.total_seconds(),
            )
        return min(wish, self.maximum_ttl)


def decide(identity: Document, attributes: Attributes) -> Grant:
    """Evaluate an identity's rules and templates for one workload.

    Raises:
        Refusal: no rule matches, or a template needs an attribute that is not set.
    """
    spec = identity["spec"]
    spiffe = shapes.mapping(spec, "spiffe")
    x509 = shapes.mapping(spiffe, "x509")
    with within("workload identity failed evaluation"):
        _check_rules(shapes.mappings(shapes.mapping(spec, "rules"), "allow"), attributes)
        with within("templating spec.spiffe.id"):
            path = expression.render_template(shapes.text(spiffe, "id"), attributes)
        with within("templating spec.spiffe.hint"):
            hint = expression.render_template(shapes.text(spiffe, "hint"), attributes)
        names = _dns_names(shapes.texts(x509, "dns_sans"), attributes)
        subject = _subject(shapes.mapping(x509, "subject_template"), attributes)
    maximum = shapes.text(x509, "maximum_ttl")
    return Grant(
        name=identity["metadata"]["name"],
        revision=identity["metadata"]["revision"],
        path=path,
        hint=hint,
        dns_names=names,
        subject=subject,
        maximum_ttl=timedelta(seconds=seconds(maximum, "maximum_ttl")) if maximum else _DEFAULT_MAXIMUM,
    )


def _check_rules(rules: Sequence[Mapping[str, Any]], attributes: Attributes) -> None:
    if rules and not any(_rule_matches(rule, attributes) for rule in rules):
        raise Refusal(Kind.ACCESS_DENIED, "attributes did not pass rule evaluation", "no matching rule found")


def _rule_matches(rule: Mapping[str, Any], attributes: Attributes) -> bool:
    try:
        if source := shapes.text(rule, "expression"):
            return expression.parse(source)(attributes) is True
        return all(_condition_holds(condition, attributes) for condition in shapes.mappings(rule, "conditions"))
    except Refusal as refusal:
        # A rule over an attribute that this workload does not have simply does not match.
        _log.debug("Rule not evaluated", error=str(refusal))
        return False


def _condition_holds(condition: Mapping[str, Any], attributes: Attributes) -> bool:
    found = expression.parse(shapes.text(condition, "attribute"))(attributes)
    value = str(found).lower() if isinstance(found, bool) else str(found)
    if "eq" in condition:
        return value == shapes.text(shapes.mapping(condition, "eq"), "value")
    if "not_eq" in condition:
        return value != shapes.text(shapes.mapping(condition, "not_eq"), "value")
    if "in" in condition:
        return value in shapes.texts(shapes.mapping(condition, "in"), "values")
    return value not in shapes.texts(shapes.mapping(condition, "not_in"), "values")


def _dns_names(templates: Sequence[str], attributes: Attributes) -> tuple[str, ...]:
    names = []
    for index, template in enumerate(templates):
        key = f"templating spec.spiffe.x509.dns_sans[{index}]"
        with within(key):
            name = expression.render_template(template, attributes)
        if not _HOSTNAME.fullmatch(name):
            raise Refusal(Kind.BAD_PARAMETER, f'{key} resulted in an invalid DNS name "{name}"')
        names.append(name)
    return tuple(names)


def _subject(template: Mapping[str, Any], attributes: Attributes) -> SubjectNames:
    parts = {}
    for key in ("common_name", "organization", "organizational_unit"):
        with within(f"templating spec.spiffe.x509.subject_template.{key}"):
            parts[key] = expression.render_template(shapes.text(template, key), attributes)
    return SubjectNames(**parts)
