"""The elements of a drawing: inline SVG, whose texts are escaped, and labels that do not lie on each other."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup, escape

LETTER = 6.1
"""Average width of a letter of a label, in pixels."""


def element(name: str, *inside: Markup | str, **attributes: str | float) -> Markup:
    """An element of a drawing; texts in it and in its attributes are escaped. ``class_`` is ``class``."""
    said = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), value if isinstance(value, str) else pixels(value))
        for key, value in attributes.items()
    )
    body = Markup("").join(each if isinstance(each, Markup) else escape(each) for each in inside)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), said, body)  # noqa: S704  the names are our own


def text(words: str, x: float, y: float, look: str, *, title: str = "") -> Markup:
    """Words, with what is said when one points at them."""
    told = [element("title", title)] if title else []
    return element("text", *told, words, class_=look, x=x, y=y)


def pixels(value: float) -> str:
    """A length with the precision that one can see."""
    return f"{value:.1f}".removesuffix(".0")


@dataclass(frozen=True, slots=True)
class Label:
    """A label beside a mark.

    Attributes:
        words: What it says.
        x: Where it is anchored.
        begins: Where label and mark begin.
        ends: Where they end.
        is_before: Whether it stands left of the mark.
    """

    words: str
    x: float
    begins: float
    ends: float
    is_before: bool = False

    @classmethod
    def beside(cls, mark: tuple[float, float], words: str, edges: tuple[float, float]) -> Label:
        """In the mark if it is long enough, else right of it, else left of it, cut if there is no room at all.

        Args:
            mark: Where it begins and ends.
            words: What to say.
            edges: Of the drawing.
        """
        first, last = mark
        right, left = edges[1] - last - 4, first - 4 - edges[0]
        most = max(right, left, last - first - 8)
        if len(words) * LETTER > most:
            words = f"{words[: max(1, int(most / LETTER) - 1)]}…"
        length = len(words) * LETTER
        if length + 8 <= last - first:
            return cls(words, first + 4, first, last + 4)
        if length <= right:
            return cls(words, last + 4, first, last + 10 + length)
        return cls(words, first - 4, first - 4 - length, last + 4, is_before=True)

    def drawn(self, y: float, title: str) -> Markup:
        """The label with its lower edge at a height."""
        return text(self.words, self.x, y, "label before" if self.is_before else "label", title=title)


class Rows:
    """Rows of a lane that are filled from the top: what overlaps goes into the next."""

    def __init__(self, high: int) -> None:
        """There is none yet; each will be so many pixels high."""
        self._high = high
        self._ends: list[float] = []

    def place(self, begins: float, ends: float) -> int:
        """The top of the first row that is free there, a new one if need be."""
        found = next((row for row, until in enumerate(self._ends) if until <= begins), len(self._ends))
        self._ends[found : found + 1] = [ends]
        return found * self._high

    def place_among(self, most: int, begins: float, ends: float) -> int | None:
        """Likewise, of so many rows at most; None where all are taken."""
        if len(self._ends) >= most and all(until > begins for until in self._ends):
            return None
        return self.place(begins, ends)

    @property
    def height(self) -> int:
        """Of all rows that are in use."""
        return len(self._ends) * self._high
