"""Settings that no run can start with, refused before anything is made or asked."""

from __future__ import annotations

from facts.errors import BadInput
from observe.api import must_have_context
from settings import Names, Settings


def must_be_usable(settings: Settings) -> None:
    """Refuses settings that name no install to judge, before anything is made or asked.

    Raises:
        BadInput: A setting is missing or does not fit the others; there is no such kubeconfig or context.
    """
    must_name_mirror(settings)
    if settings.cluster == "existing":
        must_have_context(settings.kubeconfig, settings.context)
    else:
        must_be_installable(settings)


def must_name_mirror(settings: Settings) -> None:
    """Refuses a mirror without an address.

    Raises:
        BadInput: `source` is ``mirror`` and `registry` is empty.
    """
    if settings.source == "mirror" and not settings.registry:
        raise BadInput(
            expected="the HOST/PREFIX of a mirror",
            seen="source = mirror without one",
            where="settings: registry",
            remedy="give --registry HOST/PREFIX",
        )


def must_be_installable(settings: Settings) -> None:
    """Refuses settings that only make sense on an installation that is already there.

    Raises:
        BadInput: They do.
    """
    if settings.cluster != "kind":
        raise BadInput(
            expected="cluster = kind",
            seen=f"cluster = {settings.cluster}",
            where="settings",
            remedy="nothing is installed on an existing cluster; leave out --cluster to make one",
        )
    if settings.tctl and not settings.teleport_proxy:
        raise BadInput(
            expected="the address of the existing Teleport's proxy",
            seen="tctl without it",
            where="settings: teleport_proxy",
            remedy="give --teleport-proxy HOST:PORT, so that tbot knows where to join",
        )
    guide, ours = Names().model_dump(), settings.names.model_dump()
    for name in sorted(set(guide) - {"socket_directory"}):
        if ours[name] != guide[name]:
            raise BadInput(
                expected=f"names.{name} = {guide[name]} on a cluster that is made here",
                seen=ours[name],
                where=f"settings: names.{name}",
                remedy="the manifests have the guide's names; other names are for an existing installation",
            )
