"""Which shard of the outbox a key belongs to: the same on every process and every run."""

from zlib import crc32

from yijian_messaging.store import SHARDS


def shard_of(key: str) -> int:
    return crc32(key.encode()) % SHARDS
