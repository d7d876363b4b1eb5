"""Where a test may have a process killed: at the moments at which a crash is worst.

`YIJIAN_FAULTPOINT=relay-after-send:3` kills the process, without a word and as hard as the kernel can, when it reaches
that point for the third time. It counts only beside `YIJIAN_ENVIRONMENT=development`; production refuses to start with
it (`yijian_common.settings`). Unarmed, reaching a point costs one comparison.
"""

import os
import signal
from collections.abc import Mapping
from enum import StrEnum

VARIABLE = "YIJIAN_FAULTPOINT"


class FaultPoint(StrEnum):
    """A batch is what a consumer handles in one transaction, an intake what the API stores in one.

    The offset's are around what the group is told of a batch, the signature's around a checkpoint of the ledger, the
    witness's around the moment at which it remembers one, the cosignature's around what the ledger keeps of that.
    """

    BATCH_BEFORE_COMMIT = "batch-before-commit"
    BATCH_AFTER_COMMIT = "batch-after-commit"
    OFFSET_BEFORE_COMMIT = "offset-before-commit"
    OFFSET_AFTER_COMMIT = "offset-after-commit"
    RELAY_BEFORE_SEND = "relay-before-send"
    RELAY_BEFORE_ACKNOWLEDGED = "relay-before-acknowledged"
    RELAY_AFTER_SEND = "relay-after-send"
    RELAY_AFTER_MARK = "relay-after-mark"
    INTAKE_BEFORE_COMMIT = "intake-before-commit"
    INTAKE_AFTER_COMMIT = "intake-after-commit"
    SIGN_BEFORE = "sign-before"
    SIGN_BEFORE_COMMIT = "sign-before-commit"
    SIGN_AFTER_COMMIT = "sign-after-commit"
    WITNESS_BEFORE_COMMIT = "witness-before-commit"
    WITNESS_AFTER_COMMIT = "witness-after-commit"
    COSIGNATURE_BEFORE_COMMIT = "cosignature-before-commit"
    COSIGNATURE_AFTER_COMMIT = "cosignature-after-commit"


class _Armed:
    """The one point that kills, and how often it is still passed."""

    def __init__(self, point: FaultPoint, times: int) -> None:
        self.point = point
        self.left = times


def read(environment: Mapping[str, str]) -> tuple[FaultPoint, int] | None:
    """The point named in the environment and at which reaching of it to kill. Raises ValueError for an odd name."""
    named = environment.get(VARIABLE, "")
    if not named or environment.get("YIJIAN_ENVIRONMENT") != "development":
        return None
    name, _, times = named.partition(":")
    return FaultPoint(name), int(times or 1)


_named = read(os.environ)
_armed = _Armed(*_named) if _named else None


def reach(point: FaultPoint) -> None:
    """Nothing, unless this is the point at which a test has this process killed."""
    if _armed is None or _armed.point is not point:
        return
    _armed.left -= 1
    if _armed.left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
