"""YAML as people mean it: a key comes once, and ``1e-3`` is a number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

_FLOAT, _INT = "tag:yaml.org,2002:float", "tag:yaml.org,2002:int"


class _Loader(yaml.SafeLoader):
    """Numbers as everybody writes them. For YAML 1.1, 1e-3 is a text, 010 is eight and 1:30 is ninety."""


# Its own table: PyYAML's is shared by all loaders.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in (_FLOAT, _INT)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    _FLOAT,
    re.compile(
        r"^(?:[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)
_Loader.add_implicit_resolver(
    _INT, re.compile(r"^(?:[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?0b[01_]+)$"), list("-+0123456789")
)


def read_yaml(text: str) -> Any:
    """The value that a text holds; None if it holds none.

    Raises:
        ValueError: it is no YAML, or a key comes twice in a mapping; the message has the lines.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if (repeated := next(_repeated(node, "", set()), None)) is None:
            return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {_reason(error)}") from error
    except RecursionError as error:
        raise ValueError("not YAML: too many brackets in one another") from error
    except (ValueError, ArithmeticError, AttributeError, LookupError, TypeError) as error:
        # The constructors of PyYAML raise them for values such as 2026-13-45 or "!!int x".
        raise ValueError(f"not YAML: a date, a number or another value cannot be read: {error}") from error
    raise ValueError(repeated)


def _reason(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark and "'\\t'" in (error.problem or ""):
        return f"a tab in line {error.problem_mark.line + 1}: put blanks in its place"
    return " ".join(str(error).replace(' in "<unicode string>",', " in").split())


def _repeated(node: yaml.Node, path: str, seen: set[int]) -> Iterator[str]:
    """A message for each key that a mapping has twice. Merge keys may come twice, as nothing is lost by it."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            yield from _repeated(value, f"{path}{position}.", seen)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and not key.tag.endswith(":merge"):
                if (first := lines.get((key.tag, name))) is not None:
                    where = f"line {line}" if first == line else f"lines {first} and {line}"
                    yield f"'{path}{name}' is given twice, in {where}: the first would be lost"
                lines[key.tag, name] = line
            yield from _repeated(value, f"{path}{name}.", seen)
