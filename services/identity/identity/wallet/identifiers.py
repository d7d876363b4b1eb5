"""What anyone may ask without a link: whether there is a document with this identifier, and its status.

The answer names nobody. Asking is limited by address, since serials are ids of tasks, and those stand in the public
ledger: whoever puts identifiers together from it learns that documents exist, of nobody they could name.
"""

from datetime import UTC, datetime

from yijian_common.database import transaction
from yijian_common.errors import TooManyRequests
from yijian_contracts.identifiers import InvalidIdentifierError, parse_licence_identifier

from identity.provider import OpenIdProvider
from identity.wallet.documents import DocumentStatus
from identity.wallet.queries import find_by_identifier

LOOKUPS = 20
WINDOW_SECONDS = 600

_COUNT = """
INSERT INTO identifier_lookup AS stored (source_index, lookups, since) VALUES ($1, 1, now())
ON CONFLICT (source_index) DO UPDATE SET
    lookups = CASE WHEN stored.since < now() - make_interval(secs => $2) THEN 1 ELSE stored.lookups + 1 END,
    since = CASE WHEN stored.since < now() - make_interval(secs => $2) THEN now() ELSE stored.since END
RETURNING lookups
"""


async def look_up(provider: OpenIdProvider, identifier: str, *, source: str) -> DocumentStatus | None:
    """The document's status, None when there is none with this identifier. Raises `TooManyRequests`."""
    source_index = provider.keyring.blind_index("identifier lookup", source)
    async with transaction(provider.pool) as held:
        lookups = await held.fetchval(_COUNT, source_index, WINDOW_SECONDS)
        document = None
        if lookups <= LOOKUPS and _is_identifier(identifier):
            document = await find_by_identifier(held, identifier, keyring=provider.keyring)
    if lookups > LOOKUPS:
        raise TooManyRequests("查询太频繁，请稍后再试", retry_after=WINDOW_SECONDS)
    return None if document is None else document.status(datetime.now(UTC))


def _is_identifier(text: str) -> bool:
    try:
        parse_licence_identifier(text)
    except InvalidIdentifierError:
        return False
    return True
