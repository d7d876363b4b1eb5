"""An application in the terminal: the live table, and what is told when it is over."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from approval.application import TERMINAL, Decision, TaskState
from approval.form_schema import parse_pointer, schema_at
from approval.schemas import ApplicationOut, DisclosedFieldOut, EntryOut, TaskOut
from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from yijian_cli import wording

_GOOD = {TaskState.CLOSED, TaskState.SKIPPED_WITH_PROOF, TaskState.DELIVERED, TaskState.DECIDED_APPROVED}
_BAD = {TaskState.REJECTED_ACCEPTANCE, TaskState.TERMINATED, TaskState.BLOCKED, TaskState.RETURNED_FOR_CORRECTION}


def progress_table(application: ApplicationOut, *, now: datetime | None = None) -> Table:
    """Matters × department × state × elapsed × document."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("", "事项", "部门", "状态", "用时", "证照"):
        table.add_column(name, justify="right" if name == "用时" else "left", overflow="fold", no_wrap=not name)
    for task in application.tasks:
        style = _style(task)
        table.add_row(
            Text(_mark(task), style=style),
            Text(wording.matter_of(task, application), style=style),
            Text(task.department_name, style="dim"),
            Text(wording.state_of(task), style=style),
            Text(wording.elapsed(task, now or datetime.now(UTC)), style="dim"),
            Text("、".join(document.name for document in task.documents), style=style),
        )
    return table


def _mark(task: TaskOut) -> str:
    if _is_bad(task):
        return "✗"
    if task.state in _GOOD:
        return "✓"
    return "–" if task.state in TERMINAL else "·" if task.state is TaskState.DRAFT else "▸"


def _style(task: TaskOut) -> str:
    if _is_bad(task):
        return "red"
    if task.state in _GOOD:
        return "green"
    return "dim" if task.state is TaskState.DRAFT or task.state in TERMINAL else "yellow"


def _is_bad(task: TaskOut) -> bool:
    return task.decision is Decision.DENIED or task.state in _BAD


def heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def documents(application: ApplicationOut) -> RenderableType:
    """What was issued, by whom; numbers are masked."""
    table = _plain_table(3)
    for task in application.tasks:
        for document in task.documents:
            table.add_row(document.name, Text(document.number, style="cyan"), Text(task.department_name, style="dim"))
    note = Text("号码在这里隐去中间几位。", style="dim")
    return Group(heading("证照"), *((table, note) if table.row_count else (Text("没有证照"),)))


def timeline(title: str, entries: Sequence[EntryOut], application: ApplicationOut) -> RenderableType:
    """Who did what when."""
    table = _plain_table(4)
    for entry in entries:
        table.add_row(
            Text(wording.clock(entry.at), style="dim"),
            wording.actor_of(entry),
            Text(wording.about(entry, application), style="dim"),
            wording.happened(entry),
        )
    return Group(heading(title), table)


def disclosures(application: ApplicationOut, form_schema: Mapping[str, Any]) -> RenderableType:
    """Which fields each department received, where each came from, and on which basis."""
    parts: list[RenderableType] = [heading("每个部门收到了哪些信息（只有办理所需的，没有部门得到整张申请表）")]
    matters = {task.matter: task.name for task in application.tasks}
    for task in application.tasks:
        if task.received:
            title = (
                (f"\n  {task.department_name}", "bold"),
                f" · {wording.matter_of(task, application)}",
                (f" · {len(task.received)} 项", "dim"),
            )
            parts += [Text.assemble(*title), *_grounds(task, form_schema, matters)]
    return Group(*parts)


def _grounds(task: TaskOut, form_schema: Mapping[str, Any], matters: Mapping[str, str]) -> Iterator[RenderableType]:
    """For each basis its text, and below it the fields by where they came from."""

    def basis(received: DisclosedFieldOut) -> tuple[str, str]:
        return received.basis_kind, received.basis

    for (kind, reference), group in groupby(sorted(task.received, key=basis), key=basis):
        ground = "依据" if kind == "LAW" else "您同意"
        yield Padding(Text(f"{ground}：{reference}", style="dim"), (0, 0, 0, 4))
        sources: dict[str, list[str]] = {}
        for received in group:
            source, name = source_and_name(received, form_schema, matters)
            sources.setdefault(source, []).append(name)
        fields = Text("\n").join(
            Text.assemble((source, "cyan"), "：", "、".join(names)) for source, names in sources.items()
        )
        yield Padding(fields, (0, 0, 0, 6))


def source_and_name(
    received: DisclosedFieldOut, form_schema: Mapping[str, Any], matters: Mapping[str, str]
) -> tuple[str, str]:
    """A part of the form and the field's title there; or the matter that gave it and what it is called."""
    if not received.source.startswith("/"):
        matter = received.source.partition(".")[0]
        return f"“{matters.get(matter, matter)}”的结果", received.title
    place = parse_pointer(received.source)
    titles = [(schema_at(form_schema, place[:depth]) or {}).get("title") for depth in range(1, len(place) + 1)]
    part, *rest = dict.fromkeys(title for title in titles if title) or (received.source,)
    return f"申请表·{part}", "·".join(rest) or received.name


def _plain_table(columns: int) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for _ in range(columns):
        table.add_column(overflow="fold")
    return table
