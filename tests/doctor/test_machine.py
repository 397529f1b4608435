"""Each finding about a machine is made to happen: other files, variables and programs stand in for the machine's."""

from __future__ import annotations

import os
import resource
from collections.abc import Sequence
from pathlib import Path

import pytest

from raygp.doctor import machine
from raygp.doctor.gpus import check_gpus
from raygp.doctor.host import Host, ask
from raygp.finding import Finding

GIB = 2**30


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A machine of 16 GiB, half of them free, without control groups."""
    write(tmp_path, "proc/meminfo", f"MemTotal: {16 * 2**20} kB\nMemAvailable: {8 * 2**20} kB")
    (tmp_path / "dev" / "shm").mkdir(parents=True)
    return tmp_path


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def seen(finding: Finding) -> tuple[str, str]:
    assert bool(finding.advice) == (finding.state != "ok"), "what is not right comes with what to do, and nothing else"
    return finding.state, finding.text


def test_a_container_that_may_use_one_cpu_is_told(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    assert seen(machine.cpus(Host(files))) == ("ok", "8 CPUs")
    write(files, "proc/self/cgroup", "0::/pod/box")
    write(files, "sys/fs/cgroup/pod/box/cpu.max", "max 100000")
    assert seen(machine.cpus(Host(files)))[0] == "ok"
    write(files, "sys/fs/cgroup/pod/cpu.max", "150000 100000")  # A group outside has the limit.
    state, text = seen(machine.cpus(Host(files)))
    assert state == "warning" and "1.5 CPUs (the container's limit; the machine shows 8)" in text
    (files / "sys/fs/cgroup/pod/cpu.max").unlink()
    write(files, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "400000")
    write(files, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000")
    assert seen(machine.cpus(Host(files))) == ("ok", "4 CPUs (the container's limit; the machine shows 8)")


def test_little_memory_and_none(files: Path) -> None:
    assert seen(machine.memory(Host(files))) == ("ok", "8.0 GiB of 16.0 GiB free")
    write(files, "proc/meminfo", f"MemTotal: {16 * 2**20} kB\nMemAvailable: {2**20} kB")
    assert seen(machine.memory(Host(files)))[0] == "warning"
    write(files, "proc/meminfo", f"MemTotal: {16 * 2**20} kB\nMemAvailable: {2**19} kB")
    state, text = seen(machine.memory(Host(files)))
    assert state == "problem" and "Ray ends workers" in text


def test_the_limit_of_a_container_counts_and_files_that_the_kernel_keeps_do_not(files: Path) -> None:
    write(files, "sys/fs/cgroup/memory.max", str(4 * GIB))
    write(files, "sys/fs/cgroup/memory.current", str(3 * GIB))
    assert machine.memory_of(Host(files)) == (4 * GIB, GIB, True)
    write(files, "sys/fs/cgroup/memory.stat", f"anon 5\ninactive_file {2 * GIB}\n")
    assert seen(machine.memory(Host(files))) == ("ok", "3.0 GiB of 4.0 GiB free (the limit of the container)")
    write(files, "sys/fs/cgroup/memory.max", "max")
    assert machine.memory_of(Host(files)) == (16 * GIB, 8 * GIB, False)


def test_shared_memory_of_a_docker_container_is_too_small() -> None:
    assert machine.judge_shared_memory(8 * GIB, 16 * GIB).state == "ok"
    finding = machine.judge_shared_memory(64 * 2**20, 16 * GIB)
    state, text = seen(finding)
    assert state == "warning" and text.startswith("0.1 GiB free, Ray's object store wants 4.8 GiB")
    assert "--shm-size=4.8g" in finding.advice


def test_no_shared_memory_at_all(files: Path) -> None:
    (files / "dev" / "shm").rmdir()
    assert seen(machine.shared_memory(Host(files)))[0] == "warning"


@pytest.mark.parametrize(("free", "state"), [(50, "ok"), (4, "warning"), (0.2, "problem")])
def test_disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: float, state: str) -> None:
    usage = type("Usage", (), {"used": 20 * GIB, "free": int(free * GIB), "total": 100 * GIB})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    assert seen(machine.disk("temp disk", tmp_path / "not" / "there", "a test"))[0] == state


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # Root may write everywhere.
    state, text = seen(machine.disk("temp disk", tmp_path, "a test"))
    assert state == "problem" and "cannot be written" in text


def test_a_compiler_that_is_missing_or_misspelt(tmp_path: Path) -> None:
    nothing = Host(tmp_path, {}, find=lambda name: None)
    assert seen(machine.compiler(nothing))[0] == "warning"
    assert seen(machine.compiler(Host(tmp_path, {"CXX": "g+++"}, find=lambda name: None)))[0] == "problem"
    there = Host(tmp_path, {}, lambda command: (0, "g++ 12.2\nmore"), lambda name: f"/usr/bin/{name}")
    assert seen(machine.compiler(there)) == ("ok", "/usr/bin/c++: g++ 12.2")


@pytest.mark.parametrize(("nice", "state"), [(0, "ok"), (10, "warning")])
def test_niceness(monkeypatch: pytest.MonkeyPatch, nice: int, state: str) -> None:
    monkeypatch.setattr(os, "getpriority", lambda which, who: nice)
    assert seen(machine.niceness())[0] == state


@pytest.mark.parametrize(("files", "state"), [(65536, "ok"), (1024, "warning"), (256, "problem")])
def test_open_files(monkeypatch: pytest.MonkeyPatch, files: int, state: str) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (files, 4096))
    assert seen(machine.open_files())[0] == state
    assert state == "ok" or "ulimit -n 4096" in machine.open_files().advice


def test_a_container_with_few_processes(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert seen(machine.processes(Host(files))) == ("ok", "no limit")
    write(files, "sys/fs/cgroup/pids.max", "100")
    assert seen(machine.processes(Host(files)))[0] == "problem"


def gpus(root: Path, said: str, code: int = 0, cuda: str = "13.0") -> Finding:
    def answer(command: Sequence[str]) -> tuple[int, str]:
        assert command[0] == "/usr/bin/nvidia-smi"
        return code, said

    (finding,) = check_gpus(Host(root, {}, answer, lambda name: f"/usr/bin/{name}"), cuda)
    return finding


def test_gpus_and_their_driver(tmp_path: Path) -> None:
    card = "NVIDIA H100 80GB HBM3, 81559, 1, 580.95.05"
    assert seen(gpus(tmp_path, f"{card}\n{card}")) == (
        "ok", "2 (NVIDIA H100 80GB HBM3), driver 580.95.05; torch for CUDA 13.0",
    )  # fmt: skip
    state, text = seen(gpus(tmp_path, card.replace("580", "535")))
    assert state == "problem" and "older than 580" in text
    assert gpus(tmp_path, card.replace("580", "535"), cuda="12.8").state == "ok"
    assert seen(gpus(tmp_path, card.replace(" 1,", " 70000,")))[0] == "warning"
    broken = gpus(tmp_path, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", 9)
    assert seen(broken)[0] == "problem" and "couldn't communicate" in broken.text


def test_no_gpu_and_a_gpu_that_is_hidden(tmp_path: Path) -> None:
    (finding,) = check_gpus(Host(tmp_path, {}, find=lambda name: None), "13.0")
    assert seen(finding)[0] == "ok"
    write(tmp_path, "dev/nvidia0", "")
    (finding,) = check_gpus(Host(tmp_path, {}, find=lambda name: None), "13.0")
    assert seen(finding)[0] == "problem"


def test_torch_for_cpus_does_not_use_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygp.doctor.gpus.torch_cuda", lambda: None)
    assert seen(gpus(tmp_path, "NVIDIA L4, 23034, 1, 580.95.05", cuda=""))[0] == "warning"


def test_programs_that_cannot_be_run_or_do_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(["/no/such/program"]) == (-1, "No such file or directory")
    assert ask(["sh", "-c", "echo out; echo err >&2; exit 3"]) == (3, "out\nerr")
    monkeypatch.setattr("raygp.doctor.host._PATIENCE_S", 0.05)
    assert ask(["sleep", "5"])[0] == -1
