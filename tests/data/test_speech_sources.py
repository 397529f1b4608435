"""AN4, folders of audio with transcripts, and the synthetic tones."""

import tarfile
from pathlib import Path

import pytest

from raygp.data.sources import draw_splits, open_source
from raygp.errors import InputError
from tests.checkout import REAL_DATA

REAL = REAL_DATA / "an4" / "an4.tar.gz"


def make_an4(folder: Path, **changes: str) -> Path:
    files = {
        "etc/an4_train.fileids": "an4_clstk/fash/an251-fash-b\nan4_clstk/fash/an253-fash-b\n",
        "etc/an4_train.transcription": "<s> YES </s> (an251-fash-b)\n<s> GO  HOME </s> (an253-fash-b)\n",
        "etc/an4_test.fileids": "an4test_clstk/fcaw/an406-fcaw-b\n",
        "etc/an4_test.transcription": "RUBOUT G (an406-fcaw-b)\n",
        "wav/an4_clstk/fash/an251-fash-b.wav": "one",
        "wav/an4_clstk/fash/an253-fash-b.wav": "two",
        "wav/an4test_clstk/fcaw/an406-fcaw-b.wav": "three",
    } | changes
    for name, text in files.items():
        path = folder / "an4" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_an4_is_read_from_its_folder_and_from_its_archive(tmp_path: Path) -> None:
    folder = make_an4(tmp_path)
    with tarfile.open(tmp_path / "an4.tar.gz", "w:gz") as tar:
        tar.add(folder / "an4", "an4")
    expected = [("train", "YES", b"one"), ("train", "GO HOME", b"two"), ("test", "RUBOUT G", b"three")]
    for path in (folder, folder / "an4", tmp_path / "an4.tar.gz"):
        samples = list(open_source(f"an4:{path}").samples())
        assert [(sample.split, sample.label, sample.load()) for sample in samples] == expected
        assert samples[0].key == "an4_clstk/fash/an251-fash-b"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"etc/an4_train.transcription": "<s> YES </s> (an251-fash-b)\n"}, "2 train files but 1 transcripts"),
        (
            {"etc/an4_test.transcription": "RUBOUT G (an407-fcaw-b)\n"},
            "an4_test.transcription line 1 is not the transcript of an4test_clstk/fcaw/an406-fcaw-b",
        ),
        (
            {"etc/an4_test.fileids": "x/an9\n", "etc/an4_test.transcription": "NO (an9)\n"},
            "an4/wav/x/an9.wav is missing (an4_test.fileids line 1)",
        ),
    ],
)
def test_an4_that_does_not_fit_together_is_refused(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        list(open_source(f"an4:{make_an4(tmp_path, **changes)}").samples())
    assert message in str(caught.value)


def test_what_is_not_an4_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        open_source(f"an4:{tmp_path}/nothing")
    with pytest.raises(InputError, match="is not AN4: there is no an4/etc in it"):
        open_source(f"an4:{tmp_path}")


@pytest.mark.skipif(not REAL.exists(), reason=f"no real data at {REAL}")
def test_the_real_an4_has_its_published_counts() -> None:
    samples = list(open_source(f"an4:{REAL}").samples())
    assert sum(sample.split == "train" for sample in samples) == 948
    assert sum(sample.split == "test" for sample in samples) == 130
    assert samples[0].load()[:4] == b"RIFF"
    assert not any("<" in sample.label or "(" in sample.label for sample in samples)


def make_folder(folder: Path, table: str, name: str = "transcripts.tsv") -> Path:
    for file in ("a.wav", "b.wav"):
        (folder / file).write_bytes(b"sound")
    (folder / name).write_text(table)
    return folder


def test_a_folder_of_audio_has_its_transcripts_in_a_table(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "file\ttext\tsplit\nb.wav\tgood  day\ttest\na.wav\thello\t\n")
    samples = list(open_source(f"audio:{folder}").samples())
    assert [(s.key, s.label, s.split) for s in samples] == [("a.wav", "hello", None), ("b.wav", "good day", "test")]
    assert samples[0].load() == b"sound"


@pytest.mark.parametrize(
    "table, message",
    [
        ("file\tsentence\na.wav\tx\n", "column text is missing"),
        ("file\ttext\na.wav\t\n", "line 2: the transcript is empty"),
        ("file\ttext\n\tx\n", "line 2: the file is empty"),
        ("file\ttext\nc.wav\tx\n", "c.wav does not exist"),
        ("file\ttext\na.wav\tx\na.wav\ty\n", "line 3: file 'a.wav' comes twice"),
        ("file\ttext\tsplit\na.wav\tx\tdev\n", "split 'dev' is none of train, val, test"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        list(open_source(f"audio:{make_folder(tmp_path, table)}").samples())
    assert message in str(caught.value) and "transcripts.tsv" in str(caught.value)


def test_a_folder_without_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no transcripts.tsv or transcripts.csv in it"):
        open_source(f"audio:{tmp_path}")


def test_tones_are_the_same_each_time_and_differ_from_one_another() -> None:
    first, second = (list(open_source("tones").samples()) for _ in range(2))
    assert len(first) == 400 and sum(sample.split == "test" for sample in first) == 60
    assert [sample.label for sample in first] == [sample.label for sample in second]
    assert first[3].load() == second[3].load() != first[4].load()


def test_texts_are_divided_without_classes() -> None:
    samples = list(open_source("tones").samples())
    parts = draw_splits(samples, 0.2, 0.0, [0.5, 0.5], seed=1, stratified=False)
    assert [len(parts[0]["val"]), len(parts[0]["test"])] == [68, 60]
    assert [len(part["train"]) for part in parts] == [136, 136]
    used = [row for part in parts for rows in part.values() for row in rows]
    assert sorted(used) == list(range(400))
