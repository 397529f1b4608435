"""Updates of kept roots, with the settings that they were begun with."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from raygp.line.state import read_state
from raygp.line.update import next_job as job_of
from raygp.settings import RunSettings, load_settings
from raygp.store import Location
from raygp.update.job import UpdateJob
from tests.formats.archives import described


def settings_of(name: str) -> RunSettings:
    """The settings that a kept root was updated with, as the file that they were given as."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "settings.yaml")
        file.write_text(json.dumps(described(name)["settings"]))
        return load_settings("lenet-300-100", str(file))


def next_job(location: Location, name: str) -> UpdateJob:
    """The update of the arrival that waits in a kept root."""
    state = read_state(location)
    [waiting] = state.pending
    return job_of(location, state, waiting, settings_of(name), described(name)["sweep"])[0]
