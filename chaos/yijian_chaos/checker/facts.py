"""What the platform promises, written down a second time: a table that was copied could not disagree with its origin.

Sources: docs/events.md, docs/contracts, the life event 出生一件事 and ARCHITECTURE.md.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid5

DEPARTMENTS: Final = (
    "health",
    "disease-control",
    "public-security",
    "medical-insurance",
    "human-resources",
    "taxation",
    "civil-affairs",
)
SERVICES: Final = ("approval", "identity", "data-exchange", "rating")


def tasks_topic(department: str) -> str:
    return f"department.{department}.tasks"


def results_topic(department: str) -> str:
    return f"department.{department}.results"


WRITERS: Final = {
    **{tasks_topic(code): "approval" for code in DEPARTMENTS},
    **{results_topic(code): code for code in DEPARTMENTS},
    "approval.applications": "approval",
    "approval.documents": "approval",
    "approval.disclosures": "approval",
    "approval.consents": "approval",
    "approval.rectifications": "approval",
    "data-exchange.consents": "data-exchange",
    "data-exchange.checkpoints": "data-exchange",
    "identity.disclosures": "identity",
    "identity.sessions": "identity",
    "identity.erasures": "identity",
    "rating.rectifications": "rating",
}
"""Every topic with the store whose outbox alone feeds it."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """A consumer, whose name is its group's: where it keeps its offsets, and what it reads."""

    group: str
    store: str
    topics: tuple[str, ...]


CONSUMERS: Final = (
    Consumer("approval.results", "approval", tuple(results_topic(code) for code in DEPARTMENTS)),
    Consumer("approval.checkpoints", "approval", ("data-exchange.checkpoints",)),
    Consumer("approval.consents", "approval", ("data-exchange.consents",)),
    Consumer("approval.rectifications", "approval", ("rating.rectifications",)),
    Consumer("approval.erasures", "approval", ("identity.erasures",)),
    Consumer("data-exchange.disclosures", "data-exchange", ("approval.disclosures", "identity.disclosures")),
    Consumer("data-exchange.consents", "data-exchange", ("approval.consents",)),
    Consumer("data-exchange.erasures", "data-exchange", ("identity.erasures",)),
    Consumer("identity.wallet", "identity", ("approval.documents",)),
    Consumer("rating.events", "rating", ("approval.applications", "approval.rectifications", "identity.erasures")),
    *(Consumer(f"department.{code}.tasks", code, (tasks_topic(code),)) for code in DEPARTMENTS),
)

TASK_REQUESTED: Final = "gov.city.approval.task-requested.v1"
TASK_CANCELLED: Final = "gov.city.approval.task-cancelled.v1"
TASK_RECEIVED: Final = "gov.city.department.task-received.v1"
TASK_ANSWERED: Final = "gov.city.department.task-answered.v1"
SUBMITTED: Final = "gov.city.approval.application-submitted.v1"
PROGRESSED: Final = "gov.city.approval.applications-progressed.v1"
COMPLETED: Final = "gov.city.approval.application-completed.v1"
WITHDRAWN: Final = "gov.city.approval.application-withdrawn.v1"
DISCLOSED: Final = "gov.city.approval.data-disclosed.v1"
SHOWN: Final = "gov.city.identity.document-shown.v1"
CHECKPOINT_SIGNED: Final = "gov.city.data-exchange.checkpoint-signed.v1"
CONSENT_WITHDRAWN: Final = "gov.city.data-exchange.consent-withdrawn.v1"
RECTIFICATION_ANSWERED: Final = "gov.city.approval.rectification-answered.v1"
PERSON_ERASED: Final = "gov.city.identity.person-erased.v1"

TOLD_UNTIL: Final = "told-until"
"""The key under which data-exchange says how far withdrawals were told; an old word that waits is taken back."""

RECTIFICATION: Final = "RECTIFICATION"

_NAMESPACE: Final = UUID("5b3f1a52-7c0e-5d64-9c7e-0d2a6d1f4b11")


def task_id(application: str, *, child: int | None, matter: str, attempt: int) -> str:
    """The id of one attempt at one matter (docs/decisions/0009)."""
    name = f"task:{application}:{child or 0}:{matter}:{attempt}"
    spelt = application[:6] + sha256(_NAMESPACE.bytes + name.encode()).hexdigest()[:26]
    variant = "89ab"[int(spelt[16], 16) % 4]
    return str(UUID(f"{spelt[:12]}8{spelt[13:16]}{variant}{spelt[17:]}"))


def event_id(kind: str, subject: str) -> str:
    """The id of the one event of this type about a subject."""
    return str(uuid5(_NAMESPACE, f"event:{kind}:{subject}:"))


