"""Writes the description of identity's API: ``python -m identity.openapi docs/contracts/openapi/identity.json``.

The development login is left out: production does not have it.
"""

import sys
from pathlib import Path

from yijian_common import openapi

from identity import (
    discovery,
    routes_account,
    routes_authorisations,
    routes_authorize,
    routes_erasure,
    routes_revocation,
    routes_sessions,
    routes_token,
)
from identity.wallet import routes as routes_wallet
from identity.wallet import routes_verify


def write(path: Path) -> None:
    openapi.write(
        path,
        title="Yijian identity",
        routers=[
            discovery.routes,
            routes_authorize.routes,
            routes_token.routes,
            routes_revocation.routes,
            routes_sessions.routes,
            routes_account.routes,
            routes_authorisations.routes,
            routes_wallet.routes,
            routes_verify.routes,
            routes_erasure.routes,
        ],
    )


if __name__ == "__main__":
    write(Path(sys.argv[1]))
