"""Where settings come from, and in which order."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import nn

from raygp.errors import InputError
from raygp.settings import RunSettings, load_settings, load_standing
from raygp.update.optimizers import OPTIMIZERS, OptimizerSettings
from raygp.update.plans import named_plan
from raygp.yaml_reading import read_yaml


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


def in_file(tmp_path: Path, text: str | bytes) -> RunSettings:
    file = tmp_path / "s.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_settings("lenet-300-100", str(file))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("plan:\n  epochs: 1\nplan:\n  lr: 0.1\n", "'plan' is given twice, in lines 1 and 3: the first would be lost"),
        (
            "plan:\n  lr: 1\n  epochs: 2\n  lr: 2\n",
            "'plan.lr' is given twice, in lines 2 and 4: the first would be lost",
        ),
        ("seed: 1\n'seed': 1\n", "'seed' is given twice, in lines 1 and 2: the first would be lost"),
        ("plan: {lr: 1, lr: 1}\n", "'plan.lr' is given twice, in line 1: the first would be lost"),
        (
            "plan:\n  phases:\n  - kind: train\n    epochs: 1\n    epochs: 2\n",
            "'plan.phases.0.epochs' is given twice, in lines 4 and 5: the first would be lost",
        ),
        (
            "plan: &a\n  lr: 1\nsynthesis:\n  <<: *a\n  epochs: 1\n  epochs: 2\n",
            "'synthesis.epochs' is given twice, in lines 5 and 6: the first would be lost",
        ),
        (
            "# gr\u00fcn\nseed: 1\n".encode("latin-1"),
            "line 1 is not UTF-8: save the file as UTF-8 (it looks like Latin-1/Win",
        ),
        ("seed: 2026-13-45", "not YAML: a date, a number or another value cannot be read: month must be in 1..12"),
        ("seed: !!int x", "not YAML: a date, a number or another value cannot be read: invalid literal for int()"),
        ("seed: " + "1" * 5000, "not YAML: a date, a number or another value cannot be read: Exceeds the limit"),
        ("seed: !!timestamp x", "not YAML: a date, a number or another value cannot be read"),
        ("plan:\n\tepochs: 3", "not YAML: a tab in line 2: put blanks in its place"),
        ("seed: \x01", "not YAML: unacceptable character #x0001"),
        ("[" * 3000, "not YAML: too many brackets in one another"),
        ("seed: 1\n---\nseed: 2\n", "not YAML: expected a single document"),
        ("seed: 1:30", "seed: input should be a valid integer"),
        ("1: 2", "1: keys should be strings"),
        ("- seed: 1", "expected settings as 'key: value', found list"),
    ],
)
def test_a_file_that_would_not_mean_what_it_says_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        in_file(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path}/s.yaml: {message}")


@pytest.mark.parametrize(
    "text", ["", "# seed: 1\n", "---\n# nothing\n...\n", "plan:\n  # lr: 1\nsynthesis:\nsweep:\n", "\ufeff# seed: 1\n"]
)
def test_a_file_of_comments_changes_nothing(tmp_path: Path, text: str) -> None:
    assert in_file(tmp_path, text) == load_settings("lenet-300-100")


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e-3", 0.001), ("1E-3", 0.001), ("1.e-3", 0.001), ("+.5e-3", 0.0005), ("2e1", 20.0), ("1_0.5", 10.5), ("3", 3)],
)
def test_a_number_is_a_number_however_it_is_written(tmp_path: Path, text: str, number: float) -> None:
    assert in_file(tmp_path, f"plan: {{lr: {text}}}").plan.lr == number
    assert load_settings("lenet-300-100", overrides=[f"plan.lr={text}"]).plan.lr == number
    assert read_yaml(f"[{text}, '{text}']") == [number, text]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", "010"), ("1:30", "1:30"), ("-0x10", -16), ("0b11", 3), ("-1_000", -1000), ("1e", "1e"), ("e3", "e3"),
        ("1..8", "1..8"), ("-.inf", -math.inf), ("null", None), ("yes", True), ("1.2.3", "1.2.3"), ("-", [None]),
    ],
)  # fmt: skip
def test_what_is_no_number_stays_what_it_is(text: str, value: object) -> None:
    assert read_yaml(text) == value


def test_anchors_and_merge_keys_are_as_ever(tmp_path: Path) -> None:
    text = "plan: &a {lr: 0.3, epochs: 2}\nsynthesis:\n  <<: *a\n  <<: {seed_density: 0.5}\n  lr: 0.4\n"
    settings = in_file(tmp_path, text)
    assert (settings.plan.lr, settings.plan.epochs) == (0.3, 2)
    assert (settings.synthesis.lr, settings.synthesis.epochs, settings.synthesis.seed_density) == (0.4, 2, 0.5)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path, encoding: str) -> None:
    assert in_file(tmp_path, "seed: 3 # gr\u00fcn\n".encode(encoding)).seed == 3


def test_who_says_how_long_a_first_version_is_trained_gets_that() -> None:
    assert load_settings("").synthesis.fit == named_plan("default", "synthesis").fit is not None
    for said in ("synthesis.epochs=3", "synthesis.batch_size=20", "synthesis.phases=[{kind: grow-all, epochs: 1}]"):
        assert load_settings("", overrides=[said]).synthesis.fit is None
    kept = load_settings("", overrides=["synthesis.epochs=3", "synthesis.fit={min_steps: 9}"]).synthesis
    assert kept.fit is not None and kept.fit.min_steps == 9
    assert load_settings("", overrides=["synthesis.lr=0.3"]).synthesis.fit is not None
    assert load_settings("lenet-5").synthesis.fit is None


def test_whoever_looks_at_no_plan_still_finds_a_setting_that_does_not_exist(tmp_path: Path) -> None:
    file = tmp_path / "line.yaml"
    file.write_text("wacth: {interval_s: 3}\nplan: {epochs: 2}\nworkers: 1\n")
    with pytest.raises(InputError, match=r"line.yaml: wacth: .*did you mean 'watch'"):
        load_standing(str(file))
    with pytest.raises(InputError, match=r"^promot: .*did you mean 'promote'"):
        load_standing(None, ["promot=approve"])
    file.write_text("1: {interval_s: 3}\nworkers: 1\n")
    with pytest.raises(InputError, match="there is no setting '1'"):
        load_standing(str(file))
    file.write_text("workers: 1\nwatch: {interval_s: 3}\n")
    assert load_standing(str(file), ["plan.epochs=2", "gate_tolerance=0.1"]).watch.interval_s == 3.0
