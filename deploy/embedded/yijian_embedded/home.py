"""The one folder that holds everything the platform keeps on this machine."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Home:
    """Where things lie under the data folder; `folder` is absolute."""

    folder: Path

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets.json"

    @property
    def ports(self) -> Path:
        return self.folder / "ports.json"

    @property
    def shape(self) -> Path:
        """How many brokers and further processes there are, where it is not the ordinary number."""
        return self.folder / "shape.json"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def run(self) -> Path:
        """One record per process that was started."""
        return self.folder / "run"

    @property
    def kafka(self) -> Path:
        return self.folder / "kafka"

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"

    @property
    def records(self) -> Path:
        """Fictitious records that the departments and identity load when they start."""
        return self.folder / "records"

    @property
    def digest(self) -> str:
        """A short name for this folder, the same every time."""
        return sha256(str(self.folder).encode()).hexdigest()[:12]

    def key_file(self, name: str) -> Path:
        return self.folder / "keys" / f"{name}.json"

    @property
    def stores(self) -> Path:
        """The departments' own records, one SQLite file each."""
        return self.folder / "stores"

    def pairwise_key_file(self, holder: str) -> Path:
        """The keys that `holder` has of those by which people are compared without sending identity numbers."""
        return self.folder / "keys" / f"pairwise-{holder}.json"

    @property
    def ledger_key(self) -> Path:
        """The private key with which the ledger's signer signs; its public half stands beside it."""
        return self.folder / "keys" / "ledger-signer.json"

    @property
    def ledger_public_key(self) -> Path:
        return self.folder / "keys" / "ledger-signer.pub"

    @property
    def witness_key(self) -> Path:
        """The private key of the witness, who would be somebody else in a city; its public half stands beside it."""
        return self.folder / "witness" / "key.json"

    @property
    def witness_public_key(self) -> Path:
        return self.folder / "witness" / "key.pub"

    @property
    def witness_store(self) -> Path:
        return self.folder / "witness" / "checkpoints.db"

    @property
    def client_secrets(self) -> Path:
        """The secrets with which services and departments ask identity for tokens; identity makes them."""
        return self.folder / "keys" / "client-secrets.json"

    def department_store(self, code: str) -> Path:
        return self.stores / f"{code}.db"

    def script_file(self, code: str) -> Path:
        """What happens to a department's tasks in a demo or a test; no file, nothing out of the ordinary."""
        return self.folder / "scripts" / f"{code}.toml"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"


def default_home() -> Home:
    """`YIJIAN_HOME`, or `.yijian` in the checkout."""
    return Home(Path(os.environ.get("YIJIAN_HOME") or CHECKOUT / ".yijian").resolve())


def make_private_folder(folder: Path) -> Path:
    """The folder, made if it is missing, for its owner alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def write_private(path: Path, text: str) -> None:
    """Replace a file that only its owner may read, whole or not at all."""
    make_private_folder(path.parent)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


@contextmanager
def locked(home: Home) -> Iterator[None]:
    """Hold the folder against every other command; a second `up` waits here for the first."""
    path = home.folder / "lock"
    while True:
        make_private_folder(home.folder)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_current(descriptor, path):
            break
        os.close(descriptor)
    try:
        yield
    finally:
        os.close(descriptor)


def _is_current(descriptor: int, path: Path) -> bool:
    """Whether the locked file is still the one at this path: `clean` may have removed it while we waited."""
    try:
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False
