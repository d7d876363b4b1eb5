"""What was done to the platform and when: a line for every event, in a file and for whoever watches."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


class Timeline:
    """`timeline.jsonl` of a run. `tell` hears a sentence for each event; seconds count from `begins`."""

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        self._path = path
        self._tell = tell
        self._begins = time.time()
        self.events: list[dict[str, Any]] = []

    def begin(self) -> None:
        """The load begins now."""
        self._begins = time.time()

    def note(self, event: str, **members: Any) -> dict[str, Any]:
        """Write an event down."""
        line = {"at": round(time.time(), 3), "event": event, **members}
        self.events.append(line)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._tell(f"{line['at'] - self._begins:7.1f} s  {sentence(line)}")
        return line


def sentence(event: Mapping[str, Any]) -> str:
    """An event in words."""
    what = f"{event.get('fault', '')} {event.get('component', '')}".strip()
    match event["event"]:
        case "recovered":
            late = "" if event["after_s"] <= event["limit_s"] else "  LATE"
            return f"recovered  {what} after {event['after_s']:.1f} s of {event['limit_s']:.0f}{late}"
        case "skipped":
            return f"skipped    {what}: {event['detail'].get('why', '')}"
        case kind:
            return f"{kind:<10} {what}"
