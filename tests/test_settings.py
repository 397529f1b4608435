"""Where settings come from, and in which order."""

from pathlib import Path

from raygp.settings import load_settings
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
