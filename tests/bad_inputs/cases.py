"""The table: what is wrong, how to make it, the command, the exact error (and exit code, where it is not 2).

In commands and errors, ``@`` stands for the folder that everything lies in, HASH for hex digits, BYTES for a size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from raygp.store import Location
from tests.bad_inputs.makers import (
    Make,
    changed,
    field,
    gone,
    idx,
    idx_images,
    idx_labels,
    line,
    line_and,
    parquet,
    photos,
    photos_with,
    tar,
    text,
)


@dataclass(frozen=True)
class Case:
    """A bad input."""

    name: str
    make: Make
    command: str
    error: str
    code: int = 2


@dataclass(frozen=True)
class Damage:
    """A file of a line with a head that is not as it was."""

    name: str
    make: Callable[[Location], object]
    command: str
    error: str


NEW = "--root @/line --task resnet18 --image-size 16"
PNG = photos_with
NOTHING: Make = lambda folder: None

SOURCES = [
    Case(
        "a source that is not there", NOTHING, f"ingest --source imagefolder:@/photos {NEW}", "@/photos does not exist"
    ),
    Case(
        "a source of an unknown kind",
        NOTHING,
        f"ingest --source ftp:@/photos {NEW}",
        "unknown source 'ftp:@/photos'; known forms are imagefolder:DIR (or a .tar, .tar.gz or .tgz of one), parquet:FILE_OR_DIR, table:FILE_OR_DIR, webdataset:TAR_OR_DIR, datasets:FILE_OR_DIR, texts:FILE_OR_DIR (tables, or class folders of .txt), idx:DIR, an4:FILE, audio:DIR, digits, tones",
    ),
    Case(
        "a source without a path",
        NOTHING,
        f"ingest --source parquet: {NEW}",
        "source parquet needs a path: parquet:FILE_OR_DIR",
    ),
    Case(
        "no source at all",
        line,
        "ingest --root @/line",
        "ingest: give a path or --source, or --verify to check what was published",
    ),
    Case(
        "an empty folder",
        lambda folder: (folder / "photos").mkdir(),
        f"ingest --source imagefolder:@/photos {NEW}",
        "@/photos holds no class folders; expected one folder of images for each class, or such folders in train, val and test",
    ),
    Case(
        "a single class",
        lambda folder: photos(folder, classes=1),
        f"ingest --source imagefolder:@/photos {NEW}",
        "arrival arrival-000 holds only one class ('class0'); at least two are needed: the first arrival must have them, later ones may hold one alone",
    ),
    Case(
        "a class of one image",
        lambda folder: photos(folder, images=1),
        f"ingest --source imagefolder:@/photos {NEW}",
        "arrival arrival-000 has no validation rows, and no arrival before it has any: every update judges by some, so give --val-share above 0, more samples of a class than one, or a source that holds some out",
    ),
    Case(
        "a file that is no image",
        PNG("class1/07.png", b"this is no picture"),
        f"ingest --source imagefolder:@/photos {NEW}",
        "arrival arrival-000 is refused: class1/07.png: not an image in a known format (1 of 40 rows), which is more than --max-bad-share 0.01",
    ),
    Case(
        "an image cut short",
        PNG("class1/07.png", None),
        f"ingest --source imagefolder:@/photos {NEW}",
        "arrival arrival-000 is refused: class1/07.png: damaged image: image file is truncated (0 bytes not processed) (1 of 40 rows), which is more than --max-bad-share 0.01",
    ),
    Case(
        "an image without bytes",
        PNG("class1/07.png", b""),
        f"ingest --source imagefolder:@/photos {NEW}",
        "arrival arrival-000 is refused: class1/07.png: empty file (1 of 40 rows), which is more than --max-bad-share 0.01",
    ),
    Case(
        "a tar cut short",
        tar({"a/1.png": b"x" * 600, "b/1.png": b"x" * 600}, cut=9500),
        f"ingest --source imagefolder:@/x.tar {NEW}",
        "@/x.tar cannot be read as a tar: unexpected end of data",
    ),
    Case(
        "a tar without samples",
        tar({"readme.md": b"words"}),
        f"ingest --source webdataset:@/x.tar {NEW}",
        "WebDataset in x.tar holds no samples: expected files such as 0001.jpg with 0001.cls beside them; found .md members: 1, such as readme.md",
    ),
    Case(
        "a label file that is no JSON",
        tar({"1.png": b"x", "1.json": b"{"}),
        f"ingest --source webdataset:@/x.tar {NEW}",
        "1 of 1 rows cannot be used, which is more than --max-bad-share 0.01; the first of them is x.tar/1: 1.json is no JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
    ),
    Case(
        "samples without labels",
        tar({"1.png": b"x", "2.png": b"x", "2.cls": b"1"}),
        f"ingest --source webdataset:@/x.tar {NEW}",
        "1 of 2 rows have no label, which is more than --max-bad-share 0.01; the first of them is x.tar/1",
    ),
    Case(
        "a table without samples",
        parquet({"picture": [b"x"], "label": ["a"]}),
        f"ingest --source parquet:@/x.parquet {NEW}",
        "@/x.parquet has no column of samples: expected one of sample, image, audio, img, file, found picture, label",
    ),
    Case(
        "a table without labels",
        parquet({"image": [b"x"], "caption": ["a"]}),
        f"ingest --source parquet:@/x.parquet {NEW}",
        "@/x.parquet has no column of labels: expected one of label, labels, fine_label, class, text, transcript, transcription, sentence, found image, caption",
    ),
    Case(
        "a table of paths",
        parquet({"image": ["a.png"], "label": ["a"]}),
        f"ingest --source parquet:@/x.parquet {NEW}",
        "@/x.parquet: column image must hold bytes (or bytes and path), not string with paths alone, and there is no file 'a.png' beside the table: put the bytes of the files into the column (with pandas: table['image'] = [open(path, 'rb').read() for path in table['image']]), or the files beside the table",
    ),
    Case(
        "a table of scores",
        parquet({"image": [b"x"], "label": [0.5]}),
        f"ingest --source parquet:@/x.parquet {NEW}",
        "1 of 1 rows cannot be used, which is more than --max-bad-share 0.01; the first of them is x.parquet#000000: label 0.5 is no whole number",
    ),
    Case(
        "a table cut short",
        parquet({"image": [b"x"], "label": ["a"]}, cut=20),
        f"ingest --source parquet:@/x.parquet {NEW}",
        "@/x.parquet cannot be read as Parquet: Parquet magic bytes not found in footer. Either the file is corrupted or this is not a parquet file.",
    ),
    Case(
        "a folder without tables",
        photos,
        f"ingest --source parquet:@/photos {NEW}",
        "@/photos holds no .parquet file",
    ),
    Case(
        "an idx file missing",
        idx(idx_images(9), None),
        f"ingest --source idx:@/idx {NEW}",
        "@/idx lacks train-labels-idx1-ubyte (or train-labels-idx1-ubyte.gz)",
    ),
    Case(
        "an idx file of another kind",
        idx(b"\0\0\0\1" + bytes(60), idx_labels(9)),
        f"ingest --source idx:@/idx {NEW}",
        "@/idx/train-images-idx3-ubyte is not an idx file: it begins with 1, not 2051 (images) or 2049 (labels)",
    ),
    Case(
        "an idx file cut short",
        idx(idx_images(9)[:-5], idx_labels(9)),
        f"ingest --source idx:@/idx {NEW}",
        "@/idx/train-images-idx3-ubyte has 587 bytes; its header says 9x8x8, so 592: damaged or empty",
    ),
    Case(
        "idx files that do not belong together",
        idx(idx_images(9), idx_labels(8)),
        f"ingest --source idx:@/idx {NEW}",
        "@/idx/train-images-idx3-ubyte has 9 images, train-labels-idx1-ubyte 8 labels: they do not belong together",
    ),
]

OPTIONS = [
    Case(
        "a model of a library that is not one",
        photos,
        "ingest --source imagefolder:@/photos --root @/line --model torchvison:resnet50",
        "--model torchvison:resnet50: no library is called 'torchvison' (did you mean 'torchvision:resnet50'?); known "
        "are timm, torchvision",
    ),
    Case(
        "a model that the library does not have",
        photos,
        "ingest --source imagefolder:@/photos --root @/line --model torchvision:resnet51",
        "torchvision has no classifier called 'resnet51': did you mean resnet50, resnet18, resnet152, resnet101, "
        "resnet34?",
    ),
    Case(
        "a model and a task that do not go together",
        photos,
        "ingest --source imagefolder:@/photos --root @/line --model torchvision:resnet50 --task lenet-5",
        "--model torchvision:resnet50 is of task torchvision: leave --task lenet-5 out",
    ),
    Case(
        "a library without a model",
        photos,
        "ingest --source imagefolder:@/photos --root @/line --task torchvision",
        "task torchvision: which of its models? Give --model torchvision:NAME",
    ),
    Case(
        "a new line without a task",
        photos,
        "ingest --source imagefolder:@/photos --root @/line",
        "@/line holds no model line yet: say which --model or --task it is to be",
    ),
    Case(
        "a share above one",
        photos,
        f"ingest --source imagefolder:@/photos {NEW} --val-share 1.5",
        "the val share must be at least 0 and less than 1, not 1.5",
    ),
    Case(
        "a bad share above one",
        photos,
        f"ingest --source imagefolder:@/photos {NEW} --max-bad-share 1",
        "--max-bad-share must be at least 0 and less than 1, not 1",
    ),
    Case(
        "an image size that the model cannot have",
        photos,
        "ingest --source imagefolder:@/photos --root @/line --task lenet-5 --image-size 32",
        "task lenet-5: image_size must be 28 for lenet-5, not 32",
    ),
    Case(
        "an arrival's name with a slash",
        photos,
        f"ingest --source imagefolder:@/photos {NEW} --arrival week/1",
        "'week/1' is no arrival name: use 1 to 100 of A-Z a-z 0-9 . _ - and do not start with a dot",
    ),
    Case(
        "an arrival's name that is taken",
        line,
        "ingest --source digits --root @/line --new-classes --arrival monday",
        "@/line: arrival 'monday' is published already and never changes: choose another name",
        code=3,
    ),
    Case(
        "labels outside the vocabulary",
        line_and(photos),
        "ingest --source imagefolder:@/photos --root @/line",
        "labels outside the line's vocabulary of 2 classes: 'class0', 'class1'; give --new-classes to add them",
    ),
    Case(
        "another task for an existing line",
        line_and(photos),
        "ingest --source imagefolder:@/photos --root @/line --task lenet-5",
        "@/line holds a model line for another task (name: 'lenet-300-100' there, 'lenet-5' here): use that task, or another --root",
    ),
    Case(
        "a misspelt setting in YAML",
        line_and(text("s.yaml", "plan:\n  alhpa: 0.2\n")),
        "update --root @/line --config @/s.yaml",
        "@/s.yaml: plan.alhpa: there is no setting 'alhpa' (did you mean 'alpha'?)",
    ),
    Case(
        "settings that are no YAML",
        line_and(text("s.yaml", "plan: [")),
        "update --root @/line --config @/s.yaml",
        "@/s.yaml: not YAML: while parsing a flow node expected the node content, but found '<stream end>' in line 1, "
        "column 8: plan: [ ^",
    ),
    Case(
        "settings that are a list",
        line_and(text("s.yaml", "- plan\n")),
        "update --root @/line --config @/s.yaml",
        "@/s.yaml: expected settings as 'key: value', found list",
    ),
    Case(
        "settings that are not there",
        line,
        "update --root @/line --config @/s.yaml",
        "@/s.yaml: cannot be read: No such file or directory",
    ),
    Case(
        "a plan of an unknown name",
        line_and(text("s.yaml", "plan: fastest\n")),
        "update --root @/line --config @/s.yaml",
        "plan: no plan is called 'fastest'; known are default, hardest, paper",
    ),
    Case(
        "a plan of an unknown name among the options",
        line,
        "update --root @/line plan.lr=0.1 plan=papier",
        "plan: no plan is called 'papier'; known are default, hardest, paper",
    ),
    Case(
        "a ratio above one",
        line,
        "update --root @/line plan.alpha=2",
        "plan.alpha: input should be less than or equal to 1, not 2",
    ),
    Case(
        "a misspelt phase setting",
        line,
        "update --root @/line plan.phases.0.alhpa=0.1",
        "plan.phases.0.alhpa: there is no setting 'alhpa' (did you mean 'alpha'?)",
    ),
    Case(
        "a phase that is not there",
        line,
        "update --root @/line plan.phases.7.alpha=0.1",
        "plan.phases.7.alpha: '7' is no position in a list of 2 (0 to 1)",
    ),
    Case(
        "a misspelt plan",
        line,
        "update --root @/line plam.alpha=0.1",
        "plam.alpha: there is no setting 'plam' (did you mean 'plan'?)",
    ),
    Case(
        "workers that are no number",
        line,
        "update --root @/line workers=two",
        "workers: expected a number of workers such as 2, or a range such as 1..8, not 'two'",
    ),
    Case(
        "a range of workers that begins with none",
        line,
        "update --root @/line workers=0..3",
        "workers: an update needs 1 worker at least, not '0..3'",
    ),
    Case(
        "a range of workers the wrong way round",
        line,
        "update --root @/line --workers 4..2",
        "workers: a range of workers begins with the smaller number, not '4..2'",
    ),
    Case(
        "more workers than there may be",
        line,
        "update --root @/line workers=1..65",
        "workers: an update has 64 workers at most, not '1..65'",
    ),
    Case(
        "a version that is not there", line, "show v0007 --root @/line", "@/line has no version v0007 (versions: none)"
    ),
    Case(
        "a version that is no name",
        line,
        "show latest --root @/line",
        "'latest' is no version: they are called v0000, v0001, ...",
    ),
    Case(
        "a rollback before the first update",
        line,
        "rollback v0000 --root @/line",
        "@/line has no version yet: there is nothing to roll back",
    ),
    Case(
        "an age without a unit",
        line,
        "gc --root @/line --older-than 7",
        "--older-than: '7' is not an age: give a whole number and d, h, m or s, such as 7d",
    ),
]

ROOTS = [
    Case(
        "a root that is not there",
        NOTHING,
        "status --root @/line",
        "@/line does not exist: correct --root, or make a model line there: raygp ingest --root @/line --source KIND:PATH --task NAME",
    ),
    Case(
        "a root with something else in it",
        text("line/chapter1.txt", "words"),
        "update --root @/line",
        "@/line holds files that are no raygp model line (e.g. 'chapter1.txt'): choose an empty or new --root",
    ),
    Case(
        "a new line over something else",
        lambda folder: (photos(folder), text("line/chapter1.txt", "words")(folder)),
        f"ingest --source imagefolder:@/photos {NEW}",
        "@/line holds files that are no raygp model line (e.g. 'chapter1.txt'): choose an empty or new --root",
    ),
    Case(
        "a root that is a file",
        text("line", "words"),
        "status --root @/line",
        "@/line is a file: choose a folder as --root",
    ),
    Case(
        "a root below a file",
        lambda folder: (photos(folder), text("file", "words")(folder)),
        "ingest --source imagefolder:@/photos --root @/file/line --task resnet18 --image-size 16",
        "@/file/line: a part of the path is a file, not a folder (line.json)",
    ),
    Case(
        "a mistyped URL",
        NOTHING,
        "status --root s3:/bucket/line",
        "'s3:/bucket/line' is no usable root: give a folder or a URL such as s3://bucket/prefix",
    ),
    Case(
        "an unknown protocol",
        NOTHING,
        "status --root nope://bucket/line",
        "nope://bucket/line is no usable root: Protocol not known: nope",
    ),
    Case(
        "credentials in a URL",
        NOTHING,
        "status --root s3://me:planted@bucket/line",
        "credentials do not belong into a root: put them into the environment or a profile file",
    ),
    Case(
        "a line without its first document",
        text("line/head.json", "{}"),
        "status --root @/line",
        "@/line holds parts of a raygp model line (e.g. 'head.json') but no line.json: restore it from a copy, or choose an empty or new --root",
    ),
]

DAMAGES = [
    Damage(
        "a line from a newer raygp",
        changed("line.json", field("format", 9)),
        "status --root @/line",
        "@/line/line.json has format 9, this raygp reads formats up to 1: upgrade raygp",
    ),
    Damage(
        "a line cut short",
        changed("line.json", lambda content: content[:20]),
        "update --root @/line",
        "@/line/line.json is no JSON (Unterminated string starting at: line 2 column 14 (char 15)): it is damaged or not raygp's",
    ),
    Damage(
        "a head that is no head",
        changed("head.json", lambda content: b"[]"),
        "status --root @/line",
        "@/line/head.json is no JSON object: it is damaged or not raygp's",
    ),
    Damage(
        "a head with a field too many",
        changed("head.json", field("author", "me")),
        "status --root @/line",
        "@/line/head.json: author: Extra inputs are not permitted",
    ),
    Damage(
        "a head without its card",
        gone("versions/v0000/card.json"),
        "status --root @/line",
        "@/line/versions/v0000/card.json does not exist",
    ),
    Damage(
        "a card that changed after its promotion",
        changed("versions/v0000/card.json", field("val_accuracy", 1.0)),
        "status --root @/line",
        "@/line/versions/v0000/card.json is not the card that was promoted: expected SHA-256 HASH, found HASH; restore it from a copy",
    ),
    Damage(
        "a manifest from a newer raygp",
        changed("arrivals/tuesday/manifest.json", field("format", 9)),
        "update --root @/line",
        "@/line/arrivals/tuesday/manifest.json has format 9, this raygp reads formats up to 3: upgrade raygp",
    ),
    Damage(
        "a manifest of another arrival",
        changed("arrivals/tuesday/manifest.json", field("arrival", "friday")),
        "update --root @/line",
        "@/line/arrivals/tuesday/manifest.json: arrival: expected 'tuesday', found 'friday'; was the folder renamed?",
    ),
    Damage(
        "a manifest that changed after it was folded in",
        changed("arrivals/monday/manifest.json", field("source", "elsewhere")),
        "update --root @/line",
        "arrivals/monday/manifest.json is not the one that v0000 has seen",
    ),
    Damage(
        "an arrival that is gone",
        gone("arrivals/monday/manifest.json"),
        "update --root @/line",
        "v0000 has seen arrival monday, which is gone from @/line/arrivals",
    ),
    Damage(
        "a shard that is gone",
        gone("arrivals/monday/train-*.parquet"),
        "ingest --verify --root @/line",
        "@/line/arrivals/monday/train-00001-00000-HASH.parquet is missing: restore it from a copy",
    ),
    Damage(
        "a shard cut short",
        changed("arrivals/monday/train-*.parquet", lambda content: content[:100]),
        "ingest --verify --root @/line",
        "@/line/arrivals/monday/train-00001-00000-HASH.parquet is damaged: expected BYTES bytes, found 100 bytes; restore it from a copy",
    ),
]
