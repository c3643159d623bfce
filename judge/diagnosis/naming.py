"""Which of two things gave proxies a wrong SPIFFE ID: a template that is wrong now, or one that was and has been mended.

A certificate shows the template that Teleport had when it issued it. Only the workload identity tells whether that template
is still there, and to read it takes an admin session.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from facts.finding import Problem
from facts.proxies.identity import ProxyIdentity
from judge.findings import listed, problem
from judge.hygiene.in_force import IDENTITY_NOT_IN_FORCE
from judge.identity.proxies import BY_TEMPLATE, template_of
from providers.teleport.judge.teleport import TELEPORT


def misnamed(proxies: Iterable[ProxyIdentity]) -> list[Problem]:
    """Proxies with a SPIFFE ID that is their own but for what a wrong template does to it.

    Args:
        proxies: Proxies of the mesh.
    """
    return [
        problem(proxy, f"it carries {listed(proxy.spiffe_ids)}, as a wrong template makes it", cause)
        for proxy in proxies
        if (cause := template_of(proxy.spiffe_ids, proxy.pod))
    ]


def told_by_template(problems: Iterable[Problem]) -> Iterator[Problem]:
    """Problems, with the causes of wrong names as far as the template tells them.

    Where a template is wrong now, it accounts for the names. Where none is wrong and one is not in force, that does. Where
    none was read, either may be so: such a problem comes back once for each.
    """
    every = list(problems)
    is_wrong = any(each.cause in BY_TEMPLATE and each.subject.kind == TELEPORT for each in every)
    is_mended = any(each.cause == IDENTITY_NOT_IN_FORCE for each in every)
    for each in every:
        if each.cause not in BY_TEMPLATE or is_wrong:
            yield each
            continue
        if not is_mended:
            yield each
        yield replace(each, cause=IDENTITY_NOT_IN_FORCE)
