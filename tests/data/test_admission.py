"""What a line has decides what an arrival may be: the first must be enough for a version, a later one may be a week."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from raygp.data.admission import Holdings, listed, not_judged
from raygp.data.ingest import ingest
from raygp.data.sources import SourceSample, SplitName, draw_splits, open_source
from raygp.errors import InputError
from raygp.events import Event, Notice
from raygp.store import Location, Manifest, list_arrivals
from tests.data.test_duplicates import SETTINGS, TASK, Pictures, Row, check_places

SPEECH = {"name": "deepspeech2-small"}
Shape = dict[tuple[str, SplitName | None], int]
"""How many rows of a label and a split."""


def rows(shape: Shape, first: int = 0) -> Pictures:
    """Pictures that no other call with another ``first`` gives."""
    made: list[Row] = []
    for (label, split), count in shape.items():
        made += [(label, first + len(made) + number, split) for number in range(count)]
    return Pictures(*made)


WEEK: Shape = {("cat", None): 10, ("dog", None): 10, ("fox", None): 10}
"""The first arrival."""


@pytest.fixture
def line(location: Location) -> Location:
    ingest(location, TASK, rows(WEEK), SETTINGS)
    return location


def counts(manifest: Manifest) -> tuple[int, int, int]:
    return manifest.rows("train"), manifest.rows("val"), manifest.rows("test")


NOTHING_HELD_OUT = {"val_share": 0.0, "test_share": 0.0}
ORDINARY: list[tuple[str, Shape, dict[str, float], tuple[int, int, int]]] = [
    ("one class", {("fox", None): 6}, {}, (4, 1, 1)),
    ("one class, all of it to train on", {("fox", None): 6}, NOTHING_HELD_OUT, (6, 0, 0)),
    ("a single sample", {("fox", None): 1}, {}, (1, 0, 0)),
    ("two samples", {("fox", None): 2}, {}, (1, 1, 0)),
    ("three samples", {("fox", None): 3}, {}, (1, 1, 1)),
    ("a rare class among others", {("cat", None): 6, ("dog", None): 6, ("fox", None): 1}, {}, (9, 2, 2)),
    ("a sample of each class", {("cat", None): 1, ("dog", None): 1, ("fox", None): 1}, {}, (3, 0, 0)),
    ("a class that lacks", {("cat", None): 6, ("dog", None): 6}, {}, (8, 2, 2)),
    ("a class that only test has", {("cat", "train"): 6, ("dog", "train"): 6, ("fox", "test"): 3}, {}, (10, 2, 3)),
    ("a class that only val has", {("cat", "train"): 6, ("fox", "val"): 3}, {"test_share": 0.0}, (6, 3, 0)),
    ("training rows alone", {("cat", "train"): 3, ("dog", "train"): 3}, NOTHING_HELD_OUT, (6, 0, 0)),
    ("a training row alone", {("cat", "train"): 1}, {}, (1, 0, 0)),
    ("validation rows alone", {("cat", "val"): 10, ("dog", "val"): 10}, {}, (0, 20, 0)),
    ("a validation row alone", {("cat", "val"): 1}, NOTHING_HELD_OUT, (0, 1, 0)),
    ("test rows alone", {("cat", "test"): 4, ("dog", "test"): 4}, {}, (0, 0, 8)),
    ("held-out rows alone", {("cat", "val"): 4, ("fox", "test"): 4}, {}, (0, 4, 4)),
    ("val and train, one row each", {("cat", "train"): 1, ("cat", "val"): 1}, {}, (1, 1, 0)),
]


@pytest.mark.parametrize(("shape", "shares", "expected"), [case[1:] for case in ORDINARY], ids=[c[0] for c in ORDINARY])
def test_an_ordinary_week_is_published(
    line: Location, shape: Shape, shares: dict[str, float], expected: tuple[int, int, int]
) -> None:
    said: list[Event] = []
    (manifest,) = ingest(line, None, rows(shape, 1000), replace(SETTINGS, **shares), tell=said.append)
    assert counts(manifest) == expected and sum(expected) == sum(shape.values())
    assert not [event for event in said if isinstance(event, Notice)]
    assert set(manifest.labels) == {label for label, _ in shape}
    check_places(line)


@pytest.mark.parametrize("repeated", [0, 5])
def test_rare_rows_beside_rows_that_the_line_has(line: Location, repeated: int) -> None:
    """Whether the folder holds last week's files too makes no difference."""
    both = rows(WEEK).rows[:repeated]
    (manifest,) = ingest(line, None, rows({("fox", None): 1, ("dog", "val"): 1}, 1000).and_of(*both), SETTINGS)
    assert counts(manifest) == (1, 1, 0) and manifest.duplicates.skipped == repeated


