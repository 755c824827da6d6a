"""What schedulers say about themselves, and which there are.

A scheduler is one module and one line of `SCHEDULERS`; another package adds one by an entry point in the group
`tallybook.schedulers`, its name the name of the kind, its value "module:Class"."""

from __future__ import annotations

from dataclasses import dataclass

from tallybook.core.adapters.registry import Option, Registry


@dataclass(frozen=True, kw_only=True)
class SchedulerKind:
    """What a scheduler says about itself. `title`: how people call it. `takes_utc`: it may run on a machine whose clock shows
    UTC and knows no other zone; `--utc` is for that."""

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
)
