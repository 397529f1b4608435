from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import raygp.sparse

PACKAGE = Path(raygp.sparse.__file__).parent
ROOT = PACKAGE.parent.parent

WITHOUT_RAY = """
import sys
from importlib.abc import MetaPathFinder

class NoRay(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "ray":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NoRay())
try:
    import ray
except ModuleNotFoundError:
    pass
else:
    raise SystemExit("Ray was not hidden")
import raygp.sparse
print(*sorted(m for m in sys.modules if m.partition(".")[0] == "raygp"))
import raygp.update.engine
import raygp.update.candidate
import raygp.tasks
print("ray" in sys.modules)
"""


def test_the_core_imports_without_ray() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_RAY], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    loaded, ray = done.stdout.splitlines()
    assert ray == "False"
    # Importing the algorithm runs nothing else of raygp.
    assert [name for name in loaded.split() if not name.startswith("raygp.sparse")] == ["raygp"]


def test_the_algorithm_imports_torch_and_itself_only() -> None:
    allowed = {*sys.stdlib_module_names, "torch"}
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 10
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0 and node.module
                names = [node.module]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            for name in names:
                ours = name == "raygp.sparse" or name.startswith("raygp.sparse.")
                assert ours or name.partition(".")[0] in allowed, f"{file.name} imports {name}"
