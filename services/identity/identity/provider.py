"""What every entrance of identity works with; on `app.state.provider`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from yijian_common.crypto import Keyring
from yijian_common.database import Connection, Pool
from yijian_messaging import Store

from identity.clients import Client
from identity.settings import IdentitySettings
from identity.signing import Signer


@dataclass(frozen=True, slots=True)
class OpenIdProvider:
    settings: IdentitySettings
    pool: Pool
    store: Store[Connection]
    """The same database, for what is said to others in the transaction in which it becomes true."""
    keyring: Keyring
    signer: Signer
    clients: Mapping[str, Client]
    pairwise: Mapping[str, bytes]


async def _provider(request: Request) -> OpenIdProvider:
    provider: OpenIdProvider = request.app.state.provider
    return provider


Provider = Annotated[OpenIdProvider, Depends(_provider)]
