"""Who may import whom."""

import ast
import re
from pathlib import Path

import pytest

from tests.checkout import PROJECT

PACKAGE = PROJECT / "raygp"
BASE = {
    "__version__", "errors", "registry", "record", "events", "stopping", "loading", "finding", "loopback", "workers",
}  # fmt: skip
"""What every package may use: they know of no other."""
ALLOWED = {
    "sparse": set(),
    "store": set(),
    "tasks": {"sparse"},
    "data": {"store", "tasks"},
    "update": {"sparse", "store", "data", "tasks"},
    "tell": {"store", "tasks", "update"},
    "inference": {"sparse", "store", "data", "tasks"},
    "drift": {"sparse", "store", "data", "tasks", "inference", "update"},
    "adopt": {"sparse", "store", "data", "tasks", "update"},
    "serve": {"store", "tasks", "inference", "line"},
    "export": {"sparse", "store", "data", "tasks", "inference", "adopt"},
    "search": {"store", "update"},
    "report": {"store", "update", "search", "drift"},
    "cluster": {"sparse", "store", "data", "tasks", "update", "search", "settings", "inference", "serve"},
    "page": {"sparse", "store", "data", "tasks", "inference", "search", "drift", "export", "report"},
    "line": {"store", "data", "tasks", "update", "search", "settings", "inference", "drift", "adopt", "export", "page"},
    "health": {"store", "line"},
    "watch": {"store", "data", "update", "settings", "line"},
    "check": {"sparse", "store", "data", "tasks", "settings", "line"},
    "doctor": {"store", "line", "serve"},
    "cli": {
        "store", "data", "tasks", "update", "search", "settings", "line", "report", "cluster", "inference", "serve",
        "export", "check", "tell", "drift", "watch", "doctor", "health", "page",
    },
}


def imports(path: Path) -> set[str]:
    """Every module that a file imports, at whatever depth."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names if node.module in ("ray", "raygp", "torch")}
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("package", list(ALLOWED))
def test_packages_import_only_what_lies_below_them(package: str) -> None:
    files = [path for path in FILES if path.is_relative_to(PACKAGE / package)]
    assert files
    for path in files:
        for module in imports(path):
            if module.startswith("raygp."):
                other = module.split(".")[1]
                assert other == package or other in ALLOWED[package] | BASE, f"{path.name} imports {module}"


def test_the_algorithm_knows_only_torch() -> None:
    standard = {
        "__future__", "collections", "contextlib", "dataclasses", "enum", "hashlib", "importlib", "math", "typing",
    }  # fmt: skip
    for path in FILES:
        if path.is_relative_to(PACKAGE / "sparse"):
            top = {module.split(".")[0] for module in imports(path)}
            assert top <= standard | {"torch", "raygp"}, path.name


def test_ray_is_imported_in_its_own_place_only() -> None:
    for path in FILES:
        if not path.is_relative_to(PACKAGE / "cluster"):
            assert not any(module.split(".")[0] == "ray" for module in imports(path)), path.name


PRIVATE = re.compile(r"\bray(\.\w+)*\._\w|\b_internal\b|\bget_storage\(|_register_sigint_handler|_state_type")
"""What belongs to Ray alone, in code or in text."""


def test_private_names_of_ray_are_used_in_one_module_only() -> None:
    users = [path for path in FILES if PRIVATE.search(path.read_text())]
    assert users == [PACKAGE / "cluster" / "internals.py"]


LOADS = "raygp/adopt/checkpoint.py"
"""The one module that loads files of torch.save, which are pickles: tensors and plain data out of them, never code."""


def calls(path: Path, name: str) -> list[ast.Call]:
    """Every call of ``something.name(...)`` or ``name(...)`` in a file."""
    found = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return [call for call in found if ast.unparse(call.func).split(".")[-1] == name]


def test_nothing_is_unpickled() -> None:
    for path in FILES:
        assert not {"pickle", "cloudpickle", "joblib"} & {module.split(".")[0] for module in imports(path)}, path.name
        if path != PROJECT / LOADS:
            assert not re.search(r"(?<!safetensors\.)torch\.load\(", path.read_text()), path.name
            assert "torch.load" not in imports(path), path.name


def test_the_module_that_loads_checkpoints_loads_weights_only() -> None:
    text = (PROJECT / LOADS).read_text()
    (call,) = [call for call in calls(PROJECT / LOADS, "load") if ast.unparse(call.func) == "torch.load"]
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    assert given["weights_only"] == "True" and None not in given, "a constant, not something that may be another"
    # No other way to the same function, and no other that unpickles.
    assert len(re.findall(r"torch\.load\b", text)) == 1 and "torch.load" not in imports(PROJECT / LOADS)
    assert not re.search(r"Unpickler|jit\.load|serialization\.(?!safe_globals\()|add_safe_globals|getattr\(", text)


OUTSIDE = {"drills", "benchmarks", "tests"}
"""Folders beside the package. The package itself uses none of them."""
MAY_USE = {
    "raygp": set(),
    "jobs": set(),
    "drills": {"drills"},
    "benchmarks": {"drills", "benchmarks"},
    "tests": {"drills", "tests"},
    # These test the benchmarks themselves, or the tables that the benchmarks write into the README.
    "tests/benchmarks": OUTSIDE,
    "tests/test_readme.py": OUTSIDE,
}


@pytest.mark.parametrize("where", list(MAY_USE))
def test_tests_and_benchmarks_share_drills_and_nothing_else(where: str) -> None:
    place = PROJECT / where
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    assert files
    # A folder or file that is listed by itself is not judged by the rule of the folder around it.
    own = [PROJECT / other for other in MAY_USE if other != where and (PROJECT / other).is_relative_to(place)]
    for path in files:
        if not any(path.is_relative_to(other) for other in own):
            used = {module.split(".")[0] for module in imports(path)} & OUTSIDE
            assert used <= MAY_USE[where], f"{path.relative_to(PROJECT)} imports {used - MAY_USE[where]}"
