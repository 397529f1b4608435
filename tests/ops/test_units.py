"""The units of systemd, and the Dockerfile."""

from __future__ import annotations

import configparser
import fnmatch
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from raygp.cli import make_parser
from raygp.errors import ConflictError, InputError, StoppedError
from tests.checkout import PROJECT

UNITS = sorted((PROJECT / "ops" / "systemd").glob("raygp-watch*"))
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]


def read(unit: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(unit)
    return parser


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not on this machine")
    for unit in UNITS:
        # It looks whether programs are there.
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/raygp/bin/raygp", "/bin/true"))
    for unit in UNITS:
        command = [program, "verify", str(tmp_path / unit.name)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout + done.stderr) == (0, ""), unit.name


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_what_is_started_is_a_command_of_raygp(unit: Path) -> None:
    service = read(unit)["Service"]
    for key in ("ExecStartPre", "ExecStart"):
        if key in service:
            program, *words = shlex.split(service[key].lstrip("-"))
            assert program == "/opt/raygp/bin/raygp"
            options = make_parser().parse_args(words)
            assert options.root == "${RAYGP_ROOT}"


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_the_end_of_an_update_is_no_failure_and_has_time(unit: Path) -> None:
    service = read(unit)["Service"]
    assert str(StoppedError.exit_code) in service["SuccessExitStatus"].split()
    assert service["KillMode"] == "mixed" and service["TimeoutStopSec"] == "15min"
    assert service["User"] == "raygp" and service["NoNewPrivileges"] == "yes"


def test_a_watcher_is_started_again_but_not_with_bad_input() -> None:
    service = read(PROJECT / "ops" / "systemd" / "raygp-watch@.service")["Service"]
    assert service["Restart"] == "on-failure" and service["RestartPreventExitStatus"] == str(InputError.exit_code)
    once = read(PROJECT / "ops" / "systemd" / "raygp-watch-once@.service")["Service"]
    assert str(ConflictError.exit_code) in once["SuccessExitStatus"].split() and "Restart" not in once


DOCKERFILE = (PROJECT / "Dockerfile").read_text()


def test_the_image_begins_as_the_nodes_of_the_cluster_do() -> None:
    (base,) = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE, flags=re.MULTILINE)
    docker: dict[str, Any] = yaml.safe_load((PROJECT / "cluster.yaml").read_text())["docker"]
    assert base == docker["head_image"]


def test_the_image_has_the_pinned_versions_and_extras_that_there_are() -> None:
    (command,) = re.findall(r"^RUN (pip install .*?)(?<!\\)$", DOCKERFILE, flags=re.MULTILINE | re.DOTALL)
    assert "-c constraints.txt" in command and '".[${EXTRAS}]"' in command
    (extras,) = re.findall(r"^ARG EXTRAS=(\S+)$", DOCKERFILE, flags=re.MULTILINE)
    known = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras.split(",")) <= set(known)
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, flags=re.MULTILINE)[-1] == "ray"


def test_what_the_dockerfile_copies_is_there_and_sent_and_nothing_else_is() -> None:
    rules = [line for line in (PROJECT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]

    def is_sent(path: str) -> bool:
        sent = True
        for rule in rules:
            pattern = rule.removeprefix("!")
            parents = [path, *map(str, Path(path).parents)]
            if any(fnmatch.fnmatch(part, pattern) for part in parents):
                sent = rule.startswith("!")
        return sent

    copied = re.findall(r"^COPY --chown=\S+ (.+) \S+$", DOCKERFILE, flags=re.MULTILINE)
    names = [name.rstrip("/") for line in copied for name in line.split()]
    assert {"constraints.txt", "raygp", "README.md", "LICENSE"} <= set(names)
    assert all((PROJECT / name).exists() and is_sent(name) for name in names)
    assert is_sent("raygp/cli/watch.py") and is_sent("raygp/tasks/templates/image.txt")
    others = ("tests/conftest.py", ".git/config", "raygp-demo/line.json", "my-keys.env", "raygp/cli/__pycache__/x.pyc")
    assert not any(map(is_sent, others))
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert {project["readme"], *project["license-files"]} <= set(names), "setuptools reads them"
