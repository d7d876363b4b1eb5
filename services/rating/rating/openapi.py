"""Writes the description of rating's API: ``python -m rating.openapi docs/contracts/openapi/rating.json``."""

import sys
from pathlib import Path

from yijian_common import openapi

from rating.routes import routes


def write(path: Path) -> None:
    openapi.write(path, title="一件 rating", routers=[routes])


if __name__ == "__main__":
    write(Path(sys.argv[1]))
