"""What `yijian ledger verify` remembers from one time to the next: the checkpoint, and the hash of every leaf."""

from pathlib import Path

from yijian_embedded.errors import PlatformError
from yijian_embedded.home import make_private_folder
from yijian_ledger.audit import Memory
from yijian_ledger.tiles import split

CHECKPOINT = "checkpoint"
HASHES = "leaf-hashes"


def load_memory(folder: Path) -> Memory | None:
    """What was seen the last time; None when there was none. Raises `PlatformError` when it cannot be read."""
    try:
        note = (folder / CHECKPOINT).read_text(encoding="utf-8")
        return Memory(note, split((folder / HASHES).read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise PlatformError(
            f"{folder} cannot be read ({type(error).__name__}); move it away to begin without a memory."
        ) from None


def save_memory(folder: Path, memory: Memory) -> None:
    """Replace it, hashes first: a checkpoint never stands before the leaves that it speaks of."""
    make_private_folder(folder)
    _replace(folder / HASHES, b"".join(memory.hashes))
    _replace(folder / CHECKPOINT, memory.note.encode())


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}")
    draft.write_bytes(content)
    draft.replace(path)
