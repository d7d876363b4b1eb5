"""Writes the description of approval's API: ``python -m approval.openapi docs/contracts/openapi/approval.json``."""

import sys
from pathlib import Path

from yijian_common import openapi

from approval.routes import routes
from approval.routes_consents import consent_routes


def write(path: Path) -> None:
    openapi.write(path, title="一件 approval", routers=[routes, consent_routes])


if __name__ == "__main__":
    write(Path(sys.argv[1]))
