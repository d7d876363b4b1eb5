"""When time alone will change something about an application, so that it has to be looked at."""

from datetime import datetime, timedelta

from approval.application import Application, ApplicationStatus, TaskState
from approval.consenting import look_at

# An unanswered task is asked again well before its record expires with the topic (8 days).
RESEND_AFTER = timedelta(days=6)


def next_look(application: Application, at: datetime) -> datetime | None:
    """The earliest moment after `at`: a silent task is to be asked again, or a consent runs out. None when it is over.

    A task that was just asked again counts from now.
    """
    if application.status is not ApplicationStatus.IN_PROGRESS:
        return None
    moments = [
        task.requested_at + RESEND_AFTER
        for task in application.tasks
        if task.state is TaskState.SUBMITTED and task.requested_at is not None
    ]
    return min((moment for moment in [*moments, *look_at(application)] if moment > at), default=at + RESEND_AFTER)
