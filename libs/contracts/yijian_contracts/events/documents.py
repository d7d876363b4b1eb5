"""Documents and relations as departments create them, and what an owner shows of them."""

from uuid import UUID

from pydantic import AwareDatetime, Field

from yijian_contracts import derived_ids
from yijian_contracts.events.base import CaseEvent, Code, Event, Part, PersonRef, Sentence
from yijian_contracts.events.disclosures import DisclosedPart
from yijian_contracts.topics import DOCUMENTS, DOCUMENTS_SHOWN


class DocumentOwner(Part):
    """Whose document it is. A newborn has no number before household registration: then the parents' stand alone."""

    child: int | None = None
    owner_id_no: str | None = None
    mother_id_no: str
    father_id_no: str | None = None


class IssuedParts(Part):
    """The personal part of an issued document."""

    number: str
    owner: DocumentOwner


class DocumentIssued(CaseEvent):
    """A department issued a document that approval accepted; it belongs into its owner's wallet.

    `identifier` is the electronic licence identifier (GB/T 36904): the licence type, the issuing department's credit
    code, a serial that is the task's id, and the version. Without `expires_at` the document does not expire.
    """

    TYPE = "gov.city.approval.document-issued"
    TOPIC = DOCUMENTS

    department: Code
    matter: Code
    task_id: UUID
    kind: Code
    name: Sentence
    identifier: Sentence
    issued_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    personal: IssuedParts

    @property
    def event_id(self) -> UUID:
        return self.derive_id(self.task_id, self.kind)

    @property
    def document_id(self) -> UUID:
        """The document's own id, in whatever wallet it lies."""
        return derived_ids.document_id(self.task_id, kind=self.kind)


class RelationParts(Part):
    child_id_no: str
    mother_id_no: str
    father_id_no: str | None = None


class RelationRegistered(CaseEvent):
    """Public security registered a child of these parents."""

    TYPE = "gov.city.approval.relation-registered"
    TOPIC = DOCUMENTS

    child: int = Field(ge=1, le=20)
    task_id: UUID
    registered_at: AwareDatetime
    personal: RelationParts

    @property
    def event_id(self) -> UUID:
        return self.derive_id(self.task_id)


class DocumentShown(Event):
    """An owner showed a document from the wallet to somebody: the fields that left the owner's hands.

    `owner` and, for a child's document, the parents are who may see this in their ledger.
    """

    TYPE = "gov.city.identity.document-shown"
    TOPIC = DOCUMENTS_SHOWN

    disclosure_id: UUID
    recipient: Sentence
    purpose: Sentence
    kind: Code
    name: Sentence
    people: tuple[PersonRef, ...]
    part: DisclosedPart
    shown_at: AwareDatetime

    @property
    def key(self) -> str:
        return str(self.disclosure_id)

    @property
    def event_id(self) -> UUID:
        return self.derive_id(self.disclosure_id)
