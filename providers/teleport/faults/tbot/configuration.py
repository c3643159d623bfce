"""Faults in tbot's configuration file. The tbot that runs has read the sound one, and serves until its next restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from providers.teleport.facts.tbot_config import BY_NAME
from provision.faults import reach
from provision.faults.changes import Document, edited, edited_text
from provision.faults.fault import Fault, Scene
from provision.names import TBOT_CONFIG, TBOT_FILE, TBOT_NAMESPACE

MISSPELT_IDENTITY = "istio-workload"

NOT_IN_FORCE = "tbot-config-not-in-force"

INVALID = frozenset({"INST-13"})


def _file_fault(
    *, inject: Callable[[Scene], AbstractContextManager[None]], breaks: frozenset[str] = INVALID, **about: Any
) -> Fault:
    """Return a fault that edits the file while tbot runs on, so that the edit is not in force as well."""
    return Fault(
        inject=lambda scene: _then_restarted(scene, inject),
        breaks=breaks | {"HYG-06"},
        further_causes=frozenset({NOT_IN_FORCE}) - {about["cause"]},
        touches=f"ConfigMap {TBOT_NAMESPACE}/{TBOT_CONFIG}",
        undo="The suite restores the entry exactly, restarts tbot, and waits until every Envoy has its streams again.",
        **({"reach": reach.TBOT} | about),
    )


@contextmanager
def _then_restarted(scene: Scene, inject: Callable[[Scene], AbstractContextManager[None]]) -> Iterator[None]:
    """Restart tbot after the file is restored, for which that is a change as well."""
    changed = False
    try:
        with inject(scene):
            changed = True
            yield
    finally:
        if changed:
            scene.restart_tbot()


def _misspelt(scene: Scene) -> AbstractContextManager[None]:
    return edited_text(scene, TBOT_NAMESPACE, TBOT_CONFIG, TBOT_FILE, lambda text: text.replace("attestors:", "attestor:"))


def _default_written_out(scene: Scene) -> AbstractContextManager[None]:
    """Write a setting with the value that it has anyway."""
    return edited_text(scene, TBOT_NAMESPACE, TBOT_CONFIG, TBOT_FILE, lambda text: f"{text}debug: false\n")


def _with(scene: Scene, **settings: object) -> AbstractContextManager[None]:
    """Change settings of the whole file; None leaves one out."""
    return edited(scene, TBOT_NAMESPACE, TBOT_CONFIG, TBOT_FILE, lambda file: _put(file, **settings))


def _proxy_as_auth_server(scene: Scene) -> AbstractContextManager[None]:
    def change(file: Document) -> Document:
        host = str(file["proxy_server"]).rpartition(":")[0]
        return _put({**file, "auth_server": f"{host}:443"}, proxy_server=None)

    return edited(scene, TBOT_NAMESPACE, TBOT_CONFIG, TBOT_FILE, change)


def _joins_by_name(scene: Scene) -> AbstractContextManager[None]:
    def change(file: Document) -> Document:
        return {**file, "onboarding": {**file["onboarding"], "join_method": BY_NAME}}

    return edited(scene, TBOT_NAMESPACE, TBOT_CONFIG, TBOT_FILE, change)


def _service_with(scene: Scene, **settings: object) -> AbstractContextManager[None]:
    """Change settings of the only service; None leaves one out."""

    def change(file: Document) -> Document:
        (service,) = file["services"]
        return {**file, "services": [_put(service, **settings)]}

    return edited(scene, TBOT_NAMESPACE, TBOT_CONFIG, TBOT_FILE, change)


def _put(section: Document, **settings: object) -> Document:
    return {key: value for key, value in {**section, **settings}.items() if value is not None}


FAULTS = (
    _file_fault(
        name="tbot-config-changed-without-restart",
        description="The operator changed tbot's ConfigMap and did not restart tbot.",
        cause=NOT_IN_FORCE,
        breaks=frozenset(),
        reach=reach.TBOT | reach.CERTIFICATES | reach.HYGIENE,
        inject=_default_written_out,
    ),
    _file_fault(
        name="attestor-misspelt",
        description="tbot's configuration has the key attestor instead of attestors, which tbot ignores from its next"
        " restart on.",
        cause="attestor-misspelt",
        inject=_misspelt,
    ),
    _file_fault(
        name="service-without-selector",
        description="tbot's configuration names no workload identity, so tbot issues nothing from its next restart on.",
        cause="tbot-selects-nothing",
        inject=partial(_service_with, selector=None),
    ),
    _file_fault(
        name="configuration-without-version",
        description="tbot's configuration has no version, so tbot runs without its services from its next restart on.",
        cause="tbot-config-refused",
        inject=partial(_with, version=None),
    ),
    _file_fault(
        name="one-lifetime-of-two",
        description="tbot's configuration has a renewal interval and no lifetime: tbot exits at its next restart.",
        cause="tbot-config-refused",
        inject=partial(_with, renewal_interval="10m"),
    ),
    _file_fault(
        name="join-method-of-another-token",
        description="tbot's configuration has the join method token, and Teleport has the join token for the method"
        " kubernetes: Teleport refuses tbot at its next restart.",
        cause="token-method-wrong",
        by_session=True,
        inject=_joins_by_name,
    ),
    _file_fault(
        name="proxy-under-auth-server",
        description="tbot's configuration has the address of Teleport's proxy under auth_server, which tbot refuses from its"
        " next restart on.",
        cause="proxy-under-auth-server",
        inject=_proxy_as_auth_server,
    ),
    _file_fault(
        name="identity-misspelt-in-selector",
        description="tbot's configuration names a workload identity that Teleport does not have, so tbot issues nothing from"
        " its next restart on.",
        cause="identity-missing",
        breaks=frozenset({"INST-11", "INST-12", "CHK-3", "CHK-4"}),
        reach=reach.TBOT | reach.TELEPORT,
        inject=partial(_service_with, selector={"name": MISSPELT_IDENTITY}),
    ),
)
