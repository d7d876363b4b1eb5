"""A snapshot as a folder: a JSON Lines file for each table, and one JSON file for everything else."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from yijian_chaos.checker.snapshot import Snapshot

_REST = "rest.json"


def write_snapshot(snapshot: Snapshot, folder: Path) -> None:
    """Keep a snapshot as evidence."""
    folder.mkdir(parents=True, exist_ok=True)
    rest = {}
    for name, kind in _types(Snapshot).items():
        value = getattr(snapshot, name)
        if _is_table(kind):
            with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
                file.writelines(f"{json.dumps(_plain(row), ensure_ascii=False)}\n" for row in value)
        else:
            rest[name] = _plain(value)
    (folder / _REST).write_text(json.dumps(rest, ensure_ascii=False), encoding="utf-8")


def read_snapshot(folder: Path) -> Snapshot:
    """The snapshot that `write_snapshot` kept."""
    rest = json.loads((folder / _REST).read_text(encoding="utf-8"))
    values: dict[str, Any] = {}
    for name, kind in _types(Snapshot).items():
        if _is_table(kind):
            values[name] = tuple(_built(get_args(kind)[0], row) for row in _lines(folder / f"{name}.jsonl"))
        else:
            values[name] = _built(kind, rest[name])
    return Snapshot(**values)


def _lines(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


@cache
def _types(kind: type[Any]) -> Mapping[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _is_table(kind: Any) -> bool:
    return get_origin(kind) is tuple and is_dataclass(get_args(kind)[0])


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return [_plain(getattr(value, name)) for name in _types(type(value))]
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return value


def _built(kind: Any, plain: Any) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        return kind(*(_built(each, value) for each, value in zip(_types(kind).values(), plain, strict=True)))
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple:
        return tuple(_built(arguments[0], each) for each in plain)
    if origin is frozenset:
        return frozenset(plain)
    if origin is Mapping:
        return {name: _built(arguments[1], each) for name, each in plain.items()}
    if origin is UnionType:
        return None if plain is None else _built(next(each for each in arguments if each is not NoneType), plain)
    return plain
