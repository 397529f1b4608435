"""``mlflow``: a run for each update, and the line's versions in the model registry."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from raygp.errors import InputError
from raygp.events import Adopted, Approved, Rejected, RolledBack, UpdateStarted
from raygp.store import Card, Location
from raygp.store.documents import encode
from raygp.tasks.extras import installed
from raygp.tell.base import TellSettings, Told
from raygp.tell.tracking import End, Run, Tracking, flat, line_name, run_name

CHAMPION, CANDIDATE = "champion", "candidate"
"""Aliases in the registry: the line's head, and the version that waits for approval."""
_STATUS = {"promoted": "FINISHED", "refused": "FINISHED", "waiting": "FINISHED", "failed": "FAILED"}
_PARAMS, _METRICS = 100, 1000
"""MLflow takes so many at once."""
_LONGEST = 6000
"""Characters of a parameter's value."""
_FOLDER = "version"
"""Of a run's artifacts."""


class MlflowSettings(TellSettings):
    """MLflow: a run for each update, with the plan's settings as parameters, numbers by epoch and the card as an
    artifact. Each version is a version of a registered model; the alias ``champion`` is the line's head, ``candidate``
    what waits for approval (pip install 'raygp[mlflow]')."""

    kind: Literal["mlflow"] = "mlflow"
    uri: str = ""
    """Address of the server, such as http://127.0.0.1:5000; empty: what MLFLOW_TRACKING_URI says. Credentials come from
    MLflow's own environment variables."""
    experiment: str = ""
    """Empty: the last part of the line's root."""
    model: str = ""
    """Name of the registered model; empty: the last part of the line's root."""
    register_versions: bool = True
    """Whether versions are registered."""
    weights: bool = False
    """Whether the version's weights are uploaded beside its card. They lie in the line in any case."""

    @property
    def title(self) -> str:
        """What messages call it."""
        return "MLflow"

    def check(self) -> None:
        """Raises InputError if the package or the address is missing."""
        installed("mlflow", "mlflow", "mlflow")
        if not self.uri and not os.environ.get("MLFLOW_TRACKING_URI"):
            raise InputError(
                "uri: say where MLflow's server is, such as http://127.0.0.1:5000, or set MLFLOW_TRACKING_URI"
            )

    def make(self) -> Mlflow:
        """Loads MLflow's client, which takes seconds."""
        return Mlflow(self)


