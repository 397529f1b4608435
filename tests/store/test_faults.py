"""Storage behind a bad network: what is written is written once, what is read is whole."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest
import torch

from drills.fault_proxy import FaultProxy, Faults
from raygp.errors import ConflictError, InputError, RaygpError
from raygp.store import (
    Location,
    create_line,
    open_head,
    promote,
    read_head,
    read_shard,
    read_tensors,
    verify_arrival,
    write_version,
)
from tests.conftest import UseServer
from tests.store.helpers import MakeCard, manifest_of, publish

BAD_NETWORK = Faults(refused=0.05, cut=0.03, slow=0.1, latency_s=0.02)
Behind = Callable[[Faults, int], tuple[Location, FaultProxy]]


@pytest.fixture
def behind(moto: str, use_server: UseServer) -> Iterator[Behind]:
    """A line on moto's server behind a proxy with some faults, drawn from a seed."""
    proxies = []

    def make(faults: Faults, seed: int) -> tuple[Location, FaultProxy]:
        bucket = use_server(moto)
        proxy = FaultProxy(moto, faults, seed)
        running = proxy.running()
        running.__enter__()
        proxies.append(running)
        use_server(proxy.address)
        return Location(f"s3://{bucket}/line"), proxy

    yield make
    for running in proxies:
        running.__exit__(None, None, None)


def test_publishing_and_promoting_complete_and_every_hash_holds(behind: Behind, make_card: MakeCard) -> None:
    location, proxy = behind(BAD_NETWORK, 1)
    create_line(location, {"name": "lenet-300-100"})
    head = None
    for number in range(4):
        manifest = publish(location, f"a{number}", rows=20, shard_bytes=40)
        assert manifest_of(location, f"a{number}") == manifest
        card = make_card(f"v{number:04d}", f"v{number - 1:04d}" if number else None, f"u{number}")
        tensors = {"a": torch.arange(30_000.0) + number}
        stored = write_version(location, card, tensors)
        head = promote(location, stored, head)
        assert open_head(location, head) == stored
        assert torch.equal(read_tensors(location, stored)["a"], tensors["a"])
    for number in range(4):
        assert verify_arrival(location, f"a{number}").problems == []
        for shard in manifest_of(location, f"a{number}").shards:
            assert read_shard(location, f"a{number}", shard).num_rows == shard.rows
    assert read_head(location) == head
    assert len(proxy.requests) > 100 and min(proxy.done[kind] for kind in ("refused", "cut", "slow")) > 0


def test_a_write_whose_answer_was_lost_is_won_all_the_same(behind: Behind) -> None:
    location, proxy = behind(Faults(), 0)
    lost = Faults(cut=1.0, only="^PUT", at_most=1)
    proxy.make(lost)
    location.create("file", b"mine")
    with pytest.raises(ConflictError):
        location.create("file", b"mine")  # Equal content is not the same write.
    proxy.make(lost)
    location.replace("file", b"next", b"mine")
    with pytest.raises(ConflictError):
        location.replace("file", b"next", b"mine")
    assert proxy.done["cut"] == 2 and location.read_bytes("file") == b"next"


def test_of_racing_writers_whose_answers_get_lost_exactly_one_wins(behind: Behind) -> None:
    location, proxy = behind(Faults(refused=0.1, cut=0.2), 6)
    wins: list[int] = []

    def race(barrier: threading.Barrier) -> None:
        for number in range(5):
            barrier.wait(60)
            with contextlib.suppress(ConflictError):
                location.create(f"file{number}", b"equal")
                wins.append(number)

    barrier = threading.Barrier(3)
    threads = [threading.Thread(target=race, args=(barrier,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(wins) == list(range(5)) and proxy.done["cut"] > 0


def test_access_denied_under_load_is_tried_again_and_a_real_denial_is_said(behind: Behind) -> None:
    location, proxy = behind(Faults(), 0)
    for denied in ("^PUT", "^GET"):
        proxy.make(Faults(denied=1.0, only=denied, at_most=3))
        location.write_bytes("file", b"x")
        assert location.read_bytes("file") == b"x"
    assert proxy.done["denied"] == 6
    proxy.make(Faults(denied=1.0))
    with pytest.raises(InputError, match="permission denied"):
        location.read_bytes("file")


def test_a_file_in_parts_survives_lost_answers(behind: Behind) -> None:
    location, proxy = behind(Faults(), 0)
    fs, base = location.filesystem()
    content = bytes(range(256)) * 4096 * 12  # 12 MiB.
    for number, lost in enumerate((r"^POST .*uploadId=", r"^PUT .*partNumber=1", r"^POST .*uploads")):
        proxy.make(Faults(cut=1.0, only=lost, at_most=1))
        with fs.open(f"{base}/large{number}", "wb", block_size=5 << 20) as file:
            file.write(content)
        assert proxy.done["cut"] == number + 1
        assert location.read_bytes(f"large{number}") == content


def test_a_body_that_breaks_off_is_read_again(behind: Behind) -> None:
    location, proxy = behind(Faults(), 0)
    location.write_bytes("file", b"0123456789" * 1000)
    proxy.make(Faults(cut=1.0, only="^GET", at_most=2))
    assert location.read_bytes("file") == b"0123456789" * 1000
    proxy.make(Faults(cut=1.0, only="^GET"))
    with pytest.raises(RaygpError, match=r"the connection broke \(file\)"):
        location.read_bytes("file")
