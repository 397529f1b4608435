"""What the values in a Parquet file's columns are, whatever type they were written with."""

from __future__ import annotations

import math
import re
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

UNLABELLED = "label -1, which stands for no label"
"""Why a row cannot be used that Hugging Face's sets, and others, have without a label."""
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)")


class Label(NamedTuple):
    """The label of a row."""

    text: str = ""
    """Empty where the row has none."""
    problem: str = ""
    """Why it cannot be used."""


class Shape(Enum):
    """What the values of a column are, apart from how they are stored."""

    TEXT = "strings"
    BYTES = "bytes"
    NUMBER = "whole numbers"
    FLOAT = "numbers"
    TRUTH = "true and false"
    STRUCT = "structs"
    LIST = "lists"
    NOTHING = "nothing"
    OTHER = "something else"


def plain(type_: pa.DataType) -> pa.DataType:
    """The type of the values: of what a dictionary (pandas: a category) holds, of what stores an extension."""
    import pyarrow as pa

    while True:
        if isinstance(type_, pa.BaseExtensionType) and type_.extension_name != "arrow.uuid":
            type_ = pa.bool_() if type_.extension_name == "arrow.bool8" else type_.storage_type
        elif pa.types.is_dictionary(type_):
            type_ = type_.value_type
        else:
            return type_


def shape_of(type_: pa.DataType) -> Shape:
    """The shape of a type of values."""
    import pyarrow.types as types

    type_ = plain(type_)
    tests = {
        Shape.TEXT: (types.is_string, types.is_large_string, types.is_string_view),
        Shape.BYTES: (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary),
        Shape.NUMBER: (types.is_integer,),
        Shape.FLOAT: (types.is_floating,),
        Shape.TRUTH: (types.is_boolean,),
        Shape.STRUCT: (types.is_struct,),
        # A map is a list of pairs.
        Shape.LIST: (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_map, types.is_list_view),
        Shape.NOTHING: (types.is_null,),
    }
    return next((shape for shape, found in tests.items() if any(test(type_) for test in found)), Shape.OTHER)


def values_of(column: pa.Array) -> list[Any]:
    """Values of a column: bytes (of strings, too: these may be no UTF-8), numbers, or None."""
    import pyarrow as pa

    truth = shape_of(column.type) == Shape.TRUTH
    while column.type != plain(column.type):
        if isinstance(column, pa.ExtensionArray):
            column = column.storage
            if truth:
                column = column.cast(pa.bool_())
        else:
            column = column.dictionary_decode()
    if shape_of(column.type) == Shape.TEXT:
        column = column.cast(pa.large_binary())
    return list(column.to_pylist())


def as_text(value: bytes | None) -> str:
    """Characters of a string for messages and names of files; what is no UTF-8 is escaped. None is empty."""
    return (value or b"").decode(errors="backslashreplace")


def is_number(label: str) -> bool:
    """Whether a label is a whole number as raygp writes it: not 007, not +7."""
    return _NUMBER.fullmatch(label) is not None


def label_of(value: Any, names: list[str] | None) -> Label:
    """The label that a value is.

    Args:
        value: one of :func:`values_of`.
        names: of classes, by number; None: there are none.
    """
    if value is None:
        return Label()
    if isinstance(value, bytes):
        return _of_bytes(value, names)
    if isinstance(value, float):
        if math.isnan(value):
            return Label()  # pandas makes floats of whole numbers of which some are missing.
        if not value.is_integer():
            return Label(f"{value:g}", f"label {value:g} is no whole number")
    if names is None:
        return Label(str(value).lower() if isinstance(value, bool) else str(int(value)))
    return _named(int(value), names)


def _named(number: int, names: list[str]) -> Label:
    if number == -1:
        return Label("", UNLABELLED)
    if not 0 <= number < len(names):
        return Label(str(number), f"label {number} is none of its {len(names)} classes")
    return Label(names[number])


def _of_bytes(value: bytes, names: list[str] | None) -> Label:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        shown = as_text(value)
        return Label(shown, f"label '{shown[:40]}' is no text in UTF-8")
    # Some writers store numbers of classes as strings and keep Hugging Face's names.
    if names is not None and text not in names and is_number(text):
        return _named(int(text), names)
    return Label(text)
