"""A sample has one place in a line: what is held out never becomes a training row, however often it comes again."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from raygp.cli import main
from raygp.cli.job import publish_missing
from raygp.data.ingest import IngestSettings, ingest
from raygp.data.parts import ArrivalMaking, PartJob, one_by_one
from raygp.data.sources import SourceSample, SplitName, open_source
from raygp.errors import InputError
from raygp.events import AllKnown, Event, Notice, Published
from raygp.line import Line
from raygp.store import Duplicates, Location, Manifest, find_garbage, list_arrivals, read_shard, verify_arrival
from tests.store.helpers import FORK, race

TASK = {"name": "lenet-300-100"}
SETTINGS = IngestSettings(part_rows=16)


def png(number: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (number // 256, number % 256, 60)).save(file, "PNG")
    return file.getvalue()


Row = tuple[str, int | bytes, SplitName | None]


class Pictures:
    """Rows of a label, a number that says which picture, and a split."""

    def __init__(self, *rows: Row, name: str = "pictures") -> None:
        self.name, self.rows = name, rows

    @classmethod
    def of(cls, *numbers: int, name: str = "pictures") -> Pictures:
        """Each picture is a cat or a dog, by its number."""
        return cls(*(("cat" if number % 2 else "dog", number, None) for number in numbers), name=name)

    def and_of(self, *rows: Row) -> Pictures:
        return Pictures(*self.rows, *rows, name=self.name)

    def samples(self) -> Iterator[SourceSample]:
        for row, (label, content, split) in enumerate(self.rows):
            encoded = png(content) if isinstance(content, int) else content
            yield SourceSample(split, label, f"{label}/{row:04d}.png", lambda encoded=encoded: encoded)


def rows_of(location: Location) -> dict[str, list[tuple[bytes, str]]]:
    """Samples and labels of all arrivals, by split."""
    found: dict[str, list[tuple[bytes, str]]] = {"train": [], "val": [], "test": []}
    for manifest in list_arrivals(location):
        for shard in manifest.shards:
            table = read_shard(location, manifest.arrival, shard)
            found[shard.split] += zip(*(table.column(name).to_pylist() for name in ("sample", "label")), strict=True)
    return found


def check_places(location: Location) -> dict[str, int]:
    """Every sample is in one split, and once in it; how many there are by split."""
    rows = rows_of(location)
    samples = Counter(sample for split in rows.values() for sample, _ in split)
    assert set(samples.values()) == {1}
    for manifest in list_arrivals(location):
        assert verify_arrival(location, manifest.arrival).problems == []
        assert manifest.samples
    return {split: len(found) for split, found in rows.items()}


def names(location: Location) -> list[str]:
    return sorted(file.path for file in location.walk())


def test_a_source_that_holds_last_weeks_adds_what_is_new(location: Location) -> None:
    ingest(location, TASK, Pictures.of(*range(60)), SETTINGS)
    before = rows_of(location)
    assert {split: len(rows) for split, rows in before.items()} == {"train": 43, "val": 8, "test": 9}
    (manifest,) = ingest(location, None, Pictures.of(*range(100)), replace(SETTINGS, seed=5))
    # The new ones are divided as if they had come alone.
    assert {split: manifest.rows(split) for split in ("train", "val", "test")} == {"train": 29, "val": 5, "test": 6}
    assert manifest.duplicates == Duplicates(held_out=17, trained=43) and manifest.quarantined == 0
    assert check_places(location) == {"train": 72, "val": 13, "test": 15}
    after = rows_of(location)
    assert all(after[split][: len(rows)] == rows for split, rows in before.items())


def test_a_source_without_duplicates_is_divided_as_if_the_line_were_empty(location: Location) -> None:
    ingest(location, TASK, Pictures.of(*range(60)), SETTINGS)
    ingest(location, None, Pictures.of(*range(60, 100)), SETTINGS)
    alone = Location(f"{location.root}-alone")
    ingest(alone, TASK, Pictures.of(*range(60, 100)), SETTINGS)
    both, one = rows_of(location), rows_of(alone)
    assert all(both[split][-len(one[split]) :] == one[split] for split in ("train", "val", "test"))
    assert list_arrivals(location)[1].duplicates == Duplicates()


def test_what_is_new_gets_the_split_that_it_gets_alone(location: Location) -> None:
    """The draw does not depend on the rows that are skipped."""
    ingest(location, TASK, Pictures.of(*range(60)), SETTINGS)
    ingest(location, None, Pictures.of(*range(100)), SETTINGS)
    alone = Location(f"{location.root}-alone")
    ingest(alone, TASK, Pictures.of(*range(60)), SETTINGS)

    # The same keys as among the hundred, without the sixty.
    class Rest(Pictures):
        def samples(self) -> Iterator[SourceSample]:
            return iter(list(super().samples())[60:])

    ingest(alone, None, Rest(*Pictures.of(*range(100)).rows), SETTINGS)
    assert rows_of(location) == rows_of(alone)


def test_all_of_it_known_already_publishes_nothing(location: Location, tmp_path: Path) -> None:
    line, source, events = Line(location), Pictures.of(*range(60)), list[Event]()
    line.ingest(source, task=TASK)
    before = names(location)
    line.listen(events.append)
    assert line.ingest(source) == []
    assert names(location) == before
    (said,) = [event for event in events if isinstance(event, AllKnown)]
    assert (said.rows, said.unusable, said.duplicates) == (60, 0, Duplicates(held_out=17, trained=43))
    assert not [event for event in events if isinstance(event, Published)]
    # A job whose arrivals are not there although their rows are has nothing to do either.
    publish_missing(line, TASK, lambda: source, replace(SETTINGS, arrivals=["monday", "tuesday"]))
    assert names(location) == before


def photos(folder: Path, numbers: Sequence[int]) -> str:
    for number in numbers:
        file = folder / ("cat" if number % 2 else "dog") / f"{number:03d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(number))
    return f"imagefolder:{folder}"


def test_the_command_says_what_is_skipped_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["--root", str(tmp_path / "line")]
    main(["ingest", "--source", photos(tmp_path / "week1", range(60)), "--task", "lenet-300-100", *line])
    photos(tmp_path / "week2", range(60))
    capsys.readouterr()
    week2 = ["ingest", "--source", photos(tmp_path / "week2", range(40, 100)), *line]
    assert main(week2) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "arrival-001: 60 duplicates: 17 held out before stay held out, 43 trained on before are skipped"
    )
    assert main(week2) == 0
    assert capsys.readouterr().out == (
        "nothing published: the line has all of image folder week2 already (100 rows; 100 duplicates: 28 held out "
        "before stay held out, 72 trained on before are skipped)\n"
    )


def test_duplicates_that_are_kept_are_training_rows_and_never_held_out(location: Location) -> None:
    keep = replace(SETTINGS, duplicates="keep", seed=3)
    ingest(location, TASK, Pictures.of(*range(60)), SETTINGS)
    before = rows_of(location)
    again = Pictures.of(*range(100)).and_of(("dog", 98, None), ("cat", 99, None), ("dog", 96, None))
    (manifest,) = ingest(location, None, again, keep)
    after = rows_of(location)
    added = Counter(after["train"][43:])
    held_out = {sample for split in ("val", "test") for sample, _ in after[split]}
    assert not held_out & {sample for sample, _ in after["train"]}
    assert set(before["train"]) < set(added)
    assert manifest.duplicates.held_out == 17 and manifest.duplicates.trained == 0
    assert manifest.duplicates.kept + manifest.duplicates.repeated == 43 + 3
    assert sum(added.values()) == 29 + manifest.duplicates.kept
    # All of it known: the training rows once more, on demand.
    (third,) = ingest(location, None, Pictures.of(*range(60)), keep)
    assert (third.rows("train"), third.rows("val"), third.rows("test")) == (43, 0, 0)


@pytest.mark.parametrize("keep", [False, True])
def test_the_same_bytes_twice_in_one_source_have_one_place(location: Location, keep: bool) -> None:
    source = Pictures.of(*range(40), *range(40))
    settings = replace(SETTINGS, duplicates="keep") if keep else SETTINGS
    (manifest,) = ingest(location, TASK, source, settings)
    rows = {split: {sample for sample, _ in found} for split, found in rows_of(location).items()}
    assert (len(rows["train"]), len(rows["val"]), len(rows["test"])) == (29, 5, 6)
    assert not rows["train"] & (rows["val"] | rows["test"]) and not rows["val"] & rows["test"]
    assert (manifest.rows("val"), manifest.rows("test")) == (5, 6)
    assert manifest.rows("train") == (58 if keep else 29)
    assert manifest.duplicates == (Duplicates(kept=29, repeated=11) if keep else Duplicates(repeated=40))


@pytest.mark.parametrize("duplicates", ["skip", "keep"])
def test_what_the_source_holds_out_is_held_out_wherever_else_it_lies(location: Location, duplicates: Any) -> None:
    train: list[Row] = [("cat" if n % 2 else "dog", n, "train") for n in range(30)]
    source = Pictures(*train, ("cat", 3, "test"), ("dog", 90, "test"), ("dog", 4, "val"), ("cat", 91, "val"))
    (manifest,) = ingest(location, TASK, source, replace(SETTINGS, duplicates=duplicates))
    assert check_places(location) == {"train": 28, "val": 2, "test": 2}
    assert {png(3), png(90)} == {sample for sample, _ in rows_of(location)["test"]}
    assert manifest.duplicates == Duplicates(repeated=2)
    # What was trained on is not held out later, nor the other way round, whatever a source says.
    later = Pictures(
        ("cat", 5, "test"), ("cat", 3, "train"), ("dog", 92, "train"), ("dog", 94, "test"), ("cat", 93, "val")
    )
    (second,) = ingest(location, None, later, replace(SETTINGS, duplicates=duplicates))
    assert second.duplicates == Duplicates(trained=1, held_out=1)
    assert check_places(location) == {"train": 29, "val": 3, "test": 3}


def test_the_same_bytes_under_two_labels_are_left_out_and_named(location: Location) -> None:
    source = Pictures.of(*range(40)).and_of(("dog", 7, None), ("dog", 41, None), ("cat", 41, None))
    line, events = Line(location), list[Event]()
    line.listen(events.append)
    (manifest,) = line.ingest(source, replace(SETTINGS, max_bad_share=0.0), task=TASK)
    assert manifest.duplicates == Duplicates(conflicting=4) and manifest.quarantined == 4
    listed = [json.loads(row) for row in location.read_bytes("arrivals/arrival-000/quarantine.jsonl").splitlines()]
    assert listed[0] == {
        "key": "cat/0007.png", "row": 7, "label": "cat",
        "reason": "the same bytes as dog/0040.png (row 40), which is labelled 'dog'",
    }  # fmt: skip
    assert [row["row"] for row in listed] == [7, 40, 41, 42]
    assert not {png(7), png(41)} & {sample for split in rows_of(location).values() for sample, _ in split}
    (text,) = [event.text for event in events if isinstance(event, Notice)]
    assert text.startswith(
        "the same bytes under two labels, left out: cat/0007.png (row 7, labelled 'cat'), the same bytes as "
        "dog/0040.png (row 40), which is labelled 'dog'; "
    )
    assert text.endswith("; and 1 more")
    check_places(location)


@pytest.mark.parametrize("duplicates", ["skip", "keep"])
def test_the_label_of_an_earlier_arrival_holds(location: Location, duplicates: Any) -> None:
    settings = replace(SETTINGS, duplicates=duplicates)
    ingest(location, TASK, Pictures.of(*range(40)), settings)
    source = Pictures.of(*range(50, 90)).and_of(("dog", 7, None), ("cat", 8, None))
    (manifest,) = ingest(location, None, source, settings)
    assert manifest.duplicates == Duplicates(relabelled=2) and manifest.quarantined == 2
    listed = location.read_bytes("arrivals/arrival-001/quarantine.jsonl").decode()
    assert "the same bytes as cat/0007.png of arrival arrival-000 (" in listed and "labelled 'cat'" in listed
    labels = dict(row for split in rows_of(location).values() for row in split)
    assert labels[png(7)] == "cat" and labels[png(8)] == "dog"
    check_places(location)


def test_a_source_of_nothing_but_contradictions_is_refused(location: Location) -> None:
    ingest(location, TASK, Pictures.of(*range(40)), SETTINGS)
    wrong = Pictures(*(("dog" if number % 2 else "cat", number, None) for number in range(40)))
    before = names(location)
    with pytest.raises(InputError, match=r"^nothing is left of pictures: 40 of 40 rows are the same"):
        ingest(location, None, wrong, SETTINGS)
    assert names(location) == before


def test_a_recording_with_another_transcript_is_named(location: Location) -> None:
    class Tones:
        name = "tones"

        def __init__(self, change: Callable[[int, SourceSample], SourceSample]) -> None:
            self._change = change

        def samples(self) -> Iterator[SourceSample]:
            for number, sample in enumerate(open_source("tones").samples()):
                if number < 60:
                    yield self._change(number, sample)

    task = {"name": "deepspeech2-small"}
    ingest(location, task, Tones(lambda number, sample: sample), SETTINGS)
    (manifest,) = ingest(
        location,
        None,
        Tones(
            lambda number, sample: (
                replace(sample, label=sample.label + " BAD")
                if number == 3
                else replace(sample, load=lambda: sample.load() + b"\0\0")
                if number > 40
                else sample
            )
        ),
        replace(SETTINGS, val_share=0.0, test_share=0.0),
    )
    assert manifest.duplicates.relabelled == 1 and manifest.duplicates.skipped == 40
    (row,) = location.read_bytes("arrivals/arrival-001/quarantine.jsonl").splitlines()
    assert json.loads(row)["key"] == "tones-0003" and "tones-0003 of arrival arrival-000" in json.loads(row)["reason"]


def test_bad_rows_are_no_duplicates_of_each_other(location: Location) -> None:
    """Ten copies of a broken file are ten bad rows, whatever else comes twice."""
    broken = [("cat" if number % 2 else "dog", b"no image", None) for number in range(10)]
    source = Pictures.of(*range(40), 1, 2).and_of(*broken)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"is refused: \d of 52 rows cannot be used"):
        ingest(location, TASK, source, replace(SETTINGS, max_bad_share=0.1))
    (manifest,) = ingest(location, TASK, source, replace(SETTINGS, max_bad_share=0.2))
    assert manifest.quarantined == 10 and manifest.duplicates == Duplicates(repeated=2)
    # Once more: nothing of it is new, although the line does not have the bad ones.
    events: list[Event] = []
    assert ingest(location, None, source, replace(SETTINGS, max_bad_share=0.2), tell=events.append) == []
    (said,) = [event for event in events if isinstance(event, AllKnown)]
    assert said.unusable == 10
    # They are measured by all rows of the source, not by the few that are new.
    (third,) = ingest(
        location, None, Pictures.of(*range(200, 240)).and_of(*source.rows), replace(SETTINGS, max_bad_share=0.2)
    )
    assert third.quarantined == 10


def test_a_folder_that_grows_by_a_row_or_two_is_accepted(location: Location) -> None:
    ingest(location, TASK, Pictures.of(*range(60)), SETTINGS)
    (one,) = ingest(location, None, Pictures.of(*range(61)), SETTINGS)
    assert [one.rows(split) for split in ("train", "val", "test")] == [1, 0, 0]
    (more,) = ingest(location, None, Pictures.of(*range(71)), SETTINGS)
    assert [more.rows(split) for split in ("train", "val", "test")] == [6, 2, 2]
    grown = Pictures.of(*range(71)).and_of(("owl", 80, None), ("owl", 81, None))
    (rare,) = ingest(location, None, grown, replace(SETTINGS, new_classes=True))
    assert [rare.rows(split) for split in ("train", "val", "test")] == [1, 1, 0] and rare.labels == {"owl": 1}
    check_places(location)


def test_a_few_rows_that_are_known_are_too_few_for_nothing(location: Location) -> None:
    ingest(location, TASK, Pictures.of(*range(60)), SETTINGS)
    assert ingest(location, None, Pictures.of(3, 4), SETTINGS) == []
    (two,) = ingest(location, None, Pictures.of(63, 64), SETTINGS)
    assert [two.rows(split) for split in ("train", "val", "test")] == [2, 0, 0]


def test_only_held_out_rows_are_new(location: Location) -> None:
    train: list[Row] = [("cat" if n % 2 else "dog", n, "train") for n in range(30)]
    ingest(location, TASK, Pictures(*train, ("cat", 50, "val")), SETTINGS)
    (held,) = ingest(location, None, Pictures(*train, ("cat", 52, "val")), SETTINGS)
    assert [held.rows(split) for split in ("train", "val", "test")] == [0, 1, 0]
    assert held.labels == {"cat": 0} and held.duplicates.skipped == 30
    with pytest.raises(InputError, match=r"class 'owl' has no usable .*\(among the rows that are new: 30 of 31 rows"):
        ingest(location, None, Pictures(*train, ("owl", 53, "test")), replace(SETTINGS, new_classes=True))
    check_places(location)


# -- parts, interruptions, others at the same time --------------------------------------------------------------------

MIXED = Pictures.of(*range(120), *range(100, 120)).and_of(("dog", 61, None))
TWO = IngestSettings(["one", "two"], [0.7, 0.3], 0.2, 0.1, part_rows=10)


def backwards(jobs: Sequence[Any], watch: Callable[[int], None]) -> Generator[tuple[int, Any]]:
    """The last job first, as other processes may end them in any order."""
    return ((place, jobs[place].do(watch)) for place in reversed(range(len(jobs))))


def in_processes(jobs: Sequence[Any], watch: Callable[[int], None]) -> Generator[tuple[int, Any]]:
    """As Ray's tasks do them: jobs and what comes of them are pickled."""
    with ProcessPoolExecutor(2, mp_context=FORK) as pool:
        done = {pool.submit(job.do): place for place, job in enumerate(jobs)}
        for future in as_completed(done):
            yield done[future], future.result()


