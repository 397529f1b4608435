"""Valid inputs of every source, ways to damage or change them, and what must hold whatever was done.

An input is made as a *tree* (files by name, each the sample of a row or something about rows), then *packed* into what
lies on disk: the same files, a tar, a table. Names are mangled in the tree and bytes on disk. Each change says which
rows it touches. All others must come out as they are: same bytes, same label, same split.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import struct
import tarfile
import unicodedata
import wave
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from raygp.data.ingest import IngestSettings, ingest
from raygp.data.sources import open_source
from raygp.errors import RaygpError
from raygp.store import Location, list_arrivals

Span = tuple[int, int, tuple[str, ...]]
"""Bytes of a file, from the first to behind the last, and the rows that they belong to."""
CLASSES = ("cat", "dog", "größe")
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
IMAGES = {"name": "resnet18-small", "image_size": 8}
SPEECH = {"name": "deepspeech2-small"}
ROWS: dict[str, object] = {"name": "tabular"}
WORDS = ("red", "green", "blue", "über", "two", "five")
TOKENIZER = {"model": {"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"}}
TEXTS = {"name": "text", "length": 8, "tokenizer": TOKENIZER}


@dataclass
class Row:
    """What is to come out of one sample."""

    sample: bytes
    label: str
    split: str | None
    sound: bool = True
    """Whether it must come out as it is."""


@dataclass
class Tree:
    """An input before it is packed."""

    files: dict[str, bytes]
    rows: dict[str, Row]
    """By the name of the sample's file."""
    options: random.Random = field(default_factory=lambda: random.Random(0))
    """Of packing, where that can be done in several ways."""
    may_be_refused: bool = False
    copies: int = 0
    """Files with the bytes of another row."""


@dataclass
class Packed:
    """What lies on disk."""

    files: dict[str, bytes]
    spans: dict[str, list[Span]]
    """Of each file, what its bytes are about. Bytes that are in none are about no row: if they are changed, the input
    is refused or comes out as it is."""


@dataclass(frozen=True)
class Kind:
    """A source with a layout."""

    name: str
    source: str
    """``@`` stands for the folder."""
    make: Callable[[], Tree]
    pack: Callable[[Tree], Packed]
    task: dict[str, object]
    identify: Callable[[bytes], bytes] = bytes
    """From a stored sample to the one of its row."""
    single_files: bool = False
    """Whether damage of one file is damage of one row, and never a reason to refuse all of them."""
    no_trace: bool = False
    """Whether rows that damage takes away leave nothing behind: a text that ends earlier is a shorter text."""


# -- making -----------------------------------------------------------------------------------------------------------


def picture(seed: int, kind: str = "PNG", mode: str = "RGB") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 10, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(content, kind)
    return content.getvalue()


def sound(seed: int) -> bytes:
    wave_form = np.random.default_rng(seed).normal(0, 3000, 3200).astype("<i2")
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(wave_form.tobytes())
    return content.getvalue()


def folders(splits: dict[str | None, int]) -> Tree:
    """Class folders, in folders of splits unless the split is None, with so many images each."""
    files, rows = {}, {}
    for split, count in splits.items():
        for label in CLASSES:
            for number in range(count):
                kind = FORMATS[len(files) % len(FORMATS)]
                name = f"{split + '/' if split else ''}{label}/{number:02d}.{kind.lower().replace('jpeg', 'jpg')}"
                files[name] = picture(len(files), kind)
                rows[name] = Row(files[name], label, split)
    return Tree(files, rows)


def shards() -> Tree:
    """Pairs of an image and a label, in folders that become tars."""
    files, rows = {}, {}
    for split, count in (("train", 5), ("val", 2), ("test", 2)):
        for label in CLASSES:
            for number in range(count):
                name = f"{split}/{CLASSES.index(label)}-{number:02d}"
                files[f"{name}.png"] = picture(len(files))
                rows[f"{name}.png"] = Row(files[f"{name}.png"], label, split)
                files[f"{name}.cls"] = label.encode()
    return Tree(files, rows)


