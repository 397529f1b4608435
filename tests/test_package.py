"""raygp can be installed beside other packages: a wheel of it runs outside the checkout."""

import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from raygp import __version__
from tests.checkout import PROJECT

PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel made of what the checkout has. Nothing is downloaded."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, source)
    shutil.copytree(PROJECT / "raygp", source / "raygp", ignore=shutil.ignore_patterns("__pycache__"))
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", str(made), str(source))
    (file,) = made.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel in it, which finds raygp's dependencies where this process finds them."""
    root = tmp_path_factory.mktemp("bare")
    venv.create(root, with_pip=False, symlinks=True)
    python = root / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(root), "platbase": str(root)}))
    (packages / "dependencies.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    return root


def run(*command: str, cwd: Path | None = None) -> str:
    """Standard output of a command that must succeed and that knows nothing of the checkout."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(Path.home()), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "raygp/py.typed" in names
    assert {name.split("/")[0] for name in names} == {"raygp", f"raygp-{__version__}.dist-info"}
    assert f"raygp-{__version__}.dist-info/licenses/LICENSE" in names
    modules = {path.relative_to(PROJECT).as_posix() for path in (PROJECT / "raygp").rglob("*.py")}
    assert modules <= set(names)


def test_the_command_runs_from_the_wheel(bare: Path, tmp_path: Path) -> None:
    raygp = str(bare / "bin" / "raygp")
    assert run(raygp, "--version", cwd=tmp_path).strip() == f"raygp {__version__}"
    helped = run(raygp, "--help", cwd=tmp_path)
    assert "ingest" in helped and "update" in helped
    where = run(str(bare / "bin" / "python"), "-c", "import raygp; print(raygp.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(bare)


def test_every_direct_dependency_has_an_exact_pin_that_lies_in_its_range() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    pins = {}
    for line in (PROJECT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")
            pins[canonicalize_name(name)] = version
    project = PYPROJECT["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for text in (requirement for group in groups for requirement in group):
        requirement = Requirement(text)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), text


def test_the_version_is_said_once_for_all() -> None:
    assert PYPROJECT["project"]["version"] == __version__
