"""Which output is which class is never guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raygp.adopt.class_lists import ClassList
from raygp.adopt.vocabulary import Vocabulary, choose_classes, in_order, read_classes
from raygp.errors import InputError
from raygp.store import Manifest


def arrival(*labels: str) -> Manifest:
    return Manifest(arrival="a", published="2026", shards=[], labels=dict.fromkeys(labels, 3), source="a test")


def choose(given: Any, own: Any, outputs: int | None, *arrivals: Manifest) -> Vocabulary:
    lists = own if isinstance(own, list) and own and isinstance(own[0], ClassList) else [ClassList("classes", own)]
    return choose_classes(given, lists if own is not None else (), outputs, arrivals, (), "w.pth")


PETS = arrival("cat", "dog", "bird")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.txt", "dog\ncat\nfish\n"),
        ("c.txt", "\ufeffdog\r\ncat\r\nfish\r\n\r\n"),
        ("c.json", '["dog", "cat", "fish"]'),
        ("c.json", '{"0": "dog", "2": "fish", "1": "cat"}'),
        ("c.json", '{"cat": 1, "fish": 2, "dog": 0}'),
        ("config.json", '{"model_type": "resnet", "id2label": {"0": "dog", "1": "cat", "2": "fish"}}'),
        ("c.txt", '{"class_to_idx": {"cat": 1, "fish": 2, "dog": 0}}'),
    ],
)
def test_the_order_is_read_in_every_form_that_trainers_write(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert read_classes(str(tmp_path / name)) == ("dog", "cat", "fish")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat\n\ndog\n", "line 2: empty"),
        ("cat\ndog\ncat\n", "class 'cat' comes twice, as number 0 and 2"),
        ("", "no classes"),
        ("[1, null]", "None is no name of a class"),
        ('{"0": "cat", "2": "dog"}', "no class has the id 1: 2 classes need the ids from 0 on"),
        ('{"x": "cat"}', "ids of classes are whole numbers"),
        ('{"0": "cat"', "no JSON"),
    ],
)
def test_what_is_no_order_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text(text)
    with pytest.raises(InputError) as caught:
        read_classes(str(tmp_path / "c.txt"))
    assert str(caught.value).startswith(str(tmp_path / "c.txt")) and message in str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.txt: cannot be read: No such file"):
        read_classes(str(tmp_path / "none.txt"))


def test_what_is_given_counts_before_all_else() -> None:
    found = choose(["dog", "cat", "fish"], {"cat": 0, "dog": 1, "bird": 2}, 3, PETS)
    assert (found.classes, found.source, found.head_is_new) == (("dog", "cat", "fish"), "those given", False)
    assert found.notes == ("w.pth has other class names, or another order, under 'classes': --classes decides",)
    assert choose(["dog", "cat", "fish"], {"dog": 0, "cat": 1, "fish": 2}, 3, PETS).notes == ()


def test_the_checkpoints_own_order_counts_before_the_lines() -> None:
    found = choose(None, {"dog": 0, "cat": 1, "fish": 2, "cow": 3}, 4, PETS)
    assert found == Vocabulary(("dog", "cat", "fish", "cow"), "w.pth itself ('classes')", False)
    with pytest.raises(InputError, match=r"w\.pth itself \('classes'\): none of its classes"):
        choose(None, ["zero", "one", "two"], 3, PETS)


@pytest.mark.parametrize(
    ("own", "outputs", "message"),
    [
        (["dog"], 3, "w.pth has 1 class names under 'classes' (dog), but its output layer has 3 outputs"),
        (["dog", "cat", "bird", "none"], 3, "w.pth has 4 class names under 'classes' (dog, cat, bird and 1 more), but"),
        (["dog", "cat", "bird"], 4, "w.pth has 3 class names under 'classes' (dog, cat, bird), but its output layer"),
        (["dog", "cat", "dog"], 3, "w.pth, 'classes': class 'dog' comes twice"),
        ({"dog": 1, "cat": 2, "bird": 3}, 3, "w.pth, 'classes': no class has the id 0"),
        (
            [
                ClassList("classes", ["dog", "cat", "bird"]),
                ClassList("args.class_to_idx", {"cat": 0, "dog": 1, "x": 2}),
            ],
            3,
            "several orders ('classes': dog, cat, bird; 'args.class_to_idx': cat, dog, x)",
        ),
    ],
)
def test_a_list_in_the_checkpoint_that_does_not_fit_is_no_reason_to_guess(own: Any, outputs: int, message: str) -> None:
    with pytest.raises(InputError) as caught:
        choose(None, own, outputs, PETS)
    assert message in str(caught.value)
    assert str(caught.value).endswith(": give the classes by output as --classes FILE, one a line, which decides")


@pytest.mark.parametrize(
    ("own", "outputs", "note"),
    [
        ({"dog": 0.5}, 3, "not used as class names: w.pth, 'classes': ids of classes are whole numbers"),
        ([0, 1, 1], 3, "not used as class names: w.pth, 'classes': class '1' comes twice"),
        (
            ["a", "b", "c", "d"],
            4,
            "w.pth has class names under 'classes' (a, b, c and 1 more), none of them the line's",
        ),
        (["a", "b"], 4, "w.pth has 2 class names under 'classes' (a, b), but its output layer has 4 outputs"),
        (["dog", "cat"], None, "w.pth has 2 class names under 'classes', and no output layer that fits: not used"),
    ],
)
def test_what_cannot_be_meant_is_said_and_not_used(own: Any, outputs: int | None, note: str) -> None:
    found = choose(None, own, outputs, PETS)
    assert found.classes == ("bird", "cat", "dog") and found.notes[0].startswith(note)


def test_of_two_lists_the_one_that_fits_counts_and_the_other_is_named() -> None:
    own = [ClassList("label_names", ["n01", "n02", "n03"]), ClassList("meta.classes", ["dog", "bird", "cat"])]
    found = choose(None, own, 3, PETS)
    assert (found.classes, found.source) == (("dog", "bird", "cat"), "w.pth itself ('meta.classes')")
    assert len(found.notes) == 1 and "'label_names' (n01, n02, n03), none of them the line's" in found.notes[0]


def test_the_lines_order_counts_where_the_number_fits_and_nothing_is_left_open() -> None:
    found = choose(None, None, 3, PETS)
    assert found.classes == ("bird", "cat", "dog") and not found.head_is_new and "as many" in found.source


@pytest.mark.parametrize(
    ("arrivals", "orders"),
    [
        ([arrival(*"34"), arrival(*"12")], "as they came: 3, 4, 1, 2; by name: 1, 2, 3, 4"),
        ([arrival("2", "10", "1")], "as they came: 1, 10, 2; by name: 1, 10, 2; by value: 1, 2, 10"),
    ],
)
def test_several_orders_are_not_guessed_between(arrivals: list[Manifest], orders: str) -> None:
    outputs = len({label for manifest in arrivals for label in manifest.labels})
    with pytest.raises(InputError, match=r"give the one that it was trained with as --classes FILE") as caught:
        choose(None, None, outputs, *arrivals)
    assert orders in str(caught.value)


@pytest.mark.parametrize("outputs", [1000, None])
def test_an_output_layer_of_another_size_is_made_new_for_the_lines_classes(outputs: int | None) -> None:
    assert choose(None, None, outputs, PETS) == Vocabulary(("bird", "cat", "dog"), "the line", True)


def test_classes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"those given: 2 classes, but the output layer of w\.pth has 3 outputs"):
        choose(["cat", "dog"], None, 3, PETS)
    with pytest.raises(InputError, match=r"none of its classes \(a, b, c\) is one of the line's \(bird, cat, dog\)"):
        choose(["a", "b", "c"], None, 3, PETS)
    with pytest.raises(InputError, match="the first classes must be ' '"):
        choose_classes(["a", "b"], (), 2, [arrival("a", "b")], (" ",), "w.pth")


def test_names_are_spelt_as_folders_are() -> None:
    assert in_order(["cafe\u0301", " tree "], "c") == ("caf\u00e9", "tree")
    assert json.loads(json.dumps(in_order([3, 1], "c"))) == ["3", "1"]
