"""What a handler says about a task: decided now, or to be decided later.

Reasons and notes travel outside the personal part of an event: no name, number or address belongs in them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import JsonValue
from yijian_contracts.events import MOST_CORRECTIONS, AnswerParts, Correction, IssuedDocument, Outcome, ReceivedStatus

REASON_LENGTH = 500
PARAGRAPH_LENGTH = 2000
MOST_EVIDENCE = 20


@dataclass(frozen=True, slots=True)
class Decision:
    """The department's last word on a task."""

    outcome: Outcome
    reason: str = ""
    corrections: tuple[Correction, ...] = ()
    parts: AnswerParts = field(default_factory=AnswerParts)


@dataclass(frozen=True, slots=True)
class Later:
    """Not decided yet: a person has to look (IN_REVIEW), or somebody outside has to act first (SUSPENDED).

    After `look_again` the handler is asked once more; without it the task waits for the desk or for
    `Department.answer` and `Department.happened`.
    """

    status: ReceivedStatus
    reason: str
    look_again: timedelta | None = None


Answer = Decision | Later


def approve(
    outputs: Mapping[str, JsonValue] | None = None, *, documents: Mapping[str, str] | None = None, reason: str = ""
) -> Decision:
    """Granted. `outputs` are the values that the matter declares, `documents` the issued numbers by kind."""
    return Decision(Outcome.APPROVED, reason[:REASON_LENGTH], parts=_parts(outputs, documents))


def proven(outputs: Mapping[str, JsonValue] | None = None, *, documents: Mapping[str, str] | None = None) -> Decision:
    """The answer to a PROVE task: what the applicant says already exists does exist, here is what it says."""
    return Decision(Outcome.PROVEN, parts=_parts(outputs, documents))


def put_right(measures: str, evidence: Iterable[str]) -> Decision:
    """The answer to a RECTIFICATION: what was done, and what shows it. Both are published: nobody is named in them."""
    shown = [_paragraph(one) for one in evidence]
    if not 1 <= len(shown) <= MOST_EVIDENCE:
        raise ValueError(f"a rectification is shown by 1 to {MOST_EVIDENCE} pieces of evidence")
    return Decision(Outcome.APPROVED, parts=AnswerParts(outputs={"measures": _paragraph(measures), "evidence": shown}))


def reject(reason: str) -> Decision:
    """Denied on the merits; what needs this matter will not be done."""
    return Decision(Outcome.REJECTED, _sentence(reason))


def not_accepted(reason: str) -> Decision:
    """Refused at the counter: the department is not the right one, or the request cannot be taken at all."""
    return Decision(Outcome.NOT_ACCEPTED, _sentence(reason))


def return_for_correction(corrections: Iterable[tuple[str, str]], reason: str = "") -> Decision:
    """The applicant is to correct these form fields: pairs of JSON Pointer and a plain sentence, each field once.

    They have to be fields that the matter receives, by their place in the life event's form: approval refuses others.
    """
    parts = tuple(Correction(pointer=pointer, message=_sentence(message)) for pointer, message in corrections)
    if not 1 <= len(parts) <= MOST_CORRECTIONS:
        raise ValueError(f"a return for correction names 1 to {MOST_CORRECTIONS} fields")
    if len({part.pointer for part in parts}) < len(parts):
        raise ValueError("a return for correction names each field once")
    return Decision(Outcome.RETURNED, reason[:REASON_LENGTH], corrections=parts)


def needs_person(reason: str) -> Later:
    """An official decides at the desk."""
    return Later(ReceivedStatus.IN_REVIEW, _sentence(reason))


def waiting(reason: str, *, look_again: timedelta | None = None) -> Later:
    """Somebody outside has to act first, for instance pay; the task is suspended until then."""
    return Later(ReceivedStatus.SUSPENDED, _sentence(reason), look_again)


def _sentence(reason: str) -> str:
    if not reason.strip():
        raise ValueError("say why, in one sentence that the applicant can read")
    return reason[:REASON_LENGTH]


def _paragraph(text: str) -> str:
    if not text.strip() or len(text) > PARAGRAPH_LENGTH:
        raise ValueError(f"say it in 1 to {PARAGRAPH_LENGTH} characters")
    return text.strip()


def _parts(outputs: Mapping[str, JsonValue] | None, documents: Mapping[str, str] | None) -> AnswerParts:
    """Checked here, in the handler, so that a value that is no JSON is the handler's failure."""
    return AnswerParts(
        outputs=dict(outputs or {}),
        documents=tuple(IssuedDocument(kind=kind, number=number) for kind, number in (documents or {}).items()),
    )
