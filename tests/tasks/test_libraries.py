"""Classifiers of timm and torchvision by name: what is found of them, and what is said of those that do not fit."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import raygp
from raygp.errors import InputError
from raygp.settings import load_settings
from raygp.sparse import Masks, grow, pack_model, seed_sparse
from raygp.tasks import Task, make_task
from raygp.tasks.libraries import LIBRARIES, named_model
from raygp.tasks.libraries.examining import output_layers
from raygp.tasks.libraries.task import LibrarySpec
from raygp.update.candidate import make_learner
from raygp.update.plan import Plan
from tests.checkout import PROJECT
from tests.digits import FewDigits
from tests.update.test_resume import DATA

pytest.importorskip("timm", reason="needs the extra: pip install 'raygp[timm]'")

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def spec_of(model: str, **fields: Any) -> LibrarySpec:
    spec = make_task(named_model(model) | fields).spec
    assert isinstance(spec, LibrarySpec)
    return spec


@pytest.mark.parametrize(
    "model, layers, network, size, statistics, arguments",
    [
        ("timm:test_convnext", ("head.fc",), "convolutional", 160, HALVES, {}),
        ("timm:test_vit", ("head",), "transformer", 160, HALVES, {}),
        ("timm:mixer_s32_224", ("head",), "mlp", 224, HALVES, {}),
        # A tag says which training's input it is.
        ("timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k", ("head",), "transformer", 224, HALVES, {}),
        ("timm:deit_tiny_distilled_patch16_224", ("head", "head_dist"), "transformer", 224, IMAGENET, {}),
        # Its output layer is a convolution.
        ("torchvision:squeezenet1_1", ("classifier.1",), "convolutional", 224, IMAGENET, {}),
        ("torchvision:vit_b_16", ("heads.head",), "transformer", 224, IMAGENET, {"image_size": 224}),
        # Its constructor calculates with tensors that are no weights.
        ("torchvision:regnet_x_400mf", ("fc",), "convolutional", 224, IMAGENET, {}),
        # It would have auxiliary outputs in training.
        (
            "torchvision:googlenet", ("fc",), "convolutional", 224, IMAGENET,
            {"aux_logits": False, "init_weights": True},
        ),
    ],
)  # fmt: skip
def test_the_library_and_the_model_say_everything(
    model: str, layers: tuple[str, ...], network: str, size: int, statistics: Any, arguments: dict[str, Any]
) -> None:
    spec = spec_of(model)
    assert (spec.output_layers, spec.network, spec.image_size) == (layers, network, size)
    assert (spec.mean, spec.std) == statistics and spec.arguments == arguments
    task = make_task(spec)
    assert task.classifier == layers[0] and set(task.density_bounds) == {f"{layer}.weight" for layer in layers}
    assert spec.dense and not set(spec.dense) & set(task.density_bounds)


def test_what_stays_dense_is_the_first_convolution_and_what_is_depthwise() -> None:
    spec = spec_of("timm:test_efficientnet")
    model = make_task(spec).build_model(4)
    first, *others = spec.dense
    assert first == "conv_stem.weight"
    assert others == [f"{n}.weight" for n, m in model.named_modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    masks = Masks(model, spec.dense)
    kinds = {type(model.get_submodule(layer.parameter.rpartition(".")[0])) for layer in masks.layers}
    assert nn.Linear in kinds and "classifier.weight" in masks.bits and "blocks.1.0.conv_pwl.weight" in masks.bits


def test_the_size_of_images_is_handed_to_models_that_want_it() -> None:
    assert spec_of("timm:test_vit", image_size=96).arguments == {"img_size": 96}
    assert spec_of("torchvision:vit_b_32", image_size=96).arguments == {"image_size": 96}
    task = make_task({"name": "timm", "model": "test_vit", "image_size": 32, "arguments": {"depth": 1}})
    model = task.build_model(3)
    assert len(model.blocks) == 1
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 3)


@pytest.mark.parametrize("model", ["timm:test_resnet", "torchvision:mobilenet_v3_small"])
def test_grey_images_get_another_first_convolution(model: str) -> None:
    task = make_task(named_model(model) | {"image_size": 32, "channels": 1})
    assert (len(task.spec.mean), len(task.spec.std)) == (1, 1)  # type: ignore[attr-defined]
    assert task.build_model(5).eval()(torch.zeros(2, 1, 32, 32)).shape == (2, 5)


SCRIPT = """
import json, sys
from raygp.tasks import make_task
from raygp.settings import load_settings
spec = json.loads(sys.argv[1])
task, plan = make_task(spec), load_settings(spec).plan
assert task.spec.model_dump(mode="json") == spec
print("timm" in sys.modules, plan.optimizer.name, task.build_model(4)(__import__("torch").zeros(2, 3, 32, 32)).shape[1])
"""


def test_a_spec_says_all_and_the_library_waits_until_a_model_is_built() -> None:
    spec = spec_of("timm:test_vit", image_size=32, augment="shift").model_dump(mode="json")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(spec)], capture_output=True, text=True, cwd=PROJECT, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False", "adamw", "4"]
    task = make_task(spec)
    assert task == make_task(dict(spec)) and pickle.loads(pickle.dumps(task)) == task
    assert isinstance(task, Task)


def test_another_version_of_the_library_must_build_the_same_network() -> None:
    spec = spec_of("timm:test_resnet", image_size=32)
    older = spec.model_copy(update={"version": "0.0.9"})
    # A line goes on with a newer library, and the same options may be repeated for it.
    assert older == spec and make_task(older).build_model(3)(torch.zeros(2, 3, 32, 32)).shape == (2, 3)
    changed = make_task(older.model_copy(update={"architecture": "0" * 16}))
    with pytest.raises(InputError, match=r"timm:test_resnet is another network in timm .* pip install 'timm==0.0.9'"):
        changed.build_model(3)
    assert spec != spec.model_copy(update={"image_size": 64})


@pytest.mark.parametrize(
    "model, message",
    [
        ("resnet17", "--model: no model is called 'resnet17' (did you mean 'resnet18'?); known are lenet-300-100"),
        ("timm", "--model timm: which one? Write timm:NAME, such as timm:mobilenetv3_small_050"),
        ("tim:test_vit", "--model tim:test_vit: no library is called 'tim' (did you mean 'timm:test_vit'?); known are"),
        ("torchvision:", "--model torchvision:: which one? Such as torchvision:resnet50"),
    ],
)
def test_names_that_say_no_model(model: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        named_model(model)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"name": "timm", "model": "mobilenetv3_smal_050"}, "timm has no classifier called 'mobilenetv3_smal_050': did "
         "you mean mobilenetv3_small_050, "),
        ({"name": "timm", "model": "resnet50.a1_in2k"}, "timm has no classifier called 'resnet50.a1_in2k'"),
        ({"name": "torchvision", "model": "fasterrcnn"}, "torchvision has no classifier called 'fasterrcnn': raygp can "
         "build its 80 models"),
        ({"name": "timm"}, "task timm: which of its models? Give --model timm:NAME"),
        ({"name": "timm", "model": "test_vit", "image_size": 4}, "task timm: image_size: Input should be greater than"),
        ({"name": "timm", "model": "test_vit", "sise": 4}, "task timm: unknown field 'sise'"),
        ({"name": "timm", "model": "test_vit", "dense": ["fc9"]}, "test_vit: dense: no prunable weight is called 'fc9"),
        ({"name": "timm", "model": "test_vit", "arguments": {"dept": 1}}, "timm:test_vit cannot be built and run: "),
        ({"name": "torchvision", "model": "vit_b_16", "image_size": 100}, "torchvision:vit_b_16 cannot take images of "
         "100 x 100 pixels: Input shape indivisible by patch size!. It was made for 224 x 224: "),
        ({"name": "timm", "model": "nf_resnet26"}, "timm:nf_resnet26 cannot be pruned: most of its weights are"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        make_task(fields)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_a_library_that_is_not_installed_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    complete = spec_of("timm:test_vit")
    monkeypatch.setitem(sys.modules, "timm", None)
    for build in (lambda: make_task(named_model("timm:test_vit")), lambda: make_task(complete).build_model(2)):
        with pytest.raises(InputError, match=r"^timm is not installed: pip install 'raygp\[timm\]'$"):
            build()


class TwoOutputs(nn.Module):
    """Gives its features beside its logits."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body, self.scale = nn.Linear(4, 4), nn.Parameter(torch.ones(classes))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.scale * self.body(inputs).sum()


