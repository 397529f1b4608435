"""Which output of an adopted model is which class."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raygp.adopt.class_lists import ClassList
from raygp.data.catalog import extend_classes
from raygp.data.listing import listed
from raygp.data.text import decode_text, tidy
from raygp.errors import InputError
from raygp.store import Manifest

_FORMS = (
    'one class a line, or JSON: a list of names, {"0": "cat", ...} or {"cat": 0, ...} (also inside id2label or '
    "class_to_idx)"
)

_DECIDES = "give the classes by output as --classes FILE, one a line, which decides"


@dataclass(frozen=True)
class Vocabulary:
    """The classes of an adopted model."""

    classes: tuple[str, ...]
    """By id: the position of the output."""
    source: str
    """Where their order is from, for people."""
    head_is_new: bool
    """Whether the output layer is new, since the checkpoint's has no output for each of them."""
    notes: tuple[str, ...] = ()
    """What the checkpoint says of classes and was not used, for people."""


def choose_classes(
    given: str | os.PathLike[str] | Sequence[str] | None,
    own: Sequence[ClassList],
    outputs: int | None,
    arrivals: Sequence[Manifest],
    reserved: Sequence[str],
    where: str,
) -> Vocabulary:
    """The classes of the model that is adopted.

    Args:
        given: the order of classes, or a file that has it; None: nothing is given.
        own: what the checkpoint itself says of it; a list counts if it has a name for each output.
        outputs: of the checkpoint's output layer; None if it has none.
        arrivals: of the line, oldest first.
        reserved: symbols that every vocabulary begins with.
        where: the checkpoint, for messages.

    Raises:
        InputError: the classes given, or the checkpoint's own where they would count, are not as many as outputs or not
            of this line; or there are several orders in which the line's could be.
    """
    line = list(reserved)
    for manifest in arrivals:
        line = extend_classes(line, list(manifest.labels))
    if given is not None:
        source = "those given" if isinstance(given, Sequence) and not isinstance(given, str) else os.fspath(given)
        classes = in_order(given, "--classes") if source == "those given" else read_classes(source)
        notes = tuple(
            f"{where} has other class names, or another order, under '{found.key}': --classes decides"
            for found in own
            if found.is_names and _read(found, where) not in ((), classes)
        )
        return _checked(Vocabulary(classes, source, outputs is None, notes), outputs, line, reserved, where)
    if not line:
        return Vocabulary((), "the line", False)  # A task without classes.
    found, notes = _own(own, outputs, line, set(line) - set(reserved), where)
    if found:
        return _checked(found, outputs, line, reserved, where)
    if outputs != len(line):
        return Vocabulary(tuple(line), "the line", True, notes)
    _check_one_order(arrivals, line, reserved, where)
    return Vocabulary(tuple(line), "the line, whose classes are as many as the outputs", False, notes)


def _own(
    own: Sequence[ClassList], outputs: int | None, line: Sequence[str], here: set[str], where: str
) -> tuple[Vocabulary | None, tuple[str, ...]]:
    """The vocabulary that the checkpoint itself has, if it has one; and what of its lists is not used.

    Raises:
        InputError: it has one that does not fit its outputs, and so the line's order would be a guess.
    """
    read = {found.key: _read(found, where) for found in own}
    fitting = {key: names for key, names in read.items() if names and len(names) == outputs}
    # Names of which the line has none are another model's, unless nothing but their spelling can be meant.
    used = {key: names for key, names in fitting.items() if here & set(names)}
    used = used or (fitting if outputs == len(line) else {})
    if len(set(used.values())) > 1:
        said = "; ".join(f"'{key}': {listed(names)}" for key, names in used.items())
        raise InputError(f"{where} has its class names in several orders ({said}): {_DECIDES}")
    notes = {key: _unused(found, read[found.key], outputs, where) for found in own if (key := found.key) not in used}
    if used:
        key = next(iter(used))
        chosen = Vocabulary(used[key], f"{where} itself ('{key}')", False, tuple(notes.values()))
        return chosen, ()
    for found in own:
        known = bool(here & set(read[found.key]))
        if outputs is not None and found.is_names and (outputs == len(line) or (known and outputs > 1)):
            raise InputError(f"{notes[found.key]}: {_DECIDES}")
    return None, tuple(notes.values())


def _read(found: ClassList, where: str) -> tuple[str, ...]:
    """The names of a list, by id; empty if it is none."""
    try:
        return in_order(found.content, where)
    except InputError:
        return ()


