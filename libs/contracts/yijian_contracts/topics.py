"""Every topic with its one writer and its readers: provisioning, access lists and AsyncAPI are made from this list."""

from dataclasses import dataclass

from yijian_contracts.departments import departments

DAY_MS = 24 * 60 * 60 * 1000

APPLICATIONS = "approval.applications"
DOCUMENTS = "approval.documents"
DISCLOSURES = "approval.disclosures"
CONSENTS_GIVEN = "approval.consents"
RECTIFICATIONS_ANSWERED = "approval.rectifications"
CONSENTS_WITHDRAWN = "data-exchange.consents"
CHECKPOINTS = "data-exchange.checkpoints"
DOCUMENTS_SHOWN = "identity.disclosures"
SESSIONS = "identity.sessions"
ERASURES = "identity.erasures"
RECTIFICATIONS_REQUESTED = "rating.rectifications"


@dataclass(frozen=True)
class Topic:
    """A topic of the platform. No topic is compacted or transactional, so offsets have no gaps."""

    name: str
    description: str
    writer: str
    readers: tuple[str, ...]
    personal: bool
    partitions: int = 12
    retention_ms: int = 8 * DAY_MS
    segment_ms: int = DAY_MS
    max_message_bytes: int = 1_048_576

    @property
    def config(self) -> dict[str, str]:
        """The broker's settings for this topic."""
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(self.retention_ms),
            "segment.ms": str(self.segment_ms),
            "max.message.bytes": str(self.max_message_bytes),
            "message.timestamp.type": "CreateTime",
            # A clock that jumps ahead must not make retention drop what nobody has read.
            "message.timestamp.after.max.ms": str(60 * 60 * 1000),
        }


def topics() -> tuple[Topic, ...]:
    """The topic catalogue."""
    per_department = (
        topic
        for department in departments().values()
        for topic in (
            Topic(
                name=department.tasks_topic,
                description=f"What approval asks of {department.code}",
                writer="approval",
                readers=(department.principal,),
                personal=True,
            ),
            Topic(
                name=department.results_topic,
                description=f"What {department.code} answers",
                writer=department.principal,
                readers=("approval",),
                personal=True,
            ),
        )
    )
    return (
        *per_department,
        Topic(
            name=APPLICATIONS,
            description="The life of applications; who applied stands in the personal part of their completion",
            writer="approval",
            readers=("approval", "rating"),
            personal=True,
        ),
        Topic(
            name=DOCUMENTS,
            description="Documents and family relations as departments create them, for the wallet",
            writer="approval",
            readers=("identity",),
            personal=True,
        ),
        Topic(
            name=DISCLOSURES,
            description="Which fields went to whom on which basis, for the ledger",
            writer="approval",
            readers=("data-exchange",),
            personal=False,
        ),
        Topic(
            name=CONSENTS_GIVEN,
            description="Consents given with applications, for the register",
            writer="approval",
            readers=("data-exchange",),
            personal=False,
        ),
        Topic(
            name=RECTIFICATIONS_ANSWERED,
            description="What departments did about bad reviews",
            writer="approval",
            readers=("rating",),
            personal=True,
        ),
        Topic(
            name=CONSENTS_WITHDRAWN,
            description="Consents taken back, in one order: how far it was told stands behind what was told",
            writer="data-exchange",
            readers=("approval",),
            personal=False,
            partitions=1,
        ),
        Topic(
            name=CHECKPOINTS,
            description="The ledger's signed states, each with the disclosures it covers",
            writer="data-exchange",
            readers=("approval",),
            personal=False,
        ),
        Topic(
            name=DOCUMENTS_SHOWN,
            description="Documents that owners showed from their wallets, for the ledger",
            writer="identity",
            readers=("data-exchange",),
            personal=False,
        ),
        Topic(
            name=SESSIONS,
            description="Sessions that ended: tokens of them are void",
            writer="identity",
            readers=("approval", "data-exchange", "rating"),
            personal=False,
        ),
        Topic(
            name=ERASURES,
            description="Persons to be forgotten",
            writer="identity",
            readers=("approval", "data-exchange", "rating"),
            personal=True,
        ),
        Topic(
            name=RECTIFICATIONS_REQUESTED,
            description="Bad reviews that are to be put right",
            writer="rating",
            readers=("approval",),
            personal=True,
        ),
    )


def principals() -> tuple[str, ...]:
    """Everyone who may connect, in a stable order: each writer and reader of a topic."""
    names = {name for topic in topics() for name in (topic.writer, *topic.readers)}
    return tuple(sorted(names))
