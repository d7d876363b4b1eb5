"""A life event drawn as text: which matter waits for which, who handles it, and how long the longest way takes."""

from datetime import timedelta

from approval.graph import levels
from approval.life_event import LifeEvent, Matter


def draw(life_event: LifeEvent) -> str:
    """The matters level by level; what stands on one level may run in parallel. Ends with a newline."""
    settings = ", ".join(f"{name} = {value}" for name, value in life_event.settings.items())
    lines = [
        f"{life_event.code} {life_event.name} (version {life_event.version}, digest {life_event.digest[:12]})",
        *([f"settings: {settings}"] if settings else []),
    ]
    needs = {code: matter.needs for code, matter in life_event.matters.items()}
    for number, level in enumerate(levels(needs), start=1):
        lines += ["", f"level {number}"]
        lines += [_line(life_event.matters[code], on_path=code in life_event.longest) for code in level]
    lines += [
        "",
        f"longest path: {' → '.join(life_event.longest)} = {_minutes(life_event.expected)} min (marked *)",
        f"promise: {_minutes(life_event.promise)} min",
    ]
    return "\n".join(lines) + "\n"


def _line(matter: Matter, *, on_path: bool) -> str:
    mark = "*" if on_path else " "
    per = "each child" if matter.per_child else "once"
    needs = f"needs {', '.join(matter.needs)}" if matter.needs else "starts at once"
    start = f"{mark} {matter.code:<9} {matter.department:<18} {_minutes(matter.promise):>4} min"
    return f"{start}  {per:<10}  {needs:<16}  {matter.name}"


def _minutes(duration: timedelta) -> int:
    return int(duration.total_seconds() // 60)
