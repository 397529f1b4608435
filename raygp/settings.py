"""A whole run as one value: named plans, a YAML file over them, dotted overrides over that."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationError

from raygp.data.text import decode_text
from raygp.drift.settings import DriftSettings, OnDrift
from raygp.errors import InputError
from raygp.search.settings import SweepSettings
from raygp.tasks import TaskRef
from raygp.tell import TELLERS, TellerList, TellSettings
from raygp.update.fields import S, Settings, Share, flat_errors
from raygp.update.optimizers import OPTIMIZERS
from raygp.update.phases import PHASES
from raygp.update.plan import DistillationSettings, Plan, ReplaySettings, SelectionSettings
from raygp.update.plans import Role, named_plan, plan_names
from raygp.watch.settings import BudgetSettings, DropSettings, WatchSettings
from raygp.workers import Workers
from raygp.yaml_reading import read_yaml


class RunSettings(Settings):
    """Everything that decides what ``raygp update`` does to a line."""

    synthesis: Plan
    """How the first version is made; given as a plan or by the name of one."""
    plan: Plan
    """What every later arrival does to the head; given as a plan or by the name of one."""
    gate_tolerance: Share = 0.002
    """How far a candidate's validation accuracy may lie below its parent's, as a fraction (0.002 = 0.2 points), over
    all rows and over those of each arrival. 1: nothing is compared, and new classes are not looked at either."""
    gate_confidence: Annotated[float, Field(ge=0.5, lt=1.0)] = 0.95
    """Where the validation rows are too few to tell ``gate_tolerance`` apart, a candidate is refused when it is worse
    than its parent with this confidence (one-sided). 0.5: the tolerance alone counts."""
    gate_class_tolerance: Share = 0.05
    """How far it may lie below its parent's over the rows of one class that the parent knows. It counts where it is
    more than ``gate_tolerance``. Where an update brings classes, so much may be lost to these over all rows too."""
    gate_new_margin: Share = 0.0
    """By how much more than guessing the rows of new classes must be right, as a fraction."""
    ladder: bool = True
    """Whether an update whose candidate is refused goes on with safer plans from the same parent: examples chosen at
    random, all of them and the parent's answers, then twice the epochs. All are charged. A sweep does without."""
    promote: Literal["auto", "approve"] = "auto"
    """``auto``: a candidate that passes the gate becomes the head. ``approve``: it waits for ``raygp approve``, and no
    update of the line starts until it is approved or rejected."""
    workers: Annotated[Workers, BeforeValidator(Workers.parse), PlainSerializer(lambda workers: workers.spelled)] = (
        Workers(2, 2)
    )
    """Training workers, or a range of them (1..8): an update then starts with what is there, grows when nodes come and
    goes on with fewer when they go. The result depends on it by float summation order (and batch norm) only."""
    gpus: bool | None = None
    """Whether every worker trains on a GPU. null: if the cluster has as many now; true also waits for those that an
    autoscaler has yet to bring."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Of everything that is drawn: first weights, order of the data, augmentation. The same seed repeats an update."""
    resident_mib: Annotated[int, Field(ge=0)] = 2048
    """Decoded data up to this size are kept in each worker's memory; larger data are streamed in every epoch."""
    packed_gradients: bool = True
    """Send the gradients of active connections only."""
    single_writer: bool = False
    """Nothing else ever updates this line: update it even on storage that cannot keep two updaters apart."""
    max_failures: Annotated[int, Field(ge=0)] = 2
    """How often a lost worker may restart the run from its last checkpoint."""
    checkpoint_minutes: Annotated[float, Field(ge=0.0)] = 10.0
    """Epochs that take longer are checkpointed inside too, this often. 0: after every step."""
    sweep: SweepSettings = SweepSettings()
    """How ``--sweep`` looks for the plan of each arrival."""
    on_drift: OnDrift = DriftSettings()
    """What becomes of an update whose arrival is unlike what the line has seen. ``note``: that is recorded and told.
    ``warn``: told as a warning. ``sweep``: the update becomes a sweep. ``wait``: it is not started. ``off``: arrivals
    are not compared. ``{then: wait, at: large}``: only where the difference is large."""
    watch: WatchSettings = WatchSettings()
    """When ``raygp watch`` looks, ingests and updates."""
    tell: TellerList = ()
    """Who else is told of what happens to the line: a list of tellers, each of one of the kinds below."""


