"""``wandb``: a run of Weights & Biases for each update, as offline files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from raygp.events import UpdateStarted
from raygp.tasks.extras import installed
from raygp.tell.base import TellSettings, Told
from raygp.tell.tracking import End, Run, Tracking, flat, line_name, run_name


class WandbSettings(TellSettings):
    """Weights & Biases: a run for each update, with the plan's settings and numbers by epoch, as offline files. Nothing
    is sent: ``wandb sync FOLDER`` does that (pip install 'raygp[wandb]')."""

    kind: Literal["wandb"] = "wandb"
    folder: str = "wandb-runs"
    """Of this machine; the files lie in ``wandb`` below it."""
    project: str = ""
    """Empty: the last part of the line's root."""

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"Weights & Biases files in {self.folder}"

    def check(self) -> None:
        """Raises InputError if the package is missing."""
        installed("wandb", "wandb", "wandb")

    def make(self) -> Tracking:
        """Loads the client, which takes seconds."""
        # It would print on the terminal.
        os.environ.setdefault("WANDB_SILENT", "true")
        return Tracking(self._open, self._try_out)

    def _open(self, told: Told, event: UpdateStarted) -> Run:
        import wandb

        folder = Path(self.folder).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(f"{told.location.root} {event.update or event.version}".encode()).hexdigest()
        run = wandb.init(
            mode="offline",
            dir=str(folder),
            project=self.project or line_name(told),
            name=run_name(event),
            # The same when the update goes on after an interruption, so that its files are of one run.
            id=digest[:16],
            resume="allow",
            reinit="create_new",
            config={"line": told.location.root, "parent": event.parent, "plan": event.plan, **flat(event.settings)},
            settings=wandb.Settings(
                silent=True, console="off", x_disable_stats=True, disable_git=True, save_code=False
            ),
        )
        return _Run(run)

    def _try_out(self, told: Told) -> None:
        import wandb  # noqa: F401

        Path(self.folder).expanduser().mkdir(parents=True, exist_ok=True)


class _Run:
    def __init__(self, run: Any) -> None:
        self._run = run
        run.define_metric("*", step_metric="examples")

    def log(self, values: Mapping[str, float], step: int, at: datetime) -> None:
        """Numbers of an epoch; the step is one of them, as steps of an interrupted run may come twice."""
        self._run.log({"examples": step, **values})

    def end(self, end: End) -> None:
        """How it ended, and what it came to."""
        self._run.summary.update({**end.values, "outcome": end.how, "reason": end.reason})
        self._run.finish(exit_code=1 if end.how == "failed" else 0)
