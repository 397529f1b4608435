"""A line with a thousand versions and a thousand arrivals on S3 is opened with a handful of requests."""

from __future__ import annotations

from pathlib import Path

import pytest

from drills.fault_proxy import FaultProxy, Faults
from drills.servers import missing_package, rclone_server
from raygp.cli import main
from raygp.store import Head, Location, create_line
from raygp.store.documents import encode, sha256_hex
from tests.conftest import UseServer
from tests.store.helpers import MakeCard, publish

COUNT = 1000


def build(line: Location, make_card: MakeCard) -> None:
    """Each arrival a manifest, each version a card, the last one the head; written directly, for time."""
    create_line(line, {"name": "lenet-300-100"})
    one = publish(Location("memory://long/line"), "a0000")
    manifests = [one.model_copy(update={"arrival": f"a{number:04d}"}) for number in range(COUNT)]
    digests = {manifest.arrival: manifest.digest for manifest in manifests}
    names = list(digests)

    def card(number: int) -> bytes:
        seen = names[: number + 1]
        parent = f"v{number - 1:04d}" if number else None
        arrivals = {"arrivals": seen, "arrival": seen[-1], "manifests": {name: digests[name] for name in seen}}
        return encode(make_card(f"v{number:04d}", parent, f"u{number}", **arrivals))

    for number, manifest in enumerate(manifests):
        for path, content in (
            (f"arrivals/{manifest.arrival}/manifest.json", encode(manifest)),
            (f"versions/v{number:04d}/card.json", card(number)),
        ):
            line.local_path(path).parent.mkdir(parents=True)
            line.local_path(path).write_bytes(content)
    last = f"v{COUNT - 1:04d}"
    line.write_bytes("head.json", encode(Head(version=last, card_sha256=sha256_hex(card(COUNT - 1)), updated="now")))


def test_opening_the_head_takes_at_most_five_requests(
    tmp_path: Path, use_server: UseServer, make_card: MakeCard, capsys: pytest.CaptureFixture[str]
) -> None:
    if reason := missing_package("rclone"):
        pytest.skip(reason)
    build(Location(str(tmp_path / "bucket" / "line")), make_card)
    # rclone serves files that are there already; a thousand requests to write them would take longer.
    with rclone_server(tmp_path) as address, FaultProxy(address, Faults(), seed=0).running() as proxy:
        use_server(proxy.address)
        proxy.requests.clear()
        assert main(["status", "--root", "s3://bucket/line"]) == 0
        assert len(proxy.requests) <= 5, proxy.requests
    out = capsys.readouterr().out
    assert "head v0999" in out and "arrivals in the head: 1000 (last a0995, " in out and "nothing is waiting" in out
