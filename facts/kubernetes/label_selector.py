"""Label selectors as Kubernetes has them, for pods or namespaces.

Source: the Kubernetes API reference, meta/v1 LabelSelector. Istio takes the same form in its own configuration.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated

from facts.declared import At, Declared, ListOf, Many, Text
from facts.kubernetes.pod_spec import Labels

NAME_OF_NAMESPACE = "kubernetes.io/metadata.name"
"""Label that the API server sets on every namespace; nobody can choose its value."""

OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


@dataclass(frozen=True, slots=True)
class Expression(Declared):
    """One requirement of ``matchExpressions``.

    Attributes:
        key: Key of the label.
        operator: ``In``, ``NotIn``, ``Exists`` or ``DoesNotExist``.
        values: For the first two.
    """

    key: Text
    operator: Text
    values: Many[str]

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels meet it; an operator that Kubernetes does not know is met by none."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
        return self.operator == "DoesNotExist" and self.key not in labels

    def __str__(self) -> str:
        return f"{self.key} {self.operator} {', '.join(self.values)}".rstrip()


@dataclass(frozen=True, slots=True)
class LabelSelector(Declared):
    """A selector: all of its requirements must be met.

    Attributes:
        labels: ``matchLabels``.
        expressions: ``matchExpressions``.
    """

    labels: Annotated[Labels, At("matchLabels")]
    expressions: Annotated[ListOf[Expression], At("matchExpressions")] = ()

    @property
    def requirements(self) -> tuple[Expression, ...]:
        """All requirements in one form."""
        return (*(Expression(key, "In", (value,)) for key, value in self.labels.items()), *self.expressions)

    @property
    def is_empty(self) -> bool:
        """It requires nothing, and so fits all labels."""
        return not self.requirements

    @property
    def is_valid(self) -> bool:
        """Kubernetes knows all of its operators."""
        return all(each.operator in OPERATORS for each in self.expressions)

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels meet all requirements."""
        return all(each.fits(labels) for each in self.requirements)

    def __str__(self) -> str:
        said = [f"{key}={value}" for key, value in self.labels.items()] + [str(each) for each in self.expressions]
        return ", ".join(said)


def labels_that_fit(
    selector: LabelSelector, labels: Mapping[str, str], fixed: Collection[str] = ()
) -> Mapping[str, str] | None:
    """Labels for a new namespace that a selector fits: those that it is to have anyway, and what is missing.

    Args:
        labels: Labels that the namespace is to have; their values stay.
        fixed: Keys that may not be added.

    Returns:
        All labels; None where no labels with those values fit.
    """
    found = dict(labels)
    for each in selector.requirements:
        if each.key in found or each.key in fixed or each.key == NAME_OF_NAMESPACE:
            continue
        if each.operator == "In" and each.values:
            found[each.key] = each.values[0]
        elif each.operator == "Exists":
            found[each.key] = "true"
    # The API server adds the name, which no selector that was written before the namespace was made can list.
    return found if selector.fits({NAME_OF_NAMESPACE: "", **found}) else None
