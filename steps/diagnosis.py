"""Steps of features/8_diagnosis: DX-1 to DX-9."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import pytest
from pytest_bdd import given, parsers, then, when

from facts.doctor.answer import Look, Way
from facts.errors import CouldNotTell
from facts.recorder import Recorder
from judge import doctor as judge
from judge.doctor import Kind, State, ToldRow
from observe.doctor import Doctor
from observe.install import Install
from provision.faults import FAULTS, Fault
from provision.herrings import HERRINGS
from provision.target import Target
from settings import Settings
from steps.shared import Conclude, Lend

NoteDiagnosis = Callable[[ToldRow], None]
"""Puts the doctor's answers to a state of the install into the report."""

STANDING = frozenset(fault.cause for fault in FAULTS.values() if fault.standing)
"""Causes that the recommended installation has, because the guide asks for them: risks, which the doctor may name."""

SOUND = State(Kind.HEALTHY, "healthy", further=STANDING)


class Soundness:
    """Whether the doctor finds nothing in the install before the suite breaks it.

    The doctor looks at the start of a run, and again after a row that did not end as it had to: its undo failed, or the
    doctor's answer was wrong, perhaps because of the row before.
    """

    def __init__(self, look: Callable[[], Look]) -> None:
        self._look = look
        self._is_known = False

    def doubt(self) -> None:
        """Take nothing for granted until the doctor has looked again."""
        self._is_known = False

    def trust(self) -> None:
        """Take the install for sound once the row at hand is undone, because the doctor's answer was right."""
        self._is_known = True

    @contextmanager
    def row(self) -> Iterator[None]:
        """Look if need be, and keep the install in doubt until the row has ended as it had to.

        Raises:
            CouldNotTell: The doctor finds something before the suite has broken anything.
        """
        if not self._is_known:
            look = self._look()
            if wrong := "; ".join(judge.wrong_with(SOUND, look, is_last=True)):
                raise CouldNotTell(
                    expected="a doctor that finds nothing before the suite breaks the install",
                    seen=wrong,
                    where=f"the sound install, {look.way.value}",
                    remedy="repair what the doctor names (`--repair strict-mtls` repairs what the guide leaves open) and run"
                    " again",
                )
        self.doubt()
        try:
            yield
        except BaseException:
            self.doubt()
            raise


@pytest.fixture(scope="session")
def doctor(target: Target, settings: Settings, recorder: Recorder) -> Doctor:
    """The doctor of the install.

    Raises:
        NotGiven: The suite did not make the install.
    """
    scene = target.scene()
    authority = scene.installation.authority
    return Doctor(
        kubeconfig=scene.operator.kubeconfig,
        context=scene.operator.context,
        directory=scene.installation.directory,
        proxy=authority.proxy,
        ca=authority.ca,
        insecure=authority.insecure,
        tctl=scene.operator.tctl,
        recorder=recorder,
        timeout=settings.patience.doctor,
        limit=settings.sizes.command,
    )


@pytest.fixture(scope="session")
def soundness(doctor: Doctor, lend: Lend) -> Soundness:
    """Whether the install is sound before a row."""

    def look() -> Look:
        with lend():
            return doctor.look(Way.SESSION)

    return Soundness(look)


@given("an install that the suite made, in which the doctor finds nothing")
def sound_install(install: Install, soundness: Soundness, cleanup: ExitStack) -> None:
    name_the_install(install)
    cleanup.enter_context(soundness.row())


@given(parsers.parse('the fault "{name}" in it'), target_fixture="state")
def with_fault(name: str, target: Target, cleanup: ExitStack, shown_to: Mapping[Way, frozenset[str]]) -> State:
    return broken(Kind.FAULT, (FAULTS[name],), target, cleanup, shown_to)


@given(parsers.parse('the faults "{one}" and "{other}" in it'), target_fixture="state")
def with_faults(one: str, other: str, target: Target, cleanup: ExitStack, shown_to: Mapping[Way, frozenset[str]]) -> State:
    return broken(Kind.PAIR, (FAULTS[one], FAULTS[other]), target, cleanup, shown_to)


@given(parsers.parse('the red herring "{name}" in it'), target_fixture="state")
def with_herring(name: str, target: Target, cleanup: ExitStack) -> State:
    target.objects.may_change()
    herring = HERRINGS[name]
    cleanup.enter_context(herring.inject(target.scene()))
    return State(Kind.HERRING, name, further=STANDING | herring.called)


@given("the install after these scenarios", target_fixture="state")
def repaired_install(install: Install, requirement: str, soundness: Soundness) -> State:
    name_the_install(install)
    soundness.doubt()
    return State(Kind.HEALTHY, f"healthy after {requirement}", further=STANDING)


@when("the doctor reads the cluster", target_fixture="looks")
def doctor_reads(doctor: Doctor, state: State, lend: Lend) -> tuple[Look, ...]:
    with lend():
        looks = [doctor.look(Way.READER), doctor.look(Way.SESSION)]
        if not judge.is_settled(state, looks[-1]):
            looks.append(doctor.look(Way.PROBES))
    return tuple(looks)


@then("it must name the cause of the fault first, and no cause that is not so")
@then("it must name the causes of both faults first, and no cause that is not so")
@then("it must find nothing")
def names_the_causes(
    requirement: str,
    state: State,
    looks: tuple[Look, ...],
    soundness: Soundness,
    note_diagnosis: NoteDiagnosis,
    conclude: Conclude,
) -> None:
    note_diagnosis(judge.told(requirement, state, looks))
    conclude(judge.names_the_causes(requirement, state, looks))
    soundness.trust()


def name_the_install(install: Install) -> None:
    """Read what the report's first page and docs/diagnosis.md say of the install: its versions and its issuer."""
    install.cluster.version()
    install.istio.planes()
    install.tbot.all()


def broken(
    kind: Kind, faults: tuple[Fault, ...], target: Target, cleanup: ExitStack, shown_to: Mapping[Way, frozenset[str]]
) -> State:
    """Inject faults until the end of the scenario, and return what the doctor must say of them."""
    target.objects.may_change()
    for fault in faults:
        cleanup.enter_context(fault.inject(target.scene()))
    return state_of(kind, faults, shown_to)


def state_of(kind: Kind, faults: tuple[Fault, ...], shown_to: Mapping[Way, frozenset[str]]) -> State:
    """Return what the doctor must say of an install with some faults.

    Args:
        kind: One fault, or a pair.
        shown_to: Requirements that each way judges which only reads. A cause is shown to a way if its fault breaks one.
    """
    return State(
        kind,
        " + ".join(fault.name for fault in faults),
        tuple(fault.cause for fault in faults),
        STANDING.union(*(fault.further_causes for fault in faults)),
        {
            way: frozenset(f.cause for f in faults if f.breaks & judged and not (f.by_session and way is Way.READER))
            for way, judged in shown_to.items()
        },
    )