def test_a_model_without_an_output_layer_is_no_classifier() -> None:
    with pytest.raises(InputError, match="mine: no layer has a row for each class"):
        output_layers("mine", TwoOutputs(7), TwoOutputs(11))


def test_nothing_is_published_for_a_size_that_the_model_cannot_take(tmp_path: Path) -> None:
    line = raygp.open(str(tmp_path / "line"))
    with pytest.raises(InputError, match="cannot take images of 40 x 40 pixels"):
        line.ingest(FewDigits(0, 30), task={"name": "torchvision", "model": "vit_b_16", "image_size": 40})
    assert not (tmp_path / "line").exists()


DROPS = {"drop_rate": 0.5, "drop_path_rate": 0.5}


@pytest.mark.parametrize(
    "model, size", [("test_resnet", {}), ("vit_tiny_patch16_224", {"patch_size": 7, "depth": 2, "embed_dim": 48})]
)
def test_growth_sums_gradients_without_drops_and_with_running_statistics(model: str, size: dict[str, int]) -> None:
    arguments = DROPS | size
    task = make_task({"name": "timm", "model": model, "image_size": 28, "channels": 1, "arguments": arguments})
    plan = Plan.model_validate({"phases": [{"kind": "grow-new", "epochs": 1}], "batch_size": 16, "lr": 0.01})
    learner = make_learner(task, DATA, plan, num_classes=10, seed=3)
    before = {name: buffer.clone() for name, buffer in learner.model.named_buffers()}
    ids = torch.arange(24).numpy()
    first = learner.gradient_sum(ids)
    learner.batch_size = 5
    second = learner.gradient_sum(ids)
    for name, total in first.sums.items():
        assert torch.allclose(total, second.sums[name], rtol=1e-3, atol=1e-4 * float(total.abs().max())), name
    assert all(torch.equal(buffer, before[name]) for name, buffer in learner.model.named_buffers())
    dormant = {name: int((~mask).sum()) for name, mask in learner.masks.bits.items()}
    grown = grow(learner.masks, first, 0.5, 0.01)
    # In every layer: norms that the library starts at zero would keep gradients from most of them.
    assert all(grown[layer.name] > 0 for layer in learner.masks.layers if dormant[layer.parameter] > 20)
    # Drops do work while it trains, and masks hold.
    learner.train_epoch(ids, 0, lambda done: None)
    for name, mask in learner.masks.bits.items():
        assert not bool(learner.masks.parameter(name).detach()[~mask].any()), name


