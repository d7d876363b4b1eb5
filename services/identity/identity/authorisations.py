"""One person's word that another may act for them in a life event, as a signed statement for approval."""

from typing import Any
from uuid import UUID

from yijian_common.pairwise import id_proof

from identity.clients import APPROVAL
from identity.provider import OpenIdProvider

MEANS = "ONE_TIME_CODE"


def authorisation_claims(
    provider: OpenIdProvider, *, giver: UUID, id_no: str, actor: UUID, life_event: str, authorisation: UUID
) -> dict[str, Any]:
    """All claims of an authorisation but issuer and instants; see `yijian_common.tokens.Authorisation`."""
    return {
        "aud": APPROVAL,
        "sub": str(giver),
        "id_proof": id_proof(provider.pairwise[APPROVAL], id_no),
        "act": {"sub": str(actor)},
        "life_event": life_event,
        "means": MEANS,
        "jti": authorisation.hex,
    }
