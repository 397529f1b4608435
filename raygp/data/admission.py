"""What the line has already decides what an arrival may be. The first must be enough to make a version of. A later one
may be an ordinary week: of one class, with a single sample, or with nothing but held-out rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from raygp.data.listing import listed
from raygp.data.sources import SplitName
from raygp.errors import InputError
from raygp.store import Manifest


@dataclass(frozen=True)
class Holdings:
    """What an arrival holds, or several, as far as it decides whether an update could use them."""

    train: Mapping[str, int] = field(default_factory=dict)
    """Training rows by label (by symbol of the label, where labels are texts); of published arrivals whose labels are
    numbers, all of them under an empty one."""
    held_out: Collection[str] = ()
    """Labels of the other rows; of a published arrival, those of them that no training row of it has."""
    val: Mapping[str, int] = field(default_factory=dict)
    """Validation rows by label; of published arrivals, all of them under an empty one."""

    @classmethod
    def of_rows(cls, rows: Iterable[tuple[SplitName, str]]) -> Holdings:
        """Of rows, by split and label."""
        counted: dict[SplitName, Counter[str]] = {"train": Counter(), "val": Counter(), "test": Counter()}
        for split, label in rows:
            counted[split][label] += 1
        return cls(counted["train"], {*counted["val"], *counted["test"]}, counted["val"])

    @classmethod
    def of_manifests(cls, manifests: Sequence[Manifest]) -> Holdings:
        """Of published arrivals."""
        train: Counter[str] = Counter()
        for manifest in manifests:
            labels = {label: rows for label, rows in manifest.labels.items() if rows}
            train.update(labels or {"": manifest.rows("train")} if manifest.rows("train") else {})
        held_out = {label for manifest in manifests for label, rows in manifest.labels.items() if not rows}
        return cls(train, held_out, {"": sum(manifest.rows("val") for manifest in manifests)})

    def and_of(self, other: Holdings) -> Holdings:
        """What both hold."""
        train = Counter(self.train) + Counter(other.train)
        held_out = {*self.held_out, *other.held_out}
        return Holdings(train, held_out, Counter(self.val) + Counter(other.val))

    @property
    def val_rows(self) -> int:
        """Validation rows."""
        return sum(self.val.values())


@dataclass(frozen=True)
class Lack:
    """Why no update could use an arrival. Both are without a full stop."""

    sentence: str
    """Names the arrival and what is missing."""
    advice: str
    """For whoever ingests it."""


def lack_of(arrival: str, holdings: Holdings, before: Holdings, classes: bool) -> Lack | None:
    """What keeps an arrival from being used by any update; None if nothing does.

    Args:
        arrival: its name.
        holdings: what it holds.
        before: what the arrivals before it hold.
        classes: whether labels are classes; False: they are texts.
    """
    trained = {*before.train, *holdings.train}
    if not trained:
        return Lack(
            f"arrival {arrival} has no training rows, and no arrival before it has any",
            "every row that it brings is held out; where a name such as test or val says so, rename it",
        )
    if not before.val_rows + holdings.val_rows:
        return Lack(
            f"arrival {arrival} has no validation rows, and no arrival before it has any",
            "every update judges by some, so give --val-share above 0, more samples of a class than one, or a source "
            "that holds some out",
        )
    if classes and (missing := sorted(set(holdings.held_out) - trained)):
        subject, verb = ("class", "has") if len(missing) == 1 else ("classes", "have")
        named = listed([f"'{label}'" for label in missing])
        return Lack(
            f"arrival {arrival}: {subject} {named} {verb} no usable training sample",
            "neither here nor in the line; add some, or rename or take away what is held out",
        )
    if classes and len(trained) < 2:
        return Lack(
            f"arrival {arrival} holds only one class ('{next(iter(trained))}'); at least two are needed",
            "the first arrival must have them, later ones may hold one alone",
        )
    return None


def check_usable(arrival: str, holdings: Holdings, before: Holdings, classes: bool) -> None:
    """Refuse an arrival that no update could use. Arguments as for :func:`lack_of`.

    Raises:
        InputError: it lacks something; the message says what to do.
    """
    if lack := lack_of(arrival, holdings, before, classes):
        raise InputError(f"{lack.sentence}: {lack.advice}")


def not_judged(holdings: Holdings, known: Collection[str]) -> str:
    """For people: the classes that are new to the line and have no validation row; empty if there are none.

    Args:
        holdings: of an arrival's rows.
        known: classes of the line.
    """
    rows = {label: count for label, count in sorted(holdings.train.items()) if label not in {*known, *holdings.val}}
    if not rows:
        return ""
    named = listed([f"'{label}' ({count:,} training row{'' if count == 1 else 's'})" for label, count in rows.items()])
    what = "class" if len(rows) == 1 else "classes"
    return f"no validation rows of {what} {named}: the gate does not look at them until an arrival brings some"
