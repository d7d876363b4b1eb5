"""Password hashing: argon2id in two threads, so that neither the event loop nor the memory is exhausted."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

THREADS = 2
_hasher = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=1)  # RFC 9106 §4, the low-memory option
_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
_UNKNOWN = _hasher.hash("nobody has this password")


async def hash_password(password: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(_threads, _hasher.hash, password)


async def matches(stored: str | None, password: str) -> bool:
    """Whether `password` is the one of the hash `stored`; takes as long when there is none."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _matches, stored, password)


def _matches(stored: str | None, password: str) -> bool:
    try:
        return _hasher.verify(stored or _UNKNOWN, password) and stored is not None
    except (VerifyMismatchError, VerificationError, InvalidHashError):
        return False
