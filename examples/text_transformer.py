"""A small transformer on text that every Python brings: of which package is a docstring?

    python examples/text_transformer.py line

The texts are written as JSON Lines, half of them a week. A .csv, a folder of .txt files in class folders or a data set
of Hugging Face's will do as well.
"""

import ast
import importlib.util
import json
import sys
from pathlib import Path

import raygp

PACKAGES = ("asyncio", "email")


def docstrings(package: str) -> list[str]:
    """The docstrings of a package, each once, longer than a few words."""
    spec = importlib.util.find_spec(package)
    trees = [ast.parse(file.read_text("utf-8")) for file in sorted(Path(spec.origin).parent.rglob("*.py"))]
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, documented)]
    return sorted({text for node in nodes if (text := ast.get_docstring(node) or "") and len(text) > 30})


def main(root: str, *settings: str) -> None:
    """Two arrivals, two versions, an answer. Settings such as ``plan.epochs=2`` may follow."""
    rows = [{"text": text, "label": package} for package in PACKAGES for text in docstrings(package)]
    line = raygp.open(root)
    task = {"name": "text", "length": 32, "width": 48, "depth": 1, "vocabulary": 1000}
    for week in (0, 1):
        table = Path(f"{root}-week{week + 1}.jsonl")
        table.write_text("\n".join(json.dumps(row) for row in rows[week::2]))
        line.ingest(f"texts:{table}", task=task if week == 0 else None)
    for version in line.update(line.settings(None, *settings)):
        print(version.name, f"{version.card.density:.0%} of the connections", version.metrics)

    text = "Wait until the future is done, or cancel the task of the event loop."
    [answer] = line.version("head").predict([text.encode()])
    print(f"{text!r}: {answer.label} ({answer.probabilities[0][1]:.0%})")


if __name__ == "__main__":
    main(*sys.argv[1:])
