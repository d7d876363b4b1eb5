"""Every member of the workspace is known to every tool: who may import whom is checked for all of them or for none."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).parents[2]
WORKSPACE: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOLDERS = sorted(
    path.parent
    for pattern in WORKSPACE["tool"]["uv"]["workspace"]["members"]
    for path in ROOT.glob(f"{pattern}/pyproject.toml")
)


def member(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def packages(folder: Path) -> list[str]:
    return [Path(name).name for name in member(folder)["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]


def test_no_member_is_forgotten():
    on_disk = {path.parent for path in ROOT.glob("*/**/pyproject.toml") if not set(path.parts) & {".venv", ".yijian"}}
    assert on_disk == set(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_member_is_installed_and_type_checked(folder: Path):
    name = member(folder)["project"]["name"]
    assert name in WORKSPACE["project"]["dependencies"]
    assert WORKSPACE["tool"]["uv"]["sources"][name] == {"workspace": True}
    assert str(folder.relative_to(ROOT)) in WORKSPACE["tool"]["mypy"]["mypy_path"]
    assert (folder / packages(folder)[0] / "py.typed").exists()


def test_every_member_is_in_the_import_contracts():
    names = {name for folder in FOLDERS for name in packages(folder)}
    config = WORKSPACE["tool"]["importlinter"]
    layers = {part.strip() for layer in config["contracts"][0]["layers"] for part in layer.split("|")}
    assert names == set(config["root_packages"]) == layers


def test_the_folder_of_a_department_or_service_is_its_name_everywhere():
    for folder in FOLDERS:
        if folder.parent.name in ("departments", "services"):
            assert packages(folder) == [folder.name.replace("-", "_")]
            assert member(folder)["project"]["name"] == f"yijian-{folder.name}"


def test_imports_go_only_where_the_contracts_let_them(capsys: pytest.CaptureFixture[str]):
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out
