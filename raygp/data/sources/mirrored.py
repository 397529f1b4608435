"""A source whose files lie at a URL: they are copied to this machine first, and messages name the URL."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from raygp.data.sources.mirror import Mirror, Watch
from raygp.data.sources.source import PassedOver, Source, SourceSample
from raygp.errors import InputError


class MirroredSource:
    """A source of a kind that reads files of this machine, at a URL.

    Whoever wants to show how far the copy is calls :meth:`fetch` before anything else.

    Args:
        url: where the files lie.
        make: opens the source, given a path of this machine.

    Raises:
        InputError: the URL cannot be used, or a package for it is missing.
    """

    def __init__(self, url: str, make: Callable[[str], Source]) -> None:
        self._mirror, self._make = Mirror(url), make
        self._fetched = False

    def fetch(self, watch: Watch = lambda done, total: None) -> str:
        """Copy what is not here.

        Args:
            watch: is told of bytes: (here, in all).

        Returns:
            What was done, for people.

        Raises:
            InputError: there is nothing at the URL, it must not be read, or there is no room here.
            RaygpError: the connection broke.
        """
        mirror = self._mirror
        mirror.fetch(watch)
        self._fetched = True
        size = f"{mirror.bytes / 1e6:,.1f} MB"
        return f"{mirror.url}: {mirror.fetched:,} files copied, {mirror.kept:,} were here; {size} in {mirror.root}"

    @cached_property
    def _inner(self) -> Source:
        if not self._fetched:
            self.fetch()
        with self._told():
            return self._make(self._mirror.path)

    @property
    def name(self) -> str:
        """What the source is: as of the same files on this machine."""
        return self._inner.name

    @property
    def passed_over(self) -> PassedOver:
        """What gives no sample, and what could not be copied."""
        found = getattr(self._inner, "passed_over", None)
        return self._mirror.passed_over.and_of(found if isinstance(found, PassedOver) else PassedOver())

    @property
    def notes(self) -> list[str]:
        """What else a person should know."""
        return [self._mirror.told(line) for line in getattr(self._inner, "notes", ())]

    def expect_labels(self, classes: bool) -> None:
        """See :class:`raygp.data.sources.Source`."""
        self._pass_on("expect_labels", classes)

    def expect_task(self, task: Any) -> None:
        """See :class:`raygp.data.sources.Source`."""
        self._pass_on("expect_task", task)

    def _pass_on(self, name: str, value: Any) -> None:
        expect = getattr(self._inner, name, None)
        if callable(expect):
            expect(value)

    def samples(self) -> Iterator[SourceSample]:
        """All samples, as of the same files on this machine. Raises as the source does."""
        root, base = self._mirror.root, self._mirror.base
        with self._told():
            for sample in self._inner.samples():
                load = Told(sample.load, root, base)
                yield replace(sample, load=load, problem=self._mirror.told(sample.problem))

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except InputError as error:
            raise InputError(self._mirror.told(str(error))) from error


@dataclass(frozen=True, slots=True)
class Told:
    """Reads an encoded sample; a message names the URL in place of the copy."""

    load: Callable[[], bytes]
    root: str
    base: str

    def __call__(self) -> bytes:
        """The bytes.

        Raises:
            InputError: they cannot be read.
        """
        try:
            return self.load()
        except InputError as error:
            raise InputError(str(error).replace(self.root, self.base)) from error
