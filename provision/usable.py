"""Checks of the settings, before the suite makes or reads anything."""

from __future__ import annotations

from facts.errors import BadInput
from facts.recorder import KeptInMemory
from observe.kubernetes.api import must_have_context
from observe.web import trust
from providers.teleport.observe.anchors import read_anchors
from provision.clusters.directory import directory_of, kept_kubeconfig, must_be_free, must_be_own
from provision.installing.repairs import REPAIRS
from provision.installing.variant import must_be_kept_as, variant_of
from settings import Names, Settings


def must_be_usable(settings: Settings) -> None:
    """Refuse settings with which a run cannot start.

    Raises:
        BadInput: A setting is missing or contradicts another; or there is no such kubeconfig or context.
    """
    must_name_mirror(settings)
    must_have_istio(settings)
    _must_have_audit_events(settings)
    _must_know_whom_to_trust(settings)
    _must_have_anchors(settings)
    must_be_a_new_run(settings)
    must_be_own(settings.cache)
    if settings.cluster == "existing":
        _must_install_nothing(settings)
        must_have_context(settings.kubeconfig, settings.context)
    else:
        must_be_installable(settings)


def must_name_mirror(settings: Settings) -> None:
    """Refuse a mirror without an address.

    Raises:
        BadInput: `source` is ``mirror`` and `registry` is empty.
    """
    if settings.source == "mirror" and not settings.registry:
        raise BadInput(
            expected="the HOST/PREFIX of a mirror",
            seen="source = mirror without registry",
            where="settings: registry",
            remedy="give --registry HOST/PREFIX",
        )


def must_have_istio(settings: Settings) -> None:
    """Refuse the lab's older Istio from another source.

    Raises:
        BadInput: The settings ask for it from a registry.
    """
    if settings.istio == "older" and settings.source not in ("auto", "bundle"):
        raise BadInput(
            expected="source = bundle with the lab's older Istio, which only the lab has",
            seen=f"source = {settings.source}",
            where="settings: istio, source",
            remedy="leave out --source; from registries, Istio has the version of istioctl on PATH: leave out --istio",
        )


RESERVED = ("latest",)
"""Names in the directory of reports that are no run's: the newest report."""


def must_be_a_new_run(settings: Settings) -> None:
    """Refuse the id of a run that has a report, and a reserved one.

    Raises:
        BadInput: The report exists, or the id is reserved.
    """
    if settings.run_id in RESERVED:
        raise BadInput(
            expected=f"a run-id other than {', '.join(RESERVED)}, which names the newest report",
            seen=settings.run_id,
            where="settings: run_id",
            remedy="give another --run-id, or leave it out",
        )
    place = settings.reports / settings.run_id
    if settings.run_id and place.exists():
        raise BadInput(
            expected="a run-id that no earlier run has",
            seen=f"a report of {settings.run_id}",
            where=str(place),
            remedy="give another --run-id, or leave it out",
        )


def _must_have_audit_events(settings: Settings) -> None:
    path = settings.audit_events
    if path is not None and not path.exists():
        raise BadInput(
            expected="a file or a directory with Teleport's audit events",
            seen="no such file or directory",
            where=f"settings: audit_events = {path}",
            remedy="correct the path, or leave the setting out; then ID-10 is not evaluated",
        )


def _must_know_whom_to_trust(settings: Settings) -> None:
    if settings.teleport_ca is None:
        return
    where = f"settings: teleport_ca = {settings.teleport_ca}"
    if settings.teleport_insecure:
        raise BadInput(
            expected="teleport_ca or teleport_insecure",
            seen="both",
            where=where,
            remedy="leave out --teleport-insecure, with which nobody would be verified",
        )
    try:
        trust(ca=settings.teleport_ca)
    except OSError as error:
        raise BadInput(
            expected="a file with certificates in PEM",
            seen=str(error),
            where=where,
            remedy="give the CA of Teleport's proxy, or leave the setting out where the system knows it",
        ) from error


def _must_have_anchors(settings: Settings) -> None:
    if settings.trust_bundle is None:
        return
    wrong = {
        "cluster = existing": settings.cluster != "existing",
        "trust_domain, whose bundle it is": "trust_domain" not in settings.model_fields_set,
        # A rotation of the authority makes another bundle, against which the suite must judge.
        "no --allow disruptive": "disruptive" in settings.allowed_safety,
    }
    missing = [what for what, is_so in wrong.items() if is_so]
    if missing:
        raise BadInput(
            expected=f"with trust_bundle {' and '.join(missing)}",
            seen=f"cluster = {settings.cluster}, trust_domain = {settings.trust_domain}",
            where=f"settings: trust_bundle = {settings.trust_bundle}",
            remedy="give --trust-domain as well, or name the Teleport that you expect with --teleport-proxy instead",
        )
    read_anchors(settings.trust_bundle, settings.trust_domain, KeptInMemory())


def must_be_installable(settings: Settings) -> None:
    """Refuse settings with which the suite cannot install.

    Raises:
        BadInput: A setting is only for an existing installation, or a kept cluster of that name is another variant.
    """
    if settings.cluster != "kind":
        raise BadInput(
            expected="cluster = kind",
            seen=f"cluster = {settings.cluster}",
            where="settings",
            remedy="the suite installs nothing on an existing cluster; leave out --cluster to make one",
        )
    _must_be_repairs(settings)
    must_be_free(directory_of(settings))
    if settings.reuse and kept_kubeconfig(settings) is not None:
        must_be_kept_as(directory_of(settings), variant_of(settings), settings.kind_name)
    if settings.tctl and not settings.teleport_proxy:
        raise BadInput(
            expected="the address of the existing Teleport's proxy",
            seen="tctl without teleport_proxy",
            where="settings: teleport_proxy",
            remedy="give --teleport-proxy HOST:PORT, so that tbot knows where to join",
        )
    guide, ours = Names().model_dump(), settings.names.model_dump()
    for name in sorted(set(guide) - {"socket_directory"}):
        if ours[name] != guide[name]:
            raise BadInput(
                expected=f"names.{name} = {guide[name]} on a cluster that the suite makes",
                seen=ours[name],
                where=f"settings: names.{name}",
                remedy="the manifests have the guide's names; other names are for an existing installation",
            )


def _must_install_nothing(settings: Settings) -> None:
    if settings.install != "recommended" or settings.repairs:
        raise BadInput(
            expected="nothing to install on an existing cluster",
            seen=f"install = {settings.install}, repairs = {', '.join(settings.repairs) or 'none'}",
            where="settings: install, repairs",
            remedy="leave out --install and --repair; the suite judges an existing install as it is",
        )


def _must_be_repairs(settings: Settings) -> None:
    as_guide = settings.install == "as-guide"
    there = [name for name, repair in REPAIRS.items() if as_guide or repair.recommended]
    if unknown := [name for name in settings.repairs if name not in there]:
        raise BadInput(
            expected=f"repairs of --install {settings.install}: {', '.join(there)}",
            seen=f"install = {settings.install}, repairs = {', '.join(unknown)}",
            where="settings: repairs",
            remedy="choose from these, separated by commas; all others need --install as-guide",
        )
    wanted = {need for name in settings.repairs for need in REPAIRS[name].wants} if as_guide else set()
    if missing := wanted - {*settings.repairs}:
        raise BadInput(
            expected=f"with --repair {','.join(settings.repairs)} the repair {', '.join(sorted(missing))} as well",
            seen=", ".join(settings.repairs),
            where="settings: repairs",
            remedy=f"--repair {','.join(name for name in REPAIRS if name in {*settings.repairs, *missing})}",
        )
