"""Layouts of image folders as data sets have them: what is a class or a split, what is said, what is refused."""

from __future__ import annotations

import io
import os
import random
import re
import socket
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from raygp.data.ingest import IngestSettings, ingest
from raygp.data.sources import open_source, passed_over_lines
from raygp.data.sources.naming import split_of
from raygp.errors import InputError
from raygp.store import Location, list_arrivals

LOOSE = "images in no class folder"
FILES = "files that are no images"
EMPTY = "folders without an image"


def encoded(kind: str = "PNG", shade: int = 0) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (8, 8), (shade % 256, shade // 256, 0)).save(content, kind)
    return content.getvalue()


def build(root: Path, layout: str) -> Path:
    """Files of a layout: words apart by blanks; ``cat*3`` is three images in cat, ``cat/`` an empty folder."""
    root.mkdir(exist_ok=True)
    for word in layout.split():
        name, star, count = word.partition("*")
        if name.endswith("/"):
            (root / name).mkdir(parents=True, exist_ok=True)
            continue
        for number in range(int(count)) if star else [None]:
            file = root / (name if number is None else f"{name}/{number}.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encoded(shade=number or 0))
    return root


def counts(path: Path) -> tuple[str, list[str]]:
    """Samples as "split/class*count", with - for no split, and what was passed over."""
    source = open_source(f"imagefolder:{path}")
    found = Counter(f"{sample.split or '-'}/{sample.label}" for sample in source.samples())
    return " ".join(f"{what}*{count}" for what, count in sorted(found.items())), passed_over_lines(source)


def packed(folder: Path, name: str = ".") -> Path:
    path = folder.with_name(f"{folder.name}.tar")
    with tarfile.open(path, "w") as tar:
        tar.add(folder, arcname=name)
    return path


READ = {
    # name: files, what comes of them, what is said
    "plain": ("cat*2 dog*3", "-/cat*2 -/dog*3", []),
    "ImageNet: val is the test split": (
        "train/a*3 train/b*3 val/a*1 val/b*1",
        "test/a*1 test/b*1 train/a*3 train/b*3", [],
    ),
    "Val of another case": ("Train/a*3 Val/a*1", "test/a*1 train/a*3", []),
    "Keras": ("train/a*3 validation/a*2", "train/a*3 val/a*2", []),
    "Roboflow": (
        "train/a*3 valid/a*2 test/a*1 README.dataset.txt README.roboflow.txt",
        "test/a*1 train/a*3 val/a*2",
        [f"{FILES}: 2, such as README.dataset.txt"],
    ),
    "YOLO": ("train/a*3 val/a*2 test/a*1", "test/a*1 train/a*3 val/a*2", []),
    "brain tumours of Kaggle": (
        "Training/glioma*3 Training/no_tumor*3 Testing/glioma*1 Testing/no_tumor*1",
        "test/glioma*1 test/no_tumor*1 train/glioma*3 train/no_tumor*3",
        [],
    ),
    "Intel scenes of Kaggle": (
        "seg_train/seg_train/sea*3 seg_train/seg_train/street*2 seg_test/seg_test/sea*1 seg_pred/seg_pred*4",
        "test/sea*1 train/sea*3 train/street*2",
        ["images without labels: 4, such as seg_pred/seg_pred/0.png"],
    ),
    "signs of Kaggle, a test set without labels": (
        "asl_alphabet_train/asl_alphabet_train/A*3 asl_alphabet_train/asl_alphabet_train/B*3 "
        "asl_alphabet_test/asl_alphabet_test*2",
        "train/A*3 train/B*3",
        ["images for testing that are in no class folder: 2, such as asl_alphabet_test/asl_alphabet_test/0.png"],
    ),
    "X-rays of Kaggle in one more folder": (
        "chest_xray/train/NORMAL*3 chest_xray/test/NORMAL*2 chest_xray/val/NORMAL*1 chest_xray/train/.DS_Store",
        "test/NORMAL*2 train/NORMAL*3 val/NORMAL*1",
        ["hidden files and folders: 1, such as chest_xray/train/.DS_Store"],
    ),
    "blood cells of Kaggle": (
        "images/TRAIN/EOSINOPHIL*3 images/TEST/EOSINOPHIL*2 images/TEST_SIMPLE/EOSINOPHIL*1",
        "test/EOSINOPHIL*3 train/EOSINOPHIL*3",
        [],
    ),
    "pets of Microsoft": (
        "PetImages/Cat*3 PetImages/Cat/Thumbs.db PetImages/Dog*3 MSR-LA.docx.txt",
        "-/Cat*3 -/Dog*3",
        [f"{FILES}: 1, such as MSR-LA.docx.txt", "files of the operating system: 1, such as PetImages/Cat/Thumbs.db"],
    ),
    "torchvision's GTSRB": (
        "GTSRB/Training/00000*3 GTSRB/Training/00001*2 GTSRB/Final_Test/Images*2 GT-final_test.csv",
        "train/00000*3 train/00001*2",
        [
            f"{FILES}: 1, such as GT-final_test.csv",
            "images for testing that are in no class folder: 2, such as GTSRB/Final_Test/Images/0.png",
        ],
    ),
    "torchvision's Food101": (
        "food-101/images/pizza*3 food-101/images/sushi*3 food-101/meta/train.txt",
        "-/pizza*3 -/sushi*3",
        [f"{FILES}: 1, such as food-101/meta/train.txt", f"{EMPTY}: 1, such as food-101/meta"],
    ),
    "torchvision's EuroSAT": ("eurosat/2750/Forest*2 eurosat/2750/River*2", "-/Forest*2 -/River*2", []),
    "torchvision's Country211": ("train/AD*2 valid/AD*2 test/AD*1", "test/AD*1 train/AD*2 val/AD*2", []),
    "torchvision's Imagenette": ("imagenette2/train/n01*2 imagenette2/val/n01*1", "test/n01*1 train/n01*2", []),
    "Tiny ImageNet: images lie deeper": ("train/n01/images*2 train/n02/images*2", "train/n01*2 train/n02*2", []),
    "Create ML": ("Training_Data/Cat*2 Testing_Data/Cat*1", "test/Cat*1 train/Cat*2", []),
    "partitions": ("split=train/label=cat*2 split=test/label=cat*1", "test/cat*1 train/cat*2", []),
    "numbered splits": ("train2017/a*2 val2017/a*1 test2017/a*1", "test/a*1 train/a*2 val/a*1", []),
    "splits in a folder of images": ("images/train/a*2 images/val/a*1 labels/train/1.txt", "test/a*1 train/a*2", None),
    "cats and dogs of Kaggle": (
        "training_set/training_set/cats*2 training_set/training_set/_DS_Store test_set/test_set/cats*1",
        "test/cats*1 train/cats*2",
        ["files and folders whose names begin with _: 1, such as training_set/training_set/_DS_Store"],
    ),
    "splits joined to a word": ("traindata/a*2 TestSet/a*1 valimages/a*1", "test/a*1 train/a*2 val/a*1", []),
    "dev and eval": ("train/a*2 dev/a*1 eval/a*1", "test/a*1 train/a*2 val/a*1", []),
    "a held-out set": ("train/a*2 hold-out/a*1", "test/a*1 train/a*2", []),
    "train alone": ("train/a*2 train/b*2", "train/a*2 train/b*2", []),
    "a week of validation alone": ("validation/a*2 validation/b*2", "val/a*2 val/b*2", []),
    "val alone and nothing to train on": ("val/a*2 val/b*2", "val/a*2 val/b*2", []),
    "a week of tests alone": ("test/a*2 test/b*2", "test/a*2 test/b*2", []),
    "a class that only test has": ("train/a*2 test/a*1 test/b*1", "test/a*1 test/b*1 train/a*2", []),
    "one class": ("cat*2", "-/cat*2", []),
    "one class in one more folder": ("week2/cat*2", "-/cat*2", []),
    "years that are classes": ("2023*2 2024*2", "-/2023*2 -/2024*2", []),
    "a class called train": ("train*2 bus*2 car*2", "-/bus*2 -/car*2 -/train*2", []),
    "valid and invalid tickets": ("valid*2 invalid*2", "-/invalid*2 -/valid*2", []),
    "kinds of vehicles": ("train/train*2 train/bus*2 test/bus*1", "test/bus*1 train/bus*2 train/train*2", []),
    "tickets in splits": ("train/valid*2 train/invalid*2", "train/invalid*2 train/valid*2", []),
    "kinds of trains": ("bullet_train*2 steam_train*2", "-/bullet_train*2 -/steam_train*2", []),
    "a class with a split in its name": (
        "test_tube*2 flask*2 bullet_train*1",
        "-/bullet_train*1 -/flask*2 -/test_tube*2", [],
    ),
    "one label as Spark writes it": ("label=cat/part-0*2", "-/cat*2", []),
    "a vehicle among others": ("vehicle/train*2 vehicle/bus*2 animal*2", "-/animal*2 -/vehicle*4", []),
    "views of the same names": ("cat/front*2 cat/side*2 dog/front*2 dog/side*2", "-/cat*4 -/dog*4", []),
    "an empty class folder": ("cat*2 dog*2 fox/", "-/cat*2 -/dog*2", [f"{EMPTY}: 1, such as fox"]),
    "an empty class folder of a split": (
        "train/cat*2 train/fox/ test/cat*1 val/",
        "test/cat*1 train/cat*2",
        [f"{EMPTY}: 2, such as val"],
    ),
    "images beside the class folders": ("cat*2 dog*2 a.png b.png", "-/cat*2 -/dog*2", [f"{LOOSE}: 2, such as a.png"]),
    "images beside the folders of a split": (
        "train/cat*2 train/a.png",
        "train/cat*2", [f"{LOOSE}: 1, such as train/a.png"],
    ),
    "a picture of the data set": (
        "data/cat*2 data/dog*2 logo.png",
        "-/cat*2 -/dog*2", [f"{LOOSE}: 1, such as logo.png"],
    ),
    "images without labels": (
        "cat*2 dog*2 unlabeled*9",
        "-/cat*2 -/dog*2",
        ["images without labels: 9, such as unlabeled/0.png"],
    ),
    "what systems leave": (
        "cat*2 cat/.DS_Store cat/._0.png cat/.ipynb_checkpoints/0.png __MACOSX/cat/._0.png dog*2 dog/desktop.ini "
        "_temporary/0/1.png dog/2.jpg.crdownload dog/3.jpg.part @eaDir/x.jpg",
        "-/cat*2 -/dog*2",
        None,
    ),
    "a camera's names": ("cat/_MG_1234.JPG cat/_DSC01.jpg", "-/cat*2", []),
}  # fmt: skip


@pytest.mark.parametrize("as_tar", [False, True], ids=["folder", "tar"])
@pytest.mark.parametrize("layout", READ)
def test_layouts_that_are_read(layout: str, as_tar: bool, tmp_path: Path) -> None:
    files, expected, said = READ[layout]
    folder = build(tmp_path / "data", files)
    found, lines = counts(packed(folder) if as_tar else folder)
    assert found == expected
    if said is not None:
        assert sorted(lines) == sorted(said)


REFUSED = {
    "an extra folder beside splits": (
        "train/a*2 test/a*1 extra/a*1",
        ["'test', 'train' beside 'extra'", "rename or move"],
    ),
    "loose extra images beside splits": (
        "train/a*2 test/a*1 extra*3",
        ["'extra'", "called after one (train, val or test)"],
    ),
    "a split beside classes": ("Train/cat*2 Train/dog*2 cat*2", ["'Train' beside 'cat'"]),
    "test images beside classes": ("cat*2 dog*2 test*2", ["'test' beside 'cat', 'dog'"]),
    "train and test without classes beside others": ("train*2 test*2 bus*2", ["'test', 'train' beside 'bus'"]),
    "two splits in one name": ("trainval/a*2 test/a*2", ["'test' beside 'trainval'"]),
    "splits without classes": ("train*2 test*2", ["holds no class folders"]),
    "splits in the names of classes": ("cat_train*2 dog_train*2 cat_test*1 dog_test*1", ["'cat_test', 'cat_train'"]),
    "trainA and testA": ("trainA*2 trainB*2 testA*2 testB*2", ["'testA', 'trainA'"]),
    "one name of a split beside another": ("seg_train*2 valid*2 extra*1", ["'seg_train', 'valid' beside 'extra'"]),
    "the test images of another set": ("cat*2 seg_test*2 dog*2", ["'seg_test' beside 'cat', 'dog'"]),
    "a private test set": ("cat*2 PrivateTest*2", ["'PrivateTest' beside 'cat'"]),
    "partitions without classes": ("train*2 split=test*2 bus*1", ["'split=test', 'train' beside 'bus'"]),
    "splits in splits": ("training_data/train*2 training_data/val*1 test_data*1", ["'training_data' beside"]),
    "a split among the classes of a split": ("train/cat*2 train/test*1", ["'train/test' beside 'train/cat'"]),
    "one split in another": ("valid/test*3", ["'valid' beside 'valid/test'"]),
    "splits below classes": (
        "cat/train*2 cat/test*2 dog/train*1",
        ["cat would be of class 'cat'", "'cat/test', 'cat/train'"],
    ),
    "splits in one of two folders": ("one/TRAIN/a*2 one/TEST/a*1 two*3", ["'one/TEST', 'one/TRAIN'"]),
    "a copy of all inside": ("daisy*2 rose*2 flowers/daisy*2 flowers/rose*2", ["flowers holds folders", "copy"]),
    "a copy of the splits inside": ("train/a*2 test/a*1 chest/train/a*2 chest/test/a*1", ["'chest'"]),
    "folds": ("fold1/cat*2 fold1/dog*2 fold2/cat*2 fold2/dog*2", ["fold1 holds folders", "source of its own"]),
    "sets": ("set1/cat*2 set2/cat*1", ["set1 holds folders ('set1/cat')"]),
    "pictures and their masks": ("images/cat*2 masks/cat*2", ["images holds folders ('images/cat')"]),
    "splits that are joined to a word": (
        "traindata/a*2 testimages/a*1 more/a*1",
        ["'testimages', 'traindata' beside 'more'"],
    ),
    "years": ("2023/cat*2 2023/dog*1 2024/cat*1 2024/dog*1", ["2023 holds folders ('2023/cat', '2023/dog')"]),
    "months": ("2024-05/cat*2 2024-06/cat*1", ["2024-05 holds folders ('2024-05/cat')", "a part of the data"]),
    "weeks": ("week1/cat*2 week2/cat*1", ["week1 holds folders ('week1/cat')"]),
    "validation images without classes": ("train/a*2 val*5", ["val holds 5 images in no class folder"]),
    "images in and beside a folder that says nothing": ("train*1 train/images/cat*3", ["train holds 4 images in no"]),
    "training images without classes": ("train*2 test/a*5", ["train holds 2 images in no class folder"]),
    "more images beside the folders than in them": (
        "cat*1 a.png b.png",
        ["2 images in no class folder, such as a.png"],
    ),
    "images in one folder that says nothing": ("images*3", ["holds no class folders"]),
    "images alone": ("a.png b.png", ["holds no class folders"]),
    "no image": ("cat/notes.txt dog/", ["holds folders without a single image", "such as cat/notes.txt"]),
    "only what is unlabelled": ("unlabeled*3", ["holds no class folders"]),
}  # fmt: skip


@pytest.mark.parametrize("as_tar", [False, True], ids=["folder", "tar"])
@pytest.mark.parametrize("layout", REFUSED)
def test_layouts_that_are_refused_by_name(layout: str, as_tar: bool, tmp_path: Path) -> None:
    files, parts = REFUSED[layout]
    path = build(tmp_path / "data", files)
    path = packed(path) if as_tar else path
    with pytest.raises(InputError) as caught:
        counts(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    assert all(part in message for part in parts), message


@pytest.mark.parametrize("as_tar", [False, True], ids=["folder", "tar"])
def test_what_is_an_image_is_told_by_suffix_or_else_by_content(as_tar: bool, tmp_path: Path) -> None:
    folder = build(tmp_path / "data", "dog*1")
    contents = {
        "scan.tif": encoded("TIFF"),
        "web.JFIF": encoded("JPEG"),
        "a.gif": encoded("GIF"),
        "b.avif": b"whatever: the suffix is known",
        "c.ppm": encoded("PPM"),
        "noname": encoded(),
        "photo.jpg_large": encoded("JPEG"),
        "photo.jpg.1": encoded("WEBP"),
        "upload.dat": encoded("BMP"),
        "README": b"Pictures of cats",
        "labels.csv": b"BM,1",
        "empty": b"",
        "IMG_1.heic": b"\0\0\0\x20ftypheic" + bytes(40),
        "raw.NEF": encoded("TIFF"),
        "meow.wav": b"RIFF....WAVE",
        "meow": b"RIFF....WAVE",
    }
    (folder / "cat").mkdir()
    for name, content in contents.items():
        (folder / "cat" / name).write_bytes(content)
    source = open_source(f"imagefolder:{packed(folder) if as_tar else folder}")
    found = [sample.key for sample in source.samples() if sample.label == "cat"]
    assert found == sorted(f"cat/{name}" for name in list(contents)[:9])
    others, photos = sorted(passed_over_lines(source))
    assert others.startswith("files that are no images: 5, such as cat/")
    assert photos.startswith("photos that cannot be decoded (HEIC, raw files of cameras): convert them to JPEG: 2, ")


def test_links_broken_ones_circles_and_special_files_are_said(tmp_path: Path) -> None:
    folder = build(tmp_path / "photos", "cat*2")
    build(tmp_path / "store", "b*2 b/more*1")
    for name, to in {
        "dog": "../store/b",
        "hund": "../store/b",
        "cat/lost.png": "nowhere.png",
        "cat/gone": "../../nowhere",
        "cat/itself.png": "itself.png",
        "cat/all": "..",
        "cat/copy.png": "0.png",
        "round": "round",
    }.items():
        (folder / name).symlink_to(to)
    os.mkfifo(folder / "cat/pipe.png")
    with socket.socket(socket.AF_UNIX) as made:
        # The path may be too long for a socket's own name.
        here = os.open(folder / "cat", os.O_RDONLY)
        made.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
    source = open_source(f"imagefolder:{folder}")
    assert Counter(sample.label for sample in source.samples()) == {"cat": 3, "dog": 3, "hund": 3}
    assert sorted(passed_over_lines(source)) == [
        "links that lead back to a folder they lie in: 1, such as cat/all",
        "links that lead nowhere: 4, such as round",
        "pipes, sockets and devices: 2, such as cat/pipe.png",
    ]


def test_names_that_are_no_utf8_are_refused_in_one_line_and_those_passed_over_are_said(tmp_path: Path) -> None:
    folder = build(tmp_path / "photos", "cat*2 dog*2")
    odd = os.fsencode(folder) + b"/cat/\xe9t\xe9.txt"
    try:
        Path(os.fsdecode(odd)).write_bytes(b"words")
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    source = open_source(f"imagefolder:{folder}")
    assert len(list(source.samples())) == 4
    assert passed_over_lines(source) == ["files that are no images: 1, such as 'cat/\\udce9t\\udce9.txt'"]
    os.rename(os.fsencode(folder) + b"/dog", os.fsencode(folder) + b"/ch\xef\xaen")
    with pytest.raises(InputError) as caught:
        list(open_source(f"imagefolder:{folder}").samples())
    assert str(caught.value) == f"{folder}: the name 'ch\\udcef\\udcaen/0.png' is not valid UTF-8; rename it"


def test_a_folder_whose_links_name_each_other_ends(tmp_path: Path) -> None:
    folder = build(tmp_path / "photos", "cat*1 dog*1")
    (folder / "cat/other").symlink_to("../dog")
    (folder / "dog/other").symlink_to("../cat")
    source = open_source(f"imagefolder:{folder}")
    keys = [sample.key for sample in source.samples()]
    assert keys == ["cat/0.png", "cat/other/0.png", "dog/0.png", "dog/other/0.png"]
    assert passed_over_lines(source) == ["links that lead back to a folder they lie in: 2, such as cat/other/other"]


def test_keys_are_the_same_in_and_below_a_folder_that_is_looked_through(tmp_path: Path) -> None:
    folder = build(tmp_path / "data", "archive/set/cat*1 archive/set/dog*1 logo.txt")
    keys = [sample.key for sample in open_source(f"imagefolder:{folder}").samples()]
    inner = [sample.key for sample in open_source(f"imagefolder:{folder}/archive/set").samples()]
    assert keys == inner == ["cat/0.png", "dog/0.png"]


def test_members_of_a_tar_that_lead_out_of_it_are_said(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        for name in ("a/1.png", "b/1.png", "../c/1.png", "a/../../1.png", ".git/1.png", "__MACOSX/a/._1.png"):
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"abc"))
    found, lines = counts(path)
    assert found == "-/a*1 -/b*1"
    assert sorted(lines) == [
        "files of the operating system: 1, such as __MACOSX",
        "hidden files and folders: 1, such as .git",
        "names that lead out of the tar: 2, such as ../c/1.png",
    ]


def test_a_tar_of_very_deep_folders(tmp_path: Path) -> None:
    path = tmp_path / "deep.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("d/" * 3000 + "cat/1.png", "d/" * 3000 + "dog/1.png"):
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"abc"))
    assert [sample.key for sample in open_source(f"imagefolder:{path}").samples()] == ["cat/1.png", "dog/1.png"]


