"""What a client concludes from an answer, from a silence, and how long it asks."""

import json

import pytest
from yijian_chaos.history import Ending, Kind, Phase
from yijian_chaos.http_client import Answer, RefusedError, UnansweredError
from yijian_chaos.judging import is_decided, is_token_trouble, judge, judge_silence, pause_before


def answer(status: int, body: object = None, **headers: str) -> Answer:
    return Answer(status, headers, json.dumps(body).encode() if body is not None else b"")


@pytest.mark.parametrize(
    ("given", "phase"),
    [
        (answer(202, {"id": "a"}), Phase.OK),
        (answer(200, {"id": "a", "version": 3, "status": "IN_PROGRESS"}), Phase.OK),
        (answer(200, [1, 2]), Phase.OK),
        (answer(409, {"type": "/problems/conflict"}), Phase.FAIL),
        (answer(422, {"type": "/problems/form-refused"}), Phase.FAIL),
        (answer(503, {"type": "/problems/service-unavailable"}, **{"retry-after": "2"}), Phase.FAIL),
        (answer(503, {"type": "/problems/service-unavailable"}), Phase.INFO),
        (answer(500, {"type": "/problems/internal-error"}), Phase.INFO),
        (answer(502), Phase.INFO),
    ],
)
def test_an_answer_is_done_not_done_or_unknown(given: Answer, phase: Phase):
    assert judge(given).phase is phase


def test_all_that_a_refusal_says_is_kept_to_be_searched():
    refused = Answer(422, {}, '{"type": "/problems/form-refused", "errors": [{"message": "出生日期不对"}]}'.encode())
    assert "出生日期不对" in (judge(refused).problem or "")


def test_what_an_answer_tells_is_kept():
    assert judge(answer(202, {"id": "a1", "status": "IN_PROGRESS"})) == Ending(
        Phase.OK, 202, application="a1", state="IN_PROGRESS"
    )
    assert (
        judge(answer(409, {"type": "/problems/already-applied", "detail": "..."})).error == "/problems/already-applied"
    )
    assert judge(Answer(500, {}, b"<html>")).error == "no problem document"


def test_a_connection_that_nobody_took_carried_nothing_and_a_silence_may_have():
    assert judge_silence(RefusedError("ConnectionRefusedError")).phase is Phase.FAIL
    assert judge_silence(UnansweredError("TimeoutError")) == Ending(Phase.INFO, error="TimeoutError")


@pytest.mark.parametrize(
    ("kind", "ending", "decided"),
    [
        (Kind.SUBMIT, Ending(Phase.OK, 202), True),
        (Kind.SUBMIT, Ending(Phase.FAIL, 422), True),
        (Kind.SUBMIT, Ending(Phase.FAIL, 503), False),
        (Kind.SUBMIT, Ending(Phase.FAIL, None), False),
        (Kind.SUBMIT, Ending(Phase.FAIL, 401), False),
        (Kind.SUBMIT, Ending(Phase.FAIL, 429), False),
        (Kind.SUBMIT, Ending(Phase.INFO), False),
        (Kind.WITHDRAW, Ending(Phase.FAIL, 409), True),
        (Kind.WITHDRAW, Ending(Phase.FAIL, 404), True),
        # The consent has to reach data-exchange before it can be taken back there.
        (Kind.CONSENT_WITHDRAW, Ending(Phase.FAIL, 404), False),
        (Kind.CONSENT_WITHDRAW, Ending(Phase.FAIL, 409), True),
    ],
)
def test_a_key_is_asked_about_until_somebody_decides(kind: Kind, ending: Ending, decided: bool):
    assert is_decided(kind, ending) is decided


def test_pauses_grow_to_a_limit_unless_the_server_says_how_long():
    pauses = [pause_before(tries, None) for tries in range(1, 8)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 0.5
    assert pauses[-1] == pause_before(50, None) == 2.0
    assert pause_before(1, 1.0) == 1.0
    assert pause_before(1, 3600.0) == 5.0


def test_a_bad_token_is_no_answer_to_the_wish():
    assert is_token_trouble(Ending(Phase.FAIL, 401))
    assert not is_token_trouble(Ending(Phase.FAIL, 403))
