"""The descriptions of tasks: plain data that a configuration file holds and a version's card repeats."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Augment = Literal["none", "shift", "shift-flip", "resized-crop"]
Positive = Annotated[float, Field(gt=0.0)]

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_MNIST = ((0.1307,), (0.3081,))
_LENET_SIZE = 28


class ImageSpec(BaseModel):
    """Which model is trained on which kind of image. A default that depends on other fields is filled in when the spec
    is made, so a dumped spec is complete.

    Raises:
        pydantic.ValidationError: a field is unknown, missing or wrong; :func:`raygp.tasks.make_task` turns it into an
            :class:`raygp.errors.InputError`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: Literal["resnet18", "resnet18-small", "lenet-300-100", "lenet-5"]
    """The model."""
    image_size: Annotated[int, Field(ge=8, le=1024)]
    """Height and width of the model's input in pixels. The lenets' is 28, which is also their default."""
    channels: Literal[1, 3]
    """1: grey. 3: RGB. Default 3 for the ResNets, 1 for the lenets."""
    augment: Augment = "none"
    """shift: random crop of the zero-padded image. shift-flip: that, and a mirror image half of the time.
    resized-crop: a random part (35-100 % of the area, aspect 3:4 to 4:3) scaled to the full size, and the mirror."""
    shift: Annotated[int, Field(ge=0)]
    """Padding of the random crop in pixels, on each side. Default: a sixteenth of the image, at least 1."""
    mean: tuple[float, ...]
    """By channel, subtracted from pixels in [0, 1]. Default: ImageNet's for RGB, MNIST's for grey."""
    std: tuple[Positive, ...]
    """By channel, divided by after that. Defaults as for ``mean``."""
    dense: tuple[str, ...]
    """Parameters that are never pruned. Default: the first convolution of the ResNets; none of the lenets'."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        given = {key: value for key, value in values.items() if value is not None}
        lenet = str(given.get("name", "")).startswith("lenet")
        channels = given.get("channels", 1 if lenet else 3)
        mean, std = _MNIST if channels == 1 else _IMAGENET
        defaults = {"channels": channels, "mean": mean, "std": std, "dense": () if lenet else ("conv1.weight",)}
        if lenet:
            defaults["image_size"] = _LENET_SIZE
        filled = defaults | given
        size = filled.get("image_size")
        # A size that is not a number is reported as such, and not also as a missing shift.
        filled.setdefault("shift", max(1, size // 16) if isinstance(size, int) else 1)
        return filled

    @model_validator(mode="after")
    def _fields_agree(self) -> ImageSpec:
        if self.name.startswith("lenet") and self.image_size != _LENET_SIZE:
            raise ValueError(f"image_size must be {_LENET_SIZE} for {self.name}, not {self.image_size}")
        for field in ("mean", "std"):
            values = len(getattr(self, field))
            if values != self.channels:
                raise ValueError(f"{field} needs one number a channel ({self.channels}), not {values}")
        if self.shift >= self.image_size:
            raise ValueError(f"shift ({self.shift}) must be smaller than image_size ({self.image_size})")
        return self


class SpeechSpec(BaseModel):
    """Which model is trained on which features of speech.

    Raises:
        pydantic.ValidationError: as for :class:`ImageSpec`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: Literal["deepspeech2", "deepspeech2-small"]
    """The model."""
    mels: Annotated[int, Field(ge=16, le=256)] = 40
    """Mel bands of the features."""
    augment: Literal["none", "specaugment"] = "specaugment"
    """specaugment: two bands of mels and two of frames are hidden in each training example."""
    dense: tuple[str, ...] = ()
    """Parameters that are never pruned."""


TaskSpec = ImageSpec | SpeechSpec
