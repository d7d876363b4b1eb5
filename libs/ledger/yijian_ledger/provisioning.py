"""The tables of the ledger, which belong to nobody who writes to them.

An administrator runs `SCHEMA` in the service's database, as often as wanted. The tables belong to the role `ledger`,
whom nobody can be; the service may read and add. Triggers refuse every other change to everybody: a second line only,
since an administrator can switch them off. What such a person changes is found by `yijian ledger verify`.
"""

from importlib.resources import files
from typing import Final

OWNER: Final = "ledger"
SERVICE: Final = "data-exchange"
SCHEMA: Final = files(__package__).joinpath("schema/postgres.sql").read_text(encoding="utf-8")
