"""Where labelled samples come from, before they are stored as arrivals."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from raygp.errors import InputError

if TYPE_CHECKING:
    from raygp.tasks.protocol import Task

SplitName = Literal["train", "val", "test"]
_SMALL = 1 << 20


@dataclass(frozen=True, slots=True)
class SourceSample:
    """One labelled sample whose bytes are read when they are asked for. Pickles, so other processes can read it."""

    split: SplitName | None
    """The part of the data it was published in; None where the source has no parts."""
    label: str
    """Empty where the source has none for it: a bad row."""
    key: str
    """Unique in its source and the same each time: a relative path or a row's number."""
    load: Callable[[], bytes]
    """The encoded sample. Raises InputError, naming the file, where it cannot be read."""
    problem: str = ""
    """Why the row cannot be used, as the source itself found: a missing file, an empty transcript. Such a row is left
    out and counted; it does not end the whole ingest. Empty where nothing speaks against it."""


class PassedOver:
    """What lies in a source and gives no sample, so that nothing is left out without a word."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, str]] = {}

    def add(self, what: str, name: str) -> None:
        """Count one.

        Args:
            what: kind of thing, in the plural: "hidden files".
            name: where it is in the source.
        """
        count, first = self._found.get(what, (0, name))
        self._found[what] = (count + 1, first)

    def and_of(self, other: PassedOver) -> PassedOver:
        """What both hold."""
        both = PassedOver()
        both._found.update(self._found)
        for what, (count, first) in other._found.items():
            before, shown = both._found.get(what, (0, first))
            both._found[what] = (before + count, shown)
        return both

    @property
    def lines(self) -> list[str]:
        """For people, a line for each kind of thing: ``hidden files: 3, such as cat/.DS_Store``."""
        return [
            f"{what}: {count:,}, such as {name!a}" if not name.isprintable() else f"{what}: {count:,}, such as {name}"
            for what, (count, name) in self._found.items()
        ]


class Source(Protocol):
    """A set of labelled samples that may be larger than memory.

    ``name`` says what the source is, for people. It stands in the manifest of each arrival, so it should tell sources
    apart without holding a path of this machine.

    A source that passes things over counts them in an attribute ``passed_over`` (:class:`PassedOver`) while it lists
    its samples. One that has to know whether the line's labels are classes or texts has a method
    ``expect_labels(classes)``, and one that has to know the line's task a method ``expect_task(task)``; both are called
    before its samples are listed. What else a person should know once they are, such a source says in an attribute
    ``notes``, a list of lines. One whose files have to be copied here first has a method ``fetch(watch)``, which is
    called before anything else, tells ``watch`` of bytes that are here and of all, and gives a line for people.
    """

    @property
    def name(self) -> str:
        """What the source is."""
        ...

    def samples(self) -> Iterator[SourceSample]:
        """All samples, in the order of their keys.

        Raises:
            InputError: the source cannot be read or is not laid out as it should be.
        """
        ...


def tell_labels(source: Source, classes: bool) -> None:
    """Tell a source that asks for it whether the line's labels are classes (True) or texts; see :class:`Source`."""
    expect = getattr(source, "expect_labels", None)
    if callable(expect):
        expect(classes)


def fetch_files(source: Source, watch: Callable[[int, int], None]) -> str:
    """Copy here what a source needs, if it asks for that; see :class:`Source`. What was done; empty for nothing."""
    fetch = getattr(source, "fetch", None)
    return str(fetch(watch)) if callable(fetch) else ""


def tell_task(source: Source, task: Task) -> None:
    """Tell a source that asks for it what the line's task is; see :class:`Source`."""
    expect = getattr(source, "expect_task", None)
    if callable(expect):
        expect(task)


def notes_of(source: Source) -> list[str]:
    """What a source whose samples have been listed has to say of them."""
    return list(getattr(source, "notes", ()))


def passed_over_lines(source: Source) -> list[str]:
    """What a source whose samples have been listed passed over; see :attr:`PassedOver.lines`."""
    found = getattr(source, "passed_over", None)
    return found.lines if isinstance(found, PassedOver) else []


@dataclass(frozen=True, slots=True)
class FileSlice:
    """Bytes of a file, read each time it is called: the whole of it, or a part (a member of a tar)."""

    path: str
    """Absolute, since another process may read it from another folder."""
    offset: int = 0
    size: int | None = None
    """In bytes; None: to the end."""

    def __call__(self) -> bytes:
        """The bytes.

        Raises:
            InputError: the file cannot be read, or is shorter than it was when it was listed.
        """
        try:
            if self.size is not None and self.size <= _SMALL:
                # A file object would cost more than the bytes of a small sample.
                descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    content = os.pread(descriptor, self.size, self.offset)
                finally:
                    os.close(descriptor)
            else:
                with open(self.path, "rb") as file:
                    file.seek(self.offset)
                    content = file.read(-1 if self.size is None else self.size)
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror or error}") from error
        if self.size is not None and len(content) != self.size:
            raise InputError(f"{self.path} has changed since it was listed: it is shorter; start again")
        return content
