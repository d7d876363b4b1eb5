"""Writes the description of identity's API: ``python -m identity.openapi docs/contracts/openapi/identity.json``.

The development login is left out: production does not have it.
"""

import sys
from pathlib import Path

from yijian_common import openapi

from identity import discovery, routes_authorize, routes_revocation, routes_token


def write(path: Path) -> None:
    openapi.write(
        path,
        title="Yijian identity",
        routers=[discovery.routes, routes_authorize.routes, routes_token.routes, routes_revocation.routes],
    )


if __name__ == "__main__":
    write(Path(sys.argv[1]))
