"""Which names mean a split, and which things are passed over by every source."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygp.data.sources.naming import split_of, split_of_path, words_of
from raygp.data.sources.skipping import HIDDEN, PARTIAL, SYSTEM, UNDERSCORE, skipped

SPLITS = {
    "train": """train training trn Train TRAIN TrAiN TRAINING seg_train train_set Train-Images train2017 trainA trainset
        TrainImages imgTrain asl_alphabet_train train.tar train-00000-of-00004 mydata-train-00001-of-00004.parquet
        partial-train train_01
        split=train Split=Training subset=train été_train Training_Data train-clean-100
        test-run-train-00000-of-00002 0001.train.parquet traindata""",
    "val": """val valid validation dev Val VALID Validation Dev valset seg_val val2017 VAL2017 ILSVRC2012_img_val
        validation-00000-of-00001.parquet dev-clean split=dev split=validation my-valid-set mydata_val_3.tar""",
    "test": """test testing tst eval evaluation holdout heldout hold-out held_out Hold_Out Test TESTING seg_test
        Final_Test PublicTest PrivateTest
        test2017 en_test_2.tar fold=test test_set testset
        Test-Images data-test-00000-of-00001.parquet""",
    None: """contest latest untrained trains attest testament validity invalid device development untested
        trainval
        train_test_split train-val.parquet label=test label=train class=val lr=0.1-train images data 2017 fold1
        train測試
        pretraining
        retrain _ - cat Straining protest t10k part-00000 unvalidated evals""",
}  # fmt: skip


@pytest.mark.parametrize(
    ("split", "name"), [(split, name) for split, names in SPLITS.items() for name in names.split()]
)
def test_a_name_says_a_split_as_one_of_its_words(split: str | None, name: str) -> None:
    assert split_of(name) == split


@pytest.mark.parametrize("text", ["", " ", "=", "split=", "=train"])
def test_no_name_says_no_split(text: str) -> None:
    assert split_of(text) is None


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("train/0.parquet", "train"),
        ("train/test.parquet", "test"),
        ("test/train/0.parquet", "train"),
        ("split=validation/label=train/0.parquet", "val"),
        ("label=train/0.parquet", None),
        ("data/default/partial-train/0000.parquet", "train"),
        ("train/train_test_split.parquet", "train"),
        ("Training Data/0.tar", "train"),
        ("a/b/c.tar", None),
        ("shards/en_test_2.tar.gz", "test"),
        ("contest/0.tar", None),
    ],
)
def test_the_name_next_to_the_file_decides(path: str, split: str | None) -> None:
    assert split_of_path(Path(path)) == split


def test_words() -> None:
    assert words_of("Final_TestRun2-of(my)Held-Out") == ["final", "test", "run", "of", "my", "heldout"]


PASSED_OVER = {
    HIDDEN: [".DS", ".git", ".ipynb_checkpoints", ".cat.jpg", ".part-0.parquet.crc", ".Trash-1000"],
    UNDERSCORE: ["_SUCCESS", "_temporary", "_metadata", "_delta_log", "__pycache__", "_x.parquet", "_x.tar", "_DS"],
    SYSTEM: ["__MACOSX", "._cat.jpg", "Thumbs.db", "thumbs.db", "desktop.ini", "Desktop.ini", "lost+found", "@eaDir"],
    PARTIAL: ["cat.jpg.crdownload", "x.tar.part", "x.partial", "a.jpg~", "~$labels.xlsx", "a.TMP", "x.filepart"],
    None: ["cat", "cat.jpg", "_MG_1234.JPG", "_DSC001.tif", "__cat.png", "_hello.wav", "part-0.parquet", "a_b", "tmp"],
}  # fmt: skip


@pytest.mark.parametrize(("what", "name"), [(what, name) for what, names in PASSED_OVER.items() for name in names])
def test_what_a_name_tells_to_be_no_data(what: str | None, name: str) -> None:
    assert skipped(name) == what