def recordings(table: str) -> Tree:
    files, rows = {}, {}
    for number in range(24):
        split = ("train", "val", "test", "train")[number % 4]
        name = f"{'abc'[number % 3]}/{number:02d}.wav"
        files[name] = sound(number)
        rows[name] = Row(files[name], f"{chr(65 + number)}{chr(65 + number // 2)}", split)
    lines = io.StringIO()
    writer = csv.writer(lines, delimiter="\t" if table.endswith("tsv") else ",", lineterminator="\n")
    writer.writerow(["file", "text", "split"])
    writer.writerows([name, row.label, row.split] for name, row in rows.items())
    files[table] = lines.getvalue().encode()
    return Tree(files, rows)


def an4() -> Tree:
    files, rows, lists = {}, {}, {}
    for number in range(20):
        split = "test" if number % 4 == 3 else "train"
        name, text = f"an4_clstk/speaker/an{number}-b", f"{chr(65 + number)} NO"
        files[f"an4/wav/{name}.wav"] = sound(100 + number)
        rows[f"an4/wav/{name}.wav"] = Row(files[f"an4/wav/{name}.wav"], text, split)
        for kind, line in (("fileids", name), ("transcription", f"<s> {text} </s> (an{number}-b)")):
            lists.setdefault(f"an4/etc/an4_{split}.{kind}", []).append(line)
    return Tree(files | {name: "\n".join([*lines, ""]).encode() for name, lines in lists.items()}, rows)


