"""``raygp serve`` as an application that Ray Serve builds from a configuration: what KubeRay's RayService wants."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from raygp.errors import InputError
from raygp.serve.access import VARIABLE, choose_token, token_hash

if TYPE_CHECKING:
    from ray.serve import Application

_AtLeastOne = Annotated[int, Field(ge=1)]


class ServeArguments(BaseModel):
    """What stands under ``args`` of the application: options of ``raygp serve``, with ``_`` for ``-``."""

    model_config = ConfigDict(extra="forbid")

    root: str
    name: str = "line"
    """Of the model, in addresses."""
    version: str = "head"
    """``head`` follows the head."""
    poll: Annotated[float, Field(ge=0.05, le=3600)] = 5.0
    replicas: _AtLeastOne = 1
    max_bytes: _AtLeastOne = 8 * 2**20
    max_batch: _AtLeastOne = 64
    max_waiting: _AtLeastOne = 1024


def build(args: dict[str, Any]) -> Application:
    """Make the application. Serve calls this in a task on the cluster.

    Args:
        args: see :class:`ServeArguments`.

    Raises:
        InputError: an argument does not exist or does not fit, RAYGP_TOKEN holds no token, or there is no such line or
            version.
    """
    from raygp.cluster.serving import ServeSettings, application
    from raygp.serve.limits import Limits
    from raygp.store import Location, check_weights, open_head, open_line, read_card, read_head
    from raygp.tasks.making import OWN
    from raygp.tasks.own import find_code

    try:
        given = ServeArguments.model_validate(args)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise InputError(f"args of the application: {said}") from error
    if VARIABLE not in os.environ:
        raise InputError(f"{VARIABLE} is not set: the network would be answered without a token")
    token, _ = choose_token(None, os.environ)
    location = Location(given.root)
    spec = open_line(location)
    head = read_head(location)
    if given.version == "head" and head is None:
        raise InputError(f"{location.root} has no version yet: raygp update makes the first")
    card = open_head(location, head) if given.version == "head" and head else read_card(location, given.version)
    check_weights(location, card)
    settings = ServeSettings(
        location=location,
        name=given.name,
        token=token_hash(token),
        pinned=None if given.version == "head" else given.version,
        poll_s=given.poll,
        replicas=given.replicas,
        code=find_code(spec.task) if spec.task.get("name") == OWN else None,
        limits=Limits(given.max_bytes, given.max_batch, given.max_waiting),
    )
    app: Application = application(settings)
    return app
