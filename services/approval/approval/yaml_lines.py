"""YAML that remembers where everything stands, so that a mistake in a life event can be shown by line.

The plain scalars are those of YAML 1.2: only true and false are booleans, a date stays text. A name written twice in
one mapping is refused instead of silently winning.
"""

import re
from typing import Any

import yaml

Path = tuple[str | int, ...]


class YamlError(ValueError):
    """The text is no YAML that we accept; `line` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema in place of YAML 1.1's, where NO is false and 12:30 is 750."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own shape


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:null|~|)$"), ["n", "~", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^-?(?:0|[1-9][0-9]*)$"), list("-0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^-?[0-9]+\.[0-9]+$"), list("-0123456789"))


class Lines:
    """The line of each value by its path; of a missing one, that of the nearest value around it."""

    def __init__(self) -> None:
        self._lines: dict[Path, int] = {}

    def note(self, path: Path, line: int) -> None:
        self._lines[path] = line

    def line_of(self, path: Path) -> int | None:
        """The line where `path` stands, or None when nothing is known about it."""
        while path not in self._lines and path:
            path = path[:-1]
        return self._lines.get(path)


def read_yaml(text: str) -> tuple[Any, Lines]:
    """The value of one YAML document, and its lines. Raises `YamlError`."""
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(error.problem or "not YAML", mark.line + 1 if mark else 1) from None
    except yaml.YAMLError as error:
        raise YamlError(str(error), 1) from None
    lines = Lines()
    if root is None:
        raise YamlError("the file is empty", 1)
    return _value(root, (), lines), lines


def _value(node: yaml.Node, path: Path, lines: Lines) -> Any:
    lines.note(path, node.start_mark.line + 1)
    match node:
        case yaml.MappingNode():
            return _mapping(node, path, lines)
        case yaml.SequenceNode():
            return [_value(item, (*path, index), lines) for index, item in enumerate(node.value)]
        case yaml.ScalarNode():
            return _scalar(node)
    raise YamlError("a kind of value that a life event does not use", node.start_mark.line + 1)


def _mapping(node: yaml.MappingNode, path: Path, lines: Lines) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise YamlError("a name must be plain text", line)
        if key.value in members:
            raise YamlError(f"{key.value!r} is written twice in the same place", line)
        members[key.value] = _value(value, (*path, key.value), lines)
        lines.note((*path, key.value), line)
    return members


def _scalar(node: yaml.ScalarNode) -> Any:
    match node.tag.rpartition(":")[2]:
        case "bool":
            return node.value == "true"
        case "null":
            return None
        case "int":
            return int(node.value)
        case "float":
            return float(node.value)
        case "str":
            return str(node.value)
    raise YamlError(f"the tag {node.tag} is not used in life events", node.start_mark.line + 1)
