"""A fleet that is rolled while it is read, pod by pod: more at once starve two cores, and then nothing is read but that."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event

from facts.kubernetes.pod_spec import TEMPLATES
from providers.teleport.installing.teleport import ContainerEvents, OwnTeleport
from provision.faults import Operator, Scene
from provision.faults.changes import applied
from tests.installs.teams import idle, namespace

FLEET, SIZE = "fleet", 80
STEP = 10
"""Pods that start at the same time, each step with the whole patience of a rollout: eighty at once take longer than that."""


@contextmanager
def meanwhile(act: Callable[[], object], every: float) -> Iterator[None]:
    """Do something again and again beside what is inside, and at the end raise what it raised.

    Args:
        act: Does it once.
        every: Seconds between.
    """
    stop = Event()

    def repeat() -> None:
        while not stop.is_set():
            act()
            stop.wait(every)

    with ThreadPoolExecutor(max_workers=1) as pool:
        repeating = pool.submit(repeat)
        try:
            yield
        finally:
            stop.set()
    repeating.result()


@contextmanager
def _collected_events(scene: Scene) -> Iterator[Path]:
    """A file with Teleport's audit events that goes on, as a log shipper's: new pods get certificates all the time."""
    authority = scene.installation.authority
    assert isinstance(authority, OwnTeleport)
    with tempfile.TemporaryDirectory(dir=scene.installation.directory, prefix="events-") as directory:
        file, draft = Path(directory) / "events.log", Path(directory) / "draft"

        def collect() -> None:
            draft.write_text("".join(ContainerEvents(authority.container).lines()), encoding="utf-8")
            draft.replace(file)

        collect()
        with meanwhile(collect, 2):
            yield file


@contextmanager
def rolling(scene: Scene) -> Iterator[Operator]:
    """Run the fleet, and restart it every minute; the operator has audit events that go on as well."""
    objects = scene.installation.objects
    made = idle(scene, FLEET, annotations={TEMPLATES: "sidecar,spire"})
    made["spec"] |= {"replicas": STEP, "strategy": {"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}}
    made["spec"]["template"]["metadata"]["annotations"] |= {"sidecar.istio.io/proxyCPU": "5m"}
    with ExitStack() as stack:
        stack.enter_context(applied(scene, namespace(FLEET, **{"istio-injection": "enabled"}), made))
        for size in range(STEP, SIZE + STEP, STEP):
            objects.patch("apps/v1", "Deployment", "idle", {"spec": {"replicas": size}}, namespace=FLEET)
            scene.await_rollout("Deployment", "idle", FLEET)
        events = stack.enter_context(_collected_events(scene))
        stack.enter_context(meanwhile(lambda: objects.restart("Deployment", "idle", namespace=FLEET), 60))
        yield replace(scene.operator, audit_events=events)


@contextmanager
def one_on_istiod(scene: Scene) -> Iterator[None]:
    """Run one more pod in the fleet's namespace, which does not ask for the template."""
    stray = idle(scene, FLEET, labels={"app": "stray"}, annotations={"sidecar.istio.io/proxyCPU": "5m"})
    stray["metadata"]["name"] = "stray"
    stray["spec"]["selector"] = {"matchLabels": {"app": "stray"}}
    with applied(scene, stray):
        scene.await_rollout("Deployment", "stray", FLEET)
        yield
