"""The descriptions of tasks: plain data that a configuration file holds and a version's card repeats.

No torch in here: the command line needs the choices below before it trains anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_serializer, model_validator

Augment = Literal["none", "shift", "shift-flip", "resized-crop"]
"""How images are changed at random while a model trains on them; :attr:`ImageSpec.augment` explains each."""
AUGMENTS: tuple[Augment, ...] = get_args(Augment)
"""All values of :data:`Augment`, for choices of a command line."""

ImageSize = Annotated[int, Field(ge=8, le=1024)]
"""Side of a square image in pixels."""
Channels = Literal[1, 3]
"""1: grey. 3: RGB."""
WHITE = "#ffffff"
"""A colour as it stands in a spec."""


def _colour(value: Any) -> str:
    """``#rrggbb`` from that, or from a grey level."""
    text = str(value).lower()
    if re.fullmatch("[0-9]{1,3}", text) and int(text) <= 255:
        return "#" + 3 * f"{int(text):02x}"
    if not re.fullmatch("#?[0-9a-f]{6}", text):
        raise ValueError("must be a colour such as '#808080', or a grey level from 0 to 255")
    return "#" + text[-6:]


Colour = Annotated[str, BeforeValidator(_colour)]
"""``#rrggbb``, or a grey level from 0 (black) to 255 (white), which becomes that."""
Positive = Annotated[float, Field(gt=0.0)]

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_MNIST = ((0.1307,), (0.3081,))
_ADDED_LATER = {"background": WHITE}
"""Fields that lines of earlier versions do not have. At these values they are left out when a spec is dumped, so that
such a line's task is the same one, in ``line.json`` and wherever it is compared."""


class TaskSpec(BaseModel):
    """Settings of a task. Each task has a subclass with its own fields. Unknown fields are errors; values never change.

    A dumped spec is complete, but for defaults of fields that raygp did not always have: it stands in ``line.json``,
    and later versions of raygp must read the same task from it.

    Raises:
        pydantic.ValidationError: a field is unknown, missing or wrong; :func:`raygp.tasks.make_task` turns it into an
            :class:`raygp.errors.InputError`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str
    """Which task it is: a name in :data:`raygp.tasks.TASKS`."""


class ImageSpec(TaskSpec):
    """Which kind of image a model is trained on. A default that depends on other fields is filled in when the spec is
    made, so a dumped spec is complete.

    A task whose defaults differ has a subclass that gives the fields other defaults, or adds fields.
    """

    image_size: ImageSize
    """Height and width of the model's input in pixels."""
    channels: Channels = 3
    """1: grey. 3: RGB."""
    augment: Augment = "none"
    """shift: random crop of the zero-padded image. shift-flip: that, and a mirror image half of the time.
    resized-crop: a random part (35-100 % of the area, aspect 3:4 to 4:3) scaled to the full size, and the mirror."""
    shift: Annotated[int, Field(ge=0)]
    """Padding of the random crop in pixels, on each side. Default: a sixteenth of the image, at least 1."""
    mean: tuple[float, ...]
    """By channel, subtracted from pixels in [0, 1]. Default: ImageNet's for RGB, MNIST's for grey."""
    std: tuple[Positive, ...]
    """By channel, divided by after that. Defaults as for ``mean``."""
    dense: tuple[str, ...] = ()
    """Names of parameters that are never pruned."""
    background: Colour = WHITE
    """What transparent pixels of an image show: a colour such as ``#808080``, or a grey level from 0 to 255."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        given = {key: value for key, value in values.items() if value is not None}
        channels = given.get("channels", cls.model_fields["channels"].default)
        mean, std = _MNIST if channels == 1 else _IMAGENET
        filled: dict[str, Any] = {"mean": mean, "std": std} | given
        size = filled.get("image_size", cls.model_fields["image_size"].default)
        # A size that is not a number is reported as such, and not also as a missing shift.
        filled.setdefault("shift", max(1, size // 16) if isinstance(size, int) else 1)
        return filled

    @model_validator(mode="after")
    def _fields_agree(self) -> ImageSpec:
        for field in ("mean", "std"):
            values = len(getattr(self, field))
            if values != self.channels:
                raise ValueError(f"{field} needs one number a channel ({self.channels}), not {values}")
        if self.shift >= self.image_size:
            raise ValueError(f"shift ({self.shift}) must be smaller than image_size ({self.image_size})")
        return self

    @model_serializer(mode="wrap")
    def _dumped(self, dump: Callable[[ImageSpec], dict[str, Any]]) -> dict[str, Any]:
        left_out = {name for name, value in _ADDED_LATER.items() if getattr(self, name) == value}
        return {name: value for name, value in dump(self).items() if name not in left_out}
