"""Makes the roots under tests/formats/data, with the raygp of version 0.1.0 (commit aae0980).

They are test data: files as that version wrote them, which every later version must read. Do not make them again with
newer code. Files of later formats get folders of their own beside data/v0_1_0.

Run it with the old code on the path, in a folder of its own::

    PYTHONPATH=<checkout of aae0980> python tests/formats/make_data.py <folder to work in> tests/formats/data/v0_1_0
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

SYNTHESIS = {"epochs": 4, "density": 0.04, "seed_density": 0.04, "alpha": 0.01, "batch_size": 16}
UPDATE = {"epochs": 2, "density": 0.04, "alpha": 0.02, "batch_size": 16, "replay": {"share": 1.0}}
LONG = {**UPDATE, "epochs": 24}
"""Of the updates that are killed; in small steps, so that there is time for it."""
SWEEP = {"trials": 3, "concurrent": 1, "scheduler": "none", "space": {"alpha": {"choice": [0.01, 0.02, 0.04]}}}


def settings(plan: dict[str, object], **others: object) -> dict[str, object]:
    """What the old ``raygp update --config`` is given."""
    common = {"workers": 1, "gpus": False, "gate_tolerance": 1.0, "synthesis": SYNTHESIS, "plan": plan}
    return {**common, **others}


def main() -> None:
    """Make all roots, or with names of functions after the folders those alone (``lines`` comes before the others)."""
    work, out = (Path(argument).absolute() for argument in sys.argv[1:3])
    out.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    for make in (lines, unfinished_update, unfinished_sweep, unfinished_ingest, refused_update):
        if not sys.argv[3:] or make.__name__ in sys.argv[3:]:
            make(work, out)


def lines(work: Path, out: Path) -> None:
    """``line``: two versions, rolled back to the first. ``waiting`` (not kept): as it was before its second update."""
    for number in range(2):
        make_images(work / f"digits-{number}", number)
    line = work / "line"
    ingest(line, work, 0, "--task", "lenet-300-100", "--image-size", "28")
    update(line, settings(UPDATE))
    ingest(line, work, 1)
    copy(line, work / "waiting")
    update(line, settings(UPDATE))
    raygp("rollback", "v0000", "--root", str(line))
    keep(line, out, settings(UPDATE))


def unfinished_update(work: Path, out: Path) -> None:
    """``unfinished``: an update that was killed. ``decided``: the same one, killed when its outcome was stored but was
    no version yet."""
    unfinished = copy(work / "waiting", work / "unfinished")
    slow = settings(LONG, checkpoint_minutes=0.0)
    kill_update(unfinished, slow, lambda: len(list(unfinished.glob("updates/*/checkpoint_*/state.json"))) > 1)
    finished, decided = copy(unfinished, work / "finished"), work / "decided"
    process = start_update(finished, settings(LONG))
    while not any(finished.glob("updates/*/checkpoint_*/outcome.json")):
        time.sleep(0.005)
    time.sleep(0.2)  # Until Ray has written its index.
    copy(finished, decided)
    assert process.wait() == 0
    for root in (unfinished, decided):
        keep(root, out, settings(LONG), card_of(finished, "v0001"))


def unfinished_sweep(work: Path, out: Path) -> None:
    """``sweep``: one that was killed after its first trial. ``swept``: a line whose card holds the record of it."""
    sweep, swept = copy(work / "waiting", work / "sweep"), settings(UPDATE, sweep=SWEEP)
    kill_update(sweep, swept, lambda: any(sweep.glob("updates/*/trials/*/checkpoint_*/outcome.json")), "--sweep")
    finished = copy(sweep, work / "swept")
    update(finished, swept, "--sweep")
    keep(sweep, out, swept, card_of(finished, "v0001"))
    keep(finished, out, swept)


def unfinished_ingest(work: Path, out: Path) -> None:
    """``parts``: a new line whose ingest was killed when some parts were stored."""
    parts = work / "parts"
    script = f"import {Path(__file__).stem} as made; made.kill_ingest({str(parts)!r})"
    environment = {**os.environ, "PYTHONPATH": f"{os.environ['PYTHONPATH']}:{Path(__file__).parent}"}
    subprocess.run([sys.executable, "-c", script], env=environment)
    keep(parts, out, {})


def refused_update(work: Path, out: Path) -> None:
    """``refused``: a line whose gate refused an update."""
    refused = copy(work / "waiting", work / "refused")
    # A rate at which nothing is learnt, and a gate that takes no fall in accuracy.
    bad = settings({**UPDATE, "lr": 50.0, "shrink": 0.01}, gate_tolerance=0.0, gate_confidence=0.5)
    code = update(refused, bad, check=False)
    assert code == 4, code
    keep(refused, out, bad)


def make_images(folder: Path, number: int) -> None:
    """Digits of scikit-learn as a folder of class folders."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for label in range(10):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        rows = np.flatnonzero(digits.target == label)[number * 12 :][:12]
        for row in rows:
            pixels = (digits.images[row] * 15.9375).astype("uint8")
            Image.fromarray(pixels).save(folder / str(label) / f"{row:04d}.png")


