"""What ``raygp serve`` costs beside a bare Ray Serve deployment of the same model, and what a promotion costs.

    python benchmarks/serving.py [--seconds 10] [--rounds 5] [--clients 8] [--rate 40] [--task lenet-5]

One cluster on this machine, one replica of each, a client in a process of its own. Printed are

- requests a second of closed-loop clients, raygp and the bare deployment in turns; the bare one decodes the same file
  with the same task and runs the same model on it, without a token, limits, batches or figures;
- latencies of requests at a fixed rate, with ten promotions among them and without any, in turns. A latency counts
  from when a request was due, so that a pause cannot hide behind the requests that it kept from being sent. A request
  that is refused, breaks off or takes longer than 30 s is lost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

PROMOTIONS = 10
_LOST_S = 30.0


class Bare:
    """A deployment as one writes it without raygp."""

    def __init__(self, root: str) -> None:
        import raygp

        head = raygp.open(root).head
        assert head is not None
        self._task, self._model, self._classes = head.task, head.model(), head.classes

    async def __call__(self, request: Any) -> Any:
        import torch

        pixels = torch.from_numpy(self._task.decode(await request.body()))[None]
        with torch.inference_mode():
            probabilities = self._model(self._task.prepare(pixels, None)).softmax(1)[0]
        best = probabilities.topk(5)
        found = {self._classes[i]: value for value, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)}
        return {"label": next(iter(found)), "probabilities": found}


# -- the client, in a process of its own ------------------------------------------------------------------------------


async def _send(session: Any, url: str, sample: bytes, due: float) -> tuple[float, str]:
    """Seconds from when it was due, and the version that answered; "lost" where none did."""
    try:
        async with session.post(url, data=sample) as reply:
            said = json.loads(await reply.read())
            version = said.get("version", "bare") if reply.status == 200 else "lost"
    except Exception as error:
        print(f"lost: {type(error).__name__}: {error}", file=sys.stderr)
        version = "lost"
    return time.perf_counter() - due, version


async def _client(url: str, sample: bytes, seconds: float, clients: int, rate: float) -> list[tuple[float, str]]:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=_LOST_S)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        begun = time.perf_counter()
        if rate:
            tasks = []
            for number in range(int(seconds * rate)):
                due = begun + number / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                tasks.append(asyncio.create_task(_send(session, url, sample, due)))
            return list(await asyncio.gather(*tasks))

        async def closed() -> list[tuple[float, str]]:
            found = []
            while time.perf_counter() - begun < seconds:
                found.append(await _send(session, url, sample, time.perf_counter()))
            return found

        return [one for many in await asyncio.gather(*(closed() for _ in range(clients))) for one in many]


def client(url: str, sample: Path, seconds: float, clients: int = 1, rate: float = 0.0) -> list[tuple[float, str]]:
    """Run a client in a process of its own."""
    words = [url, str(sample), str(seconds), str(clients), str(rate)]
    done = subprocess.run([sys.executable, __file__, "--client", *words], stdout=subprocess.PIPE, check=True)
    return [(seconds, version) for seconds, version in json.loads(done.stdout)]


# -- the measurements -------------------------------------------------------------------------------------------------


def make_line(root: str, task: str) -> bytes:
    """A line of the digits with one version; one of its samples."""
    import raygp
    from raygp.data.sources import open_source

    line = raygp.open(root)
    line.ingest("digits", task={"name": task})
    line.update(line.settings(None, "synthesis.epochs=2"))
    return next(iter(open_source("digits", image_size=28).samples())).load()


def promote_child(root: str) -> None:
    """Promote a copy of the head."""
    import raygp
    from raygp.store import promote, read_head, read_tensors, version_to_make, write_version

    location = raygp.open(root).location
    head = read_head(location)
    assert head is not None
    parent = raygp.open(root).version(head.version).card
    name = version_to_make(location, head)
    made = parent.model_copy(update={"version": name, "parent": head.version, "update": f"update-{name}", "files": []})
    promote(location, write_version(location, made, read_tensors(location, parent)), head)


def throughput(options: argparse.Namespace, ours: str, bare: str, sample: Path) -> Table:
    """Requests a second, in turns."""
    found: dict[str, list[float]] = {ours: [], bare: []}
    for url in (ours, bare):
        client(url, sample, 2, options.clients)
    for number in range(options.rounds):
        for url in (ours, bare) if number % 2 else (bare, ours):
            answers = client(url, sample, options.seconds, options.clients)
            assert all(version != "lost" for _, version in answers)
            found[url].append(len(answers) / options.seconds)
    table = Table(title=f"closed loop, {options.clients} clients, {options.rounds} rounds of {options.seconds:g} s")
    for name in ("", "median requests a second", "lowest - highest"):
        table.add_column(name)
    for name, url in (("raygp serve", ours), ("bare Ray Serve", bare)):
        values = found[url]
        table.add_row(name, f"{statistics.median(values):.0f}", f"{min(values):.0f} - {max(values):.0f}")
    ratios = [mine / theirs for mine, theirs in zip(found[ours], found[bare], strict=True)]
    table.add_row("ratio, of each round", f"{statistics.median(ratios):.2f}", f"{min(ratios):.2f} - {max(ratios):.2f}")
    return table


def through_promotions(options: argparse.Namespace, url: str, root: str, sample: Path) -> Table:
    """Latencies with promotions and without, in turns."""
    title = f"{options.rate:g} requests a second, {options.seconds * 2:g} s a round, {options.rounds} rounds"
    table = Table(title=title)
    for name in ("promotions", "requests", "lost", "versions seen", "p50 ms", "p99 ms", "longest ms"):
        table.add_column(name)
    seconds = 2 * options.seconds
    kept: dict[bool, list[tuple[float, str]]] = {False: [], True: []}
    versions: dict[bool, list[int]] = {False: [], True: []}
    by_round: dict[bool, list[float]] = {False: [], True: []}
    for number in range(2 * options.rounds):
        promoting = number % 2 == 1
        ended = threading.Event()

        def promote_on(promoting: bool = promoting, ended: threading.Event = ended) -> None:
            for _ in range(PROMOTIONS if promoting else 0):
                ended.wait(seconds * 0.9 / PROMOTIONS)
                promote_child(root)

        thread = threading.Thread(target=promote_on)
        thread.start()
        answers = client(url, sample, seconds, rate=options.rate)
        thread.join()
        time.sleep(1)  # Whatever is still being loaded belongs to this round.
        kept[promoting] += answers
        versions[promoting].append(len({version for _, version in answers} - {"lost"}))
        by_round[promoting].append(statistics.quantiles([time for time, _ in answers], n=100)[98] * 1000)
    for promoting, answers in kept.items():
        times = [seconds * 1000 for seconds, _ in answers]
        rounds = ", ".join(f"{p99:.1f}" for p99 in by_round[promoting])
        p99 = f"{statistics.median(by_round[promoting]):.1f} ({rounds})"
        lost = sum(version == "lost" for _, version in answers)
        many = f"{PROMOTIONS} a round" if promoting else "none"
        seen = ", ".join(map(str, versions[promoting]))
        middle = f"{statistics.median(times):.1f}"
        table.add_row(many, str(len(answers)), str(lost), seen, middle, p99, f"{max(times):.0f}")
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rate", type=float, default=40)
    parser.add_argument("--task", default="lenet-5")
    options = parser.parse_args()

    from raygp.cluster.serving import ServeSettings, serving
    from raygp.cluster.session import ray_session
    from raygp.store import Location

    console = Console(width=140)
    with tempfile.TemporaryDirectory() as folder:
        root, sample = f"{folder}/line", Path(folder, "sample.png")
        sample.write_bytes(make_line(root, options.task))
        settings = ServeSettings(Location(root), "line", port=0, poll_s=0.2)
        with ray_session(), serving(settings) as served:
            from ray import serve
            from ray.serve.schema import LoggingConfig

            bare = serve.deployment(Bare).options(max_ongoing_requests=1280)
            quiet = LoggingConfig(enable_access_log=False)
            serve.run(bare.bind(root), name="bare", route_prefix="/bare", logging_config=quiet)
            ours = f"{served.address}/predict"
            console.print(throughput(options, ours, f"{served.address}/bare", sample))
            serve.delete("bare")
            console.print(through_promotions(options, ours, root, sample))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--client"]:
        address, file, *numbers = sys.argv[2:]
        duration, many, per_second = float(numbers[0]), int(numbers[1]), float(numbers[2])
        print(json.dumps(asyncio.run(_client(address, Path(file).read_bytes(), duration, many, per_second))))
    else:
        main()