class StandingSettings(Settings):
    """What holds of a line whatever is done to it."""

    tell: TellerList = ()
    watch: WatchSettings = WatchSettings()
    single_writer: bool = False


_ROLES: dict[str, Role] = {"synthesis": "synthesis", "plan": "update"}
"""What the plan under a key is for."""
_ELSEWHERE = {"learning_rate": "lr", "learningrate": "lr", "batch": "batch_size", "num_epochs": "epochs"}
"""What settings are called in other places, and here."""
_NESTED: dict[str, type[Settings]] = {"sweep": SweepSettings, "on_drift": DriftSettings, "watch": WatchSettings}
"""Settings at the top that hold others."""
_HEADINGS = (*_ROLES, *_NESTED, "tell")
"""Settings that hold others."""


def load_settings(task: TaskRef, file: str | None = None, overrides: Sequence[str] = (), **flags: Any) -> RunSettings:
    """Settings for a task: defaults, then the YAML file, then flags that are not None, then ``key.path=value``.

    The task is given by its whole spec, since plans may depend on its settings, or by its name.

    A named plan (``plan=paper``, ``plan.name=paper``) comes before its settings (``plan.lr=0.1``), in whatever order
    they are given.

    Raises:
        InputError: the file cannot be read, or names a field that does not exist or a value that does not fit; the
            message gives the field.
    """
    check_task_settings(task)
    tree: dict[str, Any] = {
        "synthesis": "default", "plan": "default",
        **{key: kind().model_dump(mode="json") for key, kind in _NESTED.items()},
    }  # fmt: skip
    if file is not None:
        _merge(tree, _read_yaml(file))
    _merge(tree, {key: value for key, value in flags.items() if value is not None})
    settings = [override for override in overrides if not _name_plan(tree, override)]
    for key, role in _ROLES.items():
        tree[key] = _expand(tree[key], role, task, key)
    for override in settings:
        _override(tree, override)
    _take_at_its_word(tree["synthesis"], task)
    found = _validated(RunSettings, tree, file)
    return found.model_copy(update={key: _named_truly(getattr(found, key), role, task) for key, role in _ROLES.items()})


def load_tell(file: str | None) -> tuple[TellSettings, ...]:
    """Whom a settings file names to be told; nobody if there is none. Its other settings are not looked at.

    Raises:
        InputError: the file cannot be read, or a setting of a teller does not exist or does not fit.
    """
    tree = {} if file is None else {"tell": _read_yaml(file).get("tell", ())}
    return _validated(StandingSettings, tree, file).tell


def load_standing(file: str | None, overrides: Sequence[str] = (), **flags: Any) -> StandingSettings:
    """Of the settings that :func:`load_settings` would give, those that no task has a say in: that loads no torch.
    Of the others, only what they are called is looked at.

    Raises:
        InputError: the file cannot be read, a setting at the top does not exist, or one of these does not exist or does
            not fit.
    """
    known = StandingSettings.model_fields
    tree: dict[str, Any] = {"watch": WatchSettings().model_dump(mode="json")}
    if file is not None:
        said = _read_yaml(file)
        _are_settings(said, said, f"{file}: ")
        _merge(tree, {key: value for key, value in said.items() if key in known})
    _merge(tree, {key: value for key, value in flags.items() if key in known and value is not None})
    for override in overrides:
        key = override.partition("=")[0].partition(".")[0]
        _are_settings([key], tree)
        if key in known:
            _override(tree, override)
    return _validated(StandingSettings, tree, file)


def _are_settings(keys: Iterable[Any], tree: Mapping[Any, Any], source: str = "") -> None:
    """Make sure that there are such settings at the top.

    Raises:
        InputError: one does not exist.
    """
    unknown = [key for key in keys if key not in RunSettings.model_fields]
    problems = ({"type": "extra_forbidden", "loc": (key,), "input": None, "msg": ""} for key in unknown)
    if unknown:
        raise InputError(source + "; ".join(_explain(problem, tree) for problem in problems))


