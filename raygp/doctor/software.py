"""Versions of Python and of the packages that raygp uses. Nothing is imported: that would take seconds."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from raygp import __version__
from raygp.doctor.host import Host
from raygp.finding import Finding

PYTHONS = ((3, 11), (3, 12))
_TORCH_OF_VISION = 15
"""torch 2.N comes with torchvision 0.(N + 15), and torchaudio with torch's own number."""
_INSTALL = "pip install -c constraints.txt 'raygp[...]' brings versions that belong together"


def installed() -> dict[str, str]:
    """Versions of all packages here, by their name in small letters with ``-``."""
    found: dict[str, str] = {}
    for package in metadata.distributions():
        if name := package.metadata["Name"]:
            found.setdefault(normal(name), package.version)  # The first on the path is the one that is imported.
    return found


def normal(name: str) -> str:
    """A package's name as packages are told apart."""
    return re.sub(r"[-_.]+", "-", name).lower()


def check_software(host: Host) -> Iterator[Finding]:
    """Python, raygp, its packages, and the GPUs with their driver: torch has to fit it."""
    packages = installed()
    yield python(sys.version_info[:2], sys.prefix)
    yield raygp(packages)
    yield from requirements(packages, metadata.requires("raygp") or [] if "raygp" in packages else [])
    yield torch_family(packages)


def python(version: tuple[int, ...], prefix: str) -> Finding:
    """Whether it is one that raygp runs with."""
    text = f"{'.'.join(map(str, sys.version_info[:3])) if version == sys.version_info[:2] else version} at {prefix}"
    if tuple(version) not in PYTHONS:
        known = " and ".join(".".join(map(str, one)) for one in PYTHONS)
        return Finding("Python", "problem", f"{text}: raygp runs with {known}", "make an environment with one of them")
    return Finding("Python", "ok", text)


def raygp(packages: Mapping[str, str]) -> Finding:
    """Whether the raygp that runs is the one that is installed."""
    where = Path(__file__).resolve().parents[1]
    if packages.get("raygp") not in (None, __version__):
        says = f"{__version__} at {where} runs, but {packages['raygp']} is installed: Ray's workers may take the other"
        return Finding("raygp", "warning", says, "pip install -e . in the checkout, or unset PYTHONPATH")
    return Finding("raygp", "ok", f"{__version__} at {where}")


def requirements(packages: Mapping[str, str], wanted: list[str]) -> Iterator[Finding]:
    """What raygp needs, and which extras are there.

    Args:
        packages: what is installed, by normal name.
        wanted: requirements as in package metadata: ``"numpy<3,>=2.3.5"``, ``"timm<2,>=1; extra == 'timm'"``.
    """
    missing: list[str] = []
    wrong: list[str] = []
    extras: dict[str, list[str]] = {}
    for line in wanted:
        name, bounds, extra = _parsed(line)
        there = packages.get(name)
        lacking = f"{name}{bounds}" if there is None else f"{name} {there} (not {bounds})"
        right = there is not None and fits(there, bounds)
        if extra:
            extras.setdefault(extra, []).extend([] if right else [lacking])
        elif not right:
            (missing if there is None else wrong).append(lacking)
    if missing or wrong:
        said = {"missing": missing, "of another version": wrong}
        says = "; ".join(f"{what}: {', '.join(names)}" for what, names in said.items() if names)
        yield Finding("packages", "problem" if missing else "warning", says, _INSTALL)
    elif wanted:
        yield Finding("packages", "ok", f"what raygp needs is there; Ray {packages.get('ray', '?')}")
    else:
        yield Finding("packages", "not looked at", "raygp is not installed as a package: it runs from a folder")
    for extra in ("dev", "continual", "servers"):  # For those who work on raygp, or on its benchmarks.
        extras.pop(extra, None)
    if extras:
        whole = sorted(extra for extra, lacking in extras.items() if not lacking)
        rest = sorted(f"{extra} ({', '.join(lacking)})" for extra, lacking in extras.items() if lacking)
        text = f"there: {', '.join(whole) or 'none'}" + (f"; not there: {', '.join(rest)}" if rest else "")
        yield Finding("extras", "ok", text, "pip install 'raygp[NAME]' for what you need" if rest else "")


def _parsed(line: str) -> tuple[str, str, str]:
    """Normal name, bounds and extra of a requirement."""
    requirement, _, marker = line.partition(";")
    found = re.match(r"\s*([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*(.*)", requirement)
    extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", marker)
    return (normal(found[1]), found[2].strip(" ()"), extra[1] if extra else "") if found else (normal(line), "", "")


def fits(version: str, bounds: str) -> bool:
    """Whether a version lies within bounds such as ``<3,>=2.3.5``."""
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(bounds).contains(version, prereleases=True)


def torch_family(packages: Mapping[str, str]) -> Finding:
    """torch, torchvision and torchaudio are built for each other."""
    there = {name: packages[name] for name in ("torch", "torchvision", "torchaudio") if name in packages}
    text = ", ".join(f"{name} {version}" for name, version in there.items())
    if "torch" not in there:
        return Finding("torch", "problem", f"no torch is installed ({text or 'nor its kin'})", _INSTALL)
    major, minor = _numbers(there["torch"])
    belongs = {"torchvision": (0, minor + _TORCH_OF_VISION), "torchaudio": (major, minor)}
    odd = [name for name, wanted in belongs.items() if name in there and _numbers(there[name]) != wanted]
    builds = {version.partition("+")[2] for version in there.values()} - {""}
    if odd or len(builds) > 1:
        of = f"{' and '.join(odd)} of another release" if odd else f"builds for {' and '.join(sorted(builds))}"
        return Finding("torch", "problem", f"{text}: {of}, so that their native parts do not load", _INSTALL)
    return Finding("torch", "ok", f"{text}, {_built_for(torch_cuda())}")


def _built_for(cuda: str | None) -> str:
    return f"built for CUDA {cuda}" if cuda else "built for CPUs"


def torch_cuda() -> str | None:
    """The CUDA version that the torch here is built for; None: for none. Read from its file, without loading it."""
    spec = find_spec("torch")
    try:
        text = (Path(str(spec.origin)).parent / "version.py").read_text() if spec else ""
    except OSError:
        return None
    found = re.search(r"^cuda\b[^=]*=\s*'([\d.]+)'", text, flags=re.MULTILINE)
    return found[1] if found else None


def _numbers(version: str) -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (-1, -1)
