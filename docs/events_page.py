"""Makes the reference page of events from raygp/events/."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
from collections.abc import Iterator

from raygp import events
from raygp.events import Event, type_name

ABOUT = """# Events

What `raygp` tells while it works on a line: [commands, webhooks and files of JSON lines](../guides/tell.md) get these
as JSON, listeners [from Python](../guides/python.md) as the classes of `raygp.events`. As JSON, every event has

- `type`: its name, as it stands below. Names stay what they are; a new version of raygp may add events and fields.
- `time`: when it was told, UTC, ISO 8601 with microseconds.
- `line`: the root of the line.
- its own fields. Cards and manifests are as they lie in storage, without the `history` of a card's epochs. A number
  that is not finite is null.
"""


def events_page(made: str) -> str:
    """The page on events.

    Args:
        made: first line of a page that is made.
    """
    lines = [made, ABOUT, "| event | what it says | fields |", "|---|---|---|"]
    lines += [_row(kind) for kind in _in_order()]
    inside = dataclasses.fields(events.InPhase)
    lines += [
        "",
        "## Fields of several events",
        "",
        f"Those inside a phase ({', '.join(f'`{type_name(kind)}`' for kind in events.InPhase.__subclasses__())}) have",
        "these besides. What has no explanation is what its name says.",
        "",
        "| field | meaning |",
        "|---|---|",
    ]
    texts = _texts(events.InPhase)
    lines += [f"| `{field.name}` | {texts.get(field.name) or '-'} |" for field in inside]
    return "\n".join(lines) + "\n"


def _in_order() -> list[type[Event]]:
    """All events, in the order in which they are defined."""
    found = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event)]
    return [kind for kind in found if not kind.__subclasses__()]


def _row(kind: type[Event]) -> str:
    texts = _texts(kind)
    common = {field.name for field in dataclasses.fields(events.InPhase)} if issubclass(kind, events.InPhase) else set()
    own = [field.name for field in dataclasses.fields(kind) if field.name not in common]
    said = [f"`{name}`: {texts[name]}" if name in texts else f"`{name}`" for name in own]
    about = (inspect.getdoc(kind) or "").split("\n\n")[0]
    if common:
        said.append("and [those below](#fields-of-several-events)")
    return f"| `{type_name(kind)}` | {_cell(about)} | {'<br>'.join(said) or 'none'} |"


def _texts(kind: type) -> dict[str, str]:
    """The strings that stand under the fields of a class."""
    return {name: _cell(text) for name, text in _strings(kind)}


def _strings(kind: type) -> Iterator[tuple[str, str]]:
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            yield field.target.id, inspect.cleandoc(str(ast.literal_eval(text.value)))


def _cell(text: str) -> str:
    plain = re.sub(r":\w+:`~?(?:raygp\.\w+\.)*([^`]+)`", r"`\1`", text).replace("``", "`")
    return " ".join(plain.split()).replace("|", "\\|")
