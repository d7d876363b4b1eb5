"""The database: restarted, killed, and paused with all of its sessions."""

from yijian_chaos.faults.fault import Fault
from yijian_chaos.faults.kafka_faults import Restart
from yijian_chaos.faults.processes import Kill, Pause
from yijian_chaos.matrix import FaultKind
from yijian_chaos.schedule import Planned


def build(planned: Planned) -> Fault:
    match planned.fault:
        case FaultKind.POSTGRES_RESTART:
            # A fast shutdown: sessions are ended, what they had not committed is gone.
            return Restart(planned.component)
        case FaultKind.POSTGRES_KILL:
            # The postmaster; its children find out and end. The next start recovers from the log.
            return Kill(planned.component)
        case FaultKind.POSTGRES_PAUSE:
            return Pause(planned.component)
        case other:
            raise ValueError(f"{other} is not done to the database")
