"""AN4, folders of audio with transcripts, and the synthetic tones."""

import io
import pickle
import tarfile
import wave
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from raygp.data.sources import SourceSample, draw_splits, open_source, passed_over_lines, tell_labels
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
        ("file\tspoken\na.wav\tx\n", "transcripts.tsv has no column of transcripts: expected one of text, transcript"),
        ("noise\ttext\na.wav\tx\n", "transcripts.tsv has no column of files: expected one of file, file_name, "),
        (
            "a.wav\tyes\nb.wav\tno\n",
            "transcripts.tsv: the first line must name the columns, such as file and text; it ",
        ),
        ("file\ttext\tsentence\na.wav\tx\ty\n", "transcripts.tsv has the columns 'text' and 'sentence', and each"),
        ("file\ttext\na.wav\tx\ty\n", "transcripts.tsv line 2 has 3 fields, but the heading has 2"),
        (
            "file\ttext\na.wav\tx\n./a.wav\ty\n",
            "transcripts.tsv line 3: file 'a.wav' comes twice: transcripts.tsv line 2 has it with another transcript",
        ),
        (
            "file\ttext\tsplit\na.wav\tx\t\na.wav\tx\ttest\n",
            "transcripts.tsv line 3: file 'a.wav' comes twice: transcripts.tsv line 2 has it with another split",
        ),
        (
            "file\ttext\tsplit\na.wav\tx\tlater\n",
            "transcripts.tsv line 2: split 'later' is none of train, val, test",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        listed(make_folder(tmp_path, table))
    assert str(caught.value).startswith(message)


def listed(folder: Path, classes: bool = False) -> list[SourceSample]:
    """The samples of a folder of audio for a line whose labels are texts, or classes."""
    source = open_source(f"audio:{folder}")
    tell_labels(source, classes)
    return list(source.samples())


def told(folder: Path) -> list[str]:
    """What is passed over in a folder of audio."""
    source = open_source(f"audio:{folder}")
    list(source.samples())
    return passed_over_lines(source)


def write_all(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.mark.parametrize(
    "table, key, problem",
    [
        ("file\ttext\na.wav\t \nb.wav\ty\n", "a.wav", "transcripts.tsv line 2: the transcript is empty"),
        ("file\ttext\nb.wav\ty\na.wav\t\ufeff\n", "a.wav", "transcripts.tsv line 3: the transcript is empty"),
        (
            "file\ttext\n\tx\nb.wav\ty\n",
            "transcripts.tsv line 2",
            "transcripts.tsv line 2: the name of the file is empty",
        ),
        ("file\ttext\nc.wav\tx\nb.wav\ty\n", "c.wav", "transcripts.tsv line 2: c.wav does not exist"),
        ("file\ttext\n.\tx\nb.wav\ty\n", ".", "transcripts.tsv line 2: . does not exist"),
        (
            f"file\ttext\n{'c' * 5000}\tx\nb.wav\ty\n",
            "c" * 5000,
            f"transcripts.tsv line 2: {'c' * 5000} does not exist",
        ),
    ],
)
def test_a_bad_row_is_one_bad_row(tmp_path: Path, table: str, key: str, problem: str) -> None:
    samples = {sample.key: sample for sample in listed(make_folder(tmp_path, table))}
    assert samples.keys() == {key, "b.wav"}
    assert samples[key].problem == problem
    assert (samples["b.wav"].problem, samples["b.wav"].label, samples["b.wav"].load()) == ("", "y", b"sound")


@pytest.mark.parametrize(
    "name, content",
    [
        ("transcripts.tsv", '\ufefffile\ttext \r\na.wav\t"say yes\r\nb.wav\tno\r\n'),
        ("transcripts.tsv", 'file\ttext\na.wav\t"say yes\nb.wav\tno\n'.encode("utf-16")),
        ("transcripts.csv", 'file,text\na.wav,"""say yes"\nb.wav,no\n'),
        ("transcripts.csv", 'file;text\na.wav;"""say yes"\nb.wav;no\n'),
        ("Transcripts.CSV", 'Path,Sentence,client\na.wav,"""say yes",x\n.\\b.wav,no,y\n'),
        ("metadata.csv", 'file_name,transcription\na.wav,"""say yes"\nb.wav,no\n'),
        ("metadata.jsonl", '{"file_name": "a.wav", "text": "\\"say yes"}\n{"file_name": "b.wav", "text": "no"}\n'),
    ],
)
def test_tables_as_people_have_them(tmp_path: Path, name: str, content: str | bytes) -> None:
    write_all(tmp_path, {"a.wav": "1", "b.wav": "2", name: content})
    assert [(s.key, s.label, s.split) for s in listed(tmp_path)] == [("a.wav", '"say yes', None), ("b.wav", "no", None)]
    assert told(tmp_path) == []


@pytest.mark.parametrize(
    "word, split",
    [
        ("Train", "train"),
        ("training", "train"),
        ("dev ", "val"),
        ("VALIDATION", "val"),
        ("valid", "val"),
        ("test", "test"),
    ],
)
def test_a_split_is_any_word_for_it(tmp_path: Path, word: str, split: str) -> None:
    folder = make_folder(tmp_path, f"file\ttext\tSplit\na.wav\tx\t{word}\nb.wav\ty\t\n")
    assert [sample.split for sample in listed(folder)] == [split, None]


def test_a_column_of_another_name_says_the_split_where_all_its_values_are_words_for_one(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "file\ttext\tSet\na.wav\tx\tTrain\nb.wav\ty\tdev\n")
    assert [sample.split for sample in listed(folder)] == ["train", "val"]
    make_folder(tmp_path, "file\ttext\tset\na.wav\tx\ttrain\nb.wav\ty\tkitchen\n")
    assert [sample.split for sample in listed(folder)] == [None, None]


def test_common_voice_is_read_as_it_is(tmp_path: Path) -> None:
    heading = "client_id\tpath\tsentence\tup_votes\n"
    write_all(
        tmp_path,
        {f"clips/{n}.mp3": "sound" for n in range(5)}
        | {
            "train.tsv": f'{heading}x\t0.mp3\t"One\t2\nx\t1.mp3\tTwo.\t2\n',
            "dev.tsv": f"{heading}x\t2.mp3\tThree\t2\n",
            "test.tsv": f"{heading}x\t3.mp3\tFour\t2\n",
            "validated.tsv": f"{heading}x\t4.mp3\tFive\t2\n",
            "train_durations.tsv": "clip\tduration\n",
            ".DS_Store": "",
            "README.txt": "words",
        },
    )
    assert [(s.key, s.label, s.split, s.load()) for s in listed(tmp_path)] == [
        ("clips/0.mp3", '"One', "train", b"sound"),
        ("clips/1.mp3", "Two.", "train", b"sound"),
        ("clips/2.mp3", "Three", "val", b"sound"),
        ("clips/3.mp3", "Four", "test", b"sound"),
    ]
    assert told(tmp_path) == [
        "tables that are not read: 2, such as train_durations.tsv",
        "hidden files and folders: 1, such as .DS_Store",
        "other files that are in no table: 1, such as README.txt",
        "recordings that are in no table: 1, such as clips/4.mp3",
    ]


def test_a_folder_of_hugging_face_has_a_table_in_each_split(tmp_path: Path) -> None:
    table = "file_name,transcription\na.wav,"
    write_all(
        tmp_path,
        {f"data/{split}/a.wav": split for split in ("train", "validation", "test")}
        | {f"data/{split}/metadata.csv": f"{table}{split}\n" for split in ("train", "validation", "test")},
    )
    assert [(s.key, s.label, s.split, s.load().decode()) for s in listed(tmp_path)] == [
        ("data/test/a.wav", "test", "test", "test"),
        ("data/train/a.wav", "train", "train", "train"),
        ("data/validation/a.wav", "validation", "val", "validation"),
    ]


def test_the_folder_of_a_file_says_its_split_unless_a_column_does(tmp_path: Path) -> None:
    write_all(
        tmp_path,
        {"train/a.wav": "1", "test/b.wav": "2", "metadata.csv": "file_name,text\ntrain/a.wav,x\ntest/b.wav,y\n"},
    )
    assert [(sample.key, sample.split) for sample in listed(tmp_path)] == [
        ("test/b.wav", "test"),
        ("train/a.wav", "train"),
    ]
    (tmp_path / "metadata.csv").write_text("file_name,text,split\ntrain/a.wav,x,\ntest/b.wav,y,dev\n")
    assert [(sample.key, sample.split) for sample in listed(tmp_path)] == [("test/b.wav", "val"), ("train/a.wav", None)]


def test_the_lines_task_decides_between_a_class_and_a_text(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "file\ttext\tlabel\na.wav\tgood day\thappy\nb.wav\tgo\tangry\n")
    assert [sample.label for sample in listed(folder)] == ["good day", "go"]
    assert [sample.label for sample in listed(folder, classes=True)] == ["happy", "angry"]
    with pytest.raises(InputError, match=r"whether a label is a class or a text depends on the line's task"):
        list(open_source(f"audio:{folder}").samples())


def test_what_lies_beside_the_rows_is_told(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "file\ttext\na.wav\tx\na.wav\tx\n")
    (folder / "transcripts.csv").write_text("file,text\nb.wav,y\n")
    assert [sample.key for sample in listed(folder)] == ["a.wav"]
    assert told(folder) == [
        "tables that are not read: 1, such as transcripts.csv",
        "rows that are there twice: 1, such as a.wav (transcripts.tsv line 2 and transcripts.tsv line 3)",
        "recordings that are in no table: 1, such as b.wav",
    ]


@pytest.mark.parametrize("on_disk, in_table", [("Caf\u00e9", "Cafe\u0301"), ("Cafe\u0301", "Caf\u00e9")])
def test_a_file_is_found_whichever_way_its_name_writes_accents(tmp_path: Path, on_disk: str, in_table: str) -> None:
    write_all(tmp_path, {f"{on_disk}.wav": "1", "transcripts.tsv": f"file\ttext\n{in_table}.wav\tx\n"})
    (sample,) = listed(tmp_path)
    assert (sample.key, sample.load(), sample.problem) == (f"{on_disk}.wav", b"1", "")


def test_a_folder_without_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no transcripts.tsv or transcripts.csv in it"):
        open_source(f"audio:{tmp_path}")
    with pytest.raises(InputError, match=r"nowhere does not exist$"):
        open_source(f"audio:{tmp_path}/nowhere")
    (tmp_path / "x.tsv").write_text("")
    with pytest.raises(InputError, match=r"x\.tsv is no folder$"):
        open_source(f"audio:{tmp_path}/x.tsv")


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
