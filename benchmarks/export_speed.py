"""What sparse storage costs an ONNX file: size, time to open it and to run it, against the same file stored dense.

    python benchmarks/export_speed.py [--model resnet18] [--image-size 64] [--rounds 21] [--root FOLDER]

A version of the digits at the plan's density, trained for one epoch, is exported twice. Both are run by ONNX Runtime
with one thread, taking turns; the time is the processor's, and medians count. Prints a table.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import onnxruntime
from rich.console import Console
from rich.table import Table

import raygp

FORMS = {"dense": True, "sparse": False}
OPENED = 5
BATCHES = (1, 32)


def export(root: Path, model: str, image_size: int) -> dict[str, Path]:
    """The files, by how they are stored."""
    line = raygp.open(str(root / "line"))
    line.ingest("digits", task={"name": model, "image_size": image_size})
    line.update(line.settings(None, "synthesis.epochs=1", "gate_tolerance=1"))
    assert line.head is not None
    for name, dense in FORMS.items():
        line.head.export(root / name, "onnx", dense=dense)
    return {name: root / name / "model.onnx" for name in FORMS}


def opened(file: Path) -> tuple[onnxruntime.InferenceSession, float]:
    """A session with one thread, and the seconds of processor time that opening took."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    started = time.process_time()
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return session, time.process_time() - started


def run_times(sessions: dict[str, onnxruntime.InferenceSession], batch: int, rounds: int) -> dict[str, float]:
    """Median seconds of processor time of a run, by how the file is stored."""
    ((_, channels, height, width),) = (session.get_inputs()[0].shape for session in list(sessions.values())[:1])
    images = np.random.default_rng(0).integers(0, 255, (batch, channels, height, width), dtype=np.uint8)
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for number in range(rounds + 1):
        for name in list(sessions) if number % 2 else list(sessions)[::-1]:
            started = time.process_time()
            sessions[name].run(None, {"inputs": images})
            times[name].append(time.process_time() - started)
    return {name: statistics.median(found[1:]) for name, found in times.items()}


def main() -> None:
    """Export, measure, print."""
    parser = argparse.ArgumentParser(description="Size and speed of a sparse ONNX file against a dense one.")
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--root", type=Path, help="an empty folder; default: a temporary one")
    options = parser.parse_args()
    root = options.root or Path(tempfile.mkdtemp())
    files = export(root, options.model, options.image_size)
    sessions = {name: opened(file)[0] for name, file in files.items()}
    columns = [("MB", {name: file.stat().st_size / 1e6 for name, file in files.items()})]
    columns.append(
        ("ms to open", {n: 1e3 * statistics.median(opened(f)[1] for _ in range(OPENED)) for n, f in files.items()})
    )
    for batch in BATCHES:
        found = run_times(sessions, batch, options.rounds)
        columns.append((f"ms, batch of {batch}", {name: 1e3 * seconds for name, seconds in found.items()}))
    table = Table("stored", *(title for title, _ in columns))
    for name in FORMS:
        table.add_row(name, *(f"{values[name]:.2f}" for _, values in columns))
    table.add_row("sparse / dense", *(f"{values['sparse'] / values['dense']:.3f}" for _, values in columns))
    Console().print(table)


if __name__ == "__main__":
    main()
