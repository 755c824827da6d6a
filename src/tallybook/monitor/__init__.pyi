# The names of this door, for type checkers: those of __init__.py.
from tallybook.monitor.alerting import Alerting as Alerting
from tallybook.monitor.alerts.known import Known as Known
from tallybook.monitor.alerts.message import (
    command_of as command_of,
    grouped as grouped,
    named as named,
    plain as plain,
    recovery_of as recovery_of,
)
from tallybook.monitor.auditing import audit_book as audit_book
from tallybook.monitor.context import MonitorContext as MonitorContext
from tallybook.monitor.event_health import EventProblem as EventProblem
from tallybook.monitor.health import (
    DeliveryStatus as DeliveryStatus,
    MetricStatus as MetricStatus,
    Status as Status,
)
from tallybook.monitor.recount import Audit as Audit
from tallybook.monitor.schedule.daemon import DaemonContext as DaemonContext, serve_daily as serve_daily
from tallybook.monitor.schedule.job import (
    ScheduleFile as ScheduleFile,
    comment as comment,
    job_of as job_of,
    shell as shell,
)
from tallybook.monitor.schedule.schedulers import files_for as files_for
from tallybook.monitor.values import goals_off as goals_off, unusual_values as unusual_values
