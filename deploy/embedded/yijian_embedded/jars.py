"""Kafka's jars: the closure is pinned with its hashes in `data/kafka-jars.lock` and fetched from Maven Central.

Beside them a compiler for departments written in Java, since the Java that runs the broker brings none.

`python -m yijian_embedded.jars lock` resolves the pinned version anew; `fetch` brings the jars before they are needed.
"""

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from jgo.maven import Artifact, Dependency, MavenContext

from yijian_embedded.errors import PlatformError
from yijian_embedded.home import CHECKOUT, Home, default_home

KAFKA: Final = ("org.apache.kafka", "kafka_2.13", "4.3.1")
# Without it the broker's log is empty: Kafka's distribution adds it, in the version of log4j-core.
LOGGING: Final = ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.4")
COMPILER: Final = ("org.eclipse.jdt", "ecj", "3.46.0")
LOCK: Final = "data/kafka-jars.lock"
TIMEOUT_S: Final = 60
_HEADER: Final = "# Made by `make lock`: what the Kafka broker runs on, and the compiler for departments in Java."


@dataclass(frozen=True)
class Jar:
    """One artifact of the closure and what its file must hash to."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def class_path(home: Home) -> list[Path]:
    """Every jar that the broker needs, fetched and checked first if it is not here yet."""
    return find_class_path(home) or _brought(home, broker_jars())


def find_class_path(home: Home) -> list[Path] | None:
    """Every jar that the broker needs, if all of them are here."""
    return _found(home, broker_jars())


def compiler(home: Home) -> Path:
    """The Java compiler's one jar, fetched and checked first if it is not here yet."""
    jars = [jar for jar in read_lock() if _is_compiler(jar)]
    (path,) = _found(home, jars) or _brought(home, jars)
    return path


def broker_jars() -> list[Jar]:
    """What the broker runs on; a department's program in Java finds Kafka's client and Jackson among it."""
    return [jar for jar in read_lock() if not _is_compiler(jar)]


def read_lock() -> list[Jar]:
    """Everything pinned: the broker's closure and the compiler."""
    lines = files(__package__).joinpath(LOCK).read_text(encoding="utf-8").splitlines()
    return [Jar(*line.replace(":", " ").split()) for line in lines if not line.startswith("#")]


def resolve_lock() -> str:
    """The lock's text for the pinned version of Kafka, from the registry."""
    with TemporaryDirectory() as cache:
        context = MavenContext(repo_cache=Path(cache), timeout=TIMEOUT_S)
        broker, *others = (
            context.project(*name).at_version(version).artifact() for *name, version in (KAFKA, LOGGING, COMPILER)
        )
        _, nodes = context.resolver.get_dependency_list([Dependency(broker)])
        needed = [node.dep.artifact for node in nodes if node.dep.scope in {"compile", "runtime"}]
        artifacts = [broker, *needed, *others]
        with ThreadPoolExecutor(8) as pool:
            lines = pool.map(_lock_line, artifacts)
        return "\n".join([_HEADER, *sorted(lines), ""])


def _lock_line(artifact: Artifact) -> str:
    return f"{artifact.groupId}:{artifact.artifactId}:{artifact.version} {_hash(artifact.resolve())}"


def _is_compiler(jar: Jar) -> bool:
    return (jar.group, jar.artifact) == COMPILER[:2]


def _found(home: Home, jars: Sequence[Jar]) -> list[Path] | None:
    """These jars, if one folder has all of them."""
    for folder in _folders(home):
        paths = [folder / jar.file_name for jar in jars]
        if all(path.exists() for path in paths):
            return paths
    return None


def _brought(home: Home, jars: Sequence[Jar]) -> list[Path]:
    """These jars, those fetched that are missing in the folder that is ours to write."""
    folder = next(folder for folder in _folders(home) if _is_writable(folder))
    _fetch(folder, [jar for jar in jars if not (folder / jar.file_name).exists()])
    return [folder / jar.file_name for jar in jars]


def _folders(home: Home) -> tuple[Path, Path]:
    """Beside the wheels, so that every data folder shares them; else, when that is not ours to write, with the data."""
    name = f"kafka-{KAFKA[2]}"
    return Path(sys.prefix) / "share" / "yijian" / name, home.folder / "share" / name


def _is_writable(folder: Path) -> bool:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return os.access(existing, os.W_OK)


def _fetch(folder: Path, jars: Sequence[Jar]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # The download lies beside its place until its hash is known to be right: others may start at the same moment.
    with TemporaryDirectory(dir=folder, prefix=".download-") as cache, ThreadPoolExecutor(8) as pool:
        context = MavenContext(repo_cache=Path(cache), timeout=TIMEOUT_S)
        list(pool.map(lambda jar: _fetch_one(context, jar, folder / jar.file_name), jars))


def _fetch_one(context: MavenContext, jar: Jar, target: Path) -> None:
    try:
        downloaded = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
    except (OSError, RuntimeError) as error:
        raise PlatformError(f"{jar.file_name} could not be fetched from Maven Central: {error}") from error
    if _hash(downloaded) != jar.sha256:
        raise PlatformError(f"{jar.file_name} as downloaded does not match its pinned hash: do not use this network")
    downloaded.replace(target)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        digest = sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
        return digest.hexdigest()


def main(arguments: Sequence[str]) -> None:
    match arguments:
        case ["lock"]:
            (CHECKOUT / "deploy/embedded/yijian_embedded" / LOCK).write_text(resolve_lock(), encoding="utf-8")
        case ["fetch"]:
            class_path(default_home())
            compiler(default_home())
        case _:
            raise SystemExit("usage: python -m yijian_embedded.jars lock|fetch")


if __name__ == "__main__":
    main(sys.argv[1:])
