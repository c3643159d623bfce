"""Judgment about what a run leaves: HYG-05."""

from __future__ import annotations

from facts.evidence import ObjectRef
from facts.finding import Finding, Problem, Remark
from facts.kubernetes.remains import Remains, ref_of
from judge.findings import Claim, listed

LEFT = "left-by-a-run"
SEE_THE_APIS = "see with `kubectl get apiservices` which API does not answer, and why; then "


def nothing_is_left(remains: Remains, run: str) -> Finding:
    """HYG-05: nothing that the run made for itself is left, in the cluster and in Teleport.

    What has the run's label and was not made by the suite is named apart: anybody can give a label.

    Args:
        remains: What has the run's label, read after the run's clean-up.
        run: Id of the run.
    """
    claim = Claim("HYG-05", "nothing of this run to be left", f"what has the label of run {run}", remains.evidence)
    problems: list[Problem] = []
    unclear: list[Problem] = []
    left_out: list[Remark] = []
    for kind, found in remains.objects:
        ref = ref_of(kind, found)
        if found.is_of_an_installation:
            left_out.append(Remark(ref, "it belongs to the installation that the suite made, and goes with its cluster"))
        elif not found.is_the_suites:
            left_out.append(Remark(ref, "it has the run's label, and the suite manages none of its fields"))
        elif found.is_leaving:
            unclear.append(Problem(ref, "it is being removed, and is still there", evidence=found.evidence))
        else:
            problems.append(Problem(ref, "the run made it, and it is still there", LEFT, found.evidence))
    for kind_of_resource, resource in remains.resources:
        ref = ObjectRef("Teleport", f"{kind_of_resource}/{resource.name}")
        if resource.is_left:
            problems.append(Problem(ref, "the run made it, and it is still there", LEFT, remains.evidence))
        else:
            left_out.append(Remark(ref, "it belongs to an installation, or its owner gave it the label"))
    unclear += [claim.problem(f"{what} could not be listed: {why}") for what, why in remains.unread]
    if remains.denied:
        kinds = listed(remains.denied)
        left_out.append(Remark(ObjectRef("", f"{len(remains.denied)} kinds"), f"this run may not list them: {kinds}"))
    left_out += [
        Remark(ObjectRef("Teleport", kind), "the admin session may not list resources of this kind")
        for kind in remains.denied_in_teleport
    ]
    left_out += [
        Remark(ObjectRef("", what), f"its API does not answer, and the run made no object of its group: {why}")
        for what, why in remains.silent
    ]
    left_out.append(Remark(ObjectRef("", "Secrets"), "to list them is to read them, which the suite never does"))
    if not remains.asked_teleport:
        left_out.append(
            Remark(ObjectRef("", "Teleport"), "there is no admin session, without which a run makes nothing there")
        )
    of_teleport = " and Teleport" if remains.asked_teleport else ""
    return claim.judged(
        problems,
        f"nothing among {len(remains.looked_at)} kinds of objects{of_teleport}",
        unclear=unclear,
        left_out=left_out,
        settle=f"{SEE_THE_APIS if remains.unread else ''}look again in a while: conformance down --run {run}",
    )