def table_rows(splits: bool) -> Tree:
    rows = {}
    for number in range(24):
        split = ("train", "val", "test", "train")[number // 3 % 4] if splits else None
        rows[f"{number:02d}"] = Row(picture(number, FORMATS[number % 6]), CLASSES[number % 3], split)
    return Tree({}, rows)


def lines_of_table() -> Tree:
    """A table of a row a line, which is what it is known by."""
    rows = {}
    for number in range(36):
        split = ("train", "val", "test", "train")[number // 3 % 4]
        cells = {"name": f"{number:02d}", "size": str(number * 3 % 11 + 1), "kind": "xy"[number % 2]}
        sample = json.dumps(cells, separators=(",", ":")).encode()
        rows[cells["name"]] = Row(sample, CLASSES[number % 3], split)
    return Tree({}, rows)


def digits() -> Tree:
    rows = {}
    for number in range(24):
        pixels = np.random.default_rng(number).integers(0, 256, 100, dtype=np.uint8).tobytes()
        rows[f"{number:02d}"] = Row(pixels, str(number // 2 % 4), "train" if number < 16 else "test")
    return Tree({}, rows)


def words(number: int) -> bytes:
    return f"{WORDS[number % 6]}, {WORDS[number // 6 % 6]}; number {number:02d}".encode()


def text_rows(splits: bool) -> Tree:
    rows = {}
    for number in range(24):
        split = ("train", "val", "test", "train")[number // 3 % 4] if splits else None
        rows[f"{number:02d}"] = Row(words(number), CLASSES[number % 3], split)
    return Tree({}, rows)


def text_files() -> Tree:
    files = {f"{CLASSES[number % 3]}/{number:02d}.txt": words(number) for number in range(24)}
    return Tree(files, {name: Row(content, name.partition("/")[0], None) for name, content in files.items()})


def text_table(name: str) -> Tree:
    tree = text_rows(True)
    lines = io.StringIO()
    writer = csv.writer(lines, delimiter="\t" if name.endswith("tsv") else ",", lineterminator="\n")
    writer.writerow(["text", "label", "split"])
    writer.writerows([row.sample.decode(), row.label, row.split] for row in tree.rows.values())
    tree.files[name] = lines.getvalue().encode()
    return tree


# -- packing ----------------------------------------------------------------------------------------------------------


def as_files(tree: Tree) -> Packed:
    """The files as they are; a line of a table is about the rows that it names."""
    spans = {name: [(0, len(content), (name,))] if name in tree.rows else [] for name, content in tree.files.items()}
    for name in tree.files.keys() - tree.rows.keys():
        spans[name] = _lines(tree, tree.files[name])
    return Packed(dict(tree.files), spans)


def _lines(tree: Tree, content: bytes) -> list[Span]:
    """Lines, each with the rows that it names and, since lines can be joined, those of its neighbours."""
    found, at = [], 0
    for line in content.splitlines(keepends=True):
        named = tuple(name for name in tree.rows if PurePosixPath(name).stem.encode() in line.replace(b"\0", b""))
        found.append((at, at + len(line), named))
        at += len(line)
    around = [found[max(0, i - 1) : i + 2] for i in range(len(found))]
    return [
        (start, end, tuple(name for _, _, names in near for name in names))
        for (start, end, _), near in zip(found, around, strict=True)
    ]


def as_tar(tree: Tree, name: str = "data.tar", prefix: str = "", owner: Callable[[str], str] = str) -> Packed:
    """All files below a prefix as one tar, compressed if its name says so."""
    content, spans = io.BytesIO(), []
    kind = tree.options.choice((tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))
    with tarfile.open(fileobj=content, mode="w", format=kind) as tar:
        for file, data in tree.files.items():
            if file.startswith(prefix):
                info = tarfile.TarInfo(file.removeprefix(prefix))
                info.size = len(data)
                start = content.tell()
                tar.addfile(info, io.BytesIO(data))
                row = owner(file)
                # An archive says nothing of the rows of a member that is only about others: they are all touched.
                spans.append((start, content.tell(), (row,) if row in tree.rows else tuple(tree.rows)))
    if name.endswith(".gz"):
        # It has a checksum, so nothing of it can be changed without being found.
        return Packed({name: gzip.compress(content.getvalue(), mtime=0)}, {name: []})
    return Packed({name: content.getvalue()}, {name: spans})


def as_tar_gz(tree: Tree) -> Packed:
    return as_tar(tree, "data.tar.gz")


def as_shards(tree: Tree) -> Packed:
    files, spans = {}, {}
    for split in ("train", "val", "test"):
        packed = as_tar(tree, f"{split}-000.tar", f"{split}/", lambda name: name.rpartition(".")[0] + ".png")
        files |= packed.files
        spans |= packed.spans
    return Packed(files, spans)


def as_parquet(tree: Tree) -> Packed:
    """A table, or one for each split; written in one of the ways in which people write them."""
    options = tree.options
    files, spans = {}, {}
    label_type = options.choice((pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())))
    structs, plain = options.random() < 0.5, options.random() < 0.7
    for split in dict.fromkeys(row.split for row in tree.rows.values()):
        rows = {name: row for name, row in tree.rows.items() if row.split == split}
        samples: list[object] = [row.sample for row in rows.values()]
        if structs:
            samples = [{"bytes": row.sample, "path": f"{name}.png"} for name, row in rows.items()]
        table = pa.table({"image": samples, "label": pa.array([row.label for row in rows.values()]).cast(label_type)})
        content = io.BytesIO()
        how = {"use_dictionary": not plain, "compression": "none" if plain else options.choice(("zstd", "snappy"))}
        pq.write_table(table, content, row_group_size=options.choice((3, 100)), **how)
        file = f"{split or 'all'}-00000-of-00001.parquet"
        files[file] = content.getvalue()
        found = [(files[file].find(row.sample), row.sample, name) for name, row in rows.items()]
        inside = [(at, at + len(sample), (name,)) for at, sample, name in found if at >= 0]
        spans[file] = [*inside, (0, len(files[file]), tuple(rows))]
    return Packed(files, spans)


def as_table(tree: Tree, suffix: str) -> Packed:
    """A table; its heading is about all rows. A row is a line, and lines may be joined."""
    content = io.StringIO()
    delimiter = "\t" if suffix == ".tsv" else tree.options.choice(",;")
    writer = csv.writer(content, delimiter=delimiter, lineterminator=tree.options.choice(("\n", "\r\n")))
    writer.writerow(["name", "size", "kind", "label", "split"])
    writer.writerows([*json.loads(row.sample).values(), row.label, row.split] for row in tree.rows.values())
    data = content.getvalue().encode()
    lines, found, at = data.splitlines(keepends=True), list[Span](), 0
    for number, line in enumerate(lines):
        names = tuple(tree.rows)
        found.append((at, at + len(line), names if number == 0 else names[max(0, number - 2) : number + 1]))
        at += len(line)
    return Packed({f"rows{suffix}": data}, {f"rows{suffix}": found})


def as_arrow(tree: Tree, column: str = "image") -> Packed:
    """A data set as Hugging Face's datasets saves one: a folder for each split with a stream of batches in it."""
    options = tree.options
    files: dict[str, bytes] = {}
    spans: dict[str, list[Span]] = {}
    for split in dict.fromkeys(row.split for row in tree.rows.values()):
        rows = {name: row for name, row in tree.rows.items() if row.split == split}
        samples = pa.array([row.sample for row in rows.values()], pa.binary())
        if column == "text":
            samples = samples.cast(pa.string())
        table = pa.table({column: samples, "label": [row.label for row in rows.values()]})
        content = io.BytesIO()
        with pa.ipc.new_stream(content, table.schema) as stream:
            stream.write_table(table, max_chunksize=options.choice((3, 100)))
        folder = f"{split}/" if split else ""
        files[f"{folder}data-00000-of-00001.arrow"] = content.getvalue()
        files[f"{folder}state.json"] = json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}).encode()
        # Nothing tells that what a stream holds is what was written: whatever is changed touches all of its rows.
        spans[f"{folder}data-00000-of-00001.arrow"] = [(0, len(content.getvalue()), tuple(rows))]
        spans[f"{folder}state.json"] = [(0, 1 << 20, tuple(rows))]
    return Packed(files, spans)


def as_text_arrow(tree: Tree) -> Packed:
    return as_arrow(tree, "text")


def as_idx(tree: Tree, suffix: str = "") -> Packed:
    files, spans = {}, {}
    for part, split in (("train", "train"), ("t10k", "test")):
        rows = {name: row for name, row in tree.rows.items() if row.split == split}
        images = struct.pack(">4I", 2051, len(rows), 10, 10) + b"".join(row.sample for row in rows.values())
        labels = struct.pack(">2I", 2049, len(rows)) + bytes(int(row.label) for row in rows.values())
        for kind, content, head, size in (("images-idx3", images, 16, 100), ("labels-idx1", labels, 8, 1)):
            file = f"{part}-{kind}-ubyte{suffix}"
            files[file] = gzip.compress(content, mtime=0) if suffix else content
            where = [(head + i * size, head + i * size + size, (name,)) for i, name in enumerate(rows)]
            spans[file] = [] if suffix else where
    return Packed(files, spans)


def pixels_of(sample: bytes) -> bytes:
    return np.asarray(Image.open(io.BytesIO(sample))).tobytes()


def cells_of(sample: bytes) -> bytes:
    """A row as it was written, for the order of its columns and nothing else can differ."""
    return json.dumps(json.loads(sample), separators=(",", ":")).encode()


SPLIT = {"train": 5, "val": 3, "test": 3}
KINDS = [
    Kind("class folders", "imagefolder:@", lambda: folders({None: 9}), as_files, IMAGES, single_files=True),
    Kind("split folders", "imagefolder:@", lambda: folders(SPLIT), as_files, IMAGES, single_files=True),
    Kind("tar of class folders", "imagefolder:@/data.tar", lambda: folders({None: 9}), as_tar, IMAGES),
    Kind("tar.gz of split folders", "imagefolder:@/data.tar.gz", lambda: folders(SPLIT), as_tar_gz, IMAGES),
    Kind("parquet", "parquet:@", lambda: table_rows(False), as_parquet, IMAGES),
    Kind("parquet by split", "parquet:@", lambda: table_rows(True), as_parquet, IMAGES),
    Kind("table of csv", "table:@", lines_of_table, lambda tree: as_table(tree, ".csv"), ROWS, cells_of, no_trace=True),
    Kind("table of tsv", "table:@", lines_of_table, lambda tree: as_table(tree, ".tsv"), ROWS, cells_of, no_trace=True),
    Kind("webdataset", "webdataset:@", shards, as_shards, IMAGES),
    Kind("idx", "idx:@", digits, as_idx, IMAGES, pixels_of),
    Kind("idx.gz", "idx:@", digits, lambda tree: as_idx(tree, ".gz"), IMAGES, pixels_of),
    Kind("audio with tsv", "audio:@", lambda: recordings("transcripts.tsv"), as_files, SPEECH, single_files=True),
    Kind("audio with csv", "audio:@", lambda: recordings("transcripts.csv"), as_files, SPEECH, single_files=True),
    Kind("an4", "an4:@", an4, as_files, SPEECH, single_files=True),
    Kind("an4.tar.gz", "an4:@/data.tar.gz", an4, as_tar_gz, SPEECH),
    Kind("datasets", "datasets:@", lambda: table_rows(False), as_arrow, IMAGES),
    Kind("datasets of texts", "datasets:@", lambda: text_rows(True), as_text_arrow, TEXTS),
    Kind("folders of texts", "texts:@", text_files, as_files, TEXTS),
    Kind("texts in tsv", "texts:@", lambda: text_table("texts.tsv"), as_files, TEXTS, no_trace=True),
    Kind("texts in csv", "texts:@", lambda: text_table("texts.csv"), as_files, TEXTS, no_trace=True),
]  # fmt: skip


# -- mangling of names and files --------------------------------------------------------------------------------------


def _pick(names: Iterator[str], number: int) -> str | None:
    """One of them; all are as likely."""
    found = sorted(names)
    return found[number % len(found)] if found else None


def _rename(tree: Tree, old: str, new: str) -> None:
    tree.files[new] = tree.files.pop(old)
    tree.rows[new] = tree.rows.pop(old)


def other_suffix(kind: Kind, tree: Tree, name: str, number: int) -> None:
    """An image is called as if it were of another format, or of none. Tables and lists do not find it then."""
    if name not in tree.files:
        return
    stem = str(PurePosixPath(name).with_suffix(""))
    suffixes = (
        (".jpg", ".PNG", ".jfif", ".tif")
        if kind.name == "webdataset"
        else (".jpg", ".PNG", ".jfif", ".tif", "", ".bin")
    )
    new = stem + suffixes[number % len(suffixes)]
    if new not in tree.files:
        tree.rows[name].sound &= kind.task is IMAGES
        _rename(tree, name, new)


def hide(kind: Kind, tree: Tree, name: str, number: int) -> None:
    """A hidden file."""
    if name in tree.files:
        folder, slash, base = name.rpartition("/")
        tree.rows[name].sound = False
        _rename(tree, name, f"{folder}{slash}.{base}")
        tree.may_be_refused |= kind.name == "webdataset"


def drop(kind: Kind, tree: Tree, name: str, number: int) -> None:
    """A file that is no longer there."""
    row = tree.rows.pop(name)
    tree.files.pop(name, None)
    tree.may_be_refused |= kind.name.startswith("an4")
    del row


def copy(kind: Kind, tree: Tree, name: str, number: int) -> None:
    """The same bytes in the same folder once more."""
    if name in tree.files and kind.task is IMAGES:
        stem, _, suffix = name.rpartition(".")
        tree.copies += f"{stem}x.{suffix}" not in tree.files
        tree.files[f"{stem}x.{suffix}"] = tree.files[name]
        if f"{stem}.cls" in tree.files:
            tree.files[f"{stem}x.cls"] = tree.files[f"{stem}.cls"]


def contradict(kind: Kind, tree: Tree, name: str, number: int) -> None:
    """The bytes of one row are those of another, of another label."""
    other = _pick((o for o, row in tree.rows.items() if row.label != tree.rows[name].label), number)
    if other is not None and kind.identify is bytes:
        tree.rows[name].sound = tree.rows[other].sound = False
        tree.rows[name].sample = tree.rows[other].sample
        if name in tree.files:
            tree.files[name] = tree.files[other]


def recode(kind: Kind, tree: Tree, name: str, number: int) -> None:
    """The picture in another format, under the name that it had."""
    if kind.task is IMAGES and kind.identify is bytes and tree.rows[name].sample:
        new = FORMATS[number % len(FORMATS)]
        content = io.BytesIO()
        try:
            Image.open(io.BytesIO(tree.rows[name].sample)).convert("RGB").save(content, new)
        except OSError:
            return  # It was damaged before.
        tree.rows[name].sample = content.getvalue()
        if name in tree.files:
            tree.files[name] = content.getvalue()


def blank(kind: Kind, tree: Tree, name: str, number: int) -> None:
    """A sample without bytes."""
    if kind.identify is bytes:
        tree.rows[name].sample, tree.rows[name].sound = b"", False
        if name in tree.files:
            tree.files[name] = b""


def decompose(kind: Kind, tree: Tree, name: str, number: int) -> None:
    """A name as another system spells it."""
    new = unicodedata.normalize("NFD", name)
    if name in tree.files and new != name:
        _rename(tree, name, new)


def other_encoding(kind: Kind, tree: Tree, name: str, number: int) -> None:
    """Tables as Windows writes them."""
    changes = (
        lambda text: ("\ufeff" + text).encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.rstrip("\n").encode(),
    )
    table = next((name for name in tree.files if name.startswith("transcripts")), None)
    if table is not None:
        text = tree.files[table]
        with_mark = text[:2] in (b"\xff\xfe", b"\xef\xbb")
        tree.files[table] = text if with_mark else changes[number % len(changes)](text.decode())


def other_packing(kind: Kind, tree: Tree, name: str, number: int) -> None:
    """What can be packed in several ways is."""
    tree.options = random.Random(number)


TREE_CHANGES = (
    other_suffix, hide, drop, copy, contradict, recode, blank, decompose, other_encoding, other_packing,
)  # fmt: skip


# -- mangling of bytes ------------------------------------------------------------------------------------------------


def flip(content: bytes, draw: random.Random) -> tuple[bytes, int, int]:
    """Some bytes near each other are changed; they, and so the rows, lie between the places that come back."""
    if not content:
        return content, 0, 0
    changed = bytearray(content)
    start = draw.randrange(len(content)) if draw.random() < 0.7 else draw.randrange(min(64, len(content)))
    for _ in range(draw.randint(1, 4)):
        at = min(start + draw.randrange(8), len(content) - 1)
        changed[at] = draw.choice((changed[at] ^ 1 << draw.randrange(8), draw.randrange(256)))
    return bytes(changed), start, start + 8


def cut(content: bytes, draw: random.Random) -> tuple[bytes, int, int]:
    """The end is missing."""
    end = draw.randrange(len(content)) if content else 0
    return content[:end], end, len(content)


def hole(content: bytes, draw: random.Random) -> tuple[bytes, int, int]:
    """Zeros, as a disk leaves them after a crash."""
    start = draw.randrange(len(content)) if content else 0
    # In a tar, more zeros look like the end of one of several that were joined.
    sizes = (1, 16, 512) if content[257:262] == b"ustar" else (1, 16, 512, 4096)
    end = min(len(content), start + draw.choice(sizes))
    return content[:start] + bytes(end - start) + content[end:], start, end


def grow(content: bytes, draw: random.Random) -> tuple[bytes, int, int]:
    """Something follows."""
    more = draw.choice((b"\0", b"\n", b"anything", bytes(600), content[: draw.randrange(900)]))
    return content + more, len(content) - 1, len(content)


def insert(content: bytes, draw: random.Random) -> tuple[bytes, int, int]:
    """A character too many, of those that mean something in tables."""
    at = draw.randrange(len(content) + 1)
    more = draw.choice((b'"', b"\t", b",", b"\n", b"\r", b"\0", b"\xff", b"\xc3\xa4", b" ", b"/", b"../"))
    return content[:at] + more + content[at:], at - 1, at + 1


def lose(content: bytes, draw: random.Random) -> tuple[bytes, int, int]:
    """Some bytes in the middle are missing, as after a bad copy."""
    start = draw.randrange(len(content)) if content else 0
    return content[:start] + content[start + draw.choice((1, 2, 100)) :], start, len(content)


BYTE_CHANGES = (flip, cut, hole, grow, insert, lose)
Change = tuple[Callable[..., object], int, int]
"""What is done, to which file or row, and how."""


def mangled(kind: Kind, changes: list[Change]) -> tuple[Tree, Packed]:
    """A valid input of a kind, changed."""
    tree = kind.make()
    for change, which, number in changes:
        if change in TREE_CHANGES:
            change(kind, tree, _pick(iter(tree.rows), which), number)
    packed = kind.pack(tree)
    for change, which, number in changes:
        # Tables and lists are few among many files.
        about = [file for file in packed.files if file not in tree.rows]
        file = _pick(iter(about if which % 2 else packed.files), which // 2)
        if change in BYTE_CHANGES and file is not None:
            before = packed.files[file]
            packed.files[file], start, end = change(before, random.Random(number))
            if packed.files[file] == before:
                continue
            around = [names for first, last, names in packed.spans[file] if first < end and start < last]
            # Outside of its samples, all of a table is about all of its rows.
            inside = [names for first, last, names in packed.spans[file] if first <= start and end <= last]
            for name in inside[0] if kind.name.startswith("parquet") and inside else sum(around, ()):
                tree.rows[name].sound = False
            tree.may_be_refused |= not (kind.single_files and file in tree.rows)
    return tree, packed


# -- what must hold ---------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What became of an input."""

    refused: str = ""
    published: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Split, label and sample of each row."""
    quarantined: list[str] = field(default_factory=list)
    skipped: int = 0
    listed: int = 0
    passed_over: int = 0


def take_in(kind: Kind, packed: Packed, folder: Path) -> Outcome:
    """Publish it into a new line below ``folder``.

    Raises:
        Exception: anything but a RaygpError.
    """
    for name, content in packed.files.items():
        file = folder / "input" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    location = Location(str(folder / "line"))
    try:
        source = open_source(kind.source.replace("@", str(folder / "input")))
        manifests = ingest(location, kind.task, source, IngestSettings(max_bad_share=0.6))
    except RaygpError as error:
        assert list_arrivals(location) == [], "refused, and published all the same"
        return Outcome(refused=str(error))
    outcome = Outcome(listed=len(list(source.samples())))
    for manifest in manifests:
        at = folder / "line" / "arrivals" / manifest.arrival
        for shard in manifest.shards:
            columns = pq.read_table(at / shard.file, columns=["label", "sample"]).to_pydict()
            outcome.published += zip([shard.split] * shard.rows, columns["label"], columns["sample"], strict=True)
        if (at / "quarantine.jsonl").exists():
            lines = (at / "quarantine.jsonl").read_text().splitlines()
            outcome.quarantined += [json.loads(line)["key"] for line in lines]
        outcome.skipped += manifest.duplicates.skipped
    passed_over = getattr(source, "passed_over", None)
    outcome.passed_over = sum(count for count, _ in passed_over._found.values()) if passed_over else 0
    return outcome


def broken_rules(kind: Kind, tree: Tree, packed: Packed, outcome: Outcome) -> list[str]:
    """What should have held and did not."""
    if outcome.refused:
        named = "\n" not in outcome.refused and "object at 0x" not in outcome.refused
        rules = [] if named else ["the message is not one line for people"]
        return rules if tree.may_be_refused else [*rules, f"refused without need: {outcome.refused}"]
    found: list[str] = []
    published = Counter((split, label, kind.identify(sample)) for split, label, sample in outcome.published)
    by_sample: dict[bytes, list[tuple[str, str]]] = {}
    for split, label, sample in published:
        by_sample.setdefault(sample, []).append((split, label))
    # Where a source holds out nothing for validation that can be used, that is drawn from its training rows.
    drawn = not any(row.split == "val" and row.sound for row in tree.rows.values())
    for name, row in tree.rows.items():
        if row.sound:
            places = by_sample.get(row.sample, [])
            allowed = {row.split, "val"} if drawn and row.split == "train" else {row.split}
            if len(places) != 1 or places[0][1] != row.label or (row.split and places[0][0] not in allowed):
                found.append(f"{name} ({row.label}, {row.split}) became {places}")
    if any(count > 1 for count in published.values()):
        found.append("published twice")
    gone = outcome.listed - len(outcome.published) - len(outcome.quarantined) - outcome.skipped
    if gone:
        found.append(f"{gone} of {outcome.listed} listed rows are nowhere")
    there = sum(row.sound or not kind.no_trace for row in tree.rows.values()) + tree.copies
    if there > outcome.listed + outcome.passed_over:
        found.append(f"{there} rows there, {outcome.listed} listed, {outcome.passed_over} passed over")
    return found
