"""The task of a library's classifier: its spec, which says everything about the model, and how that builds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, model_validator
from torch import nn

from raygp.errors import InputError
from raygp.tasks.images import ImageTask
from raygp.tasks.kind import Tuning
from raygp.tasks.libraries import LIBRARIES
from raygp.tasks.libraries.common import Library, require_model, version_of
from raygp.tasks.libraries.examining import Found, architecture_of, examine
from raygp.tasks.networks import TUNINGS, Network
from raygp.tasks.spec import ImageSpec

_NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)
_LOOKED_UP = ("arguments", "dense", "output_layers", "network", "architecture", "version")


class LibrarySpec(ImageSpec):
    """Settings of a library's classifier. Only ``name`` and ``model`` have to be given: the rest is looked up in the
    library and found by running the model once, without memory for its weights.

    Two specs that differ in ``version`` alone are equal: what has been made with an older library may go on with a
    newer one that builds the same model.

    Raises:
        InputError: the library is not installed or has no such model, or the model does not suit raygp or the images.
    """

    name: Literal["timm", "torchvision"]
    """The library."""
    model: str
    """The model's name there."""
    arguments: dict[str, JsonValue]
    """What the library's factory is told beside the number of classes. Default: the size of images, where it wants to
    know it, and what switches auxiliary outputs off."""
    output_layers: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of the layers that have a row for each class: mostly one."""
    network: Network
    """Which kind of network it is: decides about plans."""
    architecture: str
    """Digest of the names, shapes and kinds of the model's parts, by which a change of the library is noticed."""
    version: str
    """The library's, when the spec was made."""

    @model_validator(mode="before")
    @classmethod
    def _look_up(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        given = {key: value for key, value in values.items() if value is not None}
        if all(field in given for field in (*_LOOKED_UP, "image_size", "mean", "std")):
            return given
        if "model" not in given and given.get("name") in LIBRARIES:
            raise InputError(f"task {given['name']}: which of its models? Give --model {given['name']}:NAME")
        if not _can_be_looked_up(given):
            # Other errors are reported, and not those of fields that would have been filled in.
            filled = {"image_size": 224, "arguments": {}, "dense": (), "output_layers": ("",), "network": "mlp"}
            return {"architecture": "", "version": ""} | filled | given
        return _looked_up(given)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LibrarySpec):
            return NotImplemented
        return self.model_dump(exclude={"version"}) == other.model_dump(exclude={"version"})

    def __hash__(self) -> int:
        return hash((self.name, self.model, self.image_size))


def _can_be_looked_up(given: dict[str, Any]) -> bool:
    sizes = given.get("image_size", 224)
    known = given.get("name") in LIBRARIES and isinstance(given.get("model"), str)
    return known and type(sizes) is int and 8 <= sizes <= 1024 and given.get("channels", 3) in (1, 3)


def _looked_up(given: dict[str, Any]) -> dict[str, Any]:
    """The fields of a spec, with all that the library says and that the model shows."""
    library, model, channels = library_of(given["name"]), given["model"], given.get("channels", 3)
    version = version_of(library.name)
    require_model(library, model)
    defaults = library.defaults(model)
    size = given.get("image_size", defaults.image_size)
    arguments = library.arguments(model, size) | given.get("arguments", {})
    found = examine(library, model, size, channels, arguments, defaults.image_size)
    looked_up = {
        "image_size": size,
        "mean": _for_channels(defaults.mean, channels),
        "std": _for_channels(defaults.std, channels),
        "dense": found.dense,
        "output_layers": found.output_layers,
        "network": found.network,
    }
    _check_dense(model, given.get("dense", ()), found)
    fixed = {"arguments": arguments, "architecture": found.architecture, "version": version}
    return looked_up | given | fixed


def _for_channels(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """The library's statistics of RGB; their mean for grey images."""
    return values if channels == 3 else (round(sum(values) / len(values), 6),)


def _check_dense(model: str, names: Any, found: Found) -> None:
    for name in names:
        if name not in found.prunable:
            raise InputError(
                f"{model}: dense: no prunable weight is called '{name}'; it has {', '.join(found.prunable)}"
            )


def library_of(name: str) -> Library:
    """The library of this name. It is not imported."""
    from raygp.tasks.libraries.timm import Timm
    from raygp.tasks.libraries.torchvision import Torchvision

    return Timm() if name == "timm" else Torchvision()


@dataclass(frozen=True)
class LibraryBuild:
    """Builds the model of a spec: an object and no function, so that it can be pickled with what it needs."""

    spec: LibrarySpec

    def __call__(self, channels: int, classes: int) -> nn.Module:
        """The model, freshly initialised.

        Raises:
            InputError: the library is not installed, or is another version that builds another model.
        """
        spec = self.spec
        library = library_of(spec.name)
        installed = version_of(library.name)
        require_model(library, spec.model)
        model = library.build(spec.model, classes, channels, spec.arguments)
        if installed != spec.version and architecture_of(model, spec.output_layers) != spec.architecture:
            raise InputError(
                f"{spec.name}:{spec.model} is another network in {spec.name} {installed} than in {spec.version}, with "
                f"which this line was made: pip install '{spec.name}=={spec.version}'"
            )
        _wake_norms(model)
        return model


def _wake_norms(model: nn.Module) -> None:
    """Let norms that start at zero start at one, as all others do.

    Some libraries start the last norm of a residual branch at zero. No gradient then reaches the branch before training
    has begun, and growth, which goes by gradients, would leave all of its dormant connections asleep.
    """
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if isinstance(module, _NORMS) and weight is not None and not bool(weight.any()):
            nn.init.ones_(weight)


def library_task(spec: LibrarySpec) -> ImageTask:
    """The task of a spec."""
    first, *others = spec.output_layers
    bounds = {f"{layer}.weight": (0.3, 1.0) for layer in spec.output_layers}
    return ImageTask(spec, LibraryBuild(spec), first, bounds, other_outputs=tuple(others))


def library_tuning(spec: LibrarySpec) -> Tuning:
    """Which plans suit a model, by its kind of network."""
    return TUNINGS[spec.network]
