"""Updates of kept roots, with the settings that they were begun with."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from raygp.line.jobs import next_job as job_of
from raygp.line.state import read_state
from raygp.settings import RunSettings, load_settings
from raygp.store import Location
from raygp.update.job import UpdateJob
from tests.formats.archives import described

DEFAULTS_OF_THEN: dict[str, Any] = {
    "ladder": False,
    "plan": {
        "fit": None,
        "epochs": 8,
        "replay": {"share": 0.15, "hard": 1.0},
        "arrival": {"share": 0.3, "hard": 1.0},
    },
}
"""What raygp 0.1.0 did with LeNet-300-100 where nothing else was said, and what has other defaults now."""


def settings_of(name: str) -> RunSettings:
    """The settings that a kept root was updated with, as the file that they were given as, over the old defaults."""
    settings = _merged(DEFAULTS_OF_THEN, described(name)["settings"])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "settings.yaml")
        file.write_text(json.dumps(settings))
        return load_settings("lenet-300-100", str(file))


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {key: _merged(below[key], above[key]) for key in below.keys() & above if isinstance(below[key], dict)}
    return {**below, **above, **both}


def next_job(location: Location, name: str) -> UpdateJob:
    """The update of the arrival that waits in a kept root."""
    state = read_state(location)
    [waiting] = state.pending
    return job_of(location, state, waiting, settings_of(name), described(name)["sweep"])[0]
