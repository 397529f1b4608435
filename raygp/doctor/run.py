"""All checks, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from raygp.doctor.gpus import check_gpus
from raygp.doctor.host import Host
from raygp.doctor.line import check_line
from raygp.doctor.machine import check_machine
from raygp.doctor.network import check_network
from raygp.doctor.software import check_software
from raygp.doctor.storage import check_storage
from raygp.doctor.variables import check_variables
from raygp.errors import RaygpError
from raygp.finding import Finding
from raygp.store import Location

HERE: tuple[tuple[str, Callable[[Host], Iterable[Finding]]], ...] = (
    ("software", check_software),
    ("machine", check_machine),
    ("GPUs", check_gpus),
    ("variables", check_variables),
    ("network", check_network),
)
"""Groups of checks of this machine, in order."""
THERE: tuple[tuple[str, Callable[[Location], Iterable[Finding]]], ...] = (
    ("storage", check_storage),
    ("line", check_line),
)
"""Groups of checks of a root."""


def examine(root: str | None = None, host: Host | None = None) -> Iterator[Finding]:
    """Look at the machine, and at a root. Findings come one by one; no check keeps another from its turn.

    Args:
        root: path or URL of a line, or of where one is going to be; None: the machine alone.
        host: the machine; None: this one.
    """
    here = host or Host()
    for name, check in HERE:
        yield from _held(name, lambda check=check: check(here))  # type: ignore[misc]
    if root is None:
        yield Finding("storage", "not looked at", "no --root was given")
        return
    try:
        location = Location(root)
    except RaygpError as error:
        yield Finding("storage", "problem", str(error), "correct --root")
        return
    for name, look in THERE:
        yield from _held(name, lambda look=look: look(location))  # type: ignore[misc]


def _held(name: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """The findings of a group; what it raises is one more."""
    try:
        yield from look()
    except Exception as error:
        # A doctor is asked where something is wrong: what it did not expect must not hide what it found.
        says = f"could not be looked at: {type(error).__name__}: {' '.join(str(error).split())}"
        yield Finding(name, "problem", says, "what it says may be the cause; if not, it is a mistake of raygp doctor")
