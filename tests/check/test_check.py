"""What ``raygp check`` finds: each fault is planted in a sound task, and only the check that names it fails."""

from __future__ import annotations

from collections.abc import Collection

import pytest
import torch

from raygp.check import check_task, memory
from raygp.check.rows import Row, made_up_rows, rows_of_source
from raygp.check.subject import Subject
from raygp.errors import InputError
from raygp.finding import Finding
from raygp.tasks import make_task
from raygp.tasks.making import fitted
from tests.own_tasks import SOUND, code_of, spec_of

SLOW = ("workers", "update")
"""Checks that start a process, or train."""


def subject_of(text: str, rows: list[Row] | None = None) -> Subject:
    code = code_of(text)
    spec = spec_of(code)
    task = make_task(spec, code)
    return Subject(task, spec, made_up_rows(task) if rows is None else rows, code)


def findings(text: str, without: Collection[str] = SLOW) -> dict[str, Finding]:
    return {finding.check: finding for finding in check_task(subject_of(text), without)}


def wrong(found: dict[str, Finding]) -> dict[str, str]:
    return {name: finding.text for name, finding in found.items() if finding.state == "problem"}


def test_a_sound_task_passes_all_checks() -> None:
    found = findings(SOUND, without=())
    assert {name: finding.text for name, finding in found.items() if finding.state != "ok"} == {}
    assert list(found) == [
        "samples", "labels", "input", "augmentation", "model", "pruning", "outputs", "batches", "loss", "teacher",
        "gradient", "metric", "answers", "workers", "memory", "update",
    ]  # fmt: skip
    assert "2 classes: bright, dark" in found["labels"].text
    assert "0.weight" in found["pruning"].text  # The first convolution stays dense, and that is said.
    assert "two versions" in found["update"].text


CROSS = "nn.functional.cross_entropy(outputs, targets, reduction='none')"
SKIPPING = "self[4](self[3](self[2](self[1](self[0](x)))))"
UNSEEDED = "torch.manual_seed(random.SystemRandom().randrange(1 << 30))"


def net(forward: str, init: str = "pass") -> str:
    """The sound task with a module of its own around the model."""
    return SOUND.replace("return nn.Sequential(", "return Net(").replace(
        "class Photos",
        f"""class Net(nn.Sequential):
    def __init__(self, *layers):
        super().__init__(*layers)
        {init}

    def forward(self, x):
        y = super().forward(x)
        {forward}


class Photos""",
    )


def with_function(name: str, *lines: str) -> str:
    body = "".join(f"    {line}\n" for line in lines)
    return f"{SOUND}\ndef {name}(outputs, targets):\n{body}"


def with_method(method: str) -> str:
    return SOUND.replace("    def build_model", method.strip("\n") + "\n\n    def build_model")


