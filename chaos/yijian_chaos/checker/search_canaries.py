"""Looking for texts that identify people where nothing may, all of them at once: grep is made for that."""

import json
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from yijian_chaos.checker.snapshot import Leak

_GREP: Final = ("grep", "--text", "--only-matching", "--with-filename", "--fixed-strings")


def search(canaries: Sequence[str], places: Mapping[str, Path]) -> list[Leak]:
    """Where a canary stands in one of these files, as it is or as JSON writes it in ASCII."""
    known = {encoded: number for number, canary in enumerate(canaries) for encoded in _encodings(canary)}
    files = {str(path): place for place, path in places.items() if path.exists()}
    if not known or not files:
        return []
    with TemporaryDirectory() as folder:
        patterns = Path(folder, "patterns")
        patterns.write_bytes(b"\n".join(sorted(known)) + b"\n")
        done = subprocess.run(  # noqa: S603 - a fixed command over the run's own files
            [*_GREP, f"--file={patterns}", *files],
            check=False,
            capture_output=True,
            env={**os.environ, "LC_ALL": "C"},
        )
    if done.returncode not in (0, 1):
        raise OSError(done.stderr.decode(errors="replace"))
    found = set()
    for line in done.stdout.splitlines():
        path, _, text = line.partition(b":")
        found.add(Leak(files[path.decode()], known[text]))
    return sorted(found, key=lambda leak: (leak.place, leak.canary))


def search_texts(canaries: Sequence[str], texts: Mapping[str, Iterable[bytes]]) -> tuple[list[Leak], dict[str, int]]:
    """The same for texts that lie in no file, by the name of their place; and how many bytes there were."""
    with TemporaryDirectory() as folder:
        places, sizes = {}, {}
        for number, (place, parts) in enumerate(texts.items()):
            path = Path(folder, f"texts-{number}")
            with path.open("wb") as file:
                file.writelines(part + b"\n" for part in parts)
            places[place], sizes[place] = path, path.stat().st_size
        return search(canaries, places), sizes


def _encodings(canary: str) -> set[bytes]:
    if not canary or "\n" in canary:
        raise ValueError("a canary is one line of text")
    return {canary.encode(), json.dumps(canary)[1:-1].encode()}