def _unused(found: ClassList, names: Sequence[str], outputs: int | None, where: str) -> str:
    """Why a list of the checkpoint does not count."""
    if not names:
        try:
            in_order(found.content, f"{where}, '{found.key}'")
        except InputError as error:
            return f"not used as class names: {error}"
    if outputs is None:
        return f"{where} has {len(names):,} class names under '{found.key}', and no output layer that fits: not used"
    if len(names) == outputs:
        return f"{where} has class names under '{found.key}' ({listed(names, 3)}), none of them the line's: not used"
    return (
        f"{where} has {len(names):,} class names under '{found.key}' ({listed(names, 3)}), but its output layer has "
        f"{outputs:,} outputs"
    )


def read_classes(file: str) -> tuple[str, ...]:
    """The classes that a file lists, by id.

    Raises:
        InputError: it cannot be read, or is of another form.
    """
    path = Path(file).expanduser()
    try:
        text = decode_text(path.read_bytes())
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{file}: {error}") from error
    if path.suffix.lower() == ".json" or text.lstrip()[:1] in ("[", "{"):
        try:
            return in_order(json.loads(text), file)
        except ValueError as error:
            raise InputError(f"{file}: no JSON ({error}); expected {_FORMS}") from error
    lines = text.rstrip().splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise InputError(f"{file}, line {number}: empty; expected {_FORMS}")
    return in_order(lines, file)


def in_order(content: Any, where: str) -> tuple[str, ...]:
    """Class names by id.

    Args:
        content: a list of names; names by id; ids by name; or a mapping with one of these in it.
        where: it comes from, for messages.

    Raises:
        InputError: it is nothing of that, an id is missing, or a name comes twice.
    """
    if isinstance(content, Mapping):
        inner = next((content[key] for key in ("id2label", "class_to_idx", "label2id") if key in content), content)
        content = _from_mapping(inner, where) if isinstance(inner, Mapping) else inner
    if isinstance(content, str) or not isinstance(content, Sequence) or not content:
        raise InputError(f"{where}: no classes; expected {_FORMS}")
    if odd := [item for item in content if not isinstance(item, str | int) or isinstance(item, bool)]:
        raise InputError(f"{where}: {odd[0]!r} is no name of a class; expected {_FORMS}")
    # As the names of folders and columns are spelt when they are ingested.
    names = [tidy(str(item)) for item in content]
    for number, name in enumerate(names):
        if (first := names.index(name)) < number:
            raise InputError(f"{where}: class '{name}' comes twice, as number {first} and {number} (counted from 0)")
    return tuple(names)


def _from_mapping(content: Mapping[Any, Any], where: str) -> list[str]:
    """Names by id, from names to ids or ids to names."""
    by_name = bool(content) and all(isinstance(value, int) for value in content.values())
    pairs = [(value, key) if by_name else (key, value) for key, value in content.items()]
    try:
        names = {int(id): name for id, name in pairs}
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: ids of classes are whole numbers; expected {_FORMS}") from error
    if missing := [id for id in range(len(pairs)) if id not in names]:
        raise InputError(f"{where}: no class has the id {missing[0]}: {len(pairs)} classes need the ids from 0 on")
    return [names[id] for id in range(len(pairs))]


def _checked(
    found: Vocabulary, outputs: int | None, line: Sequence[str], reserved: Sequence[str], where: str
) -> Vocabulary:
    """The vocabulary, if it suits checkpoint and line."""
    classes = found.classes
    if outputs is not None and outputs != len(classes):
        raise InputError(
            f"{found.source}: {len(classes):,} classes, but the output layer of {where} has {outputs:,} outputs: list "
            "the classes that it was trained on; or give none, and the output layer is made new for the line's"
        )
    if list(classes[: len(reserved)]) != list(reserved):
        raise InputError(f"{found.source}: the first classes must be {', '.join(map(repr, reserved))}")
    if not set(classes) - set(reserved) & set(line):
        raise InputError(
            f"{found.source}: none of its classes ({listed(classes)}) is one of the line's ({listed(line)}): spell "
            "them as the line does"
        )
    return found


def _check_one_order(arrivals: Sequence[Manifest], line: Sequence[str], reserved: Sequence[str], where: str) -> None:
    """Refuse to guess: trainers number classes by name, or numbers by value, or in the order in which they came."""
    names = list(line[len(reserved) :])
    orders = {"as they came": tuple(names), "by name": tuple(sorted(names))}
    if all(name.isdecimal() for name in names):
        orders["by value"] = tuple(sorted(names, key=int))
    if len(set(orders.values())) > 1:
        said = "; ".join(f"{how}: {listed(order)}" for how, order in orders.items())
        raise InputError(
            f"{where} does not say which output is which class, and there are several orders ({said}): give the one "
            "that it was trained with as --classes FILE, one class a line"
        )
