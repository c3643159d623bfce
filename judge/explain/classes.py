"""Problems by the cause that they name, and the classes of causes that they do not tell apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from facts.finding import Problem
from judge.explain.cause import CAUSES
from judge.explain.realms import UNKNOWN, Realms

Single = dict[str, tuple[Problem, ...]]
"""By cause: the problems that name it alone."""

Classes = dict[tuple[str, ...], tuple[Problem, ...]]
"""By the causes of a class: the problems that name one of them each, and the others of the same subject as well."""


def told_apart(problems: Iterable[Problem], realms: Realms = UNKNOWN) -> tuple[Single, Classes]:
    """Problems by cause; those that say the same of one subject with several causes are one class.

    The class is settled where another problem names one of these causes alone, about an object whose extent has the
    subject: a role without rights leaves every pod without a certificate.
    """
    said: dict[tuple[str, str], dict[str, Problem]] = {}
    for problem in as_they_may_be(problems):
        if problem.cause:
            said.setdefault((str(problem.subject), problem.said), {}).setdefault(problem.cause, problem)
    alone = {
        (realm, cause)
        for by in said.values()
        if len(by) == 1
        for cause, problem in by.items()
        if CAUSES[cause].versions is None  # a release that has a defect may show it or not
        for realm in realms.extent_of(problem.subject)
    }
    single: dict[str, list[Problem]] = {}
    classes: dict[tuple[str, ...], list[Problem]] = {}
    for by in said.values():
        lies_in = {realm for problem in by.values() for realm in realms.with_(problem.subject)}
        if len(by) == 1:
            for cause, problem in by.items():
                single.setdefault(cause, []).append(problem)
        elif not any((realm, cause) in alone for cause in by for realm in lies_in):
            classes.setdefault(tuple(sorted(by)), []).extend(by.values())
    return {c: tuple(shown) for c, shown in single.items()}, {ids: tuple(shown) for ids, shown in classes.items()}


def as_they_may_be(problems: Iterable[Problem]) -> Iterator[Problem]:
    """Problems, with the causes that lasting signs may have (`lasts_as` of a cause).

    Where such a cause is seen to be so now, it accounts for its signs. Where it is not, and the one that it lasts as is
    named, that does. Where neither is, either may be so: such a problem comes back once for each.
    """
    every = list(problems)
    named = {each.cause for each in every}
    seen = {
        lasts.cause
        for each in every
        if each.cause and (lasts := CAUSES[each.cause].lasts_as) and lasts.until_seen_at == each.subject.kind
    }
    for each in every:
        lasts = CAUSES[each.cause].lasts_as if each.cause else None
        if lasts is None or lasts.cause in seen:
            yield each
            continue
        if lasts.cause not in named:
            yield each
        yield replace(each, cause=lasts.cause)
