"""What the machine has: CPUs, memory, disks, GPUs, a compiler, and the limits that it sets to a process."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from raygp.doctor.host import Host
from raygp.finding import Finding

GIB = 2**30
_SHARE_OF_OBJECTS = 0.3
"""The part of the memory that Ray takes for its object store."""
_RAY_KILLS = 0.95
"""Above this share of the memory, Ray ends workers; above this share of a disk, it stores no more objects there."""
_DISK_LOW = 5 * GIB
_DISK_OUT = GIB // 4
_FILES_LOW = 8192
_FILES_OUT = 1024
_PIDS_LOW = 512
_NO_LIMIT = 1 << 62  # What version 1 of control groups says where there is none.


def check_machine(host: Host) -> Iterator[Finding]:
    """All of them, in the order in which they are told."""
    yield cpus(host)
    yield memory(host)
    yield shared_memory(host)
    scratch = Path(host.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    yield disk("temp disk", scratch, "Ray's logs and spilled data")
    yield compiler(host)
    yield niceness()
    yield open_files()
    yield processes(host)


def cpus(host: Host) -> Finding:
    """How many CPUs this process may use, and how many Ray would count."""
    allowed = float(len(os.sched_getaffinity(0)))
    quota = _cpu_quota(host)
    usable = min(allowed, quota or allowed)
    of = f" (the container's limit; the machine shows {allowed:.0f})" if quota and quota < allowed else ""
    text = f"{usable:g} CPU{'' if usable == 1 else 's'}{of}"
    if usable < 2:
        what = "an update with the 2 workers of the default settings shares one CPU, or waits for a second for ever"
        return Finding("CPUs", "warning", f"{text}: {what}", "give --workers 1, or allow this process more CPUs")
    return Finding("CPUs", "ok", text)


def _cpu_quota(host: Host) -> float | None:
    """CPUs that the control group allows; None: as many as there are."""
    found = []
    for text in host.limits("cpu.max"):
        quota, _, period = text.partition(" ")
        if quota.isdigit() and period.isdigit():
            found.append(int(quota) / int(period))
    quota, period = (host.read(f"sys/fs/cgroup/cpu/cpu.cfs_{name}_us") or "" for name in ("quota", "period"))
    if quota.isdigit() and period.isdigit():  # Version 1; -1 is no limit.
        found.append(int(quota) / int(period))
    return min(found, default=None)


def memory(host: Host) -> Finding:
    """How much memory there is and is free, within the limit of a container."""
    total, free, limited = memory_of(host)
    if not total:
        return Finding("memory", "not looked at", "/proc/meminfo cannot be read")
    text = f"{_gib(free)} of {_gib(total)} free{' (the limit of the container)' if limited else ''}"
    if 1 - free / total > _RAY_KILLS:
        says = f"{text}: Ray ends workers where more than {_RAY_KILLS:.0%} is in use"
        return Finding("memory", "problem", says, "end other programs, or raise the limit")
    if free < 2 * GIB:
        says = f"{text}: Ray alone takes about 1 GiB, each worker about half of one and its batches"
        return Finding("memory", "warning", says, "give --workers 1 and a small plan.batch_size, or free some memory")
    return Finding("memory", "ok", text)


def memory_of(host: Host) -> tuple[int, int, bool]:
    """Bytes of memory, how many of them are free, and whether a control group says so."""
    fields = dict(line.split(":", 1) for line in (host.read("proc/meminfo") or "").splitlines() if ":" in line)
    total, free = (int(fields.get(name, "0 kB").split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    limits = [int(text) for text in host.limits("memory.max") if text.isdigit()]
    limits += [int(host.read("sys/fs/cgroup/memory/memory.limit_in_bytes") or _NO_LIMIT)]
    limit = min(limits)
    if not 0 < limit < total:
        return total, free, False
    used = (host.limits("memory.current") or [host.read("sys/fs/cgroup/memory/memory.usage_in_bytes") or "0"])[0]
    # The kernel gives back pages of files before it says that memory is short.
    cached = next((text for text in host.limits("memory.stat")), "")
    files = next((int(line.split()[1]) for line in cached.splitlines() if line.startswith("inactive_file ")), 0)
    return limit, max(min(free, limit - int(used) + files), 0), True


def shared_memory(host: Host) -> Finding:
    """Whether Ray's object store fits into /dev/shm."""
    folder = host.root / "dev" / "shm"
    try:
        state = os.statvfs(folder)
    except OSError as error:
        return Finding(
            "/dev/shm", "warning", f"cannot be used ({error.strerror}): Ray keeps objects on disk, which is slow",
            "mount a tmpfs on /dev/shm",
        )  # fmt: skip
    return judge_shared_memory(state.f_frsize * state.f_bavail, memory_of(host)[0])


