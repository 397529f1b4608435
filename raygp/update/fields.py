"""What all settings are built from: their base class, types of single values, and lists open to new kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from raygp.registry import Registry

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Density = Annotated[float, Field(gt=0.0, le=1.0)]
PruningRatio = Annotated[float, Field(gt=0.0, lt=1.0)]

NESTED = "nested settings"
"""Type of the pydantic error that holds the errors of settings whose class a registry gave."""


class Settings(BaseModel):
    """Base of all settings: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


S = TypeVar("S", bound=Settings)


def by_registry(registry: Registry[type[S]], key: str, default: str | None = None) -> Callable[[Any], Any]:
    """A validator of settings whose class depends on what they say under ``key``.

    Args:
        registry: gives the class.
        key: field that names the entry, such as "kind".
        default: entry if the field is missing; None: then that is an error.
    """

    def validate(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value  # Settings of any class stay as they are; the field's own type refuses anything else.
        name = value.get(key, default)
        if not isinstance(name, str) or name not in registry:
            known = ", ".join(registry.names())
            if name is None:
                raise ValueError(f"a {registry.kind} needs '{key}': one of {known}")
            raise ValueError(
                f"no {registry.kind} is called '{name}'{registry.suggestion(str(name))}; known are {known}"
            )
        try:
            return registry.get(name).model_validate(value)
        except ValidationError as error:
            # Raised as it is, it would be one error without the paths of those inside it.
            details = error.errors(include_url=False)
            first = details[0]
            where = ".".join(map(str, first["loc"]))
            message = first["msg"].removeprefix("Value error, ")
            raise PydanticCustomError(
                NESTED, "{message}", {"message": f"{where}: {message}" if where else message, "errors": details}
            ) from error

    return validate


def flat_errors(error: ValidationError) -> list[dict[str, Any]]:
    """The errors of a validation one by one, with whole paths, those inside :func:`by_registry` settings too."""
    found: list[dict[str, Any]] = []
    for problem in error.errors(include_url=False):
        if problem["type"] == NESTED:
            inner = problem["ctx"]["errors"]
            found += [{**detail, "loc": (*problem["loc"], *detail["loc"])} for detail in inner]
        else:
            found.append(dict(problem))
    return found
