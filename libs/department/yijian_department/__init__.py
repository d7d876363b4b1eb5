"""The SDK that a bureau installs: connection, receipt, retries, once-in-effect and a desk around its own functions."""

from yijian_department.answers import (
    Answer,
    approve,
    needs_person,
    not_accepted,
    proven,
    put_right,
    reject,
    return_for_correction,
    waiting,
)
from yijian_department.calendar import local_day
from yijian_department.department import Department
from yijian_department.records import Records
from yijian_department.script import Rule, Script
from yijian_department.task import Task

__all__ = [
    "Answer",
    "Department",
    "Records",
    "Rule",
    "Script",
    "Task",
    "approve",
    "local_day",
    "needs_person",
    "not_accepted",
    "proven",
    "put_right",
    "reject",
    "return_for_correction",
    "waiting",
]
