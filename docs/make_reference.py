"""Writes the generated pages of docs/reference from the code: ``python docs/make_reference.py``.

A test compares them with what this makes, so a new option, setting or format cannot be forgotten here.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REFERENCE = Path(__file__).resolve().parent / "reference"
if __name__ == "__main__":
    # A page describes the checkout that it lies in, whatever is installed.
    sys.path.insert(0, str(REFERENCE.parents[1]))

from pydantic import BaseModel  # noqa: E402
from pydantic.fields import FieldInfo  # noqa: E402

from docs.events_page import events_page  # noqa: E402
from docs.inputs_page import inputs_page  # noqa: E402
from raygp.cli import make_parser  # noqa: E402
from raygp.drift.settings import DriftSettings  # noqa: E402
from raygp.search.settings import SweepSettings  # noqa: E402
from raygp.search.space import Draw  # noqa: E402
from raygp.settings import RunSettings  # noqa: E402
from raygp.tell import TELLERS, TellSettings  # noqa: E402
from raygp.update.optimizers import OPTIMIZERS  # noqa: E402
from raygp.update.optimizers.base import OptimizerSettings  # noqa: E402
from raygp.update.phases.base import Phase  # noqa: E402
from raygp.update.phases.grow import Grow  # noqa: E402
from raygp.update.phases.prune import Prune  # noqa: E402
from raygp.update.plan import DistillationSettings, Plan, ReplaySettings, SelectionSettings  # noqa: E402
from raygp.watch.settings import BudgetSettings, DropSettings, WatchSettings  # noqa: E402

MADE = "<!-- Made by docs/make_reference.py from the code: change it there. -->\n"


@dataclass(frozen=True)
class Section:
    """A heading of the page of settings, and the table under it."""

    title: str
    about: str
    """First sentence; empty: that of the class's docstring."""
    model: type[BaseModel]
    base: type[BaseModel] = BaseModel
    """Its settings stand in a table of their own and are left out."""


SECTIONS = [
    Section("The run", "Keys at the top of the settings file.", RunSettings),
    Section("plan, synthesis", "`plan` makes every update, `synthesis` the first version. Both are plans.", Plan),
    Section("plan.phases: every phase", "What a phase of any kind takes.", Phase),
    Section("plan.phases: growth", "What `grow-new` and `grow-all` take besides.", Grow, Phase),
    Section("plan.phases: pruning", "What `prune-recoverable` and `prune-permanent` take besides.", Prune, Phase),
    *(Section(f"plan.optimizer: {name}", "", OPTIMIZERS.get(name), OptimizerSettings) for name in OPTIMIZERS),
    Section("plan.replay, plan.arrival", "", SelectionSettings),
    Section("plan.replay", "What `replay` takes besides.", ReplaySettings, SelectionSettings),
    Section("plan.distillation", "", DistillationSettings),
    Section("sweep", "", SweepSettings),
    Section("sweep.space", "What may stand for each field of the space.", Draw),
    Section("tell: every teller", "What each takes; see [who is told](../guides/tell.md).", TellSettings),
    *(Section(f"tell: {name}", "", TELLERS.get(name), TellSettings) for name in TELLERS),
    Section("on_drift", "Given as a word, such as `warn`, or as a mapping of these.", DriftSettings),
    Section("watch", "", WatchSettings),
    Section("watch.drop", "", DropSettings),
    Section("watch.budget", "", BudgetSettings),
]
"""In the order of the page."""


def command_line_page() -> str:
    """The page on commands and options."""
    parser = make_parser()
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    lines = [
        MADE,
        "# Command line",
        "",
        "`raygp COMMAND [options]`, or `python -m raygp COMMAND [options]`. `raygp --version` prints the version.",
        "What the exit codes mean stands on [a page of its own](exit-codes.md).",
        "",
        "| command | what it does |",
        "|---|---|",
    ]
    helps = {action.dest: action.help for action in commands._choices_actions}
    lines += [f"| [`{name}`](#raygp-{name}) | {_cell(helps[name] or '')} |" for name in commands.choices]
    for name, command in commands.choices.items():
        lines += ["", f"## raygp {name}", "", _sentence(command.description or ""), ""]
        lines += ["| option | meaning |", "|---|---|"]
        lines += [f"| {_spelled(action)} | {_cell(action.help or '')} |" for action in _options(command)]
        if command.epilog:
            lines += ["", command.epilog]
    return "\n".join(lines) + "\n"


