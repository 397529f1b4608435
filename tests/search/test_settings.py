"""The settings of a sweep are part of its identity: as JSON they stay as raygp 0.1.0 wrote them."""

import subprocess
import sys

import pytest

from raygp.errors import InputError
from raygp.search.algorithms import SEARCHES
from raygp.search.settings import SweepSettings
from raygp.settings import load_settings
from tests.checkout import PROJECT

JSON = (
    '{"space":{"alpha":{"choice":[0.1],"grid_search":null,"uniform":null,"loguniform":null,"quniform":null,'
    '"randint":null,"lograndint":null}},"trials":8,"concurrent":2,"search":"random","scheduler":"asha","grace":0.125,'
    '"reduction":4.0,"objective":"connections","tolerance":0.001,"warm_start":true,"share_work":true,"max_hours":null,'
    '"max_cost":"5x"}'
)


def test_the_settings_of_an_unfinished_sweep_keep_their_identity() -> None:
    given = {"space": {"alpha": {"choice": [0.1]}}, "max_cost": "5x"}
    assert SweepSettings.model_validate(given).model_dump_json() == JSON


def test_an_unknown_search_algorithm_names_those_there_are() -> None:
    with pytest.raises(InputError) as refused:
        load_settings("lenet-300-100", None, ["sweep.search=grid"])
    assert str(refused.value) == "sweep.search: input should be 'random' or 'optuna', not 'grid'"


def test_a_registered_search_algorithm_is_a_setting() -> None:
    class Mine:
        learns = False

        def make(self, request: object) -> object:
            return request

    SEARCHES.register("mine", Mine())
    try:
        assert load_settings("lenet-300-100", None, ["sweep.search=mine"]).sweep.search == "mine"
    finally:
        SEARCHES.forget("mine")


def test_raygps_own_algorithms_load_and_say_whether_they_learn() -> None:
    assert {name: SEARCHES.get(name).learns for name in ("random", "optuna")} == {"random": False, "optuna": True}


def test_deciding_loads_no_ray() -> None:
    modules = "raygp.search.sweep, raygp.search.layout, raygp.search.outcome, raygp.settings"
    code = f"import sys, {modules}; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT)
    assert (done.stdout, done.stderr) == ("False\n", "")
