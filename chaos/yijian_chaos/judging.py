"""What a client concludes from an answer, and what it does next. Pure."""

from yijian_chaos.history import Ending, Kind, Phase
from yijian_chaos.http_client import Answer, RefusedError, UnansweredError

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 2.0
LONGEST_RETRY_AFTER_S = 5.0
LONGEST_PROBLEM = 4_000

# Definite answers that say nothing about the wish itself: it is to be asked again. A consent given a moment ago
# has to reach data-exchange first, hence 404 there.
_ASK_AGAIN = frozenset({401, 408, 425, 429})


def judge(answer: Answer) -> Ending:
    """2xx was done; 4xx and 503 with Retry-After were not, by contract; any other 5xx may have been."""
    content = answer.json()
    said = content if isinstance(content, dict) else {}
    if answer.status < 300:
        return Ending(Phase.OK, answer.status, said.get("id"), said.get("version"), said.get("status"))
    refused = answer.status < 500 or (answer.status == 503 and answer.retry_after is not None)
    error = str(said.get("type", "no problem document"))
    problem = answer.body.decode("utf-8", "replace")[:LONGEST_PROBLEM]
    return Ending(Phase.FAIL if refused else Phase.INFO, answer.status, error=error, problem=problem)


def judge_silence(error: RefusedError | UnansweredError) -> Ending:
    """A connection that nobody took carried nothing; after anything else nobody knows."""
    if isinstance(error, UnansweredError):
        return Ending(Phase.INFO, error=error.why)
    return Ending(Phase.FAIL, error="connection-refused")


def is_decided(kind: Kind, ending: Ending) -> bool:
    """Whether a key needs no further attempt: it is done, or refused for a reason that asking again will not change."""
    match ending.phase:
        case Phase.OK:
            return True
        case Phase.FAIL:
            again = ending.status is None or ending.status >= 500 or ending.status in _ASK_AGAIN
            return not again and not (kind is Kind.CONSENT_WITHDRAW and ending.status == 404)
        case _:
            return False


def pause_before(tries: int, retry_after: float | None) -> float:
    """Seconds until the next attempt after `tries` of them: what the server asked for, or longer and longer."""
    if retry_after is not None:
        return min(retry_after, LONGEST_RETRY_AFTER_S)
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (tries - 1))


def is_token_trouble(ending: Ending) -> bool:
    """The token was not good, which is nobody's operation: another one, and again."""
    return ending.status == 401
