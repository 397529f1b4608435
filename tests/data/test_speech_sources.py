"""AN4, folders of audio with transcripts, and the synthetic tones."""

import io
import pickle
import tarfile
import wave
from pathlib import Path

import numpy as np
import pytest

from raygp.data.sources import draw_splits, open_source
from raygp.errors import InputError
from raygp.tasks import make_task
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
    ],
)
def test_an4_that_does_not_fit_together_is_refused(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        list(open_source(f"an4:{make_an4(tmp_path, **changes)}").samples())
    assert message in str(caught.value)


def test_a_recording_or_a_transcript_that_is_missing_is_one_bad_row(tmp_path: Path) -> None:
    changes = {
        "etc/an4_train.transcription": "<s> </s> (an251-fash-b)\n<s> GO  HOME </s> (an253-fash-b)\n",
        "etc/an4_test.fileids": "x/an9\n\nan4test_clstk/fcaw/an406-fcaw-b\n",
        "etc/an4_test.transcription": "NO (an9)\nRUBOUT G (an406-fcaw-b)\n",
    }
    samples = list(open_source(f"an4:{make_an4(tmp_path, **changes)}").samples())
    assert [(sample.label, sample.problem) for sample in samples] == [
        ("", "its transcript is empty (an4_train.transcription line 1)"),
        ("GO HOME", ""),
        ("NO", "an4/wav/x/an9.wav is missing (an4_test.fileids line 1)"),
        ("RUBOUT G", ""),
    ]


def with_suffix(folder: Path, suffix: str) -> Path:
    """The corpus of :func:`make_an4` with recordings of another suffix."""
    for path in list(folder.rglob("*.wav")):
        path.rename(path.with_suffix(suffix))
    return folder


@pytest.mark.parametrize("suffix", [".sph", ".SPH", ".flac", ".WAV"])
@pytest.mark.parametrize("root", ["an4", "./an4", "an4_sphere", "corpora/an4", "."])
def test_an4_is_read_whatever_its_recordings_and_its_folder_are_called(
    tmp_path: Path, suffix: str, root: str
) -> None:
    folder = with_suffix(make_an4(tmp_path), suffix)
    with tarfile.open(tmp_path / "speech.tgz", "w:gz") as tar:
        tar.add(folder / "an4", root)
    source = open_source(f"an4:{tmp_path / 'speech.tgz'}")
    assert [sample.load() for sample in source.samples()] == [b"one", b"two", b"three"]
    assert not any(sample.problem for sample in source.samples()) and source.passed_over.lines == []
    renamed = folder / "an4"
    if "." not in root and "/" not in root:
        renamed = renamed.rename(tmp_path / root)
    for path in (renamed, tmp_path):
        assert [sample.load() for sample in open_source(f"an4:{path}").samples()] == [b"one", b"two", b"three"]


@pytest.mark.parametrize("order", [">i2", "<i2"])
def test_raw_recordings_are_read_in_either_byte_order(tmp_path: Path, order: str) -> None:
    folder = with_suffix(make_an4(tmp_path), ".raw")
    time = np.arange(8_000) / 16_000
    spoken = np.round(900 * np.sin(2 * np.pi * 200 * time) + 5 * np.sin(2 * np.pi * 1_900 * time)).astype(np.int16)
    first = folder / "an4/wav/an4_clstk/fash/an251-fash-b.raw"
    first.write_bytes(spoken.astype(order).tobytes())
    (folder / "an4/wav/an4_clstk/fash/an253-fash-b.raw").write_bytes(b"odd")
    (folder / "an4/wav/an4test_clstk/fcaw/an406-fcaw-b.raw").write_bytes(b"")
    samples = list(open_source(f"an4:{folder}").samples())
    with wave.open(io.BytesIO(pickle.loads(pickle.dumps(samples[0].load))())) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
        assert np.array_equal(np.frombuffer(file.readframes(8_000), "<i2"), spoken)
    with pytest.raises(InputError, match="3 bytes are no whole number of 16-bit samples"):
        samples[1].load()
    assert samples[2].load() == b""


def test_what_lies_in_an4_and_is_not_listed_is_told(tmp_path: Path) -> None:
    folder = make_an4(
        tmp_path,
        **{
            "wav/an4_clstk/fash/an999-fash-b.wav": "not listed",
            "wav/an4_clstk/fash/an251-fash-b.sph": "the original",
            "wav/an4_clstk/fash/notes.txt": "",
            "etc/an4.dic": "A AH",
            "LICENSE": "any use",
            "etc/an4_test.fileids": "an4test_clstk/fcaw/an406-fcaw-b\nan4test_clstk/fcaw/an406-fcaw-b\n",
            "etc/an4_test.transcription": "RUBOUT G (an406-fcaw-b)\nRUBOUT G (an406-fcaw-b)\n",
        },
    )
    source = open_source(f"an4:{folder}")
    for _ in range(2):
        assert [sample.load() for sample in source.samples()] == [b"one", b"two", b"three"]
        assert sorted(source.passed_over.lines) == [
            "files that are no recordings: 1, such as an4/wav/an4_clstk/fash/notes.txt",
            "recordings that no list names: 1, such as an4/wav/an4_clstk/fash/an999-fash-b.wav",
            "second recordings of an utterance: 1, such as an4/wav/an4_clstk/fash/an251-fash-b.sph",
            "utterances listed again: 1, such as an4test_clstk/fcaw/an406-fcaw-b (an4_test.fileids line 2)",
        ]


def test_lists_of_windows_are_read(tmp_path: Path) -> None:
    folder = make_an4(tmp_path)
    for path in (folder / "an4/etc").iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert [sample.label for sample in open_source(f"an4:{folder}").samples()] == ["YES", "GO HOME", "RUBOUT G"]


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


@pytest.mark.skipif(not REAL.exists(), reason=f"no real data at {REAL}")
def test_the_real_an4_is_sound_in_every_form_in_which_it_is_distributed(tmp_path: Path) -> None:
    """Spheres and raw recordings, made of the WAVs, give the very same features. Nothing is found wrong with them."""
    soundfile = pytest.importorskip("soundfile", reason="needs the extra 'speech'")
    task = make_task({"name": "deepspeech2-small"})
    source = open_source(f"an4:{REAL}")
    samples = list(source.samples())
    assert source.passed_over.lines == [] and not any(sample.problem for sample in samples)
    some = samples[::20]
    for sample in some:
        task.check(sample.load(), sample.label)
    for suffix in (".sph", ".raw"):
        folder = tmp_path / suffix
        for split in ("train", "test"):
            listed = [sample for sample in some if sample.split == split]
            for name, lines in (
                ("fileids", [sample.key for sample in listed]),
                ("transcription", [f"<s> {s.label} </s> ({s.key.rpartition('/')[2]})" for s in listed]),
            ):
                path = folder / f"an4/etc/an4_{split}.{name}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("\n".join(lines) + "\n")
        for number, sample in enumerate(some):
            values, rate = soundfile.read(io.BytesIO(sample.load()), dtype="int16")
            path = folder / f"an4/wav/{sample.key}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            if suffix == ".sph":
                soundfile.write(path, values, rate, format="NIST", endian="BIG" if number % 2 else "LITTLE")
            else:
                path.write_bytes(values.astype(">i2" if number % 2 else "<i2").tobytes())
        found = list(open_source(f"an4:{folder}").samples())
        assert [(other.label, other.split) for other in found] == [(sample.label, sample.split) for sample in some]
        for other, sample in zip(found, some, strict=True):
            assert np.array_equal(task.decode(other.load()), task.decode(sample.load()))


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
