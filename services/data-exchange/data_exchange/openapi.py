"""Writes the description of the API: ``python -m data_exchange.openapi docs/contracts/openapi/data-exchange.json``."""

import sys
from pathlib import Path

from yijian_common import openapi

from data_exchange.main import ROUTERS


def write(path: Path) -> None:
    openapi.write(path, title="一件 data-exchange", routers=ROUTERS)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
