"""Monitoring: status, alerts, the audit of old days, and the schedulers that start a run every day."""

from __future__ import annotations

from tallybook._door import opened

__getattr__, __dir__ = opened(
    __name__,
    {
        "schedule.daemon": (
            "DaemonContext",
            "serve_daily",
        ),
        "alerting": ("Alerting",),
        "auditing": ("audit_book",),
        "alerts.known": ("Known",),
        "alerts.message": ("command_of", "grouped", "named", "plain", "recovery_of"),
        "context": ("MonitorContext",),
        "event_health": ("EventProblem",),
        "health": ("DeliveryStatus", "MetricStatus", "Status"),
        "recount": ("Audit",),
        "schedule.job": ("ScheduleFile", "comment", "job_of", "shell"),
        "values": ("goals_off", "unusual_values"),
        "schedule.schedulers": ("files_for",),
    },
)
