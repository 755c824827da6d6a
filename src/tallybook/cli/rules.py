"""The verb `rules`: list and explain rules, try them out, evaluate them, and release waiting firings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from tallybook.cli.options import TABLE_OR_JSON, verb
from tallybook.cli.terminal import Terminal, count, indented, listed, table
from tallybook.cli.verbs import Verb, verb_group
from tallybook.core import DONE, SOME_FAILED

if TYPE_CHECKING:
    from tallybook.act import RuleDetails, RuleOfEntity, RuleTrial
    from tallybook.core import RulesReport
    from tallybook.storage import Firing

VERBS = {
    "Rules": {
        "list": Verb("list the rules: how many are inside, how often each fired, how many wait", "rules:list_"),
        "show": Verb("show one rule with its latest firings, or why it fired for one entity", "rules:show"),
        "try": Verb("show what a rule would do now, or would have done over a span; sends nothing", "rules:try_"),
        "results": Verb("show the results of a rule: messages, and its metrics before and after", "rules:results"),
        "release": Verb("fire for entities that wait because too many entered a rule at once", "rules:release"),
        "evaluate": Verb("evaluate all rules now; `run` does so too", "rules:evaluate"),
    },
}
MAX_SHOWN = 20
RULE = click.argument("name", metavar="RULE")


@verb_group(VERBS)
def rules() -> None:
    """List and explain the rules of tallybook.toml, and try them out before they are live.

    \b
      tallybook rules try quiet_trial --over "last 90 days"
      tallybook rules show quiet_trial 4711"""


@verb(TABLE_OR_JSON)
def list_(terminal: Terminal, form: str) -> int:
    """List the rules: how many entities are inside, how often each fired, and how many firings wait."""
    lines = terminal.book().rules.list()
    if form == "json":
        terminal.json({"rules": [one.to_dict() for one in lines]})
        return DONE
    header = ("rule", "for", "status", "inside", "unknown", "fired", "waiting", "last fired (UTC)")
    rows = [
        (one.rule, one.for_, one.status, one.inside, one.unknown, one.fired, one.waiting, _minute(one.last))
        for one in lines
    ]
    _print_table(terminal, header, rows, numbers=("inside", "unknown", "fired", "waiting"))
    return DONE


@verb(RULE, click.argument("entity", metavar="[ID]", required=False), TABLE_OR_JSON)
def show(terminal: Terminal, name: str, entity: str | None, form: str) -> int:
    """Show a rule with its latest firings; with the ID of a user or account, why it fired or did not fire for it.

    \b
      tallybook rules show quiet_trial
      tallybook rules show quiet_trial 4711"""
    found: RuleDetails | RuleOfEntity
    if entity is None:
        found = details = terminal.book().rules.show(name)
    else:
        found = explained = terminal.book().rules.explain(name, entity)
    if form == "json":
        terminal.json(found.to_dict())
    elif entity is None:
        _print_details(terminal, details)
    else:
        _print_entity(terminal, explained)
    return DONE


@verb(RULE, click.option("--over", metavar="SPAN", help='Over these days, as "last 90 days".'), TABLE_OR_JSON)
def try_(terminal: Terminal, name: str, over: str | None, form: str) -> int:
    """Show who is inside a rule now and who has entered this week, or how often it would have fired over a span.

    \b
      tallybook rules try quiet_trial
      tallybook rules try quiet_trial --over "last 90 days"

    Sends nothing and writes nothing. The rule begins on the first day, so entities that are inside then do not
    count as entering."""
    found = terminal.book().rules.try_out(name, over=over)
    if form == "json":
        terminal.json(found.to_dict())
    else:
        _print_trial(terminal, found, over)
    return DONE


@verb(RULE, TABLE_OR_JSON)
def results(terminal: Terminal, name: str, form: str) -> int:
    """Show the results of a rule: messages shown, clicked and dismissed, and metrics when it fired and a week later.

    \b
      tallybook rules results quiet_trial

    Without a holdout this is not an experiment: a change after a firing might have happened without it."""
    found = terminal.book().rules.results(name)
    if form == "json":
        terminal.json(found.to_dict())
        return DONE
    held = f", {found.held_out} held out" if found.held_out else ""
    terminal.out(f"fired {found.fired} times{held}; {found.label}")
    if found.messages:
        rows = [(message, *counts.values()) for message, counts in found.messages.items()]
        terminal.out()
        _print_table(terminal, ("message", "shown", "clicked", "dismissed"), rows)
    groups = (("fired", found.metrics), ("held out", found.holdout_metrics))
    means = [
        (one.metric, group, one.entities, _rounded(one.before), _rounded(one.after))
        for group, several in groups
        for one in several
    ]
    if means:
        terminal.out()
        header = ("mean of", "of", "entities", "when it fired", "a week later")
        _print_table(terminal, header, means, numbers=header[2:])
    return DONE


def _rounded(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}"


@verb(RULE, TABLE_OR_JSON)
def release(terminal: Terminal, name: str, form: str) -> int:
    """Fire for entities that wait because more than `most_at_once` entered a rule at once. Drops those that have left.

    \b
      tallybook rules release quiet_trial"""
    report = terminal.book().rules.release(name)
    terminal.book().deliver_actions()
    return _report(terminal, report, form)


@verb(TABLE_OR_JSON)
def evaluate(terminal: Terminal, form: str) -> int:
    """Evaluate all rules over the latest attributes and metrics, as every `run` does after collecting."""
    report = terminal.book().rules.evaluate()
    terminal.book().deliver_actions()
    return _report(terminal, report, form)


def _report(terminal: Terminal, report: RulesReport, form: str) -> int:
    if form == "json":
        terminal.json(report.to_dict())
    else:
        print_rules(terminal, report, quiet=False)
        if not report.rules:
            terminal.out("There is nothing to evaluate.")
    return SOME_FAILED if report.failed else DONE


def print_rules(terminal: Terminal, report: RulesReport, *, quiet: bool) -> None:
    """Print the result of an evaluation. Without rules, print nothing."""
    failed = terminal.styled("failed:", "bold", "red", stream=terminal.stderr)
    for one in report.rules.values():
        if one.error:
            terminal.err(f"\nrule {one.rule} {failed} {one.error}" + (f"\n{indented(one.hint)}" if one.hint else ""))
    if report.error:
        terminal.err(f"\nrules {failed} {report.error}" + (f"\n{indented(report.hint)}" if report.hint else ""))
    for note in report.notes:
        terminal.err(f"\n{note}")
    if quiet:
        return
    for one in report.rules.values():
        said = [f"{count(one.entered, 'entity').replace('entitys', 'entities')} entered", f"{one.left} left"]
        said += [f"{one.fired} fired"] if one.fired else []
        said += [f"{one.waiting} wait"] if one.waiting else []
        said = ["new: nothing fires for those already inside"] if one.is_new and not one.entered else said
        said += [one.unknown] if one.unknown else []
        if not one.error:
            terminal.out(f"\nrule {one.rule}: {', '.join(said)}")


def _print_details(terminal: Terminal, found: RuleDetails) -> None:
    line = found.line
    terminal.out(f"{terminal.styled(line.rule, 'bold')} ({line.for_}, {line.status}): {found.when}")
    if found.leave:
        terminal.out(f"leaves: {found.leave}")
    terminal.out(
        f"{line.inside} inside, {line.held} held, {line.unknown} unknown; fired {line.fired}, {line.waiting} wait"
    )
    for why, number in found.collisions.items():
        terminal.out(f"{number} did not fire: {why}")
    _print_firings(terminal, found.firings)


def _print_entity(terminal: Terminal, found: RuleOfEntity) -> None:
    terminal.out(f"{found.rule}, {found.entity}: {found.state}; the condition is {found.outcome} now")
    rows = [(name, _shown(found, name)) for name in found.values]
    _print_table(terminal, ("attribute", "value"), rows)
    if found.is_holdout:
        terminal.out("\nIt is in the holdout: nothing is done for it.")
    for one in found.collisions:
        instead = f", {one.winner} fired instead" if one.winner else ""
        terminal.out(f"\n{_minute(one.at)}: did not fire ({one.why}{instead})")
    _print_firings(terminal, found.firings[::-1])


def _shown(found: RuleOfEntity, name: str) -> object:
    if name in found.whys:
        return f"unknown: {found.whys[name]}"
    return "" if found.values[name] is None else found.values[name]


def _print_firings(terminal: Terminal, firings: list[Firing]) -> None:
    if not firings:
        terminal.out("\nIt has not fired.")
        return
    rows = [(_minute(one.at), one.entity, one.edge, one.state, _values(one.values), _remark(one)) for one in firings]
    terminal.out()
    _print_table(terminal, ("at (UTC)", "id", "edge", "state", "values", "remark"), rows)


def _remark(one: Firing) -> str:
    due = f"until {_minute(one.due)}" if one.due else ""
    restated = f"restated since: {_values(one.restated)}" if one.restated else ""
    return ", ".join(text for text in (one.why, due, restated) if text)


def _print_trial(terminal: Terminal, found: RuleTrial, over: str | None) -> None:
    fired, span = len(found.fired), f"from {found.first} to {found.last}"
    terminal.out(f"{len(found.inside)} inside now: {listed(found.inside) or 'nobody'}")
    if over is None:
        terminal.out(f"{fired} entered this week ({span})")
    else:
        terminal.out(f"would have fired {fired} times {span}")
    for why, number in found.stopped.items():
        terminal.out(f"{number} stopped: {why}")
    if found.unknown:
        days = sorted(found.unknown)
        terminal.out(f"not known on {count(len(days), 'day')}, {days[0]} to {days[-1]}: {found.unknown[days[-1]]}")
    shown = found.entered[-MAX_SHOWN:][::-1]
    if shown:
        _print_firings(terminal, shown)
    if len(found.entered) > len(shown):
        terminal.out(f"and {len(found.entered) - len(shown)} before")


def _print_table(terminal: Terminal, header: tuple[str, ...], rows: list[Any], numbers: tuple[str, ...] = ()) -> None:
    first, *lines = table(header, rows, numbers=numbers)
    terminal.out("\n".join([terminal.styled(first, "bold"), *lines]))


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items())


def _minute(at: str | None) -> str:
    return at[:16].replace("T", " ") if at else ""
