"""Training on two hosts over a slow link against one host: ResNet-18 at 64 x 64, masked, 10 % of the connections.

    sudo python benchmarks/two_hosts.py [--rate 1gbit] [--batch 64] [--density 0.1] [--rounds 7] [--seconds 6]
                                        [--out FILE.json]

Two hosts are made of this machine: network namespaces with a core each, joined by a link that is shaped to ``--rate``
in both directions. A step takes ``--batch`` examples, all on one host or half of them on each, as in an update. Each
round times, in turn: one host alone; both at once on half a batch without talking to each other, which is as far as two
hosts of one machine can get; and both together with packed gradients, with a masked step that sends all gradients, and
with DistributedDataParallel as it comes over a dense model. Figures are medians of the rounds. Linux, as root.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
import torch.distributed as dist
from rich.table import Table

from benchmarks.stepping import Case, Mode, Stepper
from drills.hosts import LINK, several_hosts, why_no_hosts
from raygp.cli.running import make_console, run_command
from raygp.errors import InputError

_PORT = 29511
TOGETHER: dict[str, Mode] = {
    "two, packed gradients": "packed",
    "two, all gradients": "unpacked",
    "two, plain DDP, dense": "plain",
}
ONE, APART = "one host", "two that do not talk"


def sent_bytes() -> int:
    """What this host has put on the link."""
    return int(Path(f"/sys/class/net/{LINK}/statistics/tx_bytes").read_text())


def work(rank: int, options: argparse.Namespace) -> None:
    """One host; rank 0 writes what was measured."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://{options.meet}", rank=rank, world_size=2)
    task = {"name": "resnet18", "image_size": 64, "dense": ()}
    halves, whole = Case(task, options.batch // 2), Case(task, options.batch)
    alone = Stepper(whole, "alone", options.density)
    apart = Stepper(halves, "alone", options.density)
    together = {name: Stepper(halves, mode, options.density) for name, mode in TOGETHER.items()}

    def timed(name: str, steps: int) -> float:
        dist.barrier()
        if name in together:
            return together[name].run(steps)
        took = torch.zeros(2)
        if name == APART or rank == 0:
            took[rank] = (apart if name == APART else alone).run(steps)
        dist.barrier()
        dist.all_reduce(took)
        return float(took.max())

    names = [ONE, APART, *together]
    slowest = torch.tensor(max(timed(name, 1) for name in names for _ in range(2)))
    dist.all_reduce(slowest, op=dist.ReduceOp.MAX)
    steps = max(1, int(options.seconds / float(slowest)))
    took: dict[str, list[float]] = {name: [] for name in names}
    sent: dict[str, list[float]] = {name: [] for name in names}
    for done in range(options.rounds):
        for name in names:
            before = sent_bytes()
            took[name].append(timed(name, steps) / steps)
            sent[name].append((sent_bytes() - before) / steps)
        if rank == 0:
            print(f"round {done + 1} of {options.rounds}", file=sys.stderr, flush=True)
    if rank == 0:
        rows = [
            {
                "case": name, "step_s": statistics.median(took[name]), "examples_per_s": options.batch
                / statistics.median(took[name]), "ratio": statistics.median(ratios), "ratio_min": min(ratios),
                "ratio_max": max(ratios), "sent_mb": statistics.median(sent[name]) / 1e6, "rounds": options.rounds,
                "steps": steps, "batch": options.batch, "density": options.density, "rate": options.rate,
            }
            for name in names
            for ratios in [[one / two for one, two in zip(took[ONE], took[name], strict=True)]]
        ]  # fmt: skip
        options.results.write_text(json.dumps(rows, indent=1))
    dist.destroy_process_group()


def measure(options: argparse.Namespace, results: Path) -> list[dict[str, Any]]:
    """Both hosts, to the end.

    Raises:
        InputError: this machine cannot be two hosts; or one of them failed.
    """
    cores = sorted(os.sched_getaffinity(0))
    if why := why_no_hosts() or ("two hosts need two cores" if len(cores) < 2 else None):
        raise InputError(why)
    with several_hosts(2, options.rate) as hosts:
        processes = [
            subprocess.Popen(
                host.command(
                    "taskset", "-c", str(cores[rank]), sys.executable, __file__, *sys.argv[1:], "--rank", str(rank),
                    "--meet", f"{hosts[0].address}:{_PORT}", "--results", str(results),
                ),
                env={**os.environ, "GLOO_SOCKET_IFNAME": LINK, "OMP_NUM_THREADS": "1",
                     # It would say that hosts have no names.
                     "TORCH_CPP_LOG_LEVEL": "ERROR"},
            )
            for rank, host in enumerate(hosts)
        ]  # fmt: skip
        try:
            # One that fails leaves the other waiting.
            while all(process.poll() is None for process in processes):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    processes[0].wait(0.5)
            failed = any(process.poll() for process in processes)
            for process in processes:
                if failed:
                    process.terminate()
                process.wait(60)
        finally:
            for process in processes:
                process.kill()
                process.wait()
    if failed or not results.exists():
        raise InputError("a host failed: see above")
    return json.loads(results.read_text())


def table_of(rows: list[dict[str, Any]]) -> Table:
    """A line a case."""
    table = Table("case", "s a step", "examples/s", "against one host (min - max)", "MB sent by a host in a step")
    for row in rows:
        table.add_row(
            row["case"], f"{row['step_s']:.3f}", f"{row['examples_per_s']:.1f}",
            f"{row['ratio']:.2f} ({row['ratio_min']:.2f} - {row['ratio_max']:.2f})", f"{row['sent_mb']:.2f}",
        )  # fmt: skip
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", default="1gbit", help="of the link, as tc spells it (default 1gbit)")
    parser.add_argument("--batch", type=int, default=64, help="examples a step, over both hosts (default 64)")
    parser.add_argument("--density", type=float, default=0.1, help="of the masked models (default 0.1)")
    parser.add_argument("--rounds", type=int, default=7, help="how often each case is timed (default 7)")
    parser.add_argument("--seconds", type=float, default=6.0, help="length of the longest timing (default 6)")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--meet", help=argparse.SUPPRESS)
    parser.add_argument("--results", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rank is not None:
        work(options.rank, options)
        return 0
    console = make_console()

    def command() -> None:
        if options.batch < 2 or options.batch % 2:
            raise InputError(f"--batch {options.batch}: two hosts share it, so it must be even")
        with tempfile.TemporaryDirectory() as folder:
            rows = measure(options, Path(folder, "rows.json"))
        console.print(table_of(rows))
        if options.out:
            options.out.write_text(json.dumps(rows, indent=1))

    return run_command(command)


if __name__ == "__main__":
    sys.exit(main())
