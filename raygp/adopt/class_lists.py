"""Names of classes that a checkpoint has beside its weights, wherever trainers put them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_KEYS = {
    *("classtoidx", "idxtoclass", "class2idx", "idx2class", "labeltoidx", "idxtolabel", "label2idx", "idx2label"),
    *("id2label", "label2id", "classnames", "labelnames", "classes", "labels", "classlabels", "labelmap", "categories"),
}
"""In small letters, without underscores."""
_DEEPEST = 4


@dataclass(frozen=True)
class ClassList:
    """What a file has under a key of class names."""

    key: str
    """Where in the file: "hyper_parameters.class_names"."""
    content: Any
    """A list or a mapping that is not empty; :func:`raygp.adopt.vocabulary.in_order` reads it."""

    @property
    def is_names(self) -> bool:
        """Whether it can be nothing but names: a list of texts, or texts to whole numbers, or the other way round."""
        if not isinstance(self.content, Mapping):
            return all(isinstance(item, str) for item in self.content)
        pairs = list(self.content.items())
        return all(_is_id(value) and isinstance(key, str) for key, value in pairs) or all(
            _is_id(key) and isinstance(value, str) for key, value in pairs
        )


def class_lists(content: Any, key: str = "", depth: int = 0) -> Iterator[ClassList]:
    """Every list or mapping under a key of class names, outermost first as far as one branch goes.

    Args:
        content: of the file: mappings and what stands for options. A text counts where it is JSON, as in the metadata
            of safetensors.
        key: where ``content`` stands in the file.
        depth: how deep that is.
    """
    content = vars(content) if isinstance(content, argparse.Namespace) else content
    if not isinstance(content, Mapping) or depth >= _DEEPEST:
        return
    for name, value in content.items():
        if not isinstance(name, str):
            continue
        path, value = f"{key}.{name}" if key else name, _parsed(value)
        if name.lower().replace("_", "").replace("-", "") in _KEYS:
            if isinstance(value, Mapping | Sequence) and not isinstance(value, str | bytes) and value:
                yield ClassList(path, value)
        else:
            yield from class_lists(value, path, depth + 1)


def _parsed(value: Any) -> Any:
    if not isinstance(value, str) or value[:1] not in ("[", "{"):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _is_id(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, str) and value.isdecimal())
