"""Open tables of what raygp can be extended with: one line adds an entry, and an installed package can add its own."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, cast

from raygp.errors import InputError

T = TypeVar("T")


class Registry(Generic[T]):
    """Entries of one kind by name.

    raygp's own entries are given as ``"module:attribute"`` and imported when they are asked for, so that a list of
    names costs nothing. A package adds entries as entry points of the registry's group::

        [project.entry-points."raygp.tasks"]
        my-task = "my_package.tasks:MY_TASK"

    Args:
        kind: what an entry is, for messages ("task").
        group: name of the entry-point group ("raygp.tasks").
        own: by name, where raygp's own entries are.
    """

    def __init__(self, kind: str, group: str, own: Mapping[str, str]) -> None:
        self.kind, self.group = kind, group
        self._own = dict(own)
        self._registered: dict[str, T] = {}
        self._found: dict[str, EntryPoint] | None = None

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._registered or name in self._installed()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def names(self) -> list[str]:
        """All names: raygp's own in the order of their table, then those of packages, sorted."""
        others = {*self._registered, *self._installed()} - self._own.keys()
        return [*self._own, *sorted(others)]

    def register(self, name: str, entry: T) -> None:
        """Add an entry for this process alone, such as a notebook or a test; Ray's workers do not see it.

        Raises:
            InputError: the name is taken.
        """
        if name in self:
            raise InputError(f"a {self.kind} called '{name}' exists already: choose another name")
        self._registered[name] = entry

    def forget(self, name: str) -> None:
        """Take back what :meth:`register` added; nothing happens if it is not there."""
        self._registered.pop(name, None)

    def get(self, name: str) -> T:
        """The entry of this name.

        Raises:
            InputError: there is none (the message lists those there are), or the package that brings it fails to load.
        """
        if name in self._registered:
            return self._registered[name]
        if name in self._own:
            module, _, attribute = self._own[name].partition(":")
            return cast(T, getattr(importlib.import_module(module), attribute))
        if name in self._installed():
            return self._load(self._installed()[name])
        raise InputError(f"unknown {self.kind} '{name}'{self.suggestion(name)}; known are {', '.join(self.names())}")

    def suggestion(self, name: str) -> str:
        """`` (did you mean 'x'?)`` where a known name is close; empty where none is."""
        close = difflib.get_close_matches(name, self.names(), n=1)
        return f" (did you mean '{close[0]}'?)" if close else ""

    def _installed(self) -> dict[str, EntryPoint]:
        """Entry points of installed packages; looked up once, since that reads the metadata of every package."""
        if self._found is None:
            self._found = {entry.name: entry for entry in entry_points(group=self.group)}
        return self._found

    def _load(self, entry: EntryPoint) -> T:
        try:
            loaded: Any = entry.load()
        except Exception as error:
            package = entry.dist.name if entry.dist else "an installed package"
            raise InputError(
                f"{self.kind} '{entry.name}' ({entry.value} of {package}) cannot be loaded: "
                f"{type(error).__name__}: {error}"
            ) from error
        return cast(T, loaded)
