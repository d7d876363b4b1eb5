"""Human resources: one first card for each child."""

from collections.abc import Iterator
from typing import Any

import pytest
from human_resources.main import CardRecords, department
from pydantic import JsonValue
from yijian_contracts.events import Outcome, TaskAnswered, TaskReceived
from yijian_department.testing import TestDepartment, sample_task

Cards = TestDepartment[CardRecords]

CHILD = "990102202611150036"


def fields(**changes: JsonValue) -> dict[str, JsonValue]:
    return {
        "citizen_id_no": CHILD,
        "birth_datetime": "2026-11-15T08:30:00+08:00",
        "guardian_relation": "MOTHER",
        "mother_id_no": "990101199202290029",
        "target_code12": "990102001001",
        **changes,
    }


@pytest.fixture
def cards() -> Iterator[Cards]:
    with TestDepartment(department) as bureau:
        yield bureau


def test_a_first_card_is_issued_and_a_second_refused(cards: Cards):
    answer = cards.give(sample_task("B6", fields(), child=1))
    assert isinstance(answer, TaskAnswered)
    assert answer.personal.outputs == {"ss_card_no": "SB990102-000000001"}
    assert [d.kind for d in answer.personal.documents] == ["social-security-card"]

    refused = cards.give(sample_task("B6", fields(), child=1))
    assert isinstance(refused, TaskAnswered)
    assert refused.outcome is Outcome.REJECTED


def test_a_card_issued_elsewhere_counts(cards: Cards):
    cards.load_records([{"kind": "card", "citizen_id_no": CHILD, "number": "SB000000001"}])
    refused = cards.give(sample_task("B6", fields(), child=1))
    assert isinstance(refused, TaskAnswered)
    assert refused.outcome is Outcome.REJECTED


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"citizen_id_no": "990102202611150037"}, "校验不符"),
        ({"birth_datetime": "2026-11-16T08:30:00+08:00"}, "与出生日期不一致"),
        ({"guardian_relation": "FATHER"}, "没有父亲的身份信息"),
    ],
)
def test_what_does_not_fit_needs_a_person(cards: Cards, change: dict[str, Any], note: str):
    received = cards.give(sample_task("B6", fields(**change), child=1))
    assert isinstance(received, TaskReceived)
    assert note in received.note
