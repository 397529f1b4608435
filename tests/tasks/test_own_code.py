"""Tasks of one's own: from a file to a task, in this process and in another; what is said where code is wrong."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from raygp.errors import InputError
from raygp.tasks import Task, make_task
from raygp.tasks.base import Classifier, Images
from raygp.tasks.libraries import title_of
from raygp.tasks.own import is_own, own_spec, read_code
from raygp.update.plans import named_plan
from tests.checkout import PROJECT
from tests.own_tasks import SOUND, code_of, spec_of

SMALLEST = """\
from torch import nn

from raygp.tasks.base import Images


class Photos(Images):
    def build_model(self, num_classes):
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, num_classes))
"""


def test_the_smallest_file_is_a_task_of_less_than_15_lines() -> None:
    assert len(SMALLEST.splitlines()) < 15
    code = code_of(SMALLEST)
    task = make_task(spec_of(code), code)
    assert isinstance(task, Task)
    assert (task.name, task.classifier, task.dense, task.metrics) == ("own", "1", (), ("accuracy",))
    assert task.density_bounds == {"1.weight": (0.3, 1.0)}
    assert task.build_model(4)(torch.zeros(2, 3, 64, 64)).shape == (2, 4)


def test_the_spec_says_all_that_has_to_be_known_without_the_code() -> None:
    code = code_of(SOUND)
    spec = spec_of(code, augment="none")
    assert json.loads(json.dumps(spec)) == spec
    assert (spec["name"], spec["file"], spec["class"], spec["sha256"]) == ("own", "my_task.py", "Photos", code.sha256)
    assert title_of(spec) == "Photos of my_task.py"
    assert spec["given"] == {"augment": "none"} and spec["options"]["augment"] == "none"
    assert (spec["options"]["image_size"], spec["options"]["channels"]) == (16, 1)
    assert (spec["classifier"], spec["dense"], spec["network"]) == ("4", ["0.weight"], "mlp")
    # Plans are found without the code: nothing of it is loaded here.
    assert named_plan("default", "update", {**spec, "file": "gone.py"}).batch_size == 32
    task = make_task(spec, code)
    assert task.spec.model_dump(mode="json") == spec and task.draws == 0


def test_a_task_travels_as_what_it_was_made_from(tmp_path: Path) -> None:
    code = code_of(SOUND)
    task = make_task(spec_of(code), code)
    # Where it arrives there is neither the file nor the module that this process has loaded.
    script = "import pickle, sys; task = pickle.load(sys.stdin.buffer); print(task.image_size, type(task).__name__)"
    done = subprocess.run(
        [sys.executable, "-c", script], input=pickle.dumps(task), capture_output=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )  # fmt: skip
    assert (done.stdout.decode().split(), done.stderr.decode()) == (["16", "Photos"], "")
    assert pickle.loads(pickle.dumps(task)) == task


def test_loss_and_metric_beside_the_class_are_taken() -> None:
    code = code_of(
        SOUND + "def loss(outputs, targets):\n    return outputs[:, 0] * 0 + 2\n\n\n"
        "def metric(outputs, targets):\n    return (outputs.argmax(dim=1) >= targets) / 2\n"
    )
    task = make_task(spec_of(code), code)
    outputs, targets = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([1, 1])
    assert task.losses(outputs, targets).tolist() == [2, 2]
    assert task.metrics == ("metric", "accuracy")
    assert task.score(outputs, targets).tolist() == [[[0, 1], [0, 1]], [[0.5, 1], [1, 1]]]


def near(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (outputs.argmax(dim=1) - targets).abs() <= 1


class Own(Images):
    image_size = 8
    loss = nn.CrossEntropyLoss(reduction="none")
    metric = near

    def build_model(self, num_classes: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, num_classes))


class Method(Own):
    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return outputs[:, 0] * self.image_size


def test_loss_and_metric_may_be_named_in_the_class() -> None:
    outputs, targets = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([1])
    assert Own().losses(outputs, targets).item() == pytest.approx(1.5514, abs=1e-4)
    assert (Own().metrics, Own().score(outputs, targets)[0, :, 0].tolist()) == (("near", "accuracy"), [1, 0])
    assert Method().losses(outputs, targets).tolist() == [8]


@pytest.mark.parametrize(
    "text, message",
    [
        ("import torch\nclass A(:\n    pass\n", "my_task.py, line 2: invalid syntax: class A(:"),
        ("import torch\n\nx = 1 / 0\n", "my_task.py, line 3: ZeroDivisionError: division by zero"),
        ("import torch\nimport no_such_thing\n", "my_task.py, line 2: ModuleNotFoundError: No module named 'no_such_"),
        ("import torch\n", "my_task.py has no task: write a class of a base class of raygp.tasks.base, such as "),
        (SMALLEST.replace("Photos", "A") + SMALLEST.replace("Photos", "B"), "my_task.py has 2 tasks: say which, "),
        (
            SMALLEST.replace("nn.Sequential", "nn.Sequentiel"),
            "my_task.py, line 8, in build_model: AttributeError: module 'torch.nn' has no attribute 'Sequentiel'",
        ),
        (SMALLEST.replace("num_classes))", "10))"), "build_model of Photos: no weight has a row for each class (num_c"),
        (
            SMALLEST.replace("num_classes))", "num_classes), nn.Linear(num_classes, num_classes))"),
            "build_model of Photos: more than one layer depends on the number of classes: 1.weight, 1.bias, 2.weight",
        ),
        (SMALLEST.replace("return nn", "return nn nn"), "my_task.py, line 8: invalid syntax: return nn nn.Sequ"),
        (SMALLEST.replace("    def build", "    image_size = 4\n\n    def build"), "task Photos: image_size: "),
        (
            SMALLEST.replace("    def build", "    dense = ('fc',)\n\n    def build"),
            "dense of Photos: no prunable weight is called 'fc'; the model has 1.weight",
        ),
        (SMALLEST.replace("    def build_model", "    def make"), "Photos has no build_model(self, num_classes)"),
        (SMALLEST.replace("return nn.Seq", "nn.Seq"), "build_model of Photos must give a torch.nn.Module, and "),
    ],
)  # fmt: skip
def test_what_is_wrong_names_the_line_of_the_file(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        spec_of(code_of(text))
    assert str(caught.value).startswith(message)


def test_options_that_do_not_exist_are_named() -> None:
    with pytest.raises(InputError, match=r"task Photos: unknown field 'mels'; known are name, image_size"):
        spec_of(code_of(SMALLEST), mels=3)
    with pytest.raises(InputError, match=r"my_task.py has no task called Foto: it has Photos"):
        own_spec(code_of(SMALLEST), "Foto")


def test_only_one_file_travels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "helpers.py").write_text("SIDE = 8\n")
    file = tmp_path / "my_task.py"
    for line in ("import helpers", "from helpers import SIDE", "from . import helpers"):
        file.write_text(f"import torch\n{line}\n{SMALLEST}")
        monkeypatch.syspath_prepend(tmp_path)  # It would be found here.
        with pytest.raises(InputError, match=r"my_task.py, line 2: it imports .* this one file alone travels"):
            read_code(file)
    # What is installed is not taken for what lies beside.
    (tmp_path / "torch").mkdir()
    file.write_text(SMALLEST)
    code, name = read_code(f"{file}:Photos")
    assert (code.file, code.text, name) == ("my_task.py", SMALLEST, "Photos")


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing.py cannot be read: No such file"):
        read_code(tmp_path / "nothing.py")
    (tmp_path / "latin.py").write_bytes(b"# caf\xe9\n")
    with pytest.raises(InputError, match=r"latin.py is no Python file in UTF-8: byte 5"):
        read_code(tmp_path / "latin.py")
    assert is_own("my_task.py") and is_own("a/b.py:C") and is_own("a.b:C") and is_own(tmp_path / "a.py")
    assert not is_own("lenet-5") and not is_own(None)


def test_a_module_of_a_package_is_imported_and_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "own_package_a"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "sizes.py").write_text("SIDE = 64\n")
    (package / "photos.py").write_text("from own_package_a.sizes import SIDE\n" + SMALLEST)
    monkeypatch.syspath_prepend(tmp_path)
    code, name = read_code("own_package_a.photos:Photos")
    assert (code.text, name) == ("", "Photos")
    spec = own_spec(code, name).model_dump(mode="json")
    assert spec["file"] == "own_package_a.photos"
    assert make_task(spec, code).build_model(3)[1].out_features == 3
    with pytest.raises(InputError, match=r"give --task own_package_a.photos:Photos"):
        make_task(spec)  # A line must not say what is imported.
    (package / "photos.py").write_text("# changed\n" + SMALLEST)
    with pytest.raises(InputError, match=r"module own_package_a.photos is another one here"):
        make_task(spec, code)
    with pytest.raises(InputError, match="there is no module own_package_b"):
        read_code("own_package_b:Photos")


def test_a_classifier_of_anything_reads_arrays() -> None:
    import io

    import numpy as np

    content = io.BytesIO()
    np.save(content, np.ones((2, 3)))
    assert Classifier().decode(content.getvalue()).shape == (2, 3)
    with pytest.raises(ValueError, match="no array as"):
        Classifier().decode(b"abc")
