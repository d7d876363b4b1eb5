"""The twelve bugs: what each does, what was taken away for it, where it is planted, and what the checker has to
say of it.

The platform has most of its defences twice. A bug that one layer hides as long as another stands is planted as
somebody would write it who has neither; `without` says what that took.
"""

from collections.abc import Mapping
from dataclasses import dataclass

APIS = ("approval-api-1", "approval-api-2")
WORKERS = ("approval-worker-1", "approval-worker-2")
RELAYS = ("approval-relay-1", "approval-relay-2")
HEALTH = ("health",)
# One of these for each record that a worker never read: an answer, or whatever else it was.
UNREAD = ("approval has no answer to a request", "a consumer passed over a record that it was to act on")


@dataclass(frozen=True, slots=True)
class Bug:
    """`planted_in` are processes by name; `caught_by` is the invariant that is violated, in a sentence of `says`.

    An invariant may be violated for many reasons; a bug is caught when what is said of it is what it does.
    """

    name: str
    description: str
    planted_in: tuple[str, ...]
    caught_by: str
    says: tuple[str, ...]
    without: str = ""


_ALL = (
    Bug(
        name="offset-before-commit",
        description="A worker stores the offsets of a batch in a transaction of its own, before the one with inbox and"
        " effect: killed in between, it never reads those answers again.",
        planted_in=WORKERS,
        caught_by="I4",
        says=UNREAD,
    ),
    Bug(
        name="auto-commit",
        description="aiokafka commits the group's offsets every five seconds, whatever became of the records, and a"
        " consumer that begins or recovers reads on from there: what was polled while the database was away is lost.",
        planted_in=WORKERS,
        caught_by="I4",
        says=UNREAD,
        without="The start from the offsets in the database, and their compare-and-set: with either, what Kafka's group"
        " knows decides nothing.",
    ),
    Bug(
        name="relay-id-greater-than-last",
        description="The relay remembers the last row that it sent and asks for greater numbers: a row whose number was"
        " drawn earlier and whose transaction committed later is passed by until the relay is restarted.",
        planted_in=RELAYS,
        caught_by="I5",
        says=("a row was never sent",),
    ),
    Bug(
        name="two-relays-skip-locked",
        description="No shard has an owner: each relay locks the next twenty rows that nobody else has locked and sends"
        " them, so that two messages of one key travel at the same time.",
        planted_in=RELAYS,
        caught_by="I6",
        says=("an event stands behind one that was committed after it",),
        without="The leases of shards, which this is instead of.",
    ),
    Bug(
        name="direct-produce",
        description="The API sends its messages to Kafka as soon as COMMIT returns; the outbox keeps a copy that nobody"
        " sends from: killed in between, it has accepted an application of which nobody hears.",
        planted_in=APIS,
        caught_by="I5",
        says=("what was committed was never said",),
    ),
    Bug(
        name="inbox-unique-dropped",
        description="A department takes every delivery for a new task: what a relay sends twice is decided twice.",
        planted_in=HEALTH,
        caught_by="I4",
        says=("a task was answered in more than one way",),
        without="The department's look-up of the task by its id, with the unique key of the inbox: the task id is what"
        " makes a delivery the same one, and each of the two would hide that the other is gone. (In approval three"
        " more layers would: answers are told apart by their digest, attempts by their number, and a task that is over"
        " takes none.)",
    ),
    Bug(
        name="commit-after-response",
        description="The API answers 202 when everything is written, and COMMIT follows 200 ms later, as what follows"
        " the `yield` of a dependency does.",
        planted_in=APIS,
        caught_by="I1",
        says=("an accepted application is not there",),
    ),
    Bug(
        name="latest-reset",
        description="A group that Kafka knows no offset of begins at the end of the topic: what was said before is"
        " never read.",
        planted_in=WORKERS,
        caught_by="I4",
        says=UNREAD,
        without="The start from the offsets in the database: with it, Kafka is asked for no position.",
    ),
    Bug(
        name="producer-not-rebuilt",
        description="A relay keeps a producer that failed. After a partition without a leader for longer than a send"
        " may take, its sequence numbers have a gap, and that partition takes nothing from it any more.",
        planted_in=RELAYS,
        caught_by="I5",
        says=("a row was never sent",),
    ),
    Bug(
        name="ledger-leaf-outside-tx",
        description="Disclosures are gathered in memory and written down every 200 ms in transactions of their own,"
        " beside those that request the tasks: killed in between, data was disclosed and the ledger has no leaf.",
        planted_in=(*APIS, *WORKERS),
        caught_by="I7",
        says=("a department was asked and the disclosure is not written down",),
    ),
    Bug(
        name="late-result-overwrites-final",
        description="A department's answer counts whenever it comes: a task that was withdrawn is opened again and"
        " decided, and the application with it.",
        planted_in=WORKERS,
        caught_by="I3",
        says=("an application has not exactly the one end that its status says",),
    ),
    Bug(
        name="restored-without-reseek",
        description="Consumers read on from where their Kafka group stands. An approval database that came back from a"
        " backup is behind it, and what was answered in between is never read again.",
        planted_in=WORKERS,
        caught_by="I4",
        says=UNREAD,
        without="The start from the offsets in the database, which came back with the backup, and their"
        " compare-and-set.",
    ),
)

BUGS: Mapping[str, Bug] = {bug.name: bug for bug in _ALL}
