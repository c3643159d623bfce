"""Steps of features/9_hygiene: HYG-01 to HYG-06."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pytest_bdd import given, then, when

from facts.errors import NotGiven
from facts.finding import Finding
from facts.kubernetes.objects import Pod
from facts.recorder import Recorder
from facts.secret_forms import Canary
from judge.hygiene import canaries, remains
from observe.doctor import Doctor
from observe.install import Install
from observe.kubernetes.cluster import Cluster
from observe.kubernetes.remains import read_remains
from observe.wait import Pace
from providers.teleport.facts.token_repository import TokenRepository
from providers.teleport.judge import repository as repository_judge
from providers.teleport.observe.repository import read_token_repository
from providers.teleport.observe.session import is_not_there
from provision.pods.planted import planted as planted_canaries
from provision.target import LastLook, Target
from settings import Settings
from steps.shared import Conclude, Lend

# Rights: HYG-02 and HYG-03.


# Changes in force: HYG-06.


# The repository: HYG-01.


@given("the repository with the template of the join token, as the settings name it", target_fixture="repository")
def repository(settings: Settings, recorder: Recorder) -> TokenRepository:
    names = settings.hygiene
    if names.repository is None:
        raise NotGiven(
            expected="the git repository with the template of the join token",
            seen="the settings name none",
            where="setting hygiene.repository",
            remedy='name a directory of it below [hygiene] in conformance.toml, e.g. repository = "../platform"',
        )
    timeout, limit = settings.patience.command, settings.sizes.command
    return read_token_repository(names.repository, names, recorder, timeout=timeout, limit=limit)


@then("git must ignore the filled-in file, no commit must have one, and the template must hold no key")
def filled_in_token_is_kept_out(repository: TokenRepository, conclude: Conclude) -> None:
    conclude(repository_judge.filled_in_token_is_kept_out(repository))


# The suite's outputs: HYG-04.


@dataclass(frozen=True, slots=True)
class Planted:
    """Canaries, and the namespace that they were planted in."""

    namespace: str
    canaries: tuple[Canary, ...]


@given(
    "a pod of the suite with a canary of every form in its annotations, environment and arguments", target_fixture="planted"
)
def canaries_are_planted(target: Target, install: Install, cleanup: ExitStack) -> Planted:
    install.cluster.version()  # the cluster is up, and this run holds it
    return Planted(*cleanup.enter_context(planted_canaries(target.objects, target.sources.workload_image)))


@when("the suite reads all pods and namespaces of the cluster", target_fixture="pods_with_canaries")
def pods_are_read(planted: Planted, install: Install) -> tuple[Pod, ...]:
    install.cluster.reader.namespaces()
    return tuple(pod for pod in install.cluster.reader.pods() if pod.namespace == planted.namespace)


@when("the doctor examines the cluster, for a person and for a program", target_fixture="said_by_doctor")
def doctor_examines(target: Target, settings: Settings, recorder: Recorder, lend: Lend) -> Mapping[str, str]:
    teleport = target.teleport()
    with tempfile.TemporaryDirectory() as directory, lend():
        doctor = Doctor(
            kubeconfig=target.kubeconfig,
            context=target.context,
            directory=Path(directory),
            proxy=teleport.proxy,
            ca=teleport.ca,
            insecure=teleport.insecure,
            tctl=(),
            recorder=recorder,
            timeout=settings.patience.doctor,
            limit=settings.sizes.command,
        )
        return {"conformance doctor": doctor.printed(), "conformance doctor --json": doctor.printed("--json")}


@then("no part of a canary must be in the report, the evidence, the JUnit file or what the run and the doctor print")
def no_canary_in_outputs(
    planted: Planted,
    pods_with_canaries: tuple[Pod, ...],
    said_by_doctor: Mapping[str, str],
    outputs: Callable[[], Mapping[str, str]],
    conclude: Conclude,
) -> None:
    conclude(canaries.no_canary_in_outputs(planted.canaries, pods_with_canaries, {**outputs(), **said_by_doctor}))


# What the run leaves: HYG-05.

LONGEST = 60
"""Seconds to wait for the suite's namespaces to go, where the settings say not to wait."""


@then("nothing that this run made for itself must be left once it has cleaned up, in the cluster and in Teleport")
def nothing_is_left(at_the_end: Callable[[LastLook], None], target: Target, settings: Settings) -> None:
    run = target.objects.run_id

    def look(cluster: Cluster) -> Finding:
        target.objects.await_departures(Pace(settings.patience.teardown or LONGEST))
        made = {"", *target.objects.groups}  # the core group always answers, or nothing can be said
        return remains.nothing_is_left(read_remains(cluster, target.tctl, run, is_not_there, made), run)

    at_the_end(look)
