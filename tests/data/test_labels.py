"""The same label in other bytes is the same class."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raygp.data.ingest import IngestSettings, ingest
from raygp.data.labels import alike, with_one_spelling
from raygp.data.quality import unusable_rows
from raygp.data.sources import SourceSample, open_source
from raygp.errors import InputError
from raygp.events import Event, Notice
from raygp.store import Location
from tests.data.test_duplicates import TASK, Pictures, png

NFC, NFD = "Caf\u00e9", "Cafe\u0301"


def spelt(labels: list[str], known: tuple[str, ...] = (), classes: bool = True) -> list[str]:
    samples = [SourceSample(None, label, str(number), lambda: b"x") for number, label in enumerate(labels)]
    return [sample.label for sample in with_one_spelling(samples, known, classes)[0]]


@pytest.mark.parametrize("other", ["\ufeffcat", "cat ", "cat\n", "\tcat\r\n", "\u00a0cat"])
def test_blanks_and_marks_around_a_label_are_no_part_of_it(other: str) -> None:
    assert spelt([other, "cat", "c at"]) == ["cat", "cat", "c at"]


def test_composed_and_decomposed_letters_are_the_same() -> None:
    assert spelt([NFD, NFC]) == [NFC, NFC]


def test_the_lines_own_spelling_holds() -> None:
    assert spelt([NFC, NFD, "dog", "dog "], (NFD, "dog ")) == [NFD, NFD, "dog ", "dog "]
    # A line that has both already keeps both.
    assert spelt([NFC, NFD], (NFC, NFD)) == [NFC, NFD]


@pytest.mark.parametrize(
    ("text", "known", "spelling"),
    [
        # As many letters as possible are known: composed, as they are, decomposed.
        (NFD, "Caf\u00e9", NFC),
        (NFC, "Cafe\u0301", NFD),
        (f"{NFD} x", "Cafe\u0301 ", f"{NFD} x"),
        (f"{NFD} x", "Xyz", f"{NFC} x"),
        # A letter that no composition has: what is left of its accents in a line does not mean that all are apart.
        ("e\u0323\u0301 e\u0301", "\u1eb9\u0301 \u00e9", "\u1eb9\u0301 \u00e9"),
        ("a\tb\n c", "abc ", "a b c"),
    ],
)
def test_texts_are_spelt_in_the_lines_letters(text: str, known: str, spelling: str) -> None:
    assert spelt([text], tuple(known), classes=False) == [spelling]


def unusable(labels: list[str], known: str | set[str], max_share: float = 0.9) -> dict[int, str]:
    samples = [SourceSample(None, label, str(number), lambda: b"x") for number, label in enumerate(labels)]
    symbols = set if isinstance(known, str) else lambda label: {label}
    return unusable_rows(samples, symbols, set(known), False, max_share)


def test_every_new_letter_is_named() -> None:
    size = "the line's vocabulary of 4 classes"
    assert unusable(["HI", "hello, \u00e9", "HI J"], "HI J") == {
        1: f"labels ',', 'e', 'h', 'l', 'o', '\u00e9' (U+00E9) are outside {size}"
    }
    with pytest.raises(InputError) as caught:
        unusable(["HI", "hi", "Hello"], "HI J", 0.01)
    assert str(caught.value) == f"labels outside {size}: 'e', 'h', 'i', 'l', 'o'; give --new-classes to add them"


def test_every_new_class_is_named_unless_they_are_very_many() -> None:
    with pytest.raises(InputError) as caught:
        unusable([f"{number:03d}" for number in range(102)], {"cat"}, 0.01)
    assert "'000', '001', " in str(caught.value) and "'011' and 90 more; give --new-classes" in str(caught.value)
    with pytest.raises(InputError, match=r"vocabulary of 2 classes: '\uff23at' \(U\+FF23\); give"):
        unusable(["\uff23at"], {"Cat", "dog"}, 0.01)


@pytest.mark.parametrize("classes", [True, False])
def test_half_a_character_is_a_bad_row(classes: bool) -> None:
    samples = [SourceSample(None, label, label, lambda: b"x") for label in ("cat", "d\ud83dg")]
    (cat, dog), respelt = with_one_spelling(samples, (), classes)
    assert (cat.label, cat.problem, respelt) == ("cat", "", {})
    assert dog.label == "d\\ud83dg" and dog.problem == "the label cannot be stored: U+D83D is half a character"


def test_texts_are_composed_unless_the_line_is_not() -> None:
    assert spelt([f"{NFD} \n"], ("C", "a", "f"), classes=False) == [NFC]
    assert spelt([f"{NFD} \n"], ("C", "a", "f", "e", "\u0301"), classes=False) == [NFD]


def test_an_arrival_in_the_other_spelling_is_taken_in_and_it_is_said(location: Location) -> None:
    settings, said = IngestSettings(), list[Event]()
    ingest(location, TASK, Pictures(*((NFC if n % 2 else "Tee", n, None) for n in range(20))), settings)
    week2 = Pictures(*((NFD if n % 2 else "Tee ", n, None) for n in range(20, 40)))
    (manifest,) = ingest(location, None, week2, settings, tell=said.append)
    assert set(manifest.labels) == {NFC, "Tee"}
    assert said == [Notice(text="labels in another spelling: 'Tee ' as 'Tee', 'Cafe\\u0301' as 'Caf\\xe9'")]


class Asking(Pictures):
    """Has to know what labels are before it lists its samples."""

    classes: bool | None = None

    def expect_labels(self, classes: bool) -> None:
        self.classes = classes

    def samples(self) -> Iterator[SourceSample]:
        assert self.classes is not None
        return super().samples()


@pytest.mark.parametrize(("task", "classes"), [(TASK, True), ({"name": "deepspeech2-small"}, False)])
def test_a_source_is_told_what_the_lines_labels_are(location: Location, task: dict[str, Any], classes: bool) -> None:
    source = Asking(*(("cat", n, None) for n in range(40)))
    with contextlib.suppress(InputError):  # Pictures are no speech.
        ingest(location, task, source, IngestSettings())
    assert source.classes is classes


def test_a_label_of_blanks_is_no_label(location: Location) -> None:
    source = Pictures.of(*range(40)).and_of(("  ", 50, None))
    with pytest.raises(InputError, match="1 of 41 rows have no label"):
        ingest(location, TASK, source, IngestSettings())
    (manifest,) = ingest(location, TASK, source, replace(IngestSettings(), max_bad_share=0.1))
    assert manifest.quarantined == 1


def table(path: Path, names: list[str] | None, start: int) -> None:
    path.parent.mkdir(exist_ok=True)
    rows = pa.table({"image": [png(n) for n in range(start, start + 10)], "label": pa.array([0, 1] * 5)})
    if names:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        rows = rows.replace_schema_metadata({b"huggingface": json.dumps({"info": {"features": features}}).encode()})
    pq.write_table(rows, path)


def labels_of(folder: Path) -> set[str]:
    return {sample.label for sample in open_source(f"parquet:{folder}").samples()}


def test_numbers_beside_names_are_those_names(tmp_path: Path) -> None:
    table(tmp_path / "x" / "a.parquet", ["cat", "dog"], 0)
    table(tmp_path / "x" / "b.parquet", None, 20)
    assert labels_of(tmp_path / "x") == {"cat", "dog"}
    # Where files have different names, a number could be either, and would be a second spelling of one of them.
    table(tmp_path / "x" / "c.parquet", ["owl", "eel"], 40)
    with pytest.raises(InputError, match=r"class names in .*a\.parquet .* and numbers in .*b\.parquet"):
        labels_of(tmp_path / "x")


@pytest.mark.parametrize(
    ("labels", "known", "expected"),
    [
        (["1.0", "0.0", "0"], ("0", "1"), ["1", "0", "0"]),
        (["1"], ("1.0", "0.0"), ["1.0"]),
        (["True", "FALSE"], ("true", "false"), ["true", "false"]),
        (["1.0"], ("1", "1.00"), ["1.0"]),
        (["true", "Yes", "01", "1.5"], ("1", "yes", "2"), ["true", "Yes", "01", "1.5"]),
        (["1.0", "1"], (), ["1.0", "1"]),
    ],
)
def test_a_number_or_truth_value_written_in_another_way_is_the_lines_label(
    labels: list[str], known: tuple[str, ...], expected: list[str]
) -> None:
    assert spelt(labels, known) == expected


@pytest.mark.parametrize(
    ("labels", "known", "pairs"),
    [
        (["Yes", "yes", "no"], [], [("Yes", "yes")]),
        (["1", "1.0", "2"], [], [("1", "1.0")]),
        (["1", "true", "false"], [], [("1", "true")]),
        (["Cat"], ["cat", "dog"], [("Cat", "cat")]),
        (["dog"], ["cat", "Cat"], []),
        (["1", "01", "10", "100", "a", "ab"], [], []),
    ],
)
def test_labels_that_are_nearly_alike_are_told(
    labels: list[str], known: list[str], pairs: list[tuple[str, str]]
) -> None:
    assert alike(labels, known) == pairs
