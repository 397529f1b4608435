"""Ray's private names, formats and habits that raygp relies on are still there; and only one module uses them."""

import importlib
import inspect
import subprocess
import sys
from functools import reduce
from pathlib import Path

import pytest

from raygp.cluster.internals import (
    CHECKPOINT_INDEX,
    CHECKPOINT_PREFIX,
    DEPENDENCES,
    Dependence,
    cause_of,
    checkpoints_in_index,
    new_checkpoint_name,
)
from raygp.cluster.session import _FAST
from tests.checkout import PROJECT


def found(dependence: Dependence) -> object:
    module, _, attribute = dependence.name.partition(":")
    return reduce(getattr, attribute.split("."), importlib.import_module(module))


@pytest.mark.parametrize("dependence", DEPENDENCES, ids=lambda dependence: dependence.name)
def test_what_is_relied_on_is_there(dependence: Dependence) -> None:
    lost = f"{dependence.name}, used by {dependence.used_by}, has changed. Without it: {dependence.feature}"
    try:
        there = found(dependence)
    except (ImportError, AttributeError) as error:
        pytest.fail(f"{lost} ({error})")
    if dependence.says:
        assert dependence.says in inspect.getsource(there), lost  # type: ignore[arg-type]


def test_the_environment_variables_that_are_set_are_those_that_ray_reads() -> None:
    names = [d for d in DEPENDENCES if d.name.endswith("_ENV_VAR")]
    assert {found(name) for name in names} == {name for name in _FAST if name.startswith("RAY_TRAIN_")}


def test_the_time_that_serve_gives_its_proxy_is_the_one_that_is_set() -> None:
    (name,) = (name for name in _FAST if name.startswith("RAY_SERVE_"))
    source = Path(importlib.import_module("ray.serve._private.constants").__file__ or "").read_text()
    assert f'PROXY_READY_CHECK_TIMEOUT_S = get_env_float_positive(\n    "{name}"' in source


def test_the_index_and_the_names_of_checkpoints_are_those_of_ray() -> None:
    from ray.train.v2._internal.constants import CHECKPOINT_MANAGER_SNAPSHOT_FILENAME
    from ray.train.v2._internal.execution.storage import StorageContext

    assert CHECKPOINT_INDEX == CHECKPOINT_MANAGER_SNAPSHOT_FILENAME
    before, ours, after = (
        StorageContext.make_default_checkpoint_dir_name(),
        new_checkpoint_name(),
        StorageContext.make_default_checkpoint_dir_name(),
    )
    assert before < ours < after and len(before) == len(ours) and ours.startswith(CHECKPOINT_PREFIX)


def test_credentials_are_among_what_tune_would_pass_on() -> None:
    code = (
        "from raygp.cluster.internals import keep_credentials_to_ourselves as keep\n"
        "from ray.tune.execution import class_cache as c\n"
        "aws = lambda: any(name.startswith('AWS_') for name in c.ENV_VARS_TO_PROPAGATE)\n"
        "before = aws(); keep(); print(before, aws())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT)
    assert done.stdout == "True False\n", done.stderr


def test_an_index_is_read_as_ray_writes_it() -> None:
    assert checkpoints_in_index(b'{"checkpoint_results": [{"checkpoint_dir_name": "a"}]}') == {"a"}
    assert checkpoints_in_index(b'{"checkpoint_results": [') is None


def test_the_cause_of_a_failed_run_is_its_first_workers_exception() -> None:
    from ray.train import ControllerError, WorkerGroupError

    inner = ValueError("inner")
    assert cause_of(WorkerGroupError("failed", {3: inner})) is inner
    assert cause_of(ControllerError(inner)) is inner
    assert cause_of(inner) is inner


def test_the_module_loads_nothing_of_ray_by_itself() -> None:
    code = "import sys, raygp.cluster.internals; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT)
    assert (done.stdout, done.stderr) == ("False\n", "")
