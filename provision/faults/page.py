"""The page about the faults, ``docs/faults.md``: made from their definitions, so that it cannot say anything else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from facts.catalogue import Catalogue
from provision.faults.coverage import breaking
from provision.faults.fault import Fault
from provision.faults.reach import SAMPLE

_HEAD = """\
# The faults

Every check of this suite has to be able to fail. So every requirement has a fault: a named, reversible way to break an
installation, by means that a real operator has. `make test-faults` brings up one lab, certifies it, and then takes one
fault after the other: inject it, certify, undo it, certify again. Under the fault exactly the requirements named here must
fail, all others that are judged must stand as they stood on the healthy lab, and after it everything must.

Judged under a fault are the requirements that it breaks, those that are known by reading the same things (its reach), and
the same sample every time: {sample}.
A run takes the faults of what is judged in seconds: the profiles install, checklist, identity and traffic. `make test-faults
PROFILES=rotation` takes those of rotation, and so on; a fault belongs to the last profile that it breaks something of. What
takes minutes to judge is judged under the faults that name it, and once when all have been undone.
"Cannot be told" means that what the requirement is known by cannot be read while the fault lasts: such a run says so, and
neither passes nor fails it.

This page is generated from `provision/faults/` by `make docs`; `make lint` sees that it is current and that no requirement
is left out.
"""


def page(catalogue: Catalogue, faults: Iterable[Fault], without: Mapping[str, str]) -> str:
    """The page as Markdown.

    Args:
        catalogue: All requirements, in the order of the page.
        faults: All faults, in the order of the page.
        without: By requirement that no fault breaks: why.
    """
    faults, order = list(faults), list(catalogue.requirements)

    def ids(requirements: Iterable[str]) -> str:
        return ", ".join(sorted(requirements, key=order.index))

    lines = [_HEAD.format(sample=ids(SAMPLE)), "## What breaks what", "", "| requirement | is broken by |", "|---|---|"]
    for requirement in catalogue:
        names = ", ".join(f"[{fault.name}](#{fault.name.replace('.', '')})" for fault in breaking(requirement.id, faults))
        lines.append(f"| {requirement.id} | {names or without.get(requirement.id, '–')} |")
    lines += ["", "## One by one"]
    for fault in faults:
        lines += ["", f"### {fault.name}", "", fault.description, "", f"- Breaks: {ids(fault.breaks)}"]
        if fault.blinds:
            lines.append(f"- Cannot be told meanwhile: {ids(fault.blinds)}")
        if fault.standing:
            lines.append("- Stands on the healthy lab, where its requirements fail; they must hold while it is taken away")
        lines += [f"- Touches: {fault.touches}", f"- Undone: {fault.undo[0].lower()}{fault.undo[1:]}"]
    return "\n".join(lines) + "\n"
