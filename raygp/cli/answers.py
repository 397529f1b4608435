"""Answers of a version as lines that people read, as they come: there may be a million."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

if TYPE_CHECKING:
    from raygp.tasks import Answer

_NAME, _LABEL = (8, 40), (5, 20)
"""Least and most columns of a name and of a class on a terminal. Where there is none, nothing is cut."""
_GAP = "  "


class AnswerLines:
    """Makes a line of each answer: name, class, probability, the next most probable classes; or name and transcript or
    number. The widths are those that the first answers need.

    Args:
        names: of the first samples.
        classes: of the version.
        width: columns of the terminal; None: there is none, and nothing is cut.
        top: classes that are listed, the answer among them.
    """

    def __init__(self, names: Sequence[str], classes: Sequence[str], width: int | None, top: int) -> None:
        self._width, self._top = width, top
        self._name = _fitting(names, *_NAME, cut=width is not None)
        self._label = _fitting(classes, *_LABEL, cut=width is not None)

    def heading(self, kind: Answer) -> str:
        """The first line, for answers of a kind.

        Args:
            kind: the first answer that has no problem.
        """
        name = set_cell_size("file", self._name)
        if kind.probabilities:
            others = "next" if self._top > 1 else ""
            return f"{name}{_GAP}{set_cell_size('class', self._label)}{_GAP}    %{_GAP}{others}".rstrip()
        return f"{name}{_GAP}{'value' if kind.value is not None else 'text'}"

    def line(self, name: str, answer: Answer) -> str:
        """The line of one answer."""
        start = _shortened(name, self._name, self._width is not None) + _GAP
        if answer.problem:
            return f"{start}not read: {answer.problem}"  # However long: the reason is all there is.
        if answer.value is not None:
            return f"{start}{answer.value:.10g}"
        if not answer.probabilities:
            return start + answer.label
        (label, probability), *others = answer.probabilities[: self._top]
        line = f"{start}{_cut(label, self._label, self._width is not None)}{_GAP}{probability * 100:5.1f}"
        return line + self._others(others, cell_len(line))

    def _others(self, others: Sequence[tuple[str, float]], used: int) -> str:
        """Classes with their probabilities, as many as there is room for."""
        said = [f"{label} {probability * 100:.1f}" for label, probability in others]
        text = ""
        for place, word in enumerate(said):
            longer = f"{text}, {word}" if text else _GAP + word
            room = 0 if place + 1 == len(said) else len(", ...")
            if self._width is not None and used + cell_len(longer) + room > self._width:
                return f"{text}, ..." if text else ""
            text = longer
        return text


def _fitting(texts: Sequence[str], least: int, most: int, *, cut: bool) -> int:
    longest = max((cell_len(text) for text in texts), default=least)
    return max(least, min(most, longest) if cut else longest)


def _cut(text: str, width: int, cut: bool) -> str:
    """A text of a width, its end cut off if it is longer."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 3) + "..." if cut else text


def _shortened(name: str, width: int, cut: bool) -> str:
    """A name of a width, its start cut off if it is longer: files of a folder differ at the end."""
    if cell_len(name) <= width:
        return set_cell_size(name, width)
    if not cut:
        return name
    kept = name
    while cell_len(kept) > width - 3:
        kept = kept[1:]
    return set_cell_size("..." + kept, width)