PLANTED = {
    "shape of the outputs": (
        net("return y.mean(dim=0)"), "outputs", "the model must give 24 x 2 (2 classes), and gives 2",
    ),
    "shape inside the model": (
        SOUND.replace("4 * 16, num", "5 * 16, num"), "outputs", "my_task.py: RuntimeError: mat1 and mat2 shapes",
    ),
    "outputs that are not finite": (net("return y / 0"), "outputs", "NaN or infinite"),
    "a parameter without gradient": (
        net("return y", "self.spare = nn.Linear(3, 3)").replace("super().forward(x)", SKIPPING),
        "gradient", "no gradient for spare.weight, spare.bias: the model's forward does not use it",
    ),
    "a frozen weight": (
        net("return y", "self[4].weight.requires_grad_(False)"), "gradient", "4.weight is prunable and frozen",
    ),
    "a loss that is not finite": (
        with_function("loss", "return torch.log(outputs[:, 0] * 0) * targets"),
        "loss", "the loss of made-up-0 (label 'dark') is -inf",
    ),
    "one loss for all": (
        with_function("loss", "return nn.functional.cross_entropy(outputs, targets)"),
        "loss", "my_task.py, line 25: loss must give a tensor with one number for each example, shape (24,), and gives "
        "shape ()",
    ),
    "a loss upside down": (
        with_function("loss", f"return -{CROSS}"),
        "loss", "the loss is higher for right answers: 0 where",
    ),
    "a loss that mixes rows": (
        with_function("loss", f"found = {CROSS}", "return found + found.mean()"),
        "loss", "the loss of made-up-0 depends on the other samples",
    ),
    "a loss without gradient": (
        with_function("loss", "outputs = outputs.detach()", f"return {CROSS}"),
        "gradient", "the loss has no gradient",
    ),
    "an exception in the loss": (
        with_function("loss", "return outputs[targets.mean()]"), "loss", "my_task.py, line 26, in loss: ",
    ),
    "a metric beyond 1": (
        with_function("metric", "return 100.0 * (outputs.argmax(dim=1) == targets)"),
        "metric", "metric must give each example from 0 to 1 points, and gives 100 for made-up-",
    ),
    "a metric upside down": (
        with_function("metric", "return (outputs.argmax(dim=1) != targets).float()"),
        "metric", "metric gives 0 points for right answers and 1 for wrong ones",
    ),
    "a softmax before cross entropy": (
        SOUND.replace("16, num_classes),", "16, num_classes),\n            nn.Softmax(1),"),
        "loss", "outputs of every row are positive and sum to 1, so the model ends in a softmax",
    ),
    "a loss that does not look at the answers": (
        with_function("loss", "return outputs.sum(dim=1) * 0 + 1"),
        "loss", "the loss is the same for right and wrong answers: 1 where",
    ),
    "a metric that is constant": (
        with_function("metric", "return torch.ones(len(targets))"),
        "metric", "metric gives 1 points for right answers and 1 for wrong ones: it does not tell them apart",
    ),
    "a metric that looks at the targets alone": (
        with_function("metric", "return targets.float() / 2"), "metric", "does not tell them apart",
    ),
    "a model whose outputs depend on the batch": (
        SOUND.replace("nn.BatchNorm2d(4)", "nn.BatchNorm2d(4, track_running_stats=False)"),
        "batches", "between a batch of 1 and one of 24, in evaluation mode. The first layer that does: 1 (BatchNorm2d)",
    ),
    "nothing prunable": (
        SOUND.replace("    channels = 1\n", "    channels = 1\n    dense = ('0.weight', '4.weight')\n"),
        "pruning", "nothing is prunable (0.weight, 4.weight stay dense)",
    ),
    "augmentation that mixes samples": (
        with_method("""
    draws = 1

    def prepare(self, inputs, draws):
        found = super().prepare(inputs, None)
        return found if draws is None else 0.5 * found + 0.5 * found.flip(0)
"""),
        "augmentation", "depends on the other samples of its batch: a sample that is mixed with others",
    ),
    "augmentation that leaves nothing": (
        with_method("""
    draws = 1

    def prepare(self, inputs, draws):
        found = super().prepare(inputs, None)
        return found if draws is None else torch.zeros_like(found)
"""),
        "augmentation", "leaves nothing of made-up-0 (label 'dark')",
    ),
    "augmentation that makes two classes the same": (
        with_method("""
    draws = 1

    def prepare(self, inputs, draws):
        found = super().prepare(inputs, None)
        ramp = torch.arange(found[0].numel()).reshape(found[0].shape).expand_as(found).float()
        return found if draws is None else ramp
"""),
        "augmentation", "makes made-up-0 (label 'dark') the same as the augmented made-up-1 (label 'bright')",
    ),
    "augmentation with random numbers of its own": (
        with_method("""
    def prepare(self, inputs, draws):
        found = super().prepare(inputs, None)
        return found if draws is None else found + torch.randn_like(found)
"""),
        "augmentation", "gives something else when it is called again: take random numbers from the draws alone",
    ),
    "input that depends on the batch": (
        with_method("""
    def prepare(self, inputs, draws):
        found = super().prepare(inputs, draws)
        return found - found.mean(dim=0)
"""),
        "input", "prepare of made-up-0 depends on the other samples",
    ),
    "samples that are changed": (
        with_method("""
    def prepare(self, inputs, draws):
        inputs[:, 0, 0, 0] = 1
        return super().prepare(inputs, draws)
"""),
        "input", "prepare changes the samples that it is given",
    ),
    "decoding that is not the same each time": (
        with_method("""
    def decode(self, sample):
        return super().decode(sample) + torch.randint(0, 2, (1,)).numpy().astype("uint8")
"""),
        "samples", "decode gives something else for made-up-",
    ),
    "an error in decoding": (
        with_method("""
    def decode(self, sample):
        return sample.pixels
"""),
        "samples", "my_task.py, line 13, in decode: AttributeError: 'bytes' object has no attribute 'pixels'",
    ),
    "first weights from elsewhere": (
        SOUND.replace("import torch", "import random\n\nimport torch").replace(
            "        return nn.Sequential(", f"        {UNSEEDED}\n        return nn.Sequential("
        ),
        "model", "two models from the same seed differ in 0.weight",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_named(name: str) -> None:
    text, check, message = PLANTED[name]
    assert text != SOUND
    found = wrong(findings(text))
    assert list(found) == [check], found
    assert message in found[check]


SOFT = SOUND.replace("16, num_classes),", "16, num_classes),\n            nn.Softmax(1),")
SOUND_TOO = {
    "a softmax for a loss that wants it": SOFT
    + "def loss(outputs, targets):\n    return -outputs[torch.arange(len(targets)), targets].log()\n",
    "a log-softmax": SOFT.replace("nn.Softmax", "nn.LogSoftmax"),
    "more places than classes": with_function(
        "metric",
        "best = outputs.topk(min(5, outputs.shape[1])).indices",
        "return (best == targets[:, None]).any(dim=1).float()",
    ),
}


@pytest.mark.parametrize("name", SOUND_TOO)
def test_what_is_unusual_and_right_passes(name: str) -> None:
    assert wrong(findings(SOUND_TOO[name])) == {}


OWN_LOSSES = with_function("losses", f"return {CROSS}")
MISSPELT = {
    "imagesize": (SOUND.replace("image_size", "imagesize"), "Photos.imagesize", "image_size"),
    "augmentation": (SOUND.replace("augment =", "augmentation ="), "Photos.augmentation", "augment"),
    "setting": (SOUND.replace("settings", "setting"), "Photos.setting", "settings"),
    "losses": (OWN_LOSSES, "the function losses", "loss"),
    "metrics": (with_function("metrics", f"return -{CROSS}"), "the function metrics", "metric"),
}
READ = {
    "its own": SOUND.replace("settings", "sizes = (4,)\n    settings").replace("(1, 4, 3", "(1, self.sizes[0], 3"),
    "another name for it": f"{OWN_LOSSES}\nloss = losses\n",
    "a helper of a loss": f"{OWN_LOSSES}\ndef loss(outputs, targets):\n    return losses(outputs, targets)\n",
    "nothing": SOUND,
}


@pytest.mark.parametrize("name", MISSPELT)
def test_misspelt_names_are_told(name: str) -> None:
    text, where, meant = MISSPELT[name]
    assert doubts_of(text) == [f"{where} is ignored: nothing reads it. Is {meant} meant?"]


@pytest.mark.parametrize("name", READ)
def test_names_that_are_read_are_not_told(name: str) -> None:
    assert doubts_of(READ[name]) == []


def doubts_of(text: str) -> list[str]:
    subject = subject_of(text)
    subject.rows = subject.rows[:1]  # What else is looked at is of no interest here.
    return [finding.text for finding in check_task(subject, SLOW) if finding.state == "warning"]


def test_whose_loss_is_used_is_said() -> None:
    assert findings(SOUND)["loss"].text.startswith("cross entropy: ")
    found = findings(with_function("loss", f"return {CROSS}"))
    assert found["loss"].text.startswith("yours, line 25: ") and found["metric"].text.startswith("raygp's: accuracy")


NUMBERS = """\
import torch

from raygp.tasks.base import Regression


class Prices(Regression):
    hidden = (8,)


def metric(outputs, targets):
    return POINTS
"""


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ("((outputs[:, 0] - targets).abs() < 0.5).float()", ""),
        ("torch.ones(len(targets))", "metric gives the same points whatever the answer"),
    ],
)
def test_a_metric_of_numbers_looks_at_them(points: str, message: str) -> None:
    rows = [Row(f'{{"size": {number}.5}}'.encode(), str(number * 2), f"row {number}") for number in range(24)]
    code = code_of(NUMBERS.replace("POINTS", points))
    fields = fitted(make_task(spec_of(code), code), ((row.sample, row.label) for row in rows))
    assert fields is not None
    found = wrong({each.check: each for each in check_task(Subject(make_task(fields, code), fields, rows, code), SLOW)})
    assert list(found) == (["metric"] if message else [])
    assert message in found.get("metric", "")