def test_a_new_class_may_be_rare_and_it_is_said_what_the_gate_cannot_see(line: Location) -> None:
    said: list[Event] = []
    shape: Shape = {("cat", None): 6, ("owl", None): 1, ("elk", None): 2, ("asp", "train"): 1}
    admitting = replace(SETTINGS, new_classes=True)
    (manifest,) = ingest(line, None, rows(shape, 1000), admitting, tell=said.append)
    assert manifest.labels == {"asp": 1, "cat": 4, "elk": 1, "owl": 1} and manifest.rows("val") == 2
    assert [event.text for event in said if isinstance(event, Notice)] == [
        "no validation rows of classes 'asp' (1 training row), 'owl' (1 training row): the gate does not look at them "
        "until an arrival brings some"
    ]


# -- the first arrival ------------------------------------------------------------------------------------------------


def test_a_rare_class_of_a_first_arrival_is_trained_on_and_named(location: Location) -> None:
    said: list[Event] = []
    shape: Shape = {("cat", None): 10, ("dog", None): 2, ("fox", None): 1}
    (manifest,) = ingest(location, TASK, rows(shape), SETTINGS, tell=said.append)
    assert manifest.labels == {"cat": 8, "dog": 1, "fox": 1} and counts(manifest) == (10, 2, 1)
    assert [event.text for event in said if isinstance(event, Notice)] == [
        "no validation rows of class 'fox' (1 training row): the gate does not look at them until an arrival brings "
        "some"
    ]


NO_VAL = (
    "arrival arrival-000 has no validation rows, and no arrival before it has any: every update judges by some, so "
    "give --val-share above 0, more samples of a class than one, or a source that holds some out"
)
NO_TRAIN = (
    "arrival arrival-000 has no training rows, and no arrival before it has any: every row that it brings is held out; "
    "where a name such as test or val says so, rename it"
)
NOT_TRAINED = "neither here nor in the line; add some, or rename or take away what is held out"
UNFIT: list[tuple[str, Shape, dict[str, float], str]] = [
    ("nothing held out", {("cat", None): 9, ("dog", None): 9}, {"val_share": 0.0}, NO_VAL),
    ("one sample each", {("cat", None): 1, ("dog", None): 1}, {}, NO_VAL),
    ("test rows without val", {("cat", None): 9, ("dog", "train"): 9, ("dog", "test"): 1}, {"val_share": 0.0}, NO_VAL),
    ("val alone", {("cat", "val"): 9, ("dog", "val"): 9}, {}, NO_TRAIN),
    ("test alone", {("cat", "test"): 9, ("dog", "test"): 9}, {}, NO_TRAIN),
    ("val and test alone", {("cat", "test"): 9, ("dog", "val"): 9}, {}, NO_TRAIN),
    (
        "one class",
        {("cat", None): 9},
        {},
        "arrival arrival-000 holds only one class ('cat'); at least two are needed: the first arrival must have them, "
        "later ones may hold one alone",
    ),
    (
        "a class that is held out alone",
        {("cat", "train"): 9, ("dog", "train"): 9, ("images", "test"): 2},
        {},
        f"arrival arrival-000: class 'images' has no usable training sample: {NOT_TRAINED}",
    ),
    (
        "many that are held out alone",
        {("cat", "train"): 9, **{(f"c{number}", "val"): 1 for number in range(7)}},
        {},
        "arrival arrival-000: classes 'c0', 'c1', 'c2', 'c3', 'c4' and 2 more have no usable training sample: "
        f"{NOT_TRAINED}",
    ),
]


