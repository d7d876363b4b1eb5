"""What a resident says, held against what the records say.

A contradiction is a question for a person, never a refusal.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from rating.questionnaire import questionnaire


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is known of a handling without asking anybody: its clock, and how often somebody had to come."""

    promised_minutes: int
    taken_minutes: int
    visits: int
    online: bool


def contradicted(options: Iterable[str], recorded: Recorded) -> tuple[str, ...]:
    """The codes among `options` that the records speak against, in order."""
    checked = questionnaire().checked
    in_time = recorded.taken_minutes <= recorded.promised_minutes
    against: set[str] = set()
    against |= checked.late if in_time else checked.in_time
    if recorded.online:
        against |= checked.not_online
    if recorded.visits == 0:
        against |= checked.visits
    return tuple(sorted(against.intersection(options)))
