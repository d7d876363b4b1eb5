"""The gate before everything that rests on consents: open only while withdrawals are heard of in time.

With `FRESH_SECONDS` a withdrawal takes effect within a minute of its commit, whatever stands still; the sum is in
docs/decisions/0018-withdrawals-within-a-minute.md.
"""

from yijian_common.database import Pool

FRESH_SECONDS = 30

# The states of a letter are written out so that the index of the letters that wait serves the question.
_IS_OPEN = """
SELECT t.as_of > clock_timestamp() - make_interval(secs => $1) AND NOT EXISTS (
    SELECT FROM dead_letter d WHERE d.consumer = 'approval.consents' AND d.state IN ('DEAD', 'REPLAY')
) FROM withdrawals_told t WHERE t.one
"""


class ConsentGate:
    """Asked by the relay. Closed when it is not known what was withdrawn lately, or a withdrawal waits for a person."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def __call__(self) -> bool:
        is_open: bool = await self._pool.fetchval(_IS_OPEN, FRESH_SECONDS)
        return is_open
