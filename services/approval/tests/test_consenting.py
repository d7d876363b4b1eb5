"""Consents in the engine: a task waits for its own, and nothing else does. Told without a database."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from approval import consenting, engine
from approval.application import (
    Application,
    ApplicationStatus,
    Consent,
    ConsentState,
    Need,
    Task,
    TaskState,
    dump,
    load,
)
from approval.consenting import ANSWER_WITHIN, Agreed
from approval.engine import CancelTask, ChangeConsent, EntryKind, NotPossibleError, RequestTask
from hypothesis import given
from hypothesis import strategies as st
from yijian_contracts.events import (
    ApplicationOutcome,
    ConsentMeans,
    Correction,
    Outcome,
    ReceivedStatus,
    TaskAnswered,
    TaskReceived,
)

NOON = datetime(2026, 11, 21, 4, tzinfo=UTC)
ID = UUID("01930000-0000-7000-8000-000000000002")
YEAR = Agreed(ConsentMeans.OWN_ACCOUNT, NOON + timedelta(days=365))
WITH_THE_FORM = Agreed(ConsentMeans.APPLICATION, NOON + timedelta(days=365))
S, C = TaskState, ConsentState

MOTHER, FATHER = "MOTHER", "FATHER"
TITLES = {MOTHER: "母亲", FATHER: "父亲"}
ASKED = (("notice", MOTHER), ("guardian", FATHER), ("guidance", MOTHER), ("guidance", FATHER))
MOTHERS = {(basis, giver): WITH_THE_FORM for basis, giver in ASKED if giver == MOTHER}


def tasks() -> tuple[Task, ...]:
    """A certificate by law; a card that rests on a consent of each parent; a guidance on both of one; a receipt."""
    certificate = (Need(("B2",)),)
    return (
        Task(key="B2", matter="B2", department="health"),
        Task(key="B3", matter="B3", department="disease-control", needs=certificate),
        Task(key="B6", matter="B6", department="human-resources", needs=certificate, consents=("notice", "guardian")),
        Task(key="B9", matter="B9", department="health", needs=certificate, consents=("guidance",)),
        Task(key="R", matter="R", department="taxation", needs=(Need(("B6",)),)),
    )


def submitted(agreed: Mapping[tuple[str, str], Agreed] | None = None) -> engine.Step:
    application = Application(
        id=ID,
        life_event="birth",
        digest="d",
        submitted_at=NOON,
        due_at=NOON + timedelta(hours=2),
        tasks=tasks(),
        consents=tuple(Consent(basis, giver, TITLES[giver]) for basis, giver in ASKED),
    )
    return engine.start(application, not_needed={}, agreed=MOTHERS if agreed is None else agreed, at=NOON)


def decided(application: Application, key: str, outcome: Outcome = Outcome.APPROVED) -> engine.Step:
    task = application.find_task(key)
    assert task is not None
    corrections = (Correction(pointer="/a", message="请改"),) if outcome is Outcome.RETURNED else ()
    event = TaskAnswered(
        application_id=ID,
        department=task.department,
        task_id=engine.task_id(application, task),
        matter=task.matter,
        outcome=outcome,
        corrections=corrections,
        decided_at=NOON,
    )
    return engine.answer(application, event, digest=outcome, at=NOON)


def acknowledged(application: Application, key: str) -> Application:
    task = application.find_task(key)
    assert task is not None
    receipt = TaskReceived(
        application_id=ID,
        department=task.department,
        task_id=engine.task_id(application, task),
        matter=task.matter,
        status=ReceivedStatus.IN_REVIEW,
        received_at=NOON,
    )
    return engine.receive(application, receipt, at=NOON).application


def father(application: Application, *, give: Sequence[str] = (), refuse: Sequence[str] = ()) -> engine.Step:
    return consenting.answer(application, giver=FATHER, agreed=dict.fromkeys(give, YEAR), refused=refuse, at=NOON)


def states(application: Application) -> dict[str, TaskState]:
    return {task.key: task.state for task in application.tasks}


def consent(application: Application, basis: str, giver: str = FATHER) -> ConsentState:
    found = application.find_consent(basis, giver)
    assert found is not None
    return found.state


def requested(step: engine.Step) -> list[str]:
    return [effect.task.key for effect in step.effects if isinstance(effect, RequestTask)]


def running() -> Application:
    """Everything is with its department: the father agreed, the certificate is there."""
    return father(decided(submitted().application, "B2").application, give=("guardian", "guidance")).application


def test_a_task_waits_for_its_own_consents_and_nothing_else_does():
    step = submitted()
    given = [e.consent for e in step.effects if isinstance(e, ChangeConsent)]
    assert [(c.basis, c.giver, c.state) for c in given] == [("notice", MOTHER, C.GIVEN), ("guidance", MOTHER, C.GIVEN)]
    (awaited,) = [entry for entry in step.entries if entry.kind is EntryKind.CONSENT_AWAITED]
    assert (awaited.giver, awaited.bases) == (FATHER, ("guardian", "guidance"))

    step = decided(step.application, "B2")
    assert requested(step) == ["B3"]
    assert (states(step.application)["B6"], states(step.application)["B9"]) == (S.DRAFT, S.DRAFT)
    assert decided(step.application, "B3").application.status is ApplicationStatus.IN_PROGRESS


def test_giving_releases_what_waited():
    waiting = decided(submitted().application, "B2").application
    step = father(waiting, give=["guidance"])
    assert requested(step) == ["B9"]
    first = step.entries[0]
    assert (first.kind, first.giver, first.bases) == (EntryKind.CONSENT_GIVEN, FATHER, ("guidance",))
    step = father(step.application, give=["guardian"])
    assert requested(step) == ["B6"]
    assert states(step.application)["R"] is S.DRAFT


def test_giving_before_the_rest_is_ready_requests_nothing_yet():
    step = father(submitted().application, give=["guidance", "guardian"])
    assert requested(step) == []
    assert requested(decided(step.application, "B2")) == ["B3", "B6", "B9"]


def test_refusing_ends_what_rests_on_it_and_the_rest_completes():
    waiting = decided(submitted().application, "B2").application
    step = father(waiting, give=["guidance"], refuse=["guardian"])
    assert states(step.application) | {"B9": S.SUBMITTED, "B6": S.WITHDRAWN, "R": S.BLOCKED} == states(step.application)
    refused = step.application.find_task("B6")
    assert refused is not None
    assert refused.reason == "父亲没有同意，这个事项不再办理"
    assert not [effect for effect in step.effects if isinstance(effect, CancelTask)]
    done = decided(decided(step.application, "B3").application, "B9").application
    assert done.outcome is ApplicationOutcome.PARTLY


def test_an_answer_said_again_changes_nothing_and_another_one_is_refused():
    step = father(submitted().application, give=["guidance"], refuse=["guardian"])
    again = father(step.application, give=["guidance"], refuse=["guardian"])
    assert (again.application, again.effects, again.entries) == (step.application, [], [])
    with pytest.raises(NotPossibleError):
        father(step.application, refuse=["guidance"])
    with pytest.raises(NotPossibleError):
        father(step.application, give=["guardian"])
    with pytest.raises(LookupError):
        father(step.application, give=["notice"])


def test_nobody_answering_ends_what_waited_after_fifteen_days():
    waiting = decided(decided(submitted().application, "B2").application, "B3").application
    assert consenting.look_at(waiting) and min(consenting.look_at(waiting)) == NOON + ANSWER_WITHIN  # noqa: PT018 - one thought
    early = consenting.let_expire(waiting, at=NOON + ANSWER_WITHIN - timedelta(seconds=1))
    assert (early.application, early.entries) == (waiting, [])
    step = consenting.let_expire(waiting, at=NOON + ANSWER_WITHIN)
    assert states(step.application) == {
        "B2": S.CLOSED,
        "B3": S.CLOSED,
        "B6": S.WITHDRAWN,
        "B9": S.WITHDRAWN,
        "R": S.BLOCKED,
    }
    late = step.application.find_task("B9")
    assert late is not None
    assert late.reason == "父亲没有在规定期限内答复是否同意，这个事项不再办理"
    assert step.application.outcome is ApplicationOutcome.PARTLY
    with pytest.raises(NotPossibleError):
        father(step.application, give=["guidance"])


def test_a_withdrawal_takes_back_what_is_not_decided_and_leaves_what_is():
    application = decided(running(), "B9").application
    step = consenting.take_back(application, basis="guidance", giver=MOTHER, at=NOON)
    assert states(step.application) == states(application)
    assert consent(step.application, "guidance", MOTHER) is C.WITHDRAWN

    for told in (application, acknowledged(application, "B6")):
        step = consenting.take_back(told, basis="guardian", giver=FATHER, at=NOON)
        assert [(e.task.key, e.reason) for e in step.effects if isinstance(e, CancelTask)] == [
            ("B6", "父亲撤回了同意，这个事项不再办理")
        ]
        assert states(step.application)["B6"] is S.WITHDRAWN
        assert states(step.application)["R"] is S.BLOCKED
        assert states(step.application)["B3"] is S.SUBMITTED
        again = consenting.take_back(step.application, basis="guardian", giver=FATHER, at=NOON)
        assert (again.application, again.effects, again.entries) == (step.application, [], [])


def test_an_answer_that_crosses_a_withdrawal_is_too_late_and_the_other_way_round_it_stands():
    application = running()
    withdrawn = consenting.take_back(application, basis="guidance", giver=FATHER, at=NOON).application
    late = decided(withdrawn, "B9")
    assert states(late.application) == states(withdrawn)
    assert [entry.kind for entry in late.entries] == [EntryKind.ANSWER_IGNORED]

    answered = decided(application, "B9").application
    after = consenting.take_back(answered, basis="guidance", giver=FATHER, at=NOON).application
    assert states(after)["B9"] is S.CLOSED


def test_a_withdrawal_before_a_task_is_ready_ends_it_unasked():
    early = father(submitted().application, give=["guardian", "guidance"]).application
    step = consenting.take_back(early, basis="guardian", giver=FATHER, at=NOON)
    assert states(step.application)["B6"] is S.WITHDRAWN
    assert not [effect for effect in step.effects if isinstance(effect, CancelTask)]
    assert requested(decided(step.application, "B2")) == ["B3", "B9"]


def test_a_withdrawal_after_the_end_is_only_noted():
    application = running()
    for key in ("B3", "B6", "B9", "R"):
        application = decided(application, key).application
    assert application.outcome is ApplicationOutcome.ALL_GRANTED
    step = consenting.take_back(application, basis="guidance", giver=FATHER, at=NOON)
    assert states(step.application) == states(application)
    assert [type(effect) for effect in step.effects] == [ChangeConsent]


def test_a_withdrawal_of_what_nobody_was_asked_for_is_a_mistake():
    with pytest.raises(LookupError):
        consenting.take_back(running(), basis="notice", giver=FATHER, at=NOON)


def test_a_returned_task_ends_with_its_consent():
    returned = decided(running(), "B9", Outcome.RETURNED).application
    step = consenting.take_back(returned, basis="guidance", giver=FATHER, at=NOON)
    ended = step.application.find_task("B9")
    assert ended is not None
    assert (ended.state, ended.corrections) == (S.WITHDRAWN, ())


def test_a_consent_whose_term_is_over_is_not_sent_on():
    short = Agreed(ConsentMeans.OWN_ACCOUNT, NOON + timedelta(hours=1))
    waiting = submitted().application
    step = consenting.answer(waiting, giver=FATHER, agreed={"guidance": short}, refused=(), at=NOON)
    assert NOON + timedelta(hours=1) in consenting.look_at(step.application)
    event_at = NOON + timedelta(hours=1)
    task = step.application.find_task("B2")
    assert task is not None
    certificate = TaskAnswered(
        application_id=ID,
        department="health",
        task_id=engine.task_id(step.application, task),
        matter="B2",
        outcome=Outcome.APPROVED,
        decided_at=event_at,
    )
    late = engine.answer(step.application, certificate, digest="d", at=event_at)
    assert requested(late) == ["B3"]
    over = consenting.let_expire(late.application, at=event_at).application
    ended = over.find_task("B9")
    assert ended is not None
    assert (ended.state, ended.reason) == (S.WITHDRAWN, "父亲的同意已经到期，这个事项不再办理")


def test_a_term_that_ends_takes_back_what_nobody_acknowledged_and_leaves_what_arrived():
    end = NOON + timedelta(days=365)
    unanswered = consenting.let_expire(running(), at=end)
    assert {e.task.key for e in unanswered.effects if isinstance(e, CancelTask)} == {"B6", "B9"}
    arrived = acknowledged(acknowledged(running(), "B9"), "B6")
    step = consenting.let_expire(arrived, at=end)
    assert not [effect for effect in step.effects if isinstance(effect, CancelTask)]
    assert states(step.application)["B9"] is S.IN_REVIEW
    # Returned after the term it could not be asked again, so it ends.
    returned = decided(step.application, "B9", Outcome.RETURNED).application
    assert states(returned)["B9"] is S.WITHDRAWN


def test_what_went_unanswered_is_not_sent_again_after_the_term():
    end = NOON + timedelta(days=365)
    step = engine.resend(running(), unanswered_since=end, at=end)
    assert [e.task.key for e in step.effects if isinstance(e, RequestTask)] == ["B3"]


def test_nobody_is_asked_for_what_nothing_rests_on_any_more():
    withdrawn = engine.withdraw(submitted().application, at=NOON).application
    blocked = decided(submitted().application, "B2", Outcome.REJECTED).application
    for application in (withdrawn, blocked):
        assert {consent(application, basis) for basis in ("guardian", "guidance")} == {C.EXPIRED}
        assert consent(application, "guidance", MOTHER) is C.GIVEN


def test_a_correction_cannot_rest_on_a_consent_that_nobody_gave():
    returned = decided(running(), "B3", Outcome.RETURNED).application
    for consents in (("marketing",), ("guidance",)):
        withdrawn = consenting.take_back(returned, basis="guidance", giver=FATHER, at=NOON).application
        replanned = [Task(t.key, t.matter, t.department, consents=consents) for t in tasks() if t.key == "B3"]
        others = [task for task in tasks() if task.key != "B3"]
        with pytest.raises(NotPossibleError):
            engine.correct(withdrawn, task_key="B3", replanned=[*replanned, *others], not_needed={}, at=NOON)


def test_an_application_with_consents_reads_as_it_was_written():
    assert load(dump(running())) == running()


WORDS = st.fixed_dictionaries({(b, g): st.booleans() for b, g in ASKED})
OUTCOMES = st.fixed_dictionaries(
    dict.fromkeys(
        [task.key for task in tasks()], st.sampled_from([Outcome.APPROVED, Outcome.REJECTED, Outcome.NOT_ACCEPTED])
    )
)
EVENTS = [*[task.key for task in tasks()], *ASKED]


@given(
    words=WORDS,
    outcomes=OUTCOMES,
    order=st.permutations(EVENTS),
    other=st.permutations(EVENTS),
    repeats=st.lists(st.sampled_from(ASKED), max_size=4),
)
def test_any_order_of_consents_and_answers_gives_the_same_final_state(
    words: dict[tuple[str, str], bool],
    outcomes: dict[str, Outcome],
    order: Sequence[object],
    other: Sequence[object],
    repeats: Sequence[tuple[str, str]],
):
    first, second = _happens(order, words, outcomes, []), _happens(other, words, outcomes, repeats)
    assert _final(first) == _final(second)
    assert first.status is ApplicationStatus.COMPLETED
    _assert_nothing_went_without_consent(first, words)


def _happens(
    order: Sequence[object],
    words: Mapping[tuple[str, str], bool],
    outcomes: Mapping[str, Outcome],
    repeats: Sequence[tuple[str, str]],
) -> Application:
    """People and departments speak in this order of preference, a department only when it was asked."""
    application = submitted({}).application
    waiting = list(order)
    while application.status is ApplicationStatus.IN_PROGRESS:
        event = next(e for e in waiting if not isinstance(e, str) or states(application)[e] is S.SUBMITTED)
        waiting.remove(event)
        if isinstance(event, str):
            application = decided(application, event, outcomes[event]).application
        else:
            for _ in range(2 if event in repeats else 1):
                application = _say(application, event, words)  # type: ignore[arg-type]
    return application


def _say(application: Application, asked: tuple[str, str], words: Mapping[tuple[str, str], bool]) -> Application:
    basis, giver = asked
    if consent(application, basis, giver) is C.EXPIRED:
        return application  # nothing rests on it any more
    yes, no = ({basis: YEAR}, ()) if words[asked] else ({}, (basis,))
    return consenting.answer(application, giver=giver, agreed=yes, refused=no, at=NOON).application


def _final(application: Application) -> object:
    """What became of each task. Refused a consent and refused what it needs: either may have ended it first."""
    never_asked = {S.WITHDRAWN: "NEVER ASKED", S.BLOCKED: "NEVER ASKED"}
    found = [(t.key, never_asked.get(t.state, t.state), t.decision) for t in application.tasks]
    return (application.status, application.outcome, found)


def _assert_nothing_went_without_consent(application: Application, words: Mapping[tuple[str, str], bool]) -> None:
    for task in application.tasks:
        if task.requested_at is not None:
            assert all(words[asked] for asked in ASKED if asked[0] in task.consents)
