"""Whatever happens to an order in whatever order: it is asked for at most twice, ends once, and never hangs."""

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

from hypothesis import given, settings
from hypothesis import strategies as st
from rating import orders
from rating.orders import (
    Effect,
    Escalate,
    ExcludeReview,
    NotPossibleError,
    Order,
    OrderState,
    PublishFeedback,
    RequestRectification,
    Rung,
    UnfitAnswerError,
    Verdict,
)
from rating.questionnaire import Level
from yijian_contracts.events import Outcome

MONDAY = datetime(2026, 11, 23, 2, tzinfo=UTC)
FINAL = {OrderState.CLOSED, OrderState.INVALID}

ACTS = st.one_of(
    st.tuples(st.just("verify"), st.sampled_from(Verdict), st.sampled_from("甲乙丙")),
    st.tuples(st.just("answer"), st.sampled_from(Outcome), st.integers(1, 3), st.booleans()),
    st.tuples(st.just("call_back"), st.booleans()),
    st.tuples(st.just("close")),
    st.tuples(st.just("forget")),
    st.tuples(st.just("wait"), st.integers(0, 9)),
)


def fresh(*, flagged: bool) -> Order:
    return Order(
        id=uuid4(),
        review_id=uuid4(),
        invitation_id=uuid4(),
        department="health",
        matter="B2",
        matter_name="出生医学证明签发",
        level=Level.DISSATISFIED,
        options=(),
        marks="[]",
        counted_on=date(2026, 11, 23),
        fact=uuid4(),
        state=OrderState.VERIFY,
        round=1,
        needs_verify=("209",) if flagged else (),
    )


def act(order: Order, what: tuple[object, ...], at: datetime) -> None:
    match what:
        case ("verify", Verdict() as verdict, str() as by):
            orders.verify(order, verdict, by=by, reason="核实", at=at)
        case ("answer", Outcome() as outcome, int() as round_, bool() as shown):
            orders.answer(order, outcome, round_=round_, sealed=b"x" if shown else None, reason="说明", at=at)
        case ("call_back", bool() as satisfied):
            orders.call_back(order, satisfied=satisfied, at=at)
        case ("close",):
            orders.close(order, conclusion="已督办", at=at)
        case ("forget",):
            orders.forget(order, at=at)


@settings(max_examples=400, deadline=None)
@given(st.booleans(), st.lists(ACTS, max_size=25))
def test_an_order_is_sound_whatever_happens(flagged: bool, acts: list[tuple[object, ...]]):
    order, at = fresh(flagged=flagged), MONDAY
    orders.open_order(order, at=at)
    said: list[tuple[int, Effect]] = [(order.round, effect) for effect in order.effects]
    for what in acts:
        order.effects.clear()
        before = order.state
        if what[0] == "wait":
            at += timedelta(days=int(str(what[1])))
            orders.look(order, at=at)
        else:
            try:
                act(order, what, at)
            except (NotPossibleError, UnfitAnswerError):
                assert (order.state, order.effects) == (before, [])
        said += [(order.round, effect) for effect in order.effects]
        assert before not in FINAL or order.state is before
        is_over = order.state in FINAL
        with_supervision = order.state is OrderState.ESCALATED and any(
            told == (order.round, Escalate(Rung.SUPERVISION)) for told in said
        )
        assert (order.next_look_at is None) == (is_over or with_supervision), "what is open is looked at again"
        assert order.state not in (OrderState.ASSIGNED, OrderState.REOPENED, OrderState.FEEDBACK_PUBLISHED)

    asked = [round_ for round_, effect in said if isinstance(effect, RequestRectification)]
    assert asked == sorted(set(asked))
    assert len(asked) <= 2
    published = [round_ for round_, effect in said if isinstance(effect, PublishFeedback)]
    assert published == sorted(set(published))
    excluded = [effect for _, effect in said if isinstance(effect, ExcludeReview)]
    assert len(excluded) == (order.state is OrderState.INVALID)
    for rung in Rung:
        rungs = [round_ for round_, effect in said if effect == Escalate(rung)]
        assert len(rungs) == len(set(rungs)), "each rung of a round once"


@given(st.booleans())
def test_an_order_that_nobody_touches_ends_with_supervision(flagged: bool):
    order = fresh(flagged=flagged)
    orders.open_order(order, at=MONDAY)
    orders.look(order, at=MONDAY + timedelta(days=90))
    orders.look(order, at=MONDAY + timedelta(days=98))
    assert order.state is OrderState.ESCALATED
    assert [effect for effect in order.effects if isinstance(effect, Escalate)] == [
        Escalate(Rung.HEAD),
        Escalate(Rung.SUPERVISION),
    ]
