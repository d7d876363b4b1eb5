"""The keys and passwords, put by apart from the data that they open: who has both has everything."""

import shutil
from pathlib import Path

from yijian_embedded.errors import PlatformError
from yijian_embedded.home import Home, make_private_folder


def copy_keys(home: Home, folder: Path, *, apart_from: Path | None) -> list[str]:
    """Copy key files and passwords into a folder for its owner alone. Raises `PlatformError` beside what they open."""
    if apart_from and (folder.is_relative_to(apart_from) or apart_from.is_relative_to(folder)):
        raise PlatformError("keys beside the archive that they open protect nothing: name a folder elsewhere")
    return [_copy(home.folder / name, folder / name) for name in _names(home.folder)]


def put_keys_back(home: Home, folder: Path) -> list[str]:
    """Put back the key files and passwords that are missing; says which. What is there stays as it is."""
    names = _names(folder)
    if not names:
        raise PlatformError(f"{folder} holds no keys: name the folder that `yijian backup keys` wrote")
    return [_copy(folder / name, home.folder / name) for name in names if not (home.folder / name).exists()]


def _names(folder: Path) -> list[str]:
    """Relative paths of the keys in a platform's folder, or in a copy of them."""
    found = [*sorted((folder / "keys").glob("*")), folder / "secrets.json"]
    return [str(path.relative_to(folder)) for path in found if path.is_file() and not path.name.startswith(".")]


def _copy(source: Path, target: Path) -> str:
    make_private_folder(target.parent)
    draft = target.with_name(f".{target.name}")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    shutil.copyfile(source, draft)
    draft.replace(target)
    return target.name
