"""Where settings come from, and in which order."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import nn

from raygp.errors import InputError
from raygp.settings import load_settings
from raygp.update.optimizers import OPTIMIZERS, OptimizerSettings
from raygp.update.plans import named_plan


def test_a_plan_is_named_among_the_options_and_changed_by_others_before_or_after_it() -> None:
    paper = named_plan("paper", "update", "deepspeech2-small")
    assert load_settings("deepspeech2-small", overrides=["plan=paper"]).plan == paper
    for overrides in (["plan=paper", "plan.alpha=0.2"], ["plan.alpha=0.2", "plan=paper"]):
        plan = load_settings("deepspeech2-small", overrides=overrides).plan
        assert plan == paper.model_copy(update={"alpha": 0.2, "name": "custom"})


def test_a_plan_among_the_options_replaces_that_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("plan: {name: paper, alpha: 0.2}\nworkers: 1\n")
    assert load_settings("lenet-5", str(file)).plan.alpha == 0.2
    settings = load_settings("lenet-5", str(file), ["plan=paper"])
    assert settings.plan == named_plan("paper", "update", "lenet-5")
    assert settings.workers.spelled == 1


def test_a_plan_is_never_labelled_with_the_name_of_another(tmp_path: Path) -> None:
    paper = named_plan("paper", "update", "lenet-5")
    assert load_settings("lenet-5", overrides=["plan.name=paper"]).plan == paper
    file = tmp_path / "settings.yaml"
    file.write_text("plan: {alpha: 0.2}\n")
    changed = paper.model_copy(update={"alpha": 0.2, "name": "custom"})
    assert load_settings("lenet-5", str(file), ["plan.name=paper"]).plan == changed
    file.write_text("plan: {name: paper, alpha: 0.2}")
    assert load_settings("lenet-5", str(file)).plan == changed
    assert load_settings("lenet-5", str(file), [f"plan.alpha={paper.alpha}"]).plan == paper, "as it was: no other plan"
    file.write_text("plan: {name: mine, alpha: 0.2}")
    assert load_settings("lenet-5", str(file)).plan.name == "mine"
    assert load_settings("lenet-5", overrides=["plan=paper", "plan.name=mine"]).plan == paper.model_copy(
        update={"name": "mine"}
    )


class Slow(OptimizerSettings):
    """An optimizer that a package might bring: it has a field of its own, and lacks those of raygp's."""

    name: Literal["slow"] = "slow"
    haste: float = 0.5

    def make(self, parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=lr)


@pytest.fixture
def slow() -> Iterator[None]:
    OPTIMIZERS.register("slow", Slow)
    yield
    OPTIMIZERS.forget("slow")


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("overrides", [["plan.optimizer.name=slow", "plan.optimizer.haste=0.1"],
                                       ["plan.optimizer.haste=0.1", "plan.optimizer.name=slow"]])  # fmt: skip
def test_an_optimizer_of_a_package_is_named_like_raygps_own(overrides: list[str]) -> None:
    assert load_settings("lenet-5", overrides=overrides).plan.optimizer == Slow(haste=0.1)


@pytest.mark.usefixtures("slow")
def test_an_optimizer_of_a_package_is_named_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("plan: {optimizer: {name: slow, haste: 0.1}}\nsynthesis: {optimizer: {name: slow}}\n")
    settings = load_settings("lenet-5", str(file))
    assert (settings.plan.optimizer, settings.synthesis.optimizer) == (Slow(haste=0.1), Slow())
    back = load_settings("lenet-5", str(file), ["plan.optimizer.name=adam", "plan.optimizer.momentum=0.8"])
    assert back.plan.optimizer == OPTIMIZERS.get("adam").model_validate({"name": "adam", "momentum": 0.8})


def test_what_both_optimizers_have_is_kept() -> None:
    sgd = named_plan("default", "update", "lenet-5").optimizer.model_dump()
    adam = load_settings("lenet-5", overrides=["plan.optimizer.name=adam"]).plan.optimizer
    assert adam.model_dump() == sgd | {"name": "adam"}


_UNKNOWN_OPTIMIZER = (
    "plan.optimizer: no optimizer is called 'sdg' (did you mean 'sgd'?); known are sgd, adam, adamw, slow"
)


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.name=adam", "there is no setting 'optimizer' (did you mean 'plan.optimizer.name'?)"),
        ("replay.share=0.2", "there is no setting 'replay' (did you mean 'plan.replay.share'?)"),
        (
            "plan.growth=randm",
            "no growth criterion is called 'randm' (did you mean 'random'?); known are gradient, random",
        ),
        ("plan.optimizer.name=sdg", None),
        ("plan.pruning=7", "input should be a valid string, not 7"),
    ],
)
def test_a_setting_that_is_wrong_is_explained_once(override: str, message: str | None) -> None:
    with pytest.raises(InputError) as caught:
        load_settings("lenet-5", overrides=[override])
    where = override.partition("=")[0]
    expected = f"{where}: {message}" if message else _UNKNOWN_OPTIMIZER
    assert str(caught.value) == expected


@pytest.mark.usefixtures("slow")
def test_a_misspelt_field_of_an_optimizer_is_no_less_an_error_when_the_optimizer_changes() -> None:
    with pytest.raises(InputError, match=r"momentun"):
        load_settings("lenet-5", overrides=["plan.optimizer.momentun=0.8", "plan.optimizer.name=slow"])
