"""How to reach Kafka, and how many records one transaction takes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class KafkaSettings:
    """Where Kafka is and who we are there.

    `instance` names this process for static group membership: restarted under the same name it resumes its partitions
    and its outbox's shards at once, instead of after the session time-out and the lease. No two may run under one name.
    """

    bootstrap: str
    security_protocol: str = "SASL_PLAINTEXT"
    username: str = ""
    password: str = ""
    ca_file: str | None = None
    instance: str | None = None


@dataclass(frozen=True)
class Tuning:
    """Sizes and times of the loops; the defaults are for production. Times are seconds.

    A consumer asks Kafka for at least `fetch_bytes` and waits for them up to `fetch_wait`: what nobody waits for is
    read in fewer and larger batches, each of which is a transaction.

    With `batch_records` and `relay_batch` of one and `commit_each_batch`, the same code runs a transaction, a produce
    and an offset commit per message: the yardstick of the benchmark.
    """

    batch_records: int = 500
    relay_batch: int = 1000
    commit_each_batch: bool = False
    commit_interval: float = 5.0
    tries: int = 5
    retry_pause: float = 0.2
    relay_poll: float = 0.02
    lease: float = 15.0
    send_timeout: float = 15.0
    watchdog: float = 60.0
    session_timeout: float = 20.0
    fetch_bytes: int = 1
    fetch_wait: float = 0.5


PRODUCTION = Tuning()
NAIVE = Tuning(batch_records=1, relay_batch=1, commit_each_batch=True)