def kill_ingest(root: str) -> None:
    """Publish the embedded digits in parts of 100, and be killed on the way."""
    from raygp.data.ingest import IngestSettings, ingest
    from raygp.data.sources import open_source
    from raygp.store import Location

    def watch(done: int, total: int) -> None:
        if done > 350:
            os.kill(os.getpid(), signal.SIGKILL)

    task = {"name": "lenet-300-100", "image_size": 28}
    chosen = IngestSettings(["arrival-000"], [1.0], 0.15, 0.15, part_rows=100)
    ingest(Location(root), task, open_source("digits"), chosen, watch)


def ingest(root: Path, work: Path, number: int, *options: str) -> None:
    source = f"imagefolder:{work / f'digits-{number}'}"
    raygp("ingest", "--source", source, "--root", str(root), "--val-share", "0.2", "--test-share", "0.2", *options)


def update(root: Path, chosen: dict[str, object], *options: str, check: bool = True) -> int:
    return raygp("update", "--root", str(root), "--config", config(root, chosen), *options, check=check)


def start_update(root: Path, chosen: dict[str, object], *options: str) -> subprocess.Popen[bytes]:
    command = ["raygp", "update", "--root", str(root), "--config", config(root, chosen), *options]
    return subprocess.Popen([sys.executable, "-m", *command])


def config(root: Path, chosen: dict[str, object]) -> str:
    file = root.with_suffix(".settings.json")
    file.write_text(json.dumps(chosen))
    return str(file)  # JSON is YAML.


def raygp(*arguments: str, check: bool = True) -> int:
    print("raygp", *arguments, flush=True)
    return subprocess.run([sys.executable, "-m", "raygp", *arguments], check=check).returncode


def kill_update(root: Path, chosen: dict[str, object], ready: Callable[[], bool], *options: str) -> None:
    """Start an update, and kill its process when ``ready``; Ray's processes end with it."""
    process = start_update(root, chosen, *options)
    while not ready():
        assert process.poll() is None, f"{root} was updated before it could be killed"
        time.sleep(0.005)
    process.kill()
    process.wait()
    time.sleep(15.0)  # Until the workers have noticed.
    print("killed", root, flush=True)


def copy(root: Path, to: Path) -> Path:
    shutil.copytree(root, to)
    return to


def card_of(root: Path, version: str) -> dict[str, object]:
    """What the old code came to from here."""
    card = json.loads((root / "versions" / version / "card.json").read_text())
    wanted = ("mask_digest", "val_accuracy", "test_accuracy", "active_connections", "plan")
    weights = [file["sha256"] for file in card["files"]]
    return {**{key: card[key] for key in wanted}, "weights_sha256": weights, "sweep": card["sweep"]}


def keep(root: Path, out: Path, chosen: dict[str, object], ends: dict[str, object] | None = None) -> None:
    """Store a root as an archive that is the same for the same files, and beside it how it came about and would end."""
    for lock in root.rglob(".raygp-*"):
        lock.unlink()
    with tarfile.open(out / f"{root.name}.tar.xz", "w:xz", preset=9) as archive:
        for file in sorted(path for path in root.rglob("*") if path.is_file()):
            entry = tarfile.TarInfo(file.relative_to(root).as_posix())
            entry.size = file.stat().st_size
            with open(file, "rb") as content:
                archive.addfile(entry, content)
    described = {"settings": chosen, "sweep": "sweep" in chosen, "ends": ends}
    (out / f"{root.name}.json").write_text(json.dumps(described, indent=1, sort_keys=True) + "\n")
    print("kept", root.name, (out / f"{root.name}.tar.xz").stat().st_size, flush=True)


if __name__ == "__main__":
    main()