def test_what_cannot_be_looked_at_is_said() -> None:
    found = findings(net("return y.mean(dim=0)"))
    assert found["loss"] == Finding("loss", "not looked at", "outputs has to be right first")
    assert found["gradient"].state == "not looked at" and found["pruning"].state == "ok"


def test_a_task_that_reads_a_file_beside_it_does_not_travel(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sizes.txt").write_text("4")
    text = SOUND.replace("        return nn", "        assert open('sizes.txt').read() == '4'\n        return nn")
    left_out = ("loss", "gradient", "metric", "answers", "memory", "update", "batches", "teacher")
    found = wrong(findings(text, without=left_out))
    assert list(found) == ["workers"]
    assert "my_task.py, line 13, in build_model: FileNotFoundError" in found["workers"]
    assert "Only the file itself travels" in found["workers"]


def test_memory_that_the_machine_does_not_have_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = subject_of(SOUND)
    assert all(finding.state == "ok" for finding in check_task(subject, SLOW))
    said = memory.memory(subject)
    assert said.startswith("about ") and "MiB a worker at batch_size=32" in said
    # Outputs of the layers for one row, and their gradients: 2 x 4 bytes.
    assert memory.activations_of_a_row(subject) == 8 * (4 * 64 + 4 * 64 + 4 * 16 + 4 * 16 + 2)
    monkeypatch.setattr(memory, "machine_bytes", lambda: 1000.0)
    assert "this machine has 0 MiB" in wrong({f.check: f for f in check_task(subject, SLOW)})["memory"]


def test_rows_of_a_source_are_of_several_classes(tmp_path) -> None:
    subject = subject_of(SOUND)
    rows = rows_of_source("digits", subject.task)
    assert len(rows) == 24 and sorted({row.label for row in rows}) == ["0", "1", "2"]
    folder = tmp_path / "photos"
    for row, one in enumerate(made_up_rows(subject.task)):
        (folder / one.label).mkdir(parents=True, exist_ok=True)
        (folder / one.label / f"{row}.png").write_bytes(one.sample)
    assert len(rows_of_source(str(folder), subject.task)) == 24, "a path alone will do"
    with pytest.raises(InputError, match="unknown source 'digots'"):
        rows_of_source("digots", subject.task)


def test_the_check_leaves_random_numbers_alone() -> None:
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    findings(SOUND)
    assert torch.equal(torch.rand(1), wanted)
