"""Tasks of one's own: a class in one Python file, or in a module of an installed package.

The code of a file travels to workers as a value (:class:`TaskCode`), and they make the task from it. It is never read
from storage: ``line.json`` keeps the file's name and its SHA-256 alone.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import linecache
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import ConfigDict, Field

from raygp.errors import InputError
from raygp.tasks.own_errors import OWN_MODULES, Told, in_own_code, refuse_neighbours
from raygp.tasks.spec import TaskSpec

if TYPE_CHECKING:
    from raygp.tasks.own_task import OwnTask
    from raygp.tasks.protocol import Task

_FILE = re.compile(r"(?P<file>.+\.py)(?::(?P<cls>\w+))?")
_MODULE = re.compile(r"(?P<file>\w+(?:\.\w+)*):(?P<cls>\w+)")


@dataclass(frozen=True)
class TaskCode:
    """The code of a task of one's own, as a value. Pickles."""

    file: str
    """Name of the file, without its folder; or of a module (``package.module``) that is installed where workers run."""
    text: str
    """What the file holds; empty for a module."""
    sha256: str
    """Of the file, or of the module's file: 64 hex digits."""

    @property
    def is_file(self) -> bool:
        """Whether it is a file, whose text travels; else a module, which every process imports for itself."""
        return self.file.endswith(".py")


class OwnSpec(TaskSpec):
    """What ``line.json`` keeps of a task of one's own: which code it is, and all that the code says of the task that
    has to be known without it."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    name: Literal["own"] = "own"
    """Always ``own``."""
    file: str
    """Name of the file, or of the module."""
    class_: str = Field(alias="class")
    """Name of the class in it."""
    sha256: str
    """Of the code."""
    options: dict[str, Any] = Field(default_factory=dict)
    """All options of the task's kind, such as ``image_size``: what was given, else what the class says, else the
    default."""
    given: dict[str, Any] = Field(default_factory=dict)
    """Those of the options that were given when the line was made, and what was found in its first arrival. A changed
    file does not change them."""
    classifier: str = ""
    """Name of the output layer."""
    dense: tuple[str, ...] = ()
    """Names of parameters that are never pruned."""
    network: str = ""
    """Kind of network, which plans depend on."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Fields of every plan, as the class gives them."""

    @classmethod
    def of(cls, file: str, class_name: str, sha256: str, given: Mapping[str, Any] | None = None) -> OwnSpec:
        """A spec that holds no more than which code it is, and what was given."""
        return cls.model_validate({"file": file, "class": class_name, "sha256": sha256, "given": dict(given or {})})


def is_own(reference: object) -> bool:
    """Whether ``--task`` was given code (``my_task.py``, ``my_task.py:Class``, ``package.module:Class``) and not the
    name of a task."""
    text = os.fspath(reference) if isinstance(reference, os.PathLike) else reference
    return isinstance(text, str) and bool(_FILE.fullmatch(text) or _MODULE.fullmatch(text))


def read_code(reference: str | os.PathLike[str]) -> tuple[TaskCode, str]:
    """The code that ``--task`` names, and the name of the class if that was given (else empty). Nothing is run, but for
    the packages around a module.

    Raises:
        InputError: there is no such file or module, or it is no UTF-8.
    """
    text = os.fspath(reference)
    if found := _FILE.fullmatch(text):
        return _code_of_file(Path(found["file"]), found["file"]), found["cls"] or ""
    if found := _MODULE.fullmatch(text):
        return TaskCode(found["file"], "", _module_sha256(found["file"])), found["cls"]
    raise InputError(f"--task {text}: give a file (my_task.py), or package.module:Class of an installed package")


def find_code(spec: Mapping[str, Any]) -> TaskCode:
    """The code of a line's task, where none was given: the file of the recorded name in the current folder, if it is
    the recorded one.

    Raises:
        InputError: it is not there, is another one, or is a module, which has to be named.
    """
    file, sha256 = str(spec.get("file")), str(spec.get("sha256"))
    wanted = f"this line's task is code of your own, {spec.get('class')} of {file} (SHA-256 {sha256})"
    if not file.endswith(".py"):
        raise InputError(f"{wanted}: give --task {file}:{spec.get('class')}")
    # A line must not name files outside this folder.
    path = Path(os.path.basename(file))
    if not path.is_file():
        raise InputError(f"{wanted}, and there is no {path} in this folder: give --task PATH/{path}")
    code = _code_of_file(path, str(path))
    if code.sha256 != sha256:
        raise InputError(changed(spec, code))
    return code


def changed(spec: Mapping[str, Any], code: TaskCode) -> str:
    """What is said where the code is not the one that a line was made with."""
    return (
        f"{code.file} has changed: the line was made with SHA-256 {spec.get('sha256')}, this one has {code.sha256}. "
        "Its versions may not fit it: give back the old file, or --task with --task-changed to go on with the new one"
    )