@pytest.mark.parametrize(("validation", "split"), [("valid", "val"), ("Validation", "val"), ("val", "test")])
def test_a_validation_folder_alone_is_published_as_the_guide_says(
    validation: str, split: str, tmp_path: Path, location: Location
) -> None:
    folder = tmp_path / "photos"
    for number, name in enumerate(f"{part}/{label}" for part in ("train", validation) for label in ("cat", "dog")):
        (folder / name).mkdir(parents=True)
        for image in range(10 if number < 2 else 4):
            (folder / name / f"{image}.png").write_bytes(encoded(shade=number * 20 + image))
    settings = IngestSettings(["a"], [1.0], 0.2, 0.2)
    ingest(location, {"name": "resnet18", "image_size": 16}, open_source(f"imagefolder:{folder}"), settings)
    (manifest,) = list_arrivals(location)
    found = {part: sum(shard.rows for shard in manifest.shards_of(part)) for part in ("train", "val", "test")}
    other = {"val": "test", "test": "val"}[split]
    assert found == {"train": 16, split: 8, other: 4}


def test_strict_refuses_what_is_passed_over(tmp_path: Path, location: Location) -> None:
    folder = build(tmp_path / "photos", "cat*5 dog*5 labels.csv")
    with pytest.raises(InputError, match=r"files that are no images: 1, such as labels\.csv"):
        ingest(
            location,
            {"name": "resnet18", "image_size": 16},
            open_source(f"imagefolder:{folder}"),
            IngestSettings(["a"], [1.0], strict=True),
        )