@pytest.mark.parametrize(("shape", "shares", "message"), [case[1:] for case in UNFIT], ids=[case[0] for case in UNFIT])
def test_a_first_arrival_that_no_update_could_use_is_refused(
    location: Location, shape: Shape, shares: dict[str, float], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        ingest(location, TASK, rows(shape), replace(SETTINGS, **shares))
    assert str(caught.value) == message
    assert not location.exists(), "nothing is left"


def test_nothing_is_decoded_before_it_is_refused(location: Location) -> None:
    def load() -> bytes:
        raise AssertionError("read")

    class Unread(Pictures):
        def samples(self):  # type: ignore[no-untyped-def]
            return (replace(sample, load=load) for sample in super().samples())

    with pytest.raises(InputError, match="at least two are needed"):
        ingest(location, TASK, Unread(*rows({("cat", None): 9}).rows), SETTINGS)


def test_a_first_arrival_whose_validation_rows_are_all_bad_is_refused(location: Location) -> None:
    source = rows({("cat", "train"): 30, ("dog", "train"): 30}).and_of(("cat", b"no image", "val"))
    with pytest.raises(InputError, match=r"^arrival arrival-000 has no validation rows, and no arrival before it"):
        ingest(location, TASK, source, replace(SETTINGS, max_bad_share=0.1))
    assert not location.exists()
    ingest(location, TASK, rows(WEEK, 500), SETTINGS)
    (manifest,) = ingest(location, None, source, replace(SETTINGS, max_bad_share=0.1, test_share=0.0))
    assert counts(manifest) == (60, 0, 0) and manifest.quarantined == 1


@pytest.mark.parametrize("new_classes", [False, True])
def test_a_class_that_nothing_is_trained_on_is_refused_later_too(line: Location, new_classes: bool) -> None:
    settings = replace(SETTINGS, new_classes=new_classes, max_bad_share=0.2)
    source = rows({("cat", None): 20, ("owl", "val"): 2}, 1000)
    if new_classes:
        with pytest.raises(InputError, match=r"^arrival arrival-001: class 'owl' has no usable training sample: neith"):
            ingest(line, None, source, settings)
        assert [manifest.arrival for manifest in list_arrivals(line)] == ["arrival-000"]
    else:
        (manifest,) = ingest(line, None, source, settings)
        assert manifest.quarantined == 2 and "owl" not in manifest.labels


def test_a_line_without_arrivals_is_as_a_new_one(line: Location) -> None:
    line.delete("arrivals/arrival-000", recursive=True)
    with pytest.raises(InputError, match="at least two are needed"):
        ingest(line, None, rows({("owl", None): 9}, 1000), SETTINGS)
    assert line.exists("line.json"), "it was there before"
    (manifest,) = ingest(line, None, rows({("owl", None): 9, ("elk", None): 9}, 1000), SETTINGS)
    assert set(manifest.labels) == {"owl", "elk"}


def test_texts_are_no_classes(location: Location) -> None:
    speech = list(open_source("tones").samples())

    class Spoken:
        name = "spoken"

        def __init__(self, *splits: SplitName | None, first: int = 0) -> None:
            self._rows = [replace(speech[first + number], split=split) for number, split in enumerate(splits)]

        def samples(self):  # type: ignore[no-untyped-def]
            return iter(self._rows)

    with pytest.raises(InputError, match="has no validation rows"):
        ingest(location, SPEECH, Spoken(None), SETTINGS)
    with pytest.raises(InputError, match="has no training rows"):
        ingest(location, SPEECH, Spoken("test", "test"), SETTINGS)
    (first,) = ingest(location, SPEECH, Spoken(None, "train", "train", "train"), SETTINGS)
    assert counts(first) == (2, 1, 1)
    admitting = replace(SETTINGS, new_classes=True)
    for number, (split, expected) in enumerate(((None, (1, 0, 0)), ("val", (0, 1, 0)), ("test", (0, 0, 1)))):
        (manifest,) = ingest(location, None, Spoken(split, first=10 + number), admitting)  # type: ignore[arg-type]
        assert counts(manifest) == expected


# -- several arrivals at once -----------------------------------------------------------------------------------------

TWO = replace(SETTINGS, arrivals=["one", "two"])


def test_rows_that_are_too_few_for_all_arrivals_publish_none(line: Location) -> None:
    with pytest.raises(
        InputError, match=r"^1 training rows are too few for 2 arrivals: two would have none; publish f"
    ):
        ingest(line, None, rows({("cat", None): 1}, 1000), TWO)
    with pytest.raises(InputError, match=r"^0 training rows are too few for 2 arrivals: two would have none"):
        ingest(line, None, rows({("cat", "val"): 5}, 1000), TWO)
    assert [manifest.arrival for manifest in list_arrivals(line)] == ["arrival-000"]
    ingest(line, None, rows({("cat", "train"): 4, ("dog", None): 1}, 1000), TWO)
    assert len(list_arrivals(line)) == 3


# -- the draw ---------------------------------------------------------------------------------------------------------


def _listing(seed: int) -> list[SourceSample]:
    generator = np.random.default_rng(seed)
    found = [
        SourceSample(None, f"class{label}", f"class{label}/{number:03d}", bytes)
        for label in range(int(generator.integers(2, 9)))
        for number in range(int(generator.integers(3, 60)))
    ]
    return [found[i] for i in generator.permutation(len(found))]


@pytest.mark.parametrize("rare", [False, True])
def test_what_was_drawn_before_is_drawn_as_before(rare: bool) -> None:
    """Published numbers rest on the draw: this digest was taken before rare classes were admitted."""
    drawn = [(seed, draw_splits(_listing(seed), 0.15, 0.15, [1.0], seed % 3, rare=rare)) for seed in range(20)]
    drawn += [
        (seed, draw_splits(_listing(seed), 0.2, 0.1, [0.6, 0.4], seed, stratified=False, rare=rare))
        for seed in range(5)
    ]
    keys = [
        [{split: [_listing(seed)[row].key for row in some] for split, some in arrival.items()} for arrival in arrivals]
        for seed, arrivals in drawn
    ]
    found = hashlib.sha256(json.dumps(keys).encode()).hexdigest()
    assert found == "e82022f039127cb35f961e0271c9930803a93bb721de0de31c201472aa76bd01"


@pytest.mark.parametrize(
    ("there", "given", "expected"),
    [
        (0, (), (0, 0, 0)),
        (1, (), (1, 0, 0)),
        (2, (), (1, 1, 0)),
        (3, (), (1, 1, 1)),
        (1, ("val",), (1, 1, 0)),
        (2, ("val",), (1, 1, 1)),
        (2, ("test",), (1, 1, 1)),
        (0, ("val", "test"), (0, 1, 1)),
    ],
)
def test_rare_rows_go_to_train_then_val_then_test(
    there: int, given: tuple[SplitName, ...], expected: tuple[int, int, int]
) -> None:
    samples = [SourceSample(None, "rare", f"rare/{number}", bytes) for number in range(there)]
    samples += [SourceSample(split, "rare", f"{split}/0", bytes) for split in given]
    samples += [SourceSample(None, "many", f"many/{number:02d}", bytes) for number in range(50)]
    for seed in range(5):
        (arrival,) = draw_splits(samples, 0.15, 0.15, [1.0], seed, rare=True)
        found = tuple(sum(samples[row].label == "rare" for row in arrival[split]) for split in ("train", "val", "test"))
        assert found == expected


# -- words ------------------------------------------------------------------------------------------------------------


def test_names_are_listed_up_to_a_few() -> None:
    assert listed(["a"]) == "a" and listed(list("abcde")) == "a, b, c, d, e"
    assert listed(list("abcdef")) == "a, b, c, d, e and 1 more"
    assert listed([str(number) for number in range(2000)], 2) == "0, 1 and 1,998 more"


def test_classes_that_have_validation_rows_somewhere_are_not_named() -> None:
    holdings = Holdings.of_rows([("train", "a"), ("train", "b"), ("train", "b"), ("val", "a"), ("test", "c")])
    assert not_judged(holdings, {"b"}) == "" and not_judged(Holdings(), set()) == ""
    assert not_judged(holdings, set()).startswith("no validation rows of class 'b' (2 training rows): ")
