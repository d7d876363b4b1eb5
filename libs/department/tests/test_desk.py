"""The desk: who may see and decide what, and that a decision is made once."""

from typing import Any

import pytest
from yijian_common.auth import Kind
from yijian_contracts.events import Outcome, TaskAnswered, TaskRequested
from yijian_department.tasks import TaskState
from yijian_department.testing import TestDepartment, cancellation, sample_task

Library = TestDepartment[Any]

ID_NO = "990101199001010019"


@pytest.fixture
def doubtful(library: Library) -> TaskRequested:
    """A card request from county 990101 that needs a person."""
    task = sample_task("L1", {"reader_id_no": ID_NO, "wish": "doubt", "area_code": "990101001000"})
    library.give(task)
    return task


def decision(task: TaskRequested) -> str:
    return f"/desk/tasks/{task.task_id}/decision"


def test_an_official_sees_the_tasks_of_their_matters_and_area(library: Library, doubtful: TaskRequested):
    library.give(sample_task("L2", {"amount": 1}))
    seen = library.desk("GET", "/desk/tasks", matters=["L1"]).json()
    assert [(task["task_id"], task["state"], task["note"]) for task in seen] == [
        (str(doubtful.task_id), "IN_REVIEW", "需要核对证件")
    ]
    assert ID_NO not in str(seen)
    assert len(library.desk("GET", "/desk/tasks", matters=["L1", "L2"]).json()) == 2
    assert library.desk("GET", "/desk/tasks", matters=["L1"], area="990102000000").json() == []


def test_fields_are_masked_until_asked_for_and_each_look_is_recorded(library: Library, doubtful: TaskRequested):
    path = f"/desk/tasks/{doubtful.task_id}"
    masked = library.desk("GET", path, matters=["L1"]).json()
    assert masked["fields"] == {"reader_id_no": "990***********0019", "wish": "****", "area_code": "****"}
    clear = library.desk("GET", f"{path}?reveal=true", matters=["L1"]).json()
    assert clear["fields"]["reader_id_no"] == ID_NO

    rows = library.office.records.db.execute("SELECT task_id, official, action FROM desk_record ORDER BY id")
    assert [tuple(row) for row in rows] == [
        (str(doubtful.task_id), "official-1", "LOOKED"),
        (str(doubtful.task_id), "official-1", "REVEALED"),
    ]


def test_approving_gives_what_the_handler_produces(library: Library, doubtful: TaskRequested):
    answer = library.desk("POST", decision(doubtful), matters=["L1"], body={"act": "APPROVE"})
    assert answer.status_code == 200
    assert answer.json()["outcome"] == "APPROVED"
    (said,) = library.pass_time()
    assert isinstance(said, TaskAnswered)
    assert (said.outcome, said.decided_by) == (Outcome.APPROVED, "P-clerk-990100000000")
    assert said.personal.outputs == {"card_no": "C00001"}


def test_the_same_decision_again_gives_the_same_answer_and_another_is_refused(
    library: Library, doubtful: TaskRequested
):
    refusal = {"act": "REJECT", "reason": "证件不符"}
    first = library.desk("POST", decision(doubtful), matters=["L1"], body=refusal)
    again = library.desk("POST", decision(doubtful), matters=["L1"], body=refusal)
    other = library.desk("POST", decision(doubtful), matters=["L1"], body={"act": "APPROVE"})

    assert first.status_code == again.status_code == 200
    assert again.json() == first.json()
    assert other.status_code == 409
    assert other.json()["type"] == "/problems/task-closed"
    assert len(library.pass_time()) == 1


def test_returning_names_the_fields(library: Library, doubtful: TaskRequested):
    body = {"act": "RETURN", "corrections": [{"pointer": "/reader/id_no", "message": "请核对号码"}]}
    assert library.desk("POST", decision(doubtful), matters=["L1"], body=body).status_code == 200
    (said,) = library.pass_time()
    assert isinstance(said, TaskAnswered)
    assert said.outcome is Outcome.RETURNED


def correction(pointer: str = "/reader/id_no", message: str = "请核对号码") -> dict[str, str]:
    return {"pointer": pointer, "message": message}


