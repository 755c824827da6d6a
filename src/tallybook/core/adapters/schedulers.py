"""Descriptors and registry of schedulers.

A scheduler is one module and one line of `SCHEDULERS`. Another package adds one by an entry point in the group
`tallybook.schedulers`: its name is the name of the kind, its value "module:Class"."""

from __future__ import annotations

from dataclasses import dataclass

from tallybook.core.adapters.registry import Option, Registry


@dataclass(frozen=True, kw_only=True)
class SchedulerKind:
    """The descriptor of a scheduler.

    `title`: its name for people. `takes_utc`: it can run on a machine that knows only UTC, with `--utc`."""

    name: str
    title: str
    takes_utc: bool = False
    options: tuple[Option, ...] = ()


SCHEDULERS: Registry[SchedulerKind] = Registry(
    "tallybook.schedulers",
    {
        "cron": "tallybook.monitor.schedule.cron:Cron",
        "systemd": "tallybook.monitor.schedule.systemd:Systemd",
        "heroku": "tallybook.monitor.schedule.heroku:Heroku",
        "github": "tallybook.monitor.schedule.github:Github",
        "gitlab": "tallybook.monitor.schedule.gitlab:Gitlab",
        "kubernetes": "tallybook.monitor.schedule.kubernetes:Kubernetes",
        "windows": "tallybook.monitor.schedule.windows:Windows",
    },
    methods=("files",),
)