def judge_shared_memory(free: int, total: int) -> Finding:
    """What so much room in /dev/shm means on a machine with so much memory; both in bytes."""
    wanted = min(int(_SHARE_OF_OBJECTS * total), max(10**10, free))
    if free < wanted:
        return Finding(
            "/dev/shm", "warning",
            f"{_gib(free)} free, Ray's object store wants {_gib(wanted)}: it goes to disk, which is slow",
            f"docker run --shm-size={wanted / GIB:.1f}g, or in Kubernetes an emptyDir with medium: Memory",
        )  # fmt: skip
    return Finding("/dev/shm", "ok", f"{_gib(free)} free, Ray's object store wants {_gib(wanted)}")


def disk(name: str, folder: Path, what: str) -> Finding:
    """Whether a folder can be written and its disk has room.

    Args:
        name: of the check.
        folder: it, or the nearest folder above it that there is, is looked at.
        what: lies there, for people.
    """
    there = next((path for path in (folder, *folder.parents) if path.is_dir()), folder)
    try:
        found = shutil.disk_usage(there)
    except OSError as error:
        return Finding(name, "problem", f"{folder} ({what}): {error.strerror}", "choose another folder")
    if not os.access(there, os.W_OK | os.X_OK):
        return Finding(name, "problem", f"{there} ({what}) cannot be written", "change its owner, or choose another")
    # As Ray counts: what is kept for root is in use.
    used = 1 - found.free / max(found.used + found.free, 1)
    text = f"{_gib(found.free)} free on the disk of {folder} ({what})"
    if used > _RAY_KILLS or found.free < _DISK_OUT:
        says = f"{text}, {used:.0%} used: Ray stores no objects on a disk that is over {_RAY_KILLS:.0%} full"
        return Finding(name, "problem", says, "free some space; raygp gc deletes what a line needs no more")
    if found.free < _DISK_LOW:
        return Finding(name, "warning", f"{text}: little for data and checkpoints", "free some space; raygp gc helps")
    return Finding(name, "ok", text)


def compiler(host: Host) -> Finding:
    """A C++ compiler, with which torch compiles kernels."""
    wanted = host.environ.get("CXX")
    if wanted and not host.find(wanted.split()[0]):
        return Finding("compiler", "problem", f"CXX={wanted}: there is no such program", "correct or unset CXX")
    for name in (wanted, "c++", "g++", "clang++"):
        if name and (found := host.find(name.split()[0])):
            _, said = host.ask([found, "--version"])
            return Finding("compiler", "ok", f"{found}: {(said.splitlines() or ['?'])[0]}")
    return Finding(
        "compiler", "warning",
        "none (c++, g++, clang++): compiled kernels (torch.compile) cannot be built; the rest works without",
        "install g++, if you use them",
    )  # fmt: skip


def niceness() -> Finding:
    """Whether this process, and so all that it starts, steps back behind others."""
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    if nice > 0:
        says = f"{nice}: what is started here gets CPUs only when others want none; Ray's time limits go on meanwhile"
        return Finding("niceness", "warning", says, "start it without nice; in a systemd unit leave out Nice=")
    return Finding("niceness", "ok", str(nice))


def open_files() -> Finding:
    """How many files a process may have open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _FILES_LOW:
        return Finding("open files", "ok", "no limit" if soft == resource.RLIM_INFINITY else f"{soft:,} at once")
    most = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    how = f"ulimit -n {most}; in a systemd unit LimitNOFILE=65536; docker run --ulimit nofile=65536:65536"
    says = f"{soft:,} at once; Ray has a socket for each process, and wants 65,536 on a cluster's head"
    return Finding("open files", "problem" if soft < _FILES_OUT else "warning", says, how)


def processes(host: Host) -> Finding:
    """How many processes and threads may be started."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    limits = [] if soft == resource.RLIM_INFINITY else [soft]
    limits += [int(text) for text in [*host.limits("pids.max"), host.read("sys/fs/cgroup/pids/pids.max") or ""]
               if text.isdigit()]  # fmt: skip
    if limits and min(limits) < _PIDS_LOW:
        says = f"{min(limits)} processes and threads at most: Ray starts some hundred threads"
        return Finding("processes", "problem", says, "ulimit -u; TasksMax= in a systemd unit; docker run --pids-limit")
    return Finding("processes", "ok", f"{min(limits):,} at most" if limits else "no limit")


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
