"""Who else is told of what happens to a line: commands, webhooks, files, OpenTelemetry, experiment trackers.

Each is a *teller*: settings of a kind from the open registry :data:`TELLERS`, which make an object with two methods
(:class:`Teller`). It works in a thread of its own: one that fails or is slow neither fails nor delays an update
(:mod:`raygp.tell.queue`)::

    with raygp.tell.listeners(settings.tell, line, notice=print) as told:
        stop = line.listen(told)
        line.update(settings)

No torch and no Ray in here. What a kind needs beside raygp is imported in its thread.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, SerializeAsAny

from raygp.registry import Registry
from raygp.tell.base import OUTCOMES, HookSettings, Teller, TellSettings, Told
from raygp.tell.listening import listeners, try_out
from raygp.update.fields import by_registry

__all__ = [
    "OUTCOMES",
    "TELLERS",
    "HookSettings",
    "TellSettings",
    "Teller",
    "TellerList",
    "Told",
    "listeners",
    "try_out",
]

TELLERS: Registry[type[TellSettings]] = Registry(
    "teller",
    "raygp.tellers",
    {
        "command": "raygp.tell.command:CommandSettings",
        "webhook": "raygp.tell.webhook:WebhookSettings",
        "jsonl": "raygp.tell.json_lines:JsonLinesSettings",
        "otel": "raygp.tell.otel:OtelSettings",
        "tensorboard": "raygp.tell.tensorboard:TensorBoardSettings",
        "mlflow": "raygp.tell.mlflow_runs:MlflowSettings",
        "wandb": "raygp.tell.wandb_runs:WandbSettings",
    },
)
"""By kind, the class of its settings."""


def _is_list(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise ValueError("expected a list of tellers, such as [{kind: jsonl, file: events.jsonl}]")
    return value


TellerList = Annotated[
    tuple[SerializeAsAny[Annotated[TellSettings, BeforeValidator(by_registry(TELLERS, "kind"))]], ...],
    BeforeValidator(_is_list),
]
"""Type of the setting ``tell``."""
