"""The programs that may ask for tokens, and where each may send people back to.

Invariant: a redirect address is compared byte by byte with the registered ones. The one exception is the port of a
native client's loopback address (RFC 8252 §7.3), and it is compared on its own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from yijian_common.tokens import Kind
from yijian_contracts.departments import departments

APPROVAL = "approval"
IDENTITY = "identity"
DATA_EXCHANGE = "data-exchange"
RATING = "rating"

_LOOPBACK = re.compile(r"(http://127\.0\.0\.1):([1-9][0-9]{0,4})(/callback)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client. Every one is first-party for now, so that nobody is asked for consent."""

    id: str
    name: str
    audiences: tuple[str, ...]
    """What its tokens may be for; the first is the default."""
    redirect_uris: tuple[str, ...] = ()
    confidential: bool = True
    native: bool = False
    kind: Kind | None = None
    """What it is when it acts for itself (client credentials); None when it may not."""

    def may_redirect_to(self, uri: str) -> bool:
        if uri in self.redirect_uris:
            return True
        loopback = _LOOPBACK.fullmatch(uri) if self.native else None
        return loopback is not None and int(loopback[2]) <= 65535


def registry(*, portal_redirect_uris: tuple[str, ...]) -> Mapping[str, Client]:
    """Every client by its id."""
    desks = tuple(department.principal for department in departments().values())
    services = (APPROVAL, IDENTITY, DATA_EXCHANGE, RATING)
    known = [
        Client("yijian-app", "一件事办理", audiences=(*services, *desks), confidential=False, native=True),
        Client("portal", "一件事门户", audiences=(*services, *desks), redirect_uris=portal_redirect_uris),
        *(Client(name, name, audiences=(*services, *desks), kind=Kind.SERVICE) for name in services),
        *(
            Client(department.principal, department.name, audiences=(APPROVAL, IDENTITY), kind=Kind.DEPARTMENT)
            for department in departments().values()
        ),
    ]
    return {client.id: client for client in known}
