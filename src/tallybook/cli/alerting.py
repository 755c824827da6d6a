"""The verb that lists and sends alerts: `alerts`."""

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
    click.option("--send", is_flag=True, help="Send new problems and recoveries to the addresses of [alerts]."),
    click.option(
        "--test", is_flag=True, help="Send a test message to every address, and report whether it was accepted."
    ),
    TABLE_OR_JSON,
    LOG,
)
def alerts(terminal: Terminal, send: bool, test: bool, form: str) -> int:
    """List current problems: since when, whether they were sent, and the next command. Sends nothing without --send.

    \b
      tallybook alerts            current problems; exit code 1 if there are any
      tallybook alerts --test     do messages arrive at the addresses of [alerts]?
      tallybook alerts --send     send what is new; `tallybook run` does so too

    Each problem is sent once when it begins and once when it is over. Schedule --send for the end of the quiet hours,
    and on another host than the runs: it also notices that runs do not start. Exit code 1 if an address rejected a
    message."""
    if send and test:
        raise click.UsageError("--send and --test are two commands")
    if test or send:
        report = terminal.book().try_alerts() if test else terminal.book().alert()
        return _sent(terminal, report, form)
    known = terminal.book().alerts()
    if form == "json":
        terminal.json({"alerts": [_plain(one) for one in known]})
    else:
        _print(terminal, known)
    return SOME_FAILED if any(one.over is None for one in known) else DONE


def _sent(terminal: Terminal, report: AlertReport, form: str) -> int:
    if form == "json":
        terminal.json(report.to_dict())
    elif terminal.log is not None:
        log_alerts(terminal, report)
    else:
        print_alerts(terminal, report, quiet=False)
        if not (report.told or report.failed or report.waiting):
            terminal.out("Nothing to send.")
    usage = report.failed and all("not installed" in failed["error"] for failed in report.failed)
    return USAGE if usage else SOME_FAILED if report.failed else DONE


def print_alerts(terminal: Terminal, report: AlertReport, *, quiet: bool) -> None:
    """Print what was sent to whom; failures go to stderr."""
    for failed in report.failed:
        label = terminal.styled("not sent:", "bold", "red", stream=terminal.stderr)
        hint = f"\n{indented(failed['hint'])}" if failed.get("hint") else ""
        terminal.err(f"{failed['to']} {label} {failed['error']}{hint}")
    if report.heartbeat and report.heartbeat != "sent":
        terminal.err(f"heartbeat {report.heartbeat}")
    if quiet:
        return
    for sent in report.told:
        terminal.out(f"{sent['to']} sent{_contents(sent)}")
    if report.quiet_until:
        terminal.out(f"{count(report.waiting, 'alert')} to be sent when the quiet hours end")


def _contents(sent: dict[str, Any]) -> str:
    parts = [count(sent["problems"], "problem")] if sent.get("problems") else []
    parts += [f"{sent['recovered']} recovered"] if sent.get("recovered") else []
    return f" {' and '.join(parts)}" if parts else ""


def _print(terminal: Terminal, known: list[Known]) -> None:
    from tallybook.monitor import command_of, named, recovery_of

    if not known:
        terminal.out("All is well.")
    for group in _grouped(known):
        one = group[0]
        names = terminal.styled(named([each.cause.subject for each in group]), "bold")
        state = "sent" if one.told else "not sent yet"
        if one.over:
            terminal.out(f"{names} {recovery_of(one.cause).of(len(group))} (not sent yet)")
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
    """Sentences on who receives which alerts, and on quiet hours that delay them."""
    from tallybook.config import alert_name

    settings = catalog.alerts
    sentences = []
    if settings.to:
        to = listed([alert_name(address) for address in settings.to])
        sentences.append(f"alerts go to {to}, about {', '.join(settings.about)}.{_quiet_in_words(catalog)}")
    if settings.heartbeat:
        sentences.append(f"alerts: each successful run of all metrics calls {alert_name(settings.heartbeat)}.")
    return sentences


def _quiet_in_words(catalog: Catalog) -> str:
    from tallybook.core import QuietHours, Timetable

    if catalog.alerts.quiet is None:
        return ""
    quiet = QuietHours(*catalog.alerts.quiet, catalog.book.timezone)
    sentence = f" Quiet hours: {quiet}."
    daily = Timetable(cron=catalog.schedule.cron, zone=quiet.zone).daily_at if catalog.schedule.cron else None
    if daily and quiet.covers(daily):
        sentence += (
            f" Alerts of the run at {daily:%H:%M} wait for their end: `tallybook serve` sends them then; "
            f"with another scheduler run `tallybook alerts --send` at {quiet.end:%H:%M}."
        )
    return sentence
