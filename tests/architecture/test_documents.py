"""The pages are true: links lead somewhere, named files and commands exist, decisions name the test that keeps them."""

import re
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from typer.main import get_command
from yijian_cli.main import app

ROOT = Path(__file__).parents[2]


def tracked(*patterns: str) -> list[Path]:
    """The files that belong to the project, those not committed yet included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    names = listed.stdout.split("\n")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


PAGES = tracked("*.md")
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
# A path of this repository: known folders, a slash and a suffix; `*` and `<…>` stand for several files.
_FOLDER = r"(?:libs|services|departments|witness|cli|deploy|examples|tests|docs|bench|chaos)/"
_PATH = re.compile(_FOLDER + r"[\w./-]+\.(?:py|yaml|json|jsonl|md|toml|sql|sh|lock)")
_NODE = re.compile(rf"({_FOLDER}[\w./-]+\.py)(?:::(\w+))?")
_MAKE = re.compile(r"`make ([a-z]+)[^`]*`|^make ([a-z]+)", re.MULTILINE)
_YIJIAN = re.compile(r"(?:^|`)(?:\.venv/bin/)?yijian ([a-z][a-z -]*)", re.MULTILINE)


@cache
def without_code(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def anchor(heading: str) -> str:
    """As the usual renderers make it of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors_of(page: Path) -> set[str]:
    return {anchor(line.lstrip("#")) for line in without_code(page).splitlines() if line.startswith("#")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path):
    broken = []
    for target in _LINK.findall(without_code(page)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        file, _, fragment = target.partition("#")
        place = (page.parent / file) if file else page
        if not place.exists() or (fragment and place.suffix == ".md" and fragment not in anchors_of(place)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_exists(page: Path):
    named = {path for code in _CODE.findall(page.read_text(encoding="utf-8")) for path in _PATH.findall(code)}
    assert not {path for path in named if not (ROOT / path).exists() and not (page.parent / path).exists()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_test_and_function_that_a_page_names_exists(page: Path):
    missing = []
    for file, function in _NODE.findall(page.read_text(encoding="utf-8")):
        source = ROOT / file
        if not source.exists() or (function and f"def {function}(" not in source.read_text(encoding="utf-8")):
            missing.append(f"{file}::{function}")
    assert not missing


def test_every_make_target_that_a_page_names_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        named = {first or second for first, second in _MAKE.findall(page.read_text(encoding="utf-8"))}
        assert named <= targets, f"{page.name} names {sorted(named - targets)}"


def test_every_command_that_a_page_names_exists():
    root = get_command(app)
    for page in PAGES:
        for words in _YIJIAN.findall(page.read_text(encoding="utf-8")):
            command = root
            for word in words.split():
                if not hasattr(command, "commands"):
                    break
                found = command.get_command(None, word)
                assert found is not None, f"{page.name} names `yijian {words.strip()}`"
                command = found


def test_every_page_of_the_docs_is_in_their_index():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    linked = {(ROOT / "docs" / target.partition("#")[0]).resolve() for target in _LINK.findall(index)}
    pages = {page for page in PAGES if page.is_relative_to(ROOT / "docs") and page.name != "README.md"}
    assert not {str(page.relative_to(ROOT)) for page in pages if page not in linked}


def test_decisions_have_numbers_of_their_own():
    numbers = Counter(path.name[:4] for path in DECISIONS)
    assert all(number.isdecimal() for number in numbers), "a decision's file begins with four digits"
    assert {number for number, count in numbers.items() if count > 1} == set()


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_names_the_test_that_keeps_it(path: Path):
    _, kept, naming = path.read_text(encoding="utf-8").rpartition("**Kept true by**")
    assert kept, "end with: **Kept true by** `path/to/test_file.py::test_name`"
    assert any("/tests/" in file or file.startswith("tests/") for file, _ in _NODE.findall(naming))
