"""The city's calendar: instants are UTC in storage and Asia/Shanghai on paper."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

CITY_ZONE = ZoneInfo("Asia/Shanghai")


def local_day(instant: datetime) -> date:
    """The day that the city's calendar shows at `instant`, which has a zone."""
    return instant.astimezone(CITY_ZONE).date()
