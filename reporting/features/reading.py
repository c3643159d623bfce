"""The catalogue as a run uses it: with the profile `mesh`, for which the scenarios must be known."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from facts.catalogue import Catalogue, Need, parse_catalogue
from facts.document import yaml_of_ours
from facts.errors import BadInput
from reporting.collecting.policy import READ_ONLY
from reporting.features.gherkin_files import feature_paths, read_feature


def read_catalogue(directory: Path) -> Catalogue:
    """Read ``catalogue.yaml`` of a directory of features, with the profile `facts.catalogue.MESH`.

    Raises:
        BadInput: It cannot be used.
    """
    file = directory / "catalogue.yaml"
    catalogue = parse_catalogue(yaml_of_ours(file.read_text(encoding="utf-8")), str(file))
    return catalogue.for_readers(_read_only(directory))


def judged_by_reading(directory: Path, needs: Collection[Need] = ()) -> frozenset[str]:
    """Return the ids of the requirements that every scenario judges by reading alone.

    Args:
        directory: Directory of the features and of their catalogue.
        needs: Inputs that the reader has beside the role for reading.

    Raises:
        BadInput: The catalogue cannot be used.
    """
    read_only = _read_only(directory)
    return frozenset(r.id for r in read_catalogue(directory) if r.id in read_only and {*needs}.issuperset(r.needs))


def _read_only(directory: Path) -> frozenset[str]:
    """Return the ids of the requirements all of whose scenarios only read."""
    return frozenset(r for r, classes in safety_classes(directory).items() if classes == {READ_ONLY})


def safety_classes(directory: Path) -> Mapping[str, frozenset[str]]:
    """Return the safety classes of the scenarios of each requirement; one without a tag has the class ``""``.

    A file that is no Gherkin is left out: pytest cannot collect it either, and says so.
    """
    found: dict[str, frozenset[str]] = {}
    for path in feature_paths(directory):
        try:
            scenarios = read_feature(path)
        except BadInput:
            continue
        for scenario in scenarios:
            classes = frozenset(scenario.values("safety") or ("",))
            for requirement in scenario.values("requirement"):
                found[requirement] = found.get(requirement, frozenset()) | classes
    return found