def _code_of_file(path: Path, shown: str) -> TaskCode:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{shown} cannot be read: {error.strerror}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{shown} is no Python file in UTF-8: byte {error.start} cannot be read") from error
    refuse_neighbours(path, text)
    return TaskCode(path.name, text, hashlib.sha256(data).hexdigest())


def _module_sha256(module: str) -> str:
    """SHA-256 of an installed module's file. The packages around it are imported, the module itself is not."""
    try:
        found = importlib.util.find_spec(module)
        origin = None if found is None else found.origin
    except (ImportError, ValueError) as error:
        raise InputError(f"module {module} cannot be found: {error}") from error
    if origin is None or not os.path.isfile(origin):
        raise InputError(f"there is no module {module}: install its package where this command and its workers run")
    return hashlib.sha256(Path(origin).read_bytes()).hexdigest()


def own_spec(code: TaskCode, class_name: str = "", given: Mapping[str, Any] | None = None) -> OwnSpec:
    """The complete spec of a task of one's own. The code is run, and its model built without values.

    Args:
        code: of the task.
        class_name: which class of it; empty: the only one.
        given: options that win over what the class says.

    Raises:
        InputError: the code cannot be run, has no such class, or an option does not exist or does not fit.
    """
    found = task_class(code, class_name)
    bare = OwnSpec.of(code.file, found.__name__, code.sha256, given)
    with Told(code.file):
        return found(bare, code).complete_spec()


def make_own(spec: OwnSpec, code: TaskCode | None = None) -> Task:
    """The task that a spec describes.

    Args:
        spec: of the task.
        code: of the task; None: see :func:`find_code`.

    Raises:
        InputError: the code is not the one of the spec, or cannot be run.
    """
    code = code or find_code(spec.model_dump())
    if code.sha256 != spec.sha256:
        raise InputError(changed(spec.model_dump(), code))
    found = task_class(code, spec.class_)
    with Told(code.file):
        return cast("Task", found(spec, code))


def rebuild(fields: dict[str, Any], code: TaskCode | None) -> Task:
    """What a pickled task of one's own becomes in another process."""
    return make_own(OwnSpec.model_validate(fields), code)


def task_class(code: TaskCode, name: str = "") -> type[OwnTask]:
    """The class of a task in its code.

    Args:
        code: of the task.
        name: of the class; empty: the only one that the code defines.

    Raises:
        InputError: the code cannot be run; or there is no such class, or more than one.
    """
    from raygp.tasks.own_task import OwnTask

    module = load_module(code)
    own = [
        found
        for found in vars(module).values()
        if isinstance(found, type) and issubclass(found, OwnTask) and found.__module__ == module.__name__
    ]
    names = [found.__name__ for found in own]
    if name and name not in names:
        there = f"it has {', '.join(names)}" if names else "it has no task"
        raise InputError(f"{code.file} has no task called {name}: {there}")
    if not names:
        raise InputError(
            f"{code.file} has no task: write a class of a base class of raygp.tasks.base, such as Images "
            "(raygp init-task writes a file to start from)"
        )
    if not name and len(own) > 1:
        raise InputError(f"{code.file} has {len(own)} tasks: say which, --task {code.file}:{names[0]}")
    chosen = own[names.index(name)] if name else own[0]
    chosen.take_functions(vars(module))
    return chosen


def load_module(code: TaskCode) -> ModuleType:
    """The module of some code: imported if it is one of a package, else run once in this process.

    Raises:
        InputError: it cannot be run; the message names the line.
    """
    if not code.is_file:
        return _import(code)
    name = f"raygp_own_{code.sha256[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    # Named after the text, so that a file that changes meanwhile is not taken for it where lines are shown.
    module.__file__ = code.file
    lines = code.text.splitlines(keepends=True)
    linecache.cache[code.file] = (len(code.text), None, lines, code.file)
    # dataclasses and torch look up the module of a class by its name.
    sys.modules[name] = module
    OWN_MODULES[name] = code.file
    try:
        exec(compile(code.text, code.file, "exec", dont_inherit=True), vars(module))
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, Exception):
            raise InputError(_failed(code, error)) from error
        raise
    return module


def _import(code: TaskCode) -> ModuleType:
    if (here := _module_sha256(code.file)) != code.sha256:
        raise InputError(
            f"module {code.file} is another one here: it has SHA-256 {here}, and the one that was given has "
            f"{code.sha256}. Install the same package wherever workers run"
        )
    OWN_MODULES[code.file] = code.file
    try:
        return importlib.import_module(code.file)
    except Exception as error:
        raise InputError(_failed(code, error)) from error


def _failed(code: TaskCode, error: Exception) -> str:
    if isinstance(error, SyntaxError) and error.filename == code.file:
        shown = f": {error.text.strip()}" if error.text else ""
        return f"{code.file}, line {error.lineno}: {error.msg}{shown}"
    return in_own_code(error) or f"{code.file} cannot be run: {type(error).__name__}: {error}"
