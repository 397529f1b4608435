"""Environment variables that raygp or Ray would read if they were spelt right."""

from __future__ import annotations

import difflib
import mmap
import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from raygp.doctor.host import Host
from raygp.finding import Finding

KNOWN = frozenset(
    {"RAYGP_CACHE", "RAYGP_CONFIG", "RAYGP_EVENT", "RAYGP_LINE", "RAYGP_ROOT", "RAYGP_TOKEN"}
)
"""What raygp reads, or sets for the programs that it calls. A test compares it with the code."""
RAY_KNOWN = frozenset(
    {
        "RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_TMPDIR", "RAY_USE_TLS",
        "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT", "RAY_USAGE_STATS_ENABLED",
        "RAY_JOB_STOP_WAIT_TIME_S", "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S",
        "RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S", "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "RAY_NAMESPACE",
        "RAY_DATA_DISABLE_PROGRESS_BARS", "RAY_AIR_NEW_OUTPUT", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO",
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S", "RAY_health_check_period_ms", "RAY_health_check_failure_threshold",
        "RAY_memory_usage_threshold", "RAY_memory_monitor_refresh_ms", "RAY_JOB_CONFIG_JSON_ENV_VAR",
    }
)  # fmt: skip
"""What guides of raygp and of Ray name most. For any other, Ray's own files are looked through."""
_NAME = re.compile(rb"RAY_[A-Za-z0-9_]+")
_NATIVE = ("_raylet.so", "core/src/ray/raylet/raylet", "core/src/ray/gcs/gcs_server")


def check_variables(host: Host) -> Iterator[Finding]:
    """One finding for each variable that nothing reads and that is like one that something reads; or one that says that
    there is none. Others may be of one's own, such as the secret of a webhook."""
    odd = [name for name in sorted(host.environ) if name.startswith("RAYGP_") and name not in KNOWN]
    strange = [name for name in sorted(host.environ) if name.startswith("RAY_") and name not in RAY_KNOWN]
    odd += [name for name in strange if not ray_reads(name)]
    # raygp_root and RAYGPROOT do not begin as what is looked for, and nobody would find them.
    odd += [name for name in sorted(host.environ) if name.upper().startswith("RAYGP") and name[:6] != "RAYGP_"]
    meant = {name: _meant(name) for name in odd}
    for name, other in meant.items():
        if other:
            says = f"{name} is set, but nothing reads it"
            yield Finding("variables", "warning", says, f"did you mean {other}?")
    if not any(meant.values()):
        there = [name for name in sorted(host.environ) if name.startswith(("RAYGP_", "RAY_"))]
        yield Finding("variables", "ok", f"set: {', '.join(there)}" if there else "none of RAYGP_ or RAY_ is set")


def _meant(name: str) -> str:
    """The variable that was meant; empty where none is like it."""
    known = {other.upper(): other for other in (*KNOWN, *RAY_KNOWN)}
    if name.startswith("RAY_"):
        known |= {other.upper(): other for other in _names_in_ray()}
    close = difflib.get_close_matches(name.upper().replace("-", "_"), list(known), n=1, cutoff=0.85)
    return known[close[0]] if close else ""


def ray_reads(name: str) -> bool:
    """Whether Ray's files hold a variable's name. True also where there is no Ray to look through."""
    known = _names_in_ray()
    return name in known or not known


@cache
def _names_in_ray() -> frozenset[str]:
    """Everything in Ray's programs and Python files that looks like a variable's name. Takes half a second."""
    spec = find_spec("ray")
    if spec is None or not spec.submodule_search_locations:
        return frozenset()
    folder = Path(spec.submodule_search_locations[0])
    found: set[bytes] = set()
    for file in [*(folder / path for path in _NATIVE), *folder.rglob("*.py")]:
        if file.is_file() and file.stat().st_size:
            with open(file, "rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                found.update(_NAME.findall(content))
    return frozenset(name.decode() for name in found)