NAMES = [
    *("cat", "dog", "train", "Train", "val", "valid", "test", "seg_train", "seg_test", "images", "data", "extra"),
    *("cat_train", "bullet_train", "unlabeled", "seg_pred", "label=cat", "split=test", "trainval", "_old", ".git"),
    *("fold1", "week1"),
]


@pytest.mark.parametrize("seed", range(150))
def test_every_file_becomes_a_sample_or_is_said_or_all_are_refused(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    names = rng.sample(NAMES, rng.choice((2, 3, 4, 8)))
    files = set()
    for _ in range(rng.randint(1, 25)):
        depth = rng.choice((0, 1, 1, 2, 2, 2, 3))
        name = rng.choice(("1.png", "2.jpg", "noname", "notes.txt", "_3.png", ".4.png", "5.png.part"))
        files.add("/".join([*(rng.choice(names) for _ in range(depth)), name]))
    for file in files:
        (tmp_path / "data" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / file).write_bytes(encoded())
    source = open_source(f"imagefolder:{tmp_path}/data")
    try:
        samples = list(source.samples())
    except InputError as error:
        assert "\n" not in str(error) and str(tmp_path) in str(error)
        return
    assert len({sample.key for sample in samples}) == len(samples)
    lines = [line for line in passed_over_lines(source) if not line.startswith(EMPTY)]
    said = sum(int(line.split(": ")[1].split(",")[0]) for line in lines)
    hidden = {file.split("/")[0] if file.startswith(("_old/", ".git/")) else file for file in files}
    inside = {re.sub(r"/(_old|\.git)/.*", r"/\1", file) for file in hidden}
    assert len(samples) + said == len(inside)
    for sample in samples:
        below = sample.key.split("/")[:-1]
        assert sample.label in below or f"label={sample.label}" in below
        assert sample.split in (None, *map(split_of, below)) or (sample.split == "test" and "val" in below)