@pytest.mark.parametrize(
    "body",
    [
        {"act": "REJECT"},
        {"act": "REJECT", "reason": " \n"},
        {"act": "RETURN"},
        {"act": "RETURN", "corrections": [correction(message="")]},
        {"act": "RETURN", "corrections": [correction(message=" \t\u3000")]},
        {"act": "RETURN", "corrections": [correction(message="长" * 501)]},
        {"act": "RETURN", "corrections": [correction(pointer="")]},
        {"act": "RETURN", "corrections": [correction(pointer="reader")]},
        {"act": "RETURN", "corrections": [correction(pointer="/reader~2")]},
        {"act": "RETURN", "corrections": [correction(pointer="/reader~")]},
        {"act": "RETURN", "corrections": [correction(pointer="/" + "x" * 200)]},
        {"act": "RETURN", "corrections": [correction(), correction(message="再次核对")]},
        {"act": "RETURN", "corrections": [correction(pointer=f"/{n}") for n in range(51)]},
        {"act": "BURN"},
        {"act": "APPROVE", "x": 1},
    ],
)
def test_an_incomplete_decision_is_not_taken(library: Library, doubtful: TaskRequested, body: dict[str, Any]):
    assert library.desk("POST", decision(doubtful), matters=["L1"], body=body).status_code == 422
    assert library.pass_time() == []


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ({"token": ""}, 401),
        ({"token": "not-a-token"}, 401),
        ({"kind": Kind.CITIZEN}, 403),
        ({"kind": Kind.SERVICE}, 403),
        ({"matters": ["L1"], "department": "taxation"}, 403),
        ({"matters": ["L2"]}, 403),
        ({"matters": ["L1"], "area": "990102000000"}, 403),
    ],
)
def test_nobody_else_may_look_or_decide(library: Library, doubtful: TaskRequested, who: dict[str, Any], status: int):
    assert library.desk("GET", f"/desk/tasks/{doubtful.task_id}", **who).status_code == status
    assert library.desk("POST", decision(doubtful), body={"act": "APPROVE"}, **who).status_code == status
    assert library.pass_time() == []
    assert library.office.records.db.execute("SELECT count(*) FROM desk_record").fetchone()[0] == 0


def test_an_unknown_task_is_not_found(library: Library):
    nobody = sample_task("L1", {})
    assert library.desk("GET", f"/desk/tasks/{nobody.task_id}", matters=["L1"]).status_code == 404
    assert library.desk("POST", decision(nobody), matters=["L1"], body={"act": "APPROVE"}).status_code == 404


def test_a_withdrawn_task_cannot_be_decided_or_seen(library: Library, doubtful: TaskRequested):
    library.give(cancellation(doubtful))
    assert library.desk("POST", decision(doubtful), matters=["L1"], body={"act": "APPROVE"}).status_code == 409
    assert library.desk("GET", f"/desk/tasks/{doubtful.task_id}", matters=["L1"]).status_code == 409
    assert library.pass_time() == []


def test_an_approval_that_the_handler_cannot_carry_out_leaves_the_task_where_it_was(library: Library):
    task = sample_task("L1", {"reader_id_no": "A", "wish": "crash"}, needs_person=["核对"])
    library.give(task)
    answer = library.desk("POST", decision(task), matters=["L1"], body={"act": "APPROVE"})
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/cannot-approve"
    stored = library.stored(task)
    assert stored is not None
    assert stored.state is TaskState.IN_REVIEW
    assert library.office.records.count() == 0


def test_an_approval_never_becomes_a_refusal(library: Library, doubtful: TaskRequested):
    library.give(sample_task("L1", {"reader_id_no": ID_NO}))
    answer = library.desk("POST", decision(doubtful), matters=["L1"], body={"act": "APPROVE"})
    assert answer.status_code == 409
    assert answer.json()["detail"] == "已有读者证"
    assert library.pass_time() == []


def test_a_post_in_no_place_sees_nothing(library: Library, doubtful: TaskRequested):
    assert library.desk("GET", "/desk/tasks", matters=["L1"], area="nowhere").status_code == 403
    assert library.desk("GET", f"/desk/tasks/{doubtful.task_id}", matters=["L1"], area="").status_code == 403


def test_an_unprocessable_task_can_be_tried_again(library: Library):
    task = sample_task("L1", {"reader_id_no": "A", "wish": "crash"})
    library.give(task)
    library.pass_time(1)
    library.pass_time(2)
    assert library.desk("POST", decision(task), matters=["L1"], body={"act": "RETRY"}).status_code == 200
    stored = library.stored(task)
    assert stored is not None
    assert stored.state is TaskState.ACCEPTED


def test_an_official_may_confirm_a_suspended_task(library: Library):
    task = sample_task("L2", {"amount": 400})
    library.give(task)
    assert library.desk("POST", decision(task), matters=["L2"], body={"act": "APPROVE"}).json()["outcome"] == "APPROVED"