def _validated(kind: type[S], tree: dict[str, Any], file: str | None) -> S:
    """Settings from plain data.

    Raises:
        InputError: one does not exist or does not fit; the message gives it, and the file if there is one.
    """
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        source = f"{file}: " if file is not None else ""
        raise InputError(source + "; ".join(_explain(problem, tree) for problem in flat_errors(error))) from error


def check_task_settings(task: TaskRef) -> None:
    """Make sure that the settings that a task brings for its plans are some.

    Args:
        task: its whole spec. A name has none.

    Raises:
        InputError: one does not exist or does not fit; the message gives it.
    """
    mine = None if isinstance(task, str) else task.get("settings")
    if not isinstance(task, Mapping) or not isinstance(mine, Mapping) or not mine:
        return
    for role in _ROLES.values():
        try:
            named_plan("default", role, task)
        except ValidationError as error:
            found = [{**problem, "loc": ("plan", *problem["loc"])} for problem in flat_errors(error)]
            said = "; ".join(_explain(problem, {"plan": mine}).removeprefix("plan.") for problem in found)
            raise InputError(f"{task.get('file')}: settings of {task.get('class')}: {said}") from error


def _take_at_its_word(synthesis: dict[str, Any], task: TaskRef) -> None:
    """Whoever says how long the first version is trained gets that, however few steps it may be: nothing is
    fitted to the arrival."""
    default = named_plan("default", "synthesis", task).model_dump(mode="json")
    said = any(synthesis.get(key) != default[key] for key in ("phases", "epochs", "batch_size"))
    if said and synthesis.get("fit") == default["fit"]:
        synthesis["fit"] = None


def _named_truly(plan: Plan, role: Role, task: TaskRef) -> Plan:
    """The plan, called "custom" if it has the name of a known plan but differs from it."""
    if plan.name not in plan_names(role) or plan == named_plan(plan.name, role, task):
        return plan
    return plan.model_copy(update={"name": "custom"})


def _name_plan(tree: dict[str, Any], override: str) -> bool:
    """Carry out an override that says which plan is meant, whole or by name; False for any other."""
    path, equals, text = override.partition("=")
    key, _, field = path.partition(".")
    if not equals or key not in _ROLES or field not in ("", "name"):
        return False
    if field and text not in plan_names(_ROLES[key]):
        return False  # A label of the user's own.
    if field and isinstance(tree[key], dict):
        tree[key]["name"] = text
    else:
        _override(tree, f"{key}={text}")
    return True


def _expand(value: Any, role: Role, task: TaskRef, key: str) -> Any:
    """A plan's fields: a name stands for the plan; a mapping changes the named (or default) plan's fields."""
    changes = dict(value) if isinstance(value, Mapping) else {}
    name = changes.get("name", "default") if isinstance(value, Mapping) else value
    if name not in plan_names(role):
        if isinstance(value, Mapping):
            name = "default"
        else:
            raise InputError(f"{key}: no plan is called '{name}'; known are {', '.join(plan_names(role))}")
    fields = named_plan(name, role, task).model_dump(mode="json")
    if isinstance(changes.get("optimizer"), Mapping):
        _change_optimizer(fields["optimizer"], changes["optimizer"].get("name"))
    _merge(fields, changes)
    return fields


def _read_yaml(file: str) -> dict[str, Any]:
    try:
        tree = read_yaml(decode_text(Path(file).read_bytes()))
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{file}: {error}") from error
    # A file of comments, or a heading with nothing but comments below it, changes nothing.
    tree = {} if tree is None else tree
    if not isinstance(tree, dict):
        raise InputError(f"{file}: expected settings as 'key: value', found {type(tree).__name__}")
    return {key: value for key, value in tree.items() if value is not None or key not in _HEADINGS}