class Mlflow(Tracking):
    """Runs, and the registry, which follows promotions, rollbacks and approvals."""

    def __init__(self, settings: MlflowSettings) -> None:
        # A library neither prints on the terminal nor tells anybody else that it is used.
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        # Else a server that is gone holds the thread for minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        from mlflow import MlflowClient

        super().__init__(self._open_run, self._look)
        self._settings = settings
        self._client = MlflowClient(settings.uri or None)
        self._registry = Registry(self._client, settings) if settings.register_versions else None

    def tell(self, told: Told) -> None:
        """Do what the event asks for."""
        super().tell(told)
        event = told.event
        if self._registry is None:
            return
        if isinstance(event, Adopted):
            self._registry.add(told, event.card, None, CHAMPION)
        elif isinstance(event, RolledBack | Approved):
            self._registry.move(told, event.version, CHAMPION)
        elif isinstance(event, Rejected):
            self._registry.drop(told, CANDIDATE)

    def _look(self, told: Told) -> None:
        self._client.search_experiments(max_results=1)

    def _open_run(self, told: Told, event: UpdateStarted) -> Run:
        experiment = self._experiment(told)
        tags = {"raygp.line": told.location.root, "raygp.update": event.update or event.version}
        found = self._client.search_runs(
            [experiment],
            " and ".join(f"tags.`{name}` = '{_quoted(value)}'" for name, value in tags.items()),
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
        if found and found[0].info.status in ("RUNNING", "KILLED"):
            run = found[0]
            self._client.update_run(run.info.run_id, "RUNNING")
        else:
            tags |= {"raygp.version": event.version, "raygp.arrival": event.arrival, "raygp.parent": event.parent or ""}
            started = int(told.at.timestamp() * 1000)
            run = self._client.create_run(experiment, started, {**tags, "raygp.plan": event.plan}, run_name(event))
            self._log_params(run.info.run_id, flat(event.settings))
        return _Run(self._client, run, told, self._registry, self._settings.weights)

    def _experiment(self, told: Told) -> str:
        name = self._settings.experiment or line_name(told)
        found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self._client.create_experiment(name))

    def _log_params(self, run: str, params: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        items = [Param(name, value[:_LONGEST]) for name, value in params.items()]
        for first in range(0, len(items), _PARAMS):
            self._client.log_batch(run, params=items[first : first + _PARAMS])


class _Run:
    def __init__(self, client: Any, run: Any, told: Told, registry: Registry | None, weights: bool) -> None:
        self._client, self._run, self._told = client, run, told
        self._registry, self._weights = registry, weights

    def log(self, values: Mapping[str, float], step: int, at: datetime) -> None:
        """Numbers of an epoch."""
        from mlflow.entities import Metric

        when = int(at.timestamp() * 1000)
        numbers = [Metric(name, value, when, step) for name, value in values.items()]
        for first in range(0, len(numbers), _METRICS):
            self._client.log_batch(self._run.info.run_id, metrics=numbers[first : first + _METRICS])

    def end(self, end: End) -> None:
        """How it ended; a version that was made is registered."""
        run = self._run.info.run_id
        at = end.at or datetime.now().astimezone()
        self.log(end.values, int(end.values.get("final/examples", 0)), at)
        self._client.set_tag(run, "raygp.outcome", end.how)
        if end.reason:
            self._client.set_tag(run, "raygp.reason", end.reason[:_LONGEST])
        if end.card is not None:
            log_version(self._client, run, self._told.location, end.card, self._weights)
            if self._registry is not None:
                alias = CANDIDATE if end.how == "waiting" else CHAMPION
                self._registry.add(self._told, end.card, self._run, alias)
        # An interrupted run goes on when the update does.
        self._client.set_terminated(run, _STATUS.get(end.how, "KILLED"), int(at.timestamp() * 1000))


class Registry:
    """The versions of a line as versions of a registered model, each with the tag ``raygp.version``."""

    def __init__(self, client: Any, settings: MlflowSettings) -> None:
        self._client, self._settings = client, settings

    def add(self, told: Told, card: Card, run: Any, alias: str) -> None:
        """Register a version, if it is not there, and give it an alias."""
        name = self._name(told)
        number = self._find(name, told, card.version)
        if number is None:
            self._make_model(name, told)
            address = told.location.url(f"versions/{card.version}")
            # A server takes no folder of another machine as a source, so that of the run is given.
            source = f"{run.info.artifact_uri}/{_FOLDER}" if run is not None else address
            tags = {
                "raygp.line": told.location.root, "raygp.version": card.version, "raygp.address": address,
                "raygp.arrival": card.arrival, "raygp.density": f"{card.density:.6g}",
                "raygp.val_accuracy": f"{card.val_accuracy:.6g}", "raygp.mask_digest": card.mask_digest,
            }  # fmt: skip
            # There is nothing to wait for, and MLflow would say that it waits.
            made = self._client.create_model_version(
                name, source, run.info.run_id if run is not None else None, tags, await_creation_for=0
            )
            number = made.version
        self._client.set_registered_model_alias(name, alias, number)
        if alias == CHAMPION:
            self.drop(told, CANDIDATE)

    def move(self, told: Told, version: str, alias: str) -> None:
        """Give a version that is registered an alias; where it is not, nobody has it."""
        name = self._name(told)
        number = self._find(name, told, version)
        if number is None:
            self.drop(told, alias)
        else:
            self._client.set_registered_model_alias(name, alias, number)
            if self._find_alias(name, CANDIDATE) == number:
                self.drop(told, CANDIDATE)

    def _find_alias(self, name: str, alias: str) -> str | None:
        """The version that has an alias."""
        for model in self._client.search_registered_models(f"name = '{_quoted(name)}'"):
            return str(model.aliases[alias]) if alias in model.aliases else None
        return None

    def drop(self, told: Told, alias: str) -> None:
        """Take an alias away, from whatever has it."""
        name = self._name(told)
        for model in self._client.search_registered_models(f"name = '{_quoted(name)}'"):
            if alias in model.aliases:
                self._client.delete_registered_model_alias(name, alias)

    def _name(self, told: Told) -> str:
        return self._settings.model or line_name(told)

    def _find(self, name: str, told: Told, version: str) -> str | None:
        tags = {"raygp.version": version, "raygp.line": told.location.root}
        asked = " and ".join(f"tags.`{tag}` = '{_quoted(value)}'" for tag, value in tags.items())
        found = self._client.search_model_versions(f"name = '{_quoted(name)}' and {asked}", max_results=10)
        return str(max(found, key=lambda one: int(one.version)).version) if found else None

    def _make_model(self, name: str, told: Told) -> None:
        from mlflow.exceptions import MlflowException

        try:
            about = f"Versions of the model line {told.location.root}, kept up to date by raygp."
            self._client.create_registered_model(name, {"raygp.line": told.location.root}, about)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def log_version(client: Any, run: str, location: Location, card: Card, weights: bool) -> None:
    """Upload a version's card, and its weights if they are wanted, as artifacts of a run."""
    with tempfile.TemporaryDirectory(prefix="raygp-mlflow-") as folder:
        (Path(folder) / "card.json").write_bytes(encode(card))
        for info in card.files if weights else []:
            data = location.read_bytes(f"versions/{card.version}/{info.file}")
            (Path(folder) / info.file).write_bytes(data)
        client.log_artifacts(run, folder, _FOLDER)


def _quoted(text: str) -> str:
    return text.replace("'", "''")
