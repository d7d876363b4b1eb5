"""What stays of an application when somebody in it is forgotten: pure functions over its parts."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from approval.application import Application, Task
from approval.claims import applicant_role
from approval.definition import APPLICANT
from approval.life_event import LifeEvent
from approval.matters import concerned
from approval.rows import Answer, Form

GONE = "另一位当事人的个人信息已经依法删除，这份申请不能继续办理；仍需办理的，请重新申请。"


def tombstone(application: Application) -> Application:
    """The application without anything that somebody wrote or that says something about a person."""
    tasks = tuple(_bare(task) for task in application.tasks)
    return msgspec.structs.replace(application, tasks=tasks, consents=())


def _bare(task: Task) -> Task:
    return msgspec.structs.replace(task, reason="", corrections=(), digests=(), needs_person=(), documents=())


def cut_form(life_event: LifeEvent, form: Form, role: str) -> Form:
    """The form without what is about this role alone. What is about others too is theirs as well, and stays."""
    applicant = applicant_role(life_event, form)

    def about_others(place: str) -> bool:
        roles = {applicant if r == APPLICANT else r for r in concerned(life_event.parties, place)}
        return bool(roles - {role})

    kept: Form = _kept(form, "", about_others)
    return kept


def _kept(part: Any, place: str, about_others: Callable[[str], bool]) -> Any:
    """`part` without the leaves that nobody else has a share in; None when nothing is left of it."""
    if isinstance(part, dict):
        members = {name: _kept(value, f"{place}/{name}", about_others) for name, value in part.items()}
        left = {name: value for name, value in members.items() if value is not None}
        return left if left or not part else None
    if isinstance(part, list):
        # A place in a list is written as the life event writes it; the list keeps its length, so that others stay put.
        items = [_kept(value, f"{place}/*", about_others) for value in part]
        return items if any(item is not None for item in items) or not part else None
    return part if about_others(place) else None


def cut_answers(
    life_event: LifeEvent, application: Application, answers: Mapping[str, Answer], role: str
) -> dict[str, Answer]:
    """The answers without the documents that belong to this role."""
    matters = {task.key: life_event.matters[task.matter] for task in application.tasks}
    kept = {}
    for key, answer in answers.items():
        owned = {document.code for document in matters[key].documents if document.owner == role}
        documents = tuple(document for document in answer.documents if document.kind not in owned)
        kept[key] = msgspec.structs.replace(answer, documents=documents)
    return kept