def _merge(tree: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(tree.get(key), dict):
            _merge(tree[key], value)
        else:
            tree[key] = copy.deepcopy(value)


def _override(tree: Any, override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise InputError(f"'{override}' is not of the form key.path=value (such as plan.alpha=0.2)")
    try:
        value = read_yaml(text)
    except ValueError as error:
        problem = str(error).removeprefix("not YAML: ")
        raise InputError(f"{path}: '{text}' is not a value: {problem}") from error
    *parents, last = path.split(".")
    if parents and parents[0] not in tree and parents[0] in Plan.model_fields:
        raise InputError(f"{path}: there is no setting '{parents[0]}'{_moved([path])}")
    for part in parents:
        tree = _step(tree, part, path)
    if parents[1:] == ["optimizer"] and last == "name":
        _change_optimizer(tree, value)
    if isinstance(tree, list):
        tree[_index(tree, last, path)] = value
    elif isinstance(tree, dict):
        tree[last] = value
    else:
        raise InputError(f"{path}: there is no such setting")


def _change_optimizer(fields: Any, name: Any) -> None:
    """Take out the fields that the optimizer so far has and the one called ``name`` has not. What neither has stays,
    and is an error later."""
    if not isinstance(fields, dict) or name not in OPTIMIZERS or fields.get("name") not in OPTIMIZERS:
        return
    for key in OPTIMIZERS.get(fields["name"]).model_fields.keys() - OPTIMIZERS.get(name).model_fields.keys():
        fields.pop(key, None)


def _step(tree: Any, part: str, path: str) -> Any:
    if isinstance(tree, list):
        return tree[_index(tree, part, path)]
    if not isinstance(tree, dict) or part not in tree:
        raise InputError(f"{path}: there is no setting '{part}'{_suggest(part, tree)}")
    return tree[part]


def _index(items: list[Any], part: str, path: str) -> int:
    if not part.isdigit() or int(part) >= len(items):
        raise InputError(f"{path}: '{part}' is no position in a list of {len(items)} (0 to {len(items) - 1})")
    return int(part)


def _explain(problem: Mapping[str, Any], tree: Any) -> str:
    """One error of pydantic for the person who wrote the setting."""
    path = [str(part) for part in problem["loc"]]
    where = ".".join(path)
    if problem["type"] == "extra_forbidden":
        return f"{where}: there is no setting '{path[-1]}'{_suggest(path[-1], _siblings(path, tree))}{_moved(path)}"
    if problem["type"] == "missing":
        return f"{where}: is missing"
    message = problem["msg"].removeprefix("Value error, ")
    given = problem["input"]
    # A mapping is too long to be shown; a name that no registry knows is in the message already.
    shown = "" if isinstance(given, Mapping | list | tuple) or repr(given) in message else f", not {given!r}"
    return f"{where}: {message[0].lower() + message[1:]}{shown}"


def _siblings(path: Sequence[str], tree: Any) -> list[str]:
    """The settings that exist where ``path`` ends."""
    if len(path) == 1:
        return list(RunSettings.model_fields)
    parent = path[-2]
    if path[0] == "tell":
        return list(TELLERS.get(_at(tree, path[:-1])["kind"]).model_fields)
    if "phases" in path[:-1]:
        return list(PHASES.get(_at(tree, path[:-1])["kind"]).model_fields)
    if parent == "optimizer":
        return list(OPTIMIZERS.get(_at(tree, path[:-1]).get("name", "sgd")).model_fields)
    nested: dict[str, type[Settings]] = {
        "replay": ReplaySettings, "arrival": SelectionSettings, "distillation": DistillationSettings,
        "drop": DropSettings, "budget": BudgetSettings, **_NESTED,
    }  # fmt: skip
    return list(nested.get(parent, Plan).model_fields)


def _at(tree: Any, path: Sequence[str]) -> Any:
    """What lies at a path in a tree of mappings and lists."""
    for part in path:
        tree = tree[int(part)] if isinstance(tree, list | tuple) else tree[part]
    return tree


def _moved(path: Sequence[str]) -> str:
    """Where a setting that is not at the top is, if it is one of a plan."""
    if len(path) > 1 or path[0].split(".")[0] not in Plan.model_fields:
        return ""
    return f" (did you mean 'plan.{path[0]}'?)"


def _suggest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(_ELSEWHERE.get(word, word), list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
