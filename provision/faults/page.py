"""The page about the faults, ``docs/faults.md``, generated from their definitions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from facts.catalogue import Catalogue
from provision.faults.coverage import breaking
from provision.faults.fault import Fault
from provision.faults.reach import SAMPLE

_HEAD = """\
# The faults

Every check of this suite must be able to fail. So every requirement has a fault: a named, reversible way to break an
installation, by means that a real operator has. `make test-faults` brings up one lab, certifies it, and then, for one
fault after the other, injects it, certifies, undoes it and certifies again. Under the fault exactly the requirements
named here must fail; all others that are judged must have the verdicts of the healthy lab, and after the fault all of
them must.

Under a fault the suite judges the requirements that it breaks, those that are verified by reading the same things
(its reach), and the same sample every time: {sample}. Without options, `make test-faults` takes the faults of the
profiles install, checklist, identity and traffic, which are judged in seconds; `make test-faults PROFILES=rotation`
takes those of rotation, and so on. A fault belongs to the last profile that it breaks something of. Requirements that
take minutes are judged under the faults that name them, and once at the end. "Could not be determined" means that a
reading fails while the fault lasts: the run says so, and the requirement neither passes nor fails.

The cause of a fault is what a finding must name under it; [judge/causes.yaml](../judge/causes.yaml) has what shows
it, what it is told from, and the remedy.

`make docs` generates this page from `provision/faults/`; `make lint` checks that it is current, and that no
requirement and no cause is left out.
"""


def link(fault: Fault, page: str = "") -> str:
    """Return a link to the section of a fault, on this page or from another one."""
    return f"[{fault.name}]({page}#{fault.name.replace('.', '')})"


def page(
    catalogue: Catalogue,
    faults: Iterable[Fault],
    without: Mapping[str, str],
    causes: Mapping[str, str],
    causes_without: Mapping[str, str],
) -> str:
    """Return the page as Markdown.

    Args:
        catalogue: All requirements, in the order of the page.
        faults: All faults, in the order of the page.
        without: By requirement that no fault breaks: why.
        causes: The sentence of each cause, by its id, in the order of the page.
        causes_without: By cause that no fault has: why.
    """
    faults, order = list(faults), list(catalogue.requirements)

    def ids(requirements: Iterable[str]) -> str:
        return ", ".join(sorted(requirements, key=order.index))

    lines = [_HEAD.format(sample=ids(SAMPLE)), "## What breaks what", "", "| requirement | broken by |", "|---|---|"]
    for requirement in catalogue:
        names = ", ".join(link(fault) for fault in breaking(requirement.id, faults))
        lines.append(f"| {requirement.id} | {names or without.get(requirement.id, '–')} |")
    lines += ["", "## Which fault has which cause", "", "| cause | faults |", "|---|---|"]
    for cause in causes:
        names = ", ".join(link(fault) for fault in faults if fault.cause == cause)
        lines.append(f"| {cause} | {names or causes_without.get(cause, '–')} |")
    lines += ["", "## One by one"]
    for fault in faults:
        lines += ["", f"### {fault.name}", "", fault.description, ""]
        lines.append(f"- Cause: {fault.cause}. {causes.get(fault.cause, '')}".rstrip())
        lines.append(f"- Breaks: {ids(fault.breaks)}")
        if fault.blinds:
            lines.append(f"- Could not be determined meanwhile: {ids(fault.blinds)}")
        if fault.standing:
            lines.append("- The healthy lab has it: its requirements fail there, and must hold while the suite removes it")
        lines += [f"- Touches: {fault.touches}", f"- Undone: {fault.undo[0].lower()}{fault.undo[1:]}"]
    return "\n".join(lines) + "\n"
