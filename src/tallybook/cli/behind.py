"""The verbs that explain numbers: `why`, `coverage`, `diff`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from tallybook.cli.completions import of_metrics
from tallybook.cli.options import BY, FROM, SCOPE, TABLE_OR_JSON, TO, WHERE, metrics, verb
from tallybook.cli.terminal import Terminal, count, day_range, indented, listed, table
from tallybook.core import DONE, SOME_FAILED, TallybookError, isolated

if TYPE_CHECKING:
    from tallybook.book import Book
    from tallybook.query import CoverageCalendar, DefinitionDiff, DiffRow

# --- why


@verb(
    click.argument("metric", metavar="METRIC", shell_complete=of_metrics),
    click.argument("day", required=False, metavar="[DAY]"),
    BY,
    WHERE,
    TABLE_OR_JSON,
)
def why(
    terminal: Terminal, metric: str, day: str | None, by: tuple[str, ...], where: tuple[str, ...], form: str
) -> int:
    """Explain one number: its definition and the inputs of that hash, the run that collected it, its revisions, the
    statements that read the day from the source, and the tables and columns it comes from.

    \b
      tallybook why revenue 2026-03-02
      tallybook why revenue yesterday --where plan=pro --format json
      tallybook why revenue_per_user            its lineage through other metrics

    The statements are for this metric only; a run reads metrics that share their facts with one statement."""
    book = terminal.book()
    explanation = book.why(metric, day, by=by, where=where)
    found = explanation.to_dict(exact=form == "table")
    for one in found.get("behind", ()):
        one["statements"], one["unasked"] = _statements(book, one["metric"], found["day"])
    if form == "json":
        terminal.json(found)
    elif day is None:
        terminal.out("\n".join([*_lineage(found["lineage"]), *_used_by(found)]))
    else:
        _print(terminal, found)
    return DONE


def _statements(book: Book, metric: str, day: str) -> tuple[list[dict[str, str]], str]:
    """The statements of a run for that day, and the reason if they are unknown."""
    from tallybook.cli.plans import described

    one = book.project.catalog.metrics[metric]
    asked = None if one.snapshot else day
    try:
        with isolated():
            plan = book.plan(metric, from_=asked, to=asked)
            groups = described(plan, every=True)
    except TallybookError as error:
        return [], error.message
    reason = next((report.error for report in plan.reports.values() if report.error), "") or ""
    return [statement for group in groups for statement in group["statements"]], reason


def _print(terminal: Terminal, found: Mapping[str, Any]) -> None:
    for line in _values(found):
        terminal.show(line)
    terminal.out(terminal.wrapped(found["explain"]))
    for one in found["behind"]:
        terminal.out()
        terminal.out(terminal.styled(one["metric"], "bold"))
        terminal.out("\n".join(_evidence(one, found["day"])))
    terminal.out()
    terminal.out("\n".join([*_lineage(found["lineage"]), *_used_by(found)]))


def _values(found: Mapping[str, Any]) -> Iterator[str]:
    """Lines with the value, or with one value per series, and their remarks."""
    name = found["metric"]
    unit = next((f" {c['unit']}" for c in found["columns"] if c["name"] == name and c["unit"]), "")
    dims = [c["name"] for c in found["columns"] if c["role"] == "dimension"]
    for row in found["rows"]:
        series = "".join(f" {dim}={_text(row[dim])}" for dim in dims)
        note = row.get("notes", {}).get(name, {})
        remarks = [str(note["why"])] if "why" in note else []
        remarks += ["carried forward"] if note.get("carried") else []
        remarks += [f"as of {note['as_of']}"] if "as_of" in note else []
        remarks += ["approximate"] if row["approximate"] else []
        value = "–" if row[name] is None else f"{row[name]}{unit}"
        yield f"{name} on {found['day']}{series}: {value}" + (f" ({'; '.join(remarks)})" if remarks else "")
    if not found["rows"]:
        yield f"{name} on {found['day']}: no series matches"


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _evidence(one: Mapping[str, Any], day: str) -> Iterator[str]:
    if "error" in one:
        yield _line("failed", one["error"])
        return
    definition, coverage = one["definition"], one["coverage"]
    if definition:
        yield _line("definition", f"{definition['id']}, collected since {definition['since'][:10]}; hash of")
        for name, value in definition["hashes"].items():
            yield _line("", f"{name}: {_flat(value)}")
    yield from _collected(one, coverage, day)
    for revision in one["revisions"]:
        series = " ".join(f"{name}={_text(value)}" for name, value in revision["series"].items())
        change = f"{_gap(revision['old'])} → {_gap(revision['new'])}"
        by = f"run {revision['run']}" if revision["run"] else "no run"
        yield _line("revised", f"{change}  {series}".rstrip() + f"  ({_minute(revision['at'])}, {by})")
    if not one["revisions"] and coverage["covered"]:
        yield _line("revised", "never")
    if one["unasked"]:
        yield _line("statements", f"unknown: {one['unasked']}")
    for statement in one["statements"]:
        yield _line("statement", statement["what"])
        yield indented(statement["sql"] + ";", "    ")


def _collected(one: Mapping[str, Any], coverage: Mapping[str, Any], day: str) -> Iterator[str]:
    others = coverage["under_other_definitions"]
    if not coverage["covered"]:
        yield _line("collected", f"not collected: {coverage.get('collect') or coverage['why']}")
    else:
        run, points = one["run"] or {}, one["points"]
        took = f" in {run['seconds']:.1f} s" if run.get("seconds") is not None else ""
        when = f"by run {run['run']}, {_minute(run['started'])}{took}: " if run.get("started") else ""
        yield _line("collected", f"{when}{count(points['facts'], 'fact')} in {points['series']:,} series")
        if coverage["snapshot_taken"]:
            yield _line("seen", f"{_minute(coverage['snapshot_taken'])}: a snapshot shows only the present")
        yield _line("covered", f"since version {coverage['since_version']} of the book")
    if others:
        asked = f"tallybook query {one['metric']} --from {day} --to {day} --definition {others[0]}"
        yield _line("also under", f"{', '.join(others)}: {asked}")


def _line(word: str, text: str) -> str:
    return f"  {word:<11} {text}".rstrip()


def _flat(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {text}" for name, text in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else " ".join(str(value).split())


def _gap(value: str | None) -> str:
    return "–" if value is None else value


def _minute(instant: str) -> str:
    return f"{instant[:16].replace('T', ' ')} UTC"


def _lineage(tree: Mapping[str, Any], depth: int = 0) -> list[str]:
    """The tree of metrics, tables and columns, indented by two spaces per level."""
    room = "  " * depth
    lines = [f"{room}{tree['metric']} = {_flat(tree['measure'] or tree.get('function'))}"]
    for below in tree.get("made_of", ()):
        lines += _lineage(below, depth + 1)
    source = f"{tree['source']}: " if tree.get("source") else ""
    for name, columns in tree.get("tables", {}).items():
        listing = f" ({', '.join(columns)})" if columns else ""
        lines.append(f"{room}  {source}{name or 'of one of these tables'}{listing}")
    lines += [f"{room}  not read here: {_flat(text)}" for text in tree.get("unread", ())]
    return lines


def _used_by(found: Mapping[str, Any]) -> Sequence[str]:
    return [f"used by {listed(found['used_by'])}"] if found["used_by"] else []


# --- coverage


@verb(metrics(required=False), FROM, TO, TABLE_OR_JSON)
def coverage(terminal: Terminal, metrics: tuple[str, ...], from_: str | None, to: str | None, form: str) -> int:
    """Show a calendar of the collected days, one line for each month, and list gaps with the command that fills them.

    \b
      tallybook coverage
      tallybook coverage revenue mrr --from 2026-01-01

    ■ is collected, · is not, o is collected only under an older definition. The days go from `start`, or from the first
    collected day without a declared start, to yesterday."""
    found = terminal.book().coverage(*metrics, from_=from_, to=to)
    if form == "json":
        terminal.json([one.to_dict() for one in found])
    else:
        terminal.out("\n\n".join("\n".join(_calendar(terminal, one)) for one in found))
    return DONE


def _calendar(terminal: Terminal, one: CoverageCalendar) -> Iterator[str]:
    title = terminal.styled(one.metric, "bold")
    if one.from_ is None or one.to is None:
        yield f"{title}  nothing has been collected: tallybook run {one.metric}"
        return
    yield f"{title}  {one.days:,} of {count(one.expected, 'day')}, {day_range(one.from_, one.to)}"
    for month in one.months:
        yield f"  {month.month}  {_month_shown(terminal, month.days)}".rstrip()
    for gap in one.gaps:
        known = f", collected under {', '.join(gap.known_under)}" if gap.known_under else ""
        days = f"{day_range(gap.from_, gap.to)} ({count(gap.days, 'day')}{known})"
        yield f"  gap {days}: {gap.collect or gap.why}"


def _month_shown(terminal: Terminal, days: str) -> str:
    from itertools import groupby

    looks = {"·": ("red",), "o": ("yellow",)}
    return "".join(terminal.styled("".join(signs), *looks.get(sign, ())) for sign, signs in groupby(days))


# --- diff


@verb(
    metrics(required=False),
    SCOPE,
    BY,
    WHERE,
    FROM,
    TO,
    click.option(
        "--last", metavar="SPAN", help='How far back, in whole periods. Default without --from and --to: "4 weeks".'
    ),
    click.option("--definition", metavar="ID", help="Compare with this definition. Default: the one collected last."),
    TABLE_OR_JSON,
)
def diff(terminal: Terminal, metrics: tuple[str, ...], form: str, **asked: Any) -> int:
    """Compare a changed declaration with the stored numbers of the last weeks, before it is collected: the book under
    the old definition beside the source under the new one. Stores nothing.

    \b
      tallybook diff                            every metric whose definition changed
      tallybook diff revenue --last "8 weeks" --scope week

    From then on a run collects the new definition. It collects older days again only with --from."""
    found = terminal.book().diff(*metrics, **asked)
    if form == "json":
        terminal.json([one.to_dict() for one in found])
    else:
        told = ["\n".join(_difference(terminal, one)) for one in found]
        terminal.show("\n\n".join(told) or "No definition has changed since it was last collected.")
    return SOME_FAILED if any(one.error is not None for one in found) else DONE


def _difference(terminal: Terminal, one: DefinitionDiff) -> Iterator[str]:
    name = terminal.styled(one.metric, "bold")
    if not one.is_compared:
        yield f"{name}  {one.why}"
        return
    yield f"{name}  {one.definition} in the book → as declared now"
    for key, (old, new) in one.changed.items():
        yield terminal.masked(f"  {key}: {_declared(old)} → {_declared(new)}")
    if one.error is not None:
        yield terminal.masked(f"  cannot compare: {one.error}" + (f"\n  {one.hint}" if one.hint else ""))
        return
    yield from _compared(terminal, one, one.scope or "day")


def _declared(value: object) -> str:
    return "–" if value in (None, "", []) else _flat(value)


def _compared(terminal: Terminal, one: DefinitionDiff, scope: str) -> Iterator[str]:
    from tallybook.core import period_label

    rows = one.rows
    dims = list(rows[0].series) if rows else []
    unit = f" ({one.unit})" if one.unit else ""
    header = [scope, *dims, f"old{unit}", f"new{unit}", "difference", "%"]
    lines = [
        [
            one.calendar.label(row.period, scope) or period_label(row.period, scope),
            *(_series_text(row.series[d]) for d in dims),
            *_figures(row),
        ]
        for row in rows
    ]
    first, *rest = table(header, lines, numbers=header[-4:])
    yield terminal.styled(first, "bold")
    for row, line in zip(rows, rest, strict=True):
        yield line if not row.same else terminal.styled(line, "dim")
    whys = dict.fromkeys(f"{side}: {why}" for row in rows for side, why in row.why.items())
    yield from (f"– {terminal.masked(why)}" for why in whys)
    differ = sum(not row.same for row in rows)
    yield f"{differ:,} of {count(len(rows), 'row')} differ."


def _series_text(value: object) -> str:
    return "(none)" if value is None else str(value)


def _figures(row: DiffRow) -> list[str]:
    from tallybook.core import plain_number

    both = ["–" if value is None else plain_number(value) for value in (row.old, row.new)]
    if row.difference is None or row.same:
        return [*both, "" if row.difference is None else "=", ""]
    sign = "+" if row.difference > 0 else ""
    change = "" if row.change is None else f"{row.change * 100:+.1f}"
    return [*both, sign + plain_number(row.difference), change]
