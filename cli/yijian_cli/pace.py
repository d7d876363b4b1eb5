"""The pace of a demo: each department takes a moment over each task, so that there is something to watch."""

from collections.abc import Iterator
from contextlib import contextmanager

from yijian_contracts.departments import departments
from yijian_embedded.home import Home, write_private

PAUSE_S = 0.6
SCRIPT = f"# A demo runs.\n[[rule]]\ndelay_seconds = {PAUSE_S}\npay_after_seconds = {PAUSE_S}\n"


@contextmanager
def unhurried(home: Home) -> Iterator[bool]:
    """Slow the departments down while the block lasts; False, and nothing changed, where somebody has scripted them."""
    undo(home)
    scripts = [home.script_file(code) for code in departments()]
    if any(script.exists() for script in scripts):
        yield False
        return
    try:
        for script in scripts:
            write_private(script, SCRIPT)
        yield True
    finally:
        undo(home)


def undo(home: Home) -> None:
    """Back to full speed; also after a demo that was killed."""
    for code in departments():
        script = home.script_file(code)
        if script.exists() and script.read_text(encoding="utf-8") == SCRIPT:
            script.unlink()
