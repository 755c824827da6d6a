"""The verb that tells what is not well: `alerts`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tallybook.cli.log import log_alerts
from tallybook.cli.options import LOG, TABLE_OR_JSON, verb
from tallybook.cli.terminal import Terminal, count, indented, listed
from tallybook.core import DONE, SOME_FAILED, USAGE

if TYPE_CHECKING:
    from tallybook.core import AlertReport, Catalog
    from tallybook.monitor import Known


@verb(
    click.option("--send", is_flag=True, help="Tell it to those whom [alerts] names and who have not heard it."),
    click.option("--test", is_flag=True, help="Send everybody a test message, and say whether it arrived."),
    TABLE_OR_JSON,
    LOG,
)
def alerts(terminal: Terminal, send: bool, test: bool, form: str) -> int:
    """Show what is not well: since when, who was told, and what to type next. Sends nothing unless asked to.

    \b
      tallybook alerts            what is on now; exit code 1 when something is
      tallybook alerts --test     does a message arrive where [alerts] says?
      tallybook alerts --send     tell what is new; `tallybook run` does so too

    Each cause is told once, and once that it is over. Let a scheduler do --send at the end of the quiet hours, and
    where runs may not start at all: it sees that they are late. Exit code 1 when an address did not take it."""
    if send and test:
        raise click.UsageError("--send and --test are two commands")
    if test or send:
        report = terminal.book().try_alerts() if test else terminal.book().alert()
        return _sent(terminal, report, form)
    known = terminal.book().alerts()
    if form == "json":
        terminal.json({"alerts": [_plain(one) for one in known]})
    else:
        _tell(terminal, known)
    return SOME_FAILED if any(one.over is None for one in known) else DONE


def _sent(terminal: Terminal, report: AlertReport, form: str) -> int:
    if form == "json":
        terminal.json(report.to_dict())
    elif terminal.log is not None:
        log_alerts(terminal, report)
    else:
        tell_alerts(terminal, report, quiet=False)
        if not (report.told or report.failed or report.waiting):
            terminal.out("Nothing to tell.")
    usage = report.failed and all("not installed" in failed["error"] for failed in report.failed)
    return USAGE if usage else SOME_FAILED if report.failed else DONE


def tell_alerts(terminal: Terminal, report: AlertReport, *, quiet: bool) -> None:
    """What was told to whom; what could not be is on stderr."""
    for failed in report.failed:
        said = terminal.styled("not told:", "bold", "red", stream=terminal.stderr)
        hint = f"\n{indented(failed['hint'])}" if failed.get("hint") else ""
        terminal.err(f"{failed['to']} {said} {failed['error']}{hint}")
    if report.heartbeat and report.heartbeat != "sent":
        terminal.err(f"heartbeat {report.heartbeat}")
    if quiet:
        return
    for told in report.told:
        terminal.out(f"{told['to']} told{_how_much(told)}")
    if report.quiet_until:
        terminal.out(f"{count(report.waiting, 'alert')} to be told when the quiet hours end")


def _how_much(told: dict[str, Any]) -> str:
    parts = [count(told["problems"], "problem")] if told.get("problems") else []
    parts += [f"{told['recovered']} over"] if told.get("recovered") else []
    return f" {' and '.join(parts)}" if parts else ""


def _tell(terminal: Terminal, known: list[Known]) -> None:
    from tallybook.monitor import OVER, command_of, named

    if not known:
        terminal.out("All is well.")
    for group in _grouped(known):
        one = group[0]
        names = terminal.styled(named([each.cause.subject for each in group]), "bold")
        state = "told" if one.told else "not told"
        if one.over:
            terminal.out(f"{names}: {OVER[one.cause.kind]} (to be told)")
            continue
        terminal.out(terminal.wrapped(f"{names}: {one.cause.said} ({state}, since {one.since:%Y-%m-%d %H:%M} UTC)"))
        if command := command_of([each.cause.subject for each in group], one.cause.next):
            terminal.out(indented(command))


def _grouped(known: list[Known]) -> list[list[Known]]:
    from tallybook.monitor import grouped

    return [*grouped(one for one in known if one.over is None), *grouped(one for one in known if one.over)]


def _plain(one: Known) -> dict[str, Any]:
    from tallybook.monitor import plain

    return plain(one) | {"told": len(one.told)}


def alerts_in_words(catalog: Catalog) -> list[str]:
    """What is told to whom, and what keeps it from being told in time."""
    from tallybook.config import alert_name

    settings = catalog.alerts
    said = []
    if settings.to:
        to = listed([alert_name(address) for address in settings.to])
        said.append(f"alerts go to {to}, about {', '.join(settings.about)}.{_quiet_in_words(catalog)}")
    if settings.heartbeat:
        said.append(f"alerts: a run of all metrics that went well is told to {alert_name(settings.heartbeat)}.")
    return said


def _quiet_in_words(catalog: Catalog) -> str:
    from tallybook.core import QuietHours, Timetable

    if catalog.alerts.quiet is None:
        return ""
    quiet = QuietHours(*catalog.alerts.quiet, catalog.book.timezone)
    said = f" Quiet is {quiet}."
    daily = Timetable(cron=catalog.schedule.cron, zone=quiet.zone).daily_at if catalog.schedule.cron else None
    if daily and quiet.covers(daily):
        said += (
            f" What the run at {daily:%H:%M} has to say waits for their end: `tallybook serve` tells it then, "
            f"under any other scheduler let `tallybook alerts --send` run at {quiet.end:%H:%M}."
        )
    return said