def settings_page() -> str:
    """The page on settings."""
    lines = [
        MADE,
        "# Settings",
        "",
        "Defaults come first, then the YAML file of `--config`, then options, then `key.path=value` on the command",
        "line. A misspelt key is an error that names it. [A whole file](settings-file.md) shows one task's defaults.",
        "Defaults of a plan depend on the task; those below hold where a task says nothing else.",
        "",
    ]
    for section in SECTIONS:
        about = section.about or _sentence(_plain(inspect.getdoc(section.model) or "").split("\n\n")[0])
        left_out = getattr(section.base, "model_fields", {})
        fields = {name: field for name, field in section.model.model_fields.items() if name not in left_out}
        lines += [f"## {section.title}", "", about, ""]
        if not fields:
            lines += ["It has no settings.", ""]
            continue
        lines += ["| setting | values | default | meaning |", "|---|---|---|---|"]
        lines += [_row(name, field, section.model) for name, field in fields.items()]
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"


def _options(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    return (action for action in parser._actions if "--help" not in action.option_strings)


def _spelled(action: argparse.Action) -> str:
    value = ""
    if action.nargs != 0:
        choices = "|".join(map(str, action.choices)) if action.choices else None
        name = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
        value = choices or name
    if not action.option_strings:
        return f"`{_cell(value)}`"
    return ", ".join(f"`{option}{' ' if value else ''}{_cell(value)}`" for option in action.option_strings)


def _row(name: str, field: FieldInfo, model: type[BaseModel]) -> str:
    meaning = _docstrings(model).get(name, "")
    return f"| `{name}` | {_cell(_values(name, model))} | {_default(field)} | {_cell(_plain(meaning))} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        changed = value.model_dump(exclude_defaults=True)
        return f"`{_spell_value(changed)}`" if changed else "see below"
    return f"`{_cell(_spell_value(value))}`"


def _spell_value(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_spell_value(item)}" for key, item in value.items()) + "}"
    return str(getattr(value, "spelled", value)) or '""'


def _values(name: str, model: type[BaseModel]) -> str:
    """The values a setting takes, in words."""
    if name == "workers":
        return "a number, or a range such as 1..8"
    schema = model.model_json_schema(mode="validation")["properties"][name]
    return _described(schema)


def _described(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_described(option) for option in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "$ref" in schema or "oneOf" in schema:
        return "settings, see below"
    kind = {
        "integer": "whole number",
        "number": "number",
        "boolean": "true, false",
        "null": "null",
        "string": "text",
        "array": "list",
        "object": "settings by name",
    }.get(schema.get("type", ""), "any")
    bounds = [
        f"{words} {_number(schema[key])}"
        for key, words in (
            ("minimum", "from"),
            ("exclusiveMinimum", "above"),
            ("maximum", "to"),
            ("exclusiveMaximum", "below"),
        )
        if key in schema
    ]
    return " ".join([kind, *bounds])


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The strings that stand under the fields of a class and of those it inherits from."""
    found: dict[str, str] = {}
    for owner in reversed(model.__mro__):
        if not (issubclass(owner, BaseModel) and owner is not BaseModel):
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        assert isinstance(tree, ast.ClassDef)
        for field, text in zip(tree.body, tree.body[1:], strict=False):
            if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
                continue
            if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found[field.target.id] = inspect.cleandoc(str(text.value.value))
    return found


def _plain(text: str) -> str:
    """A docstring as Markdown: roles and doubled back-quotes become single ones."""
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


PAGES = {
    "command-line.md": command_line_page,
    "events.md": lambda: events_page(MADE),
    "inputs.md": lambda: inputs_page(MADE),
    "settings.md": settings_page,
}
"""By file name, what makes each page."""


def main() -> None:
    """Write all pages."""
    REFERENCE.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        (REFERENCE / name).write_text(make())


if __name__ == "__main__":
    main()