def begun(location: Location) -> Location:
    ingest(location, TASK, Pictures.of(*range(60), name="first"), SETTINGS)
    return location


def content(location: Location) -> list[Any]:
    manifests = [(m.arrival, m.labels, m.quarantined, m.duplicates) for m in list_arrivals(location)]
    return [*manifests, rows_of(location)]


@pytest.mark.parametrize("keep", [False, True])
def test_parts_in_any_number_and_order_come_to_the_same(location: Location, keep: bool) -> None:
    settings = replace(TWO, duplicates="keep" if keep else "skip")
    found = []
    for number, (part_rows, run) in enumerate([(4096, one_by_one), (10, one_by_one), (7, backwards), (1, backwards)]):
        other = begun(Location(f"{location.root}-{number}"))
        ingest(other, None, MIXED, replace(settings, part_rows=part_rows), run=run)
        found.append(content(other))
    assert all(other == found[0] for other in found)
    # In the first of the two arrivals.
    duplicates = found[0][1][3]
    assert duplicates.held_out == 17 and duplicates.relabelled == 0 and duplicates.conflicting == 2
    assert found[0][2][3] == Duplicates()


def test_other_processes_come_to_the_same(location: Location, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    photos(folder, range(120))
    for number in range(30, 50):
        (folder / "cat" / f"copy{number}.png").write_bytes(png(2 * number + 1))
    other = Location(f"{location.root}-2")
    for root, run in ((location, one_by_one), (other, in_processes)):
        ingest(begun(root), None, open_source(f"imagefolder:{folder}"), TWO, run=run)
    assert content(location) == content(other)
    assert list_arrivals(location)[1].duplicates == Duplicates(held_out=17, trained=43, repeated=20)
    check_places(other)


@pytest.mark.parametrize("after", [1, 30, 70, 90, 110, 140, 150, 160])
def test_an_ingest_that_is_interrupted_anywhere_goes_on(location: Location, after: int) -> None:
    left = after

    class Interrupted(Pictures):
        def samples(self) -> Iterator[SourceSample]:
            return (replace(sample, load=lambda load=sample.load: self._load(load)) for sample in super().samples())

        def _load(self, load: Callable[[], bytes]) -> bytes:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            return load()

    whole = begun(Location(f"{location.root}-whole"))
    ingest(whole, None, MIXED, TWO)
    begun(location)
    with pytest.raises(KeyboardInterrupt):
        ingest(location, None, Interrupted(*MIXED.rows), TWO)
    ingest(location, None, MIXED, TWO)
    assert content(location) == content(whole)
    check_places(location)
    assert find_garbage(location, -1.0)[1] == []


def test_a_job_that_was_killed_between_two_arrivals_goes_on(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(making: ArrivalMaking) -> Manifest:
        if making.arrival == "two":
            raise KeyboardInterrupt
        return publish(making)

    whole = begun(Location(f"{location.root}-whole"))
    ingest(whole, None, MIXED, TWO)
    begun(location)
    publish = ArrivalMaking.publish
    monkeypatch.setattr(ArrivalMaking, "publish", killed)
    with pytest.raises(KeyboardInterrupt):
        publish_missing(Line(location), TASK, lambda: MIXED, TWO)
    monkeypatch.undo()
    assert [manifest.arrival for manifest in list_arrivals(location)] == ["arrival-000", "one"]
    publish_missing(Line(location), TASK, lambda: MIXED, TWO)
    assert content(location) == content(whole)
    check_places(location)


def test_what_another_ingest_publishes_meanwhile_is_known_too(location: Location) -> None:
    begun(location)
    other = IngestSettings(["other"], part_rows=16, seed=9)

    def overtaken(jobs: Sequence[Any], watch: Callable[[int], None]) -> Generator[tuple[int, Any]]:
        yield from one_by_one(jobs, watch)
        if jobs and isinstance(jobs[0], PartJob) and len(list_arrivals(location)) == 1:
            ingest(location, None, Pictures.of(*range(80, 140), name="other"), other)

    mine = IngestSettings(["mine"], part_rows=16)
    (manifest,) = ingest(location, None, Pictures.of(*range(60, 120)), mine, run=overtaken)
    assert [found.arrival for found in list_arrivals(location)] == ["arrival-000", "other", "mine"]
    assert manifest.duplicates.skipped == 40 and sum(shard.rows for shard in manifest.shards) == 20
    check_places(location)


def _ingest(process: int, barrier: Any, location: Location) -> int:
    barrier.wait()
    settings = IngestSettings([f"from-{process}"], part_rows=16, seed=process)
    return len(ingest(location, TASK, Pictures.of(*range(process * 10, process * 10 + 60)), settings))


def test_processes_that_publish_at_once_share_no_sample(location: Location) -> None:
    assert sum(race(_ingest, location)) == len(list_arrivals(location)) >= 1
    check_places(location)
    assert sum(len(rows) for rows in rows_of(location).values()) == 90


def test_a_sample_that_changes_while_it_is_read_is_named(location: Location) -> None:
    begun(location)
    read: Counter[str] = Counter()

    class Changing(Pictures):
        def samples(self) -> Iterator[SourceSample]:
            for sample in super().samples():
                yield replace(sample, load=lambda sample=sample: self._load(sample))

        def _load(self, sample: SourceSample) -> bytes:
            read[sample.key] += 1
            return png(999) if sample.key == "dog/0100.png" and read[sample.key] == 2 else sample.load()

    with pytest.raises(InputError, match=r"^dog/0100\.png has changed while the source was read: start again$"):
        ingest(location, None, Changing(*Pictures.of(*range(120)).rows), SETTINGS)
    assert [manifest.arrival for manifest in list_arrivals(location)] == ["arrival-000"]
