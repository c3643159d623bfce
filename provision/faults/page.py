"""The page about the faults, ``docs/faults.md``, which is generated from their definitions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from facts.catalogue import Catalogue
from provision.faults.coverage import breaking
from provision.faults.fault import Fault
from provision.faults.reach import SAMPLE

_HEAD = """\
# The faults

Every check of this suite must be able to fail. So every requirement has a fault: a named, reversible way to break an
installation, by means that a real operator has. `make test-faults` brings up one lab and certifies it. Then, for one fault
after the other, it injects the fault, certifies, undoes the fault and certifies again. Under a fault exactly the
requirements listed here must fail. All others that are judged must have the verdicts of the healthy lab, and after the
fault all requirements must have them again.

Under a fault the suite judges the requirements that the fault breaks, the requirements that are verified by reading the
same things (its reach), and the same sample every time: {sample}. Without options, `make test-faults` runs the faults of
the profiles install, checklist, identity, mtls, traffic and hygiene, which take seconds to judge;
`make test-faults PROFILES=rotation` runs those of rotation, and so on. A fault belongs to the last profile of the
requirements that it breaks. Requirements that take minutes are judged under the faults that name them, and once at the end.
"Could not be determined" means that a reading fails while the fault lasts: the report says so, and the requirement neither
passes nor fails. The lab is certified as an existing cluster. INST-01 to INST-03 are premises there: a fault that breaks one
makes it *not-evaluated*.

A requirement that fails must name the cause of the fault, unless the doctor alone can tell it.
[judge/explain/causes](../judge/explain/causes) describes for each cause what shows it, how it differs from similar
causes, and the remedy.

`make docs` generates this page from `provision/faults/`. `make lint` checks that the page is current, and that it leaves
out no requirement and no cause.
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
        without: Reasons by requirement that no fault breaks.
        causes: Sentences by id of the cause, in the order of the page.
        causes_without: Reasons by cause that no fault has.
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
        names = ", ".join(link(fault) for fault in faults if cause in (fault.cause, *fault.further_causes))
        lines.append(f"| {cause} | {names or causes_without.get(cause, '–')} |")
    lines += ["", "## One by one"]
    for fault in faults:
        lines += ["", f"### {fault.name}", "", fault.description, ""]
        lines.append(f"- Cause: {fault.cause}. {causes.get(fault.cause, '')}".rstrip())
        lines.append(f"- Breaks: {ids(fault.breaks)}")
        if fault.blinds:
            lines.append(f"- Could not be determined meanwhile: {ids(fault.blinds)}")
        if fault.by_doctor_alone:
            lines.append("- No requirement names the cause: it takes several readings, which `conformance doctor` makes")
        if fault.standing:
            lines.append("- The healthy lab has it: its requirements fail there, and must hold while the suite removes it")
        lines += [f"- Touches: {fault.touches}", f"- Undone: {fault.undo[0].lower()}{fault.undo[1:]}"]
    return "\n".join(lines) + "\n"
