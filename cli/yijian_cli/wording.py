"""How an application is spoken of to a resident: states, times, what happened and who did it, in Chinese."""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

from approval.application import Decision, TaskState
from approval.engine import EntryKind
from approval.schemas import ApplicationOut, EntryOut, TaskOut
from yijian_contracts.departments import departments
from yijian_contracts.events import ApplicationOutcome

SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")

STATES: Mapping[TaskState, str] = {
    TaskState.DRAFT: "等待前置事项",
    TaskState.SUBMITTED: "已送交部门",
    TaskState.RETURNED_FOR_CORRECTION: "待补正",
    TaskState.ACCEPTED: "已受理",
    TaskState.REJECTED_ACCEPTANCE: "不予受理",
    TaskState.IN_REVIEW: "审核中",
    TaskState.SUSPENDED: "等待中",
    TaskState.DECIDED_APPROVED: "已批准",
    TaskState.DECIDED_DENIED: "未批准",
    TaskState.DELIVERED: "已送达",
    TaskState.CLOSED: "已办结",
    TaskState.WITHDRAWN: "已撤回",
    TaskState.TERMINATED: "已终止",
    TaskState.NOT_NEEDED: "无需办理",
    TaskState.SKIPPED_WITH_PROOF: "已有，免办",
    TaskState.BLOCKED: "前置未办成",
}

OUTCOMES: Mapping[ApplicationOutcome, str] = {
    ApplicationOutcome.ALL_GRANTED: "全部办成",
    ApplicationOutcome.PARTLY: "部分办成",
    ApplicationOutcome.NONE: "均未办成",
}

_HAPPENED: Mapping[EntryKind, str] = {
    EntryKind.SUBMITTED: "提交申请",
    EntryKind.TASK_REQUESTED: "送交部门",
    EntryKind.TASK_HELD: "等待授权记录恢复登记",
    EntryKind.TASK_RECEIVED: "收到",
    EntryKind.TASK_DECIDED: "办结",
    EntryKind.TASK_RETURNED: "退回补正",
    EntryKind.TASK_CORRECTED: "补正后重新送交",
    EntryKind.TASK_NOT_NEEDED: "无需办理",
    EntryKind.TASK_BLOCKED: "前置事项没有办成，不再办理",
    EntryKind.TASK_UNPROCESSABLE: "部门系统未能处理，已转人工",
    EntryKind.TASK_RESENT: "再次送交部门",
    EntryKind.TASK_TERMINATED: "终止",
    EntryKind.TASK_WITHDRAWN: "不再办理",
    EntryKind.ANSWER_IGNORED: "收到的答复不予采用",
    EntryKind.CONSENT_AWAITED: "等待同意",
    EntryKind.CONSENT_GIVEN: "已同意",
    EntryKind.CONSENT_REFUSED: "不同意",
    EntryKind.CONSENT_WITHDRAWN: "撤回同意",
    EntryKind.CONSENT_EXPIRED: "同意未作出或者已到期",
    EntryKind.WITHDRAWN: "撤回申请",
    EntryKind.COMPLETED: "全部事项办理完毕",
}

_EXPLAINED = {TaskState.SUSPENDED, TaskState.IN_REVIEW, TaskState.WITHDRAWN}

_ACTORS = {"applicant": "申请人", "approval": "一件平台", "operator": "运维人员"}


def state_of(task: TaskOut) -> str:
    """Where a task stands, in a word or two."""
    if task.decision is Decision.DENIED:
        return "不予批准"
    if task.waits_for:
        return f"等待{'、'.join(dict.fromkeys(waits.giver_title for waits in task.waits_for))}同意"
    because = task.reason if task.state in _EXPLAINED else ""
    return f"{STATES[task.state]}：{because}" if because else STATES[task.state]


def waiting_for(application: ApplicationOut) -> list[str]:
    """Whose consents an application waits for: a line for each person and purpose, with the matters that wait."""
    matters: dict[tuple[str, str], list[str]] = {}
    for task in application.tasks:
        for waits in task.waits_for:
            matters.setdefault((waits.giver_title, waits.purpose), []).append(matter_of(task, application))
    return [f"等待{who}同意（{purpose}）：{'、'.join(names)}" for (who, purpose), names in matters.items()]


def matter_of(task: TaskOut, application: ApplicationOut) -> str:
    """The matter's name, with the child where there are several."""
    children = {other.child for other in application.tasks if other.child is not None}
    return f"{task.name}（第{task.child}孩）" if len(children) > 1 and task.child is not None else task.name


def about(entry: EntryOut, application: ApplicationOut) -> str:
    """What a line of the timeline is about; nothing when it is the application as a whole."""
    task = next((task for task in application.tasks if task.key == entry.task), None)
    return matter_of(task, application) if task else ""


def actor_of(entry: EntryOut) -> str:
    """Who did it: a department by its name."""
    department = departments().get(entry.actor)
    return department.name if department else _ACTORS.get(entry.actor, entry.actor or "一件平台")


def happened(entry: EntryOut) -> str:
    """What a line of the timeline tells."""
    match entry.kind:
        case EntryKind.TASK_RECEIVED:
            return STATES[entry.states[-1]] + (f"：{entry.note}" if entry.note else "")
        case EntryKind.TASK_DECIDED:
            return _decided(entry)
        case EntryKind.COMPLETED:
            return f"{_HAPPENED[entry.kind]}：{OUTCOMES[ApplicationOutcome(entry.note)]}"
        case _:
            return _HAPPENED[entry.kind] + (f"：{entry.note}" if entry.note else "")


def _decided(entry: EntryOut) -> str:
    because = f"：{entry.note}" if entry.note else ""
    if TaskState.DECIDED_DENIED in entry.states:
        return f"不予批准{because}"
    if TaskState.DELIVERED in entry.states:
        return f"批准，证照已送达{because}"
    if TaskState.DECIDED_APPROVED in entry.states:
        return f"批准{because}"
    return STATES[entry.states[-1]] + because


def elapsed(task: TaskOut, now: datetime) -> str:
    """How long the department has had it, or took; nothing for what was never asked."""
    if task.requested_at is None:
        return ""
    return duration((task.ended_at or now) - task.requested_at)


def duration(span: timedelta) -> str:
    """`0.4 秒`, `3 分 05 秒`, `2 小时 05 分`; never negative, whatever two clocks say."""
    seconds = max(span.total_seconds(), 0)
    if seconds < 60:
        return f"{seconds:.1f} 秒"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} 分 {rest:02d} 秒" if minutes < 60 else f"{minutes // 60} 小时 {minutes % 60:02d} 分"


def clock(instant: datetime) -> str:
    """The time of day in China, to the millisecond."""
    return instant.astimezone(SHANGHAI).strftime("%H:%M:%S.%f")[:-3]


def day_and_time(instant: datetime) -> str:
    return instant.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")


def progress_line(entry: EntryOut, application: ApplicationOut) -> str:
    """One line of the timeline as plain text."""
    parts = (actor_of(entry), about(entry, application), happened(entry))
    return f"{clock(entry.at)}  {' · '.join(part for part in parts if part)}"


def summary(application: ApplicationOut) -> str:
    """How an application that is over ended."""
    outcome = OUTCOMES[application.outcome] if application.outcome else "已撤回"
    ended = application.completed_at or application.submitted_at
    return f"{application.name}：{outcome}，用时 {duration(ended - application.submitted_at)}"