@pytest.mark.parametrize("model", ["torchvision:squeezenet1_1", "timm:deit_tiny_distilled_patch16_224"])
def test_every_output_layer_gains_rows_for_new_classes(model: str) -> None:
    fields = named_model(model) | {"image_size": 64, "channels": 1}
    task = make_task(fields)
    torch.manual_seed(1)
    small = task.build_model(3).eval()
    masks = Masks(small, task.dense)
    seed_sparse(masks, 0.3, torch.Generator().manual_seed(1))
    plan = Plan.model_validate({"phases": [{"kind": "grow-new", "epochs": 1}]})
    parent = pack_model(small, masks)
    learner = make_learner(task, DATA, plan, num_classes=5, seed=3, parent=parent, parent_classes=3)
    images = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        old, new = small(images), learner.model.eval()(images)
    assert torch.allclose(new[:, :3], old, atol=1e-5)
    assert not bool(new[:, 3:].any())


def test_plans_go_by_the_kind_of_network() -> None:
    for model, least in (("timm:test_resnet", 1e-3), ("timm:test_vit", 1e-4)):
        settings = load_settings(spec_of(model).model_dump(mode="json"))
        assert settings.plan.optimizer.name == "adamw" and settings.plan.lr >= least
        assert settings.plan.name == "default" and settings.synthesis.epochs >= 16


def test_every_library_is_a_task() -> None:
    for library in LIBRARIES:
        with pytest.raises(InputError, match=f"task {library}: which of its models"):
            make_task({"name": library})
