"""UUIDv7 (RFC 9562 §5.7): ids that ascend with time, so that what is made together is stored together."""

import os
import time
from uuid import UUID


def uuid7() -> UUID:
    """A fresh id: 48 bits of milliseconds since 1970, the rest random."""
    milliseconds = time.time_ns() // 1_000_000
    value = milliseconds << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)