# --- the birth -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Matter:
    """A matter of the birth: whose, whether for each child, what it waits for, and what is left of it when granted.

    One of `needs` in each group has to be granted. `table` has one row for it, found `by` its task or by the `output`
    of the answer. `series` is what its numbers are taken from; `exact` when each number taken was given to somebody.
    `keeps` when who has a number already is told that one again.
    """

    department: str
    per_child: bool
    needs: tuple[tuple[str, ...], ...] = ()
    output: str = ""
    table: str = ""
    by_task: bool = False
    series: str = ""
    exact: bool = True
    keeps: bool = False


BIRTH: Final = {
    "C1": Matter("civil-affairs", per_child=False),
    "B1": Matter(
        "health",
        per_child=False,
        needs=(("C1",),),
        output="birth_registration_no",
        table="birth_registration",
        by_task=True,
        series="birth-registration",
    ),
    # A number that was issued elsewhere is passed over, so the series may be ahead.
    "B2": Matter(
        "health",
        per_child=True,
        needs=(("C1",),),
        output="birth_cert_no",
        table="birth_certificate",
        by_task=True,
        series="birth-certificate",
        exact=False,
    ),
    "B3": Matter(
        "disease-control",
        per_child=True,
        needs=(("B2",),),
        output="vaccination_archive_no",
        table="vaccination_record",
        series="vaccination-record",
        keeps=True,
    ),
    "B4": Matter(
        "public-security",
        per_child=True,
        needs=(("B2",), ("C1",)),
        output="citizen_id_no",
        table="registration",
        by_task=True,
    ),
    # By the child's number, or where a city insures at birth by its certificate.
    "B5": Matter(
        "medical-insurance",
        per_child=True,
        needs=(("B4", "B2"),),
        output="med_insurance_no",
        table="enrolment",
        series="enrolment",
    ),
    "B5-rekey": Matter("medical-insurance", per_child=True, needs=(("B4",), ("B5",))),
    "B6": Matter(
        "human-resources",
        per_child=True,
        needs=(("B4",), ("B2",)),
        output="ss_card_no",
        table="card",
        series="card",
    ),
    "B7": Matter(
        "taxation",
        per_child=True,
        needs=(("B5",),),
        output="payment_no",
        table="contribution",
        by_task=True,
        series="contribution",
    ),
    "B8": Matter(
        "medical-insurance",
        per_child=False,
        needs=(("B2",),),
        output="payment_batch",
        table="refund",
        by_task=True,
        series="refund",
    ),
    "B9": Matter(
        "health",
        per_child=True,
        needs=(("B2",),),
        output="parenting_service_no",
        table="parenting_service",
        series="parenting-service",
        keeps=True,
    ),
}
OPTIONAL: Final = frozenset({"B5-rekey"})

NEXT: Final = {
    "DRAFT": {"SUBMITTED", "NOT_NEEDED", "BLOCKED", "WITHDRAWN", "TERMINATED"},
    "SUBMITTED": {"ACCEPTED", "REJECTED_ACCEPTANCE", "RETURNED_FOR_CORRECTION", "WITHDRAWN", "TERMINATED"},
    "RETURNED_FOR_CORRECTION": {"SUBMITTED", "DRAFT", "NOT_NEEDED", "WITHDRAWN", "TERMINATED"},
    "ACCEPTED": {"IN_REVIEW", "SUSPENDED", "WITHDRAWN", "TERMINATED"},
    "IN_REVIEW": {
        "SUSPENDED",
        "REJECTED_ACCEPTANCE",
        "RETURNED_FOR_CORRECTION",
        "DECIDED_APPROVED",
        "DECIDED_DENIED",
        "SKIPPED_WITH_PROOF",
        "WITHDRAWN",
        "TERMINATED",
    },
    "SUSPENDED": {"IN_REVIEW", "WITHDRAWN", "TERMINATED"},
    "DECIDED_APPROVED": {"DELIVERED", "CLOSED"},
    "DECIDED_DENIED": {"CLOSED"},
    "DELIVERED": {"CLOSED"},
}
"""What may follow what in a task's history; what is not here is an end."""

ENDS: Final = frozenset(
    {
        "CLOSED",
        "REJECTED_ACCEPTANCE",
        "WITHDRAWN",
        "TERMINATED",
        "NOT_NEEDED",
        "SKIPPED_WITH_PROOF",
        "BLOCKED",
    }
)

APPLICATION_ENDS: Final = frozenset({"COMPLETED", "WITHDRAWN"})

AFTER_THE_END: Final = frozenset({"ANSWER_IGNORED", "CONSENT_WITHDRAWN"})
"""Lines that may stand behind an application's last: an answer that came too late, a consent that is taken back."""

OUTCOME_STATES: Final = {
    "APPROVED": "CLOSED",
    "REJECTED": "CLOSED",
    "NOT_ACCEPTED": "REJECTED_ACCEPTANCE",
    "PROVEN": "SKIPPED_WITH_PROOF",
    "RETURNED": "RETURNED_FOR_CORRECTION",
}
"""How a department's answer shows in the task's state."""
