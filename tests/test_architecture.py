"""Who may import whom."""

import ast
import re
from pathlib import Path

import pytest

from tests.checkout import PROJECT

PACKAGE = PROJECT / "raygp"
BASE = {"__version__", "errors", "registry", "record", "events", "stopping", "loading"}
"""What every package may use: they know of no other."""
ALLOWED = {
    "sparse": set(),
    "store": set(),
    "tasks": set(),
    "data": {"store", "tasks"},
    "update": {"sparse", "store", "data", "tasks"},
    "inference": {"sparse", "store", "data", "tasks"},
    "search": {"store", "update"},
    "report": {"store", "update", "search"},
    "cluster": {"sparse", "store", "data", "tasks", "update", "search", "settings", "inference"},
    "line": {"store", "data", "tasks", "update", "search", "settings", "inference"},
    "check": {"sparse", "store", "data", "tasks", "settings", "line"},
    "cli": {
        "check",
        "store",
        "data",
        "tasks",
        "update",
        "search",
        "settings",
        "line",
        "report",
        "cluster",
        "inference",
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


def test_nothing_is_unpickled() -> None:
    for path in FILES:
        assert not {"pickle", "cloudpickle", "joblib"} & {module.split(".")[0] for module in imports(path)}, path.name
        assert not re.search(r"(?<!safetensors\.)torch\.load\(", path.read_text()), path.name


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
