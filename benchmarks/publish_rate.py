"""How fast an arrival is published, against pyarrow alone writing the same Parquet.

    python benchmarks/publish_rate.py [--mib 256] [--sample-kib 10] [--rounds 9] [--root FOLDER]

Both get the same rows one by one and write the same shards with the same Parquet options to the same disk. raygp also
hashes every byte, syncs every file to the disk, and writes the manifest. pyarrow's files are synced too, as an arrival
that a power cut takes away is none; the rate without that is shown beside it. Rounds of the three alternate; medians
count. Writes publish_rate.json into the root.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from raygp.store import ArrivalWriter, Location
from raygp.store.shards import schema

Row = tuple[bytes, str, str]
SHARD_BYTES = 32 << 20


def rows(samples: Sequence[bytes]) -> Iterator[Row]:
    """The samples with labels and keys, as a source gives them."""
    return ((sample, f"class{i % 10}", f"class{i % 10}/{i:08d}.jpg") for i, sample in enumerate(samples))


def publish(folder: Path, samples: Sequence[bytes]) -> None:
    """By raygp."""
    with ArrivalWriter(Location(str(folder)), "arrival-000", "benchmark", SHARD_BYTES) as writer:
        for sample, label, key in rows(samples):
            writer.add("train", sample, label, key)
        writer.publish()


def write_with_pyarrow(folder: Path, samples: Sequence[bytes], sync: bool) -> None:
    """By pyarrow alone."""
    folder.mkdir()
    held: list[Row] = []
    size = shard = 0

    def flush() -> None:
        arrays = [
            pa.array(column, type=field.type) for column, field in zip(zip(*held, strict=True), schema(), strict=True)
        ]
        with open(folder / f"{shard:05d}.parquet", "wb") as file:
            table = pa.Table.from_arrays(arrays, schema=schema())
            pq.write_table(table, file, compression="none", use_dictionary=["label"], write_statistics=False)
            file.flush()
            if sync:
                os.fsync(file.fileno())

    for row in rows(samples):
        held.append(row)
        size += len(row[0])
        if size >= SHARD_BYTES:
            flush()
            held, size, shard = [], 0, shard + 1
    if held:
        flush()


def measure(way: Callable[[Path], None], root: Path) -> float:
    """Seconds of one writing, into a folder that is removed afterwards."""
    folder = root / "round"
    os.sync()
    started = time.perf_counter()
    way(folder)
    seconds = time.perf_counter() - started
    shutil.rmtree(folder)
    return seconds


def main() -> int:
    """Measure, print a table, write JSON. Returns 1 if raygp falls under 80 % of pyarrow with sync."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=256, help="size of the arrival")
    parser.add_argument("--sample-kib", type=int, default=10, help="size of a sample")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--root", type=Path, default=None, help="where to write (default: the folder for temporary files)"
    )
    options = parser.parse_args()
    samples = [os.urandom(options.sample_kib << 10) for _ in range(options.mib * 1024 // options.sample_kib)]
    ways: dict[str, Callable[[Path], None]] = {
        "raygp": lambda folder: publish(folder, samples),
        "pyarrow, synced": lambda folder: write_with_pyarrow(folder, samples, True),
        "pyarrow, not synced": lambda folder: write_with_pyarrow(folder, samples, False),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory(dir=options.root) as scratch:
        for number in range(options.rounds + 1):
            for name, way in ways.items():
                found = measure(way, Path(scratch))
                # The first round warms caches and imports.
                if number:
                    seconds[name].append(found)
    share = statistics.median(p / r for r, p in zip(seconds["raygp"], seconds["pyarrow, synced"], strict=True))
    print(f"{options.mib} MiB in samples of {options.sample_kib} KiB, {options.rounds} rounds, {os.cpu_count()} cores")
    for name, found in seconds.items():
        rates = sorted(options.mib / each for each in found)
        print(f"{name:20} {statistics.median(rates):8.0f} MiB/s   ({rates[0]:.0f} - {rates[-1]:.0f})")
    print(f"raygp / pyarrow, synced: {share:.2f} (must not be under 0.80)")
    report = {"mib": options.mib, "sample_kib": options.sample_kib, "seconds": seconds, "share": share}
    Path(options.root or ".", "publish_rate.json").write_text(json.dumps(report, indent=1))
    return 0 if share >= 0.8 else 1


if __name__ == "__main__":
    sys.exit(main())
