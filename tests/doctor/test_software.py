"""Versions that do not belong together, ports that are taken, variables that nobody reads, tokens that are none."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from raygp.doctor import network, software, variables
from raygp.doctor.host import Host
from tests.checkout import PROJECT

TORCH = {"torch": "2.11.0+cu130", "torchvision": "0.26.0+cu130", "torchaudio": "2.11.0+cu130"}
WANTED = ["numpy<3,>=2.3", "ray[data,train]<2.61,>=2.60", "timm<2,>=1; extra == 'timm'", "ruff==1; extra == 'dev'"]


def test_a_python_that_raygp_does_not_run_with() -> None:
    assert software.python(sys.version_info[:2], "/env").state == "ok"
    assert software.python((3, 10), "/env").state == "problem"


def test_another_raygp_is_installed_than_the_one_that_runs() -> None:
    assert software.raygp({}).state == "ok"
    assert software.raygp({"raygp": "0.0.1"}).state == "warning"


def test_packages_that_are_missing_or_of_another_version() -> None:
    good, extras = software.requirements({"numpy": "2.4", "ray": "2.60.0", "timm": "1.0.31"}, WANTED)
    assert good.state == "ok" and extras.text == "there: timm"
    missing, extras = software.requirements({"numpy": "2.4"}, WANTED)
    assert (missing.state, missing.text) == ("problem", "missing: ray<2.61,>=2.60")
    assert extras.text == "there: none; not there: timm (timm<2,>=1)" and "pip install" in extras.advice
    other, _ = software.requirements({"numpy": "1.26", "ray": "2.60.0"}, WANTED)
    assert (other.state, other.text) == ("warning", "of another version: numpy 1.26 (not <3,>=2.3)")
    (unknown,) = software.requirements({}, [])
    assert unknown.state == "not looked at"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"torchvision": "0.25.0+cu130"}, "torchvision of another release"),
        ({"torchaudio": "2.10.0+cu130"}, "torchaudio of another release"),
        ({"torchvision": "0.26.0+cpu"}, "builds for cpu and cu130"),
        ({"torch": None}, "no torch is installed"),
    ],
)
def test_torch_and_its_kin_belong_together(changes: dict[str, str | None], said: str) -> None:
    there = {name: version for name, version in (TORCH | changes).items() if version}
    finding = software.torch_family(there)
    assert (finding.state == "ok") == (not said) and said in finding.text


def test_the_versions_of_the_constraints_belong_together() -> None:
    lines = (PROJECT / "constraints.txt").read_text().splitlines()
    pins = {software.normal(name): version for name, _, version in (line.partition("==") for line in lines)}
    assert software.torch_family(pins).state == "ok"


def test_what_is_installed_here_is_found() -> None:
    found = software.installed()
    assert {"torch", "ray", "scikit-learn", "pyyaml"} <= set(found)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_ports_that_are_taken(taken: int) -> None:
    assert network.serve_port(taken).state == "warning"
    finding = network.ports({taken: "somebody"})
    assert finding.state == "warning" and f"{taken} (somebody)" in finding.text


def test_ports_that_are_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    assert network.serve_port(port).state == network.ports({port: "nobody"}).state == "ok"


def test_a_cluster_that_does_not_answer(taken: int, tmp_path: Path) -> None:
    def told(address: str) -> tuple[str, str]:
        finding = network.cluster(Host(tmp_path, {"RAY_ADDRESS": address}))
        return finding.state, finding.text

    good = ("", "auto", f"127.0.0.1:{taken}", f"ray://127.0.0.1:{taken}")
    assert [told(address)[0] for address in good] == ["ok"] * 4
    assert told("127.0.0.1:1") == ("problem", "RAY_ADDRESS=127.0.0.1:1 does not answer (Connection refused)")
    assert told("nonsense")[0] == told("127.0.0.1:99999")[0] == "problem"


def test_a_host_name_that_cannot_be_looked_up() -> None:
    assert network.own_name("localhost").state == "ok"
    assert network.own_name("no..such..name").state == "warning"


def test_tokens(tmp_path: Path) -> None:
    def state(value: str | None) -> str:
        return network.token(Host(tmp_path, {} if value is None else {"RAYGP_TOKEN": value})).state

    file = tmp_path / "token"
    file.write_text("0123456789abcdef0123\n")
    file.chmod(0o600)
    assert state(None) == state("0123456789abcdef") == state(f"@{file}") == "ok"
    assert state("short") == state("with a space in the middle") == state("@/no/such/file") == "problem"
    file.chmod(0o644)
    assert state(f"@{file}") == "warning"


def told(tmp_path: Path, **environ: str) -> list[tuple[str, str]]:
    found = list(variables.check_variables(Host(tmp_path, environ)))
    assert all((finding.state == "ok") == (not finding.advice) for finding in found)
    return [(finding.text, finding.advice) for finding in found]


def test_variables_that_are_misspelt(tmp_path: Path) -> None:
    assert told(tmp_path, RAYGP_ROOT="line", PATH="x") == [("set: RAYGP_ROOT", "")]
    assert told(tmp_path) == [("none of RAYGP_ or RAY_ is set", "")]
    assert told(tmp_path, RAYGP_ROT="line") == [("RAYGP_ROT is set, but nothing reads it", "did you mean RAYGP_ROOT?")]
    assert told(tmp_path, raygp_root="line")[0][1] == "did you mean RAYGP_ROOT?"
    assert told(tmp_path, RAYGP_WEBHOOK_SECRET="1") == [("set: RAYGP_WEBHOOK_SECRET", "")], "one of one's own"


def test_variables_of_ray_that_ray_does_not_read(tmp_path: Path) -> None:
    assert told(tmp_path, RAY_ADRESS="x") == [("RAY_ADRESS is set, but nothing reads it", "did you mean RAY_ADDRESS?")]
    assert told(tmp_path, RAY_health_check_period="1")[0][1] == "did you mean RAY_health_check_period_ms?"
    # Names that are not on our list are looked up in Ray's programs and in its Python files.
    assert variables.ray_reads("RAY_object_spilling_config") and variables.ray_reads("RAY_SERVE_LOG_TO_STDERR")
    assert not variables.ray_reads("RAY_health_check_period")  # The beginning of one that there is.
    missing = sorted(name for name in variables.RAY_KNOWN if not variables.ray_reads(name))
    assert missing == [], "Ray knows these no more: take them off the list"


def test_every_variable_that_raygp_reads_is_known() -> None:
    text = "".join(path.read_text() for path in (PROJECT / "raygp").rglob("*.py") if path.parent.name != "doctor")
    assert set(re.findall(r"\"(RAYGP_[A-Z_]+)\"", text)) == variables.KNOWN
