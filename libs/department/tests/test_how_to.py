"""The how-to's program and tests run as they are printed."""

import re
from pathlib import Path
from typing import Any

import pytest

TEXT = (Path(__file__).parents[3] / "docs/how-to/connect-a-department.md").read_text(encoding="utf-8")


def printed() -> dict[str, Any]:
    """The names that the document's two blocks of code define."""
    blocks = re.findall(r"```python (program|test)\n(.*?)```", TEXT, re.DOTALL)
    assert [label for label, _ in blocks] == ["program", "test"]
    names: dict[str, Any] = {"__name__": "how_to"}
    for label, code in blocks:
        exec(compile(code, f"connect-a-department.md ({label})", "exec"), names)  # noqa: S102 - our own document
    return names


NAMES = printed()


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("test_")])
def test_what_is_printed_runs(name: str):
    NAMES[name]()
