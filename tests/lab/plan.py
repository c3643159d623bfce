"""What a run of the matrix does: which faults it takes, and what is judged before them, under and after each, at the end.

A run is for some profiles. It takes the faults that break something of these and of no profile behind them in the catalogue,
so that each fault has its place in one run. What takes minutes to judge (renewals that are waited for, outages) is judged
under the faults that name it, and once at the end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from facts.catalogue import Catalogue, parse_catalogue
from provision.faults import Fault
from provision.faults.coverage import read_listed
from provision.faults.reach import SAMPLE
from reporting.features.gherkin_files import feature_paths, read_feature

BY_DEFAULT = ("install", "checklist", "identity", "mtls", "traffic", "hygiene")
"""The profiles of a run that is told none; what they promise can be judged in seconds."""

INJECTS_FAULTS = frozenset({"TRF-06", "ROT-08"})
"""They break an installation themselves, and only one that their own run has made; an existing one they leave alone."""

DIAGNOSIS = "diagnosis"
"""The profile whose requirements all do so."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run.

    Attributes:
        faults: In the order in which they are taken.
        promised: What is judged whatever the faults are: the requirements of the run's profiles.
        costly: Requirements that take minutes to judge.
        elsewhere: Requirements that are not judged in such a run: without a scenario yet, or with one that needs an
            installation of its own.
    """

    faults: tuple[Fault, ...]
    promised: frozenset[str]
    costly: frozenset[str]
    elsewhere: frozenset[str]

    @property
    def before(self) -> frozenset[str]:
        """What must be known of the healthy lab."""
        return self._all - self.costly

    @property
    def at_end(self) -> frozenset[str]:
        """What is judged when all faults have been undone."""
        named = frozenset(r for fault in self.faults for r in fault.breaks)
        return self.before | (self.costly & (self.promised | named)) - self.elsewhere

    def under(self, fault: Fault) -> frozenset[str]:
        """What is judged while a fault lasts."""
        return fault.judged - self.elsewhere

    def after(self, fault: Fault) -> frozenset[str]:
        """What is judged when it has been undone: what it had broken or hidden, or the sample where that is costly."""
        return (fault.breaks | fault.blinds) - self.costly - self.elsewhere or SAMPLE

    def only(self, names: Collection[str]) -> Plan:
        """The same for some of the faults; what they do not touch is not judged."""
        if {fault.name for fault in self.faults} == {*names}:
            return self
        return replace(self, faults=tuple(f for f in self.faults if f.name in names), promised=frozenset())

    @property
    def _all(self) -> frozenset[str]:
        return self.promised.union(*(fault.judged for fault in self.faults)) - self.elsewhere


def planned(profiles: Iterable[str], features: Path, faults: Iterable[Fault]) -> Plan:
    """The run for some profiles.

    Args:
        profiles: Profiles, or groups of them.
        features: Directory of the features and of their catalogue.
        faults: All faults.

    Raises:
        BadInput: There is no such profile, or a file cannot be read.
    """
    catalogue = _catalogue(features)
    promised = catalogue.chosen(tuple(profiles))
    chosen = {requirement.profile for requirement in promised}
    listed = {requirement for requirement, _ in read_listed(features / "not-evaluated.txt")}
    elsewhere = INJECTS_FAULTS.union(listed, (r.id for r in catalogue if r.profile == DIAGNOSIS))
    return Plan(
        faults=tuple(f for f in faults if home(f, catalogue) in chosen and f.breaks - elsewhere),
        promised=frozenset(requirement.id for requirement in promised),
        costly=_costly(features, catalogue),
        elsewhere=elsewhere,
    )


def home(fault: Fault, catalogue: Catalogue) -> str:
    """The profile in whose run a fault has its place: the last of those that it breaks something of."""
    order = catalogue.profiles["all"]
    return max((catalogue[requirement].profile for requirement in fault.breaks), key=order.index)


def _costly(features: Path, catalogue: Catalogue) -> frozenset[str]:
    """Requirements of other profiles than the quick ones that do something to the installation and wait for what comes."""
    scenarios = [scenario for path in feature_paths(features) for scenario in read_feature(path)]
    disruptive = {r for s in scenarios if "disruptive" in s.values("safety") for r in s.values("requirement")}
    return frozenset(r for r in disruptive if catalogue[r].profile not in BY_DEFAULT)


def _catalogue(features: Path) -> Catalogue:
    file = features / "catalogue.yaml"
    return parse_catalogue(yaml.safe_load(file.read_text(encoding="utf-8")), str(file))
