"""The city's calendar: instants are UTC in storage and Asia/Shanghai on paper."""

from datetime import date, datetime

from yijian_contracts.working_days import local_date


def local_day(instant: datetime) -> date:
    """The day that the city's calendar shows at `instant`, which has a zone."""
    return local_date(instant)
