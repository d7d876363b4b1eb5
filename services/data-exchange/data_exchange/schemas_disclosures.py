"""What people are told of who received their data."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from data_exchange.disclosures import DisclosureKind


class AgreedTextOut(BaseModel):
    """The consent that a field went out on, in the words it was given in."""

    version: int
    text: str


class BasisOut(BaseModel):
    """A law with its clause, or what was agreed to."""

    kind: Literal["LAW", "CONSENT"]
    reference: str
    consent: AgreedTextOut | None = None


class DisclosedFieldOut(BaseModel):
    """A field that went out; never its value. `concerns` are the roles of the case that it is about."""

    name: str
    title: str
    source: str
    concerns: list[str]
    basis: BasisOut


class ShownDocumentOut(BaseModel):
    kind: str
    name: str


class DisclosureOut(BaseModel):
    """Fields that concern the reader, or a child that they are the guardian of, and that somebody received."""

    id: UUID
    kind: DisclosureKind
    disclosed_at: datetime
    recipient: str = Field(description="The department's name, or to whom a document was shown")
    department: str | None
    matter: str | None
    life_event: str | None
    application_id: UUID | None
    child: int | None
    document: ShownDocumentOut | None
    purpose: str
    fields: list[DisclosedFieldOut]
    leaf_index: int = Field(description="The place in the ledger")
    covered: bool = Field(description="Whether a signed checkpoint covers it")
    proof: str = Field(description="Where the proof is that it stands in the ledger")
    evidence: str = Field(description="Where the evidence is, to take away and to check without us")


class DisclosurePage(BaseModel):
    items: list[DisclosureOut]
    next: str | None


class EvidenceOut(BaseModel):
    """An evidence pack: `yijian ledger evidence` checks it offline, with the ledger's and the witness's public keys."""

    what: Literal["yijian-evidence"]
    v: int
    checkpoint: str
    items: list[dict[str, object]]
