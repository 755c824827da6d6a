"""The verb that tests metrics on given rows: `test`."""

from __future__ import annotations

from pathlib import Path

import click

from tallybook.cli.options import TABLE_OR_JSON, overridden, urls_of, verb
from tallybook.cli.terminal import Terminal, count, indented
from tallybook.core import DONE, SOME_FAILED, DeclarationError


@verb(
    click.argument("files", nargs=-1, metavar="[FILE…]", type=click.Path(path_type=Path)),
    click.option(
        "--source",
        "sources",
        multiple=True,
        metavar="NAME=URL",
        callback=urls_of,
        help="An empty scratch database for this source; tables are created and dropped in it.",
    ),
    TABLE_OR_JSON,
)
def test(terminal: Terminal, files: tuple[Path, ...], sources: dict[str, str], form: str) -> int:
    """Test the metrics on given rows: tests/*.toml beside tallybook.toml, or the given files.

    \b
      tallybook test
      tallybook test tests/revenue.toml
      tallybook test --source app=postgresql://tester@localhost/scratch

    A file has rows of tables, queries, and the expected rows. The rows are written to a scratch database of the
    source's kind (SQLite and DuckDB: a temporary file); no declared source is opened. Exit code 1 if a test fails."""
    from tallybook.metric_tests import read_trials, run_trials

    overridden(terminal, sources)
    trials = [trial for file in files or _all(terminal) for trial in read_trials(file)]
    outcomes = []
    for outcome in run_trials(terminal.folder, terminal.env, trials, sources):
        outcomes.append(outcome)
        if form == "table":
            mark = "ok    " if outcome.passed else terminal.styled("FAILED", "bold", "red")
            terminal.out(f"{mark} {outcome.trial.file}: {outcome.trial.name}")
            if not outcome.passed:
                terminal.out(indented("\n".join([outcome.why, *outcome.difference]), "       "))
    failed = sum(not outcome.passed for outcome in outcomes)
    if form == "json":
        terminal.json(
            [
                {
                    "file": o.trial.file,
                    "test": o.trial.name,
                    "passed": o.passed,
                    "why": o.why or None,
                    "difference": list(o.difference),
                    "seconds": round(o.seconds, 3),
                }
                for o in outcomes
            ]
        )
    else:
        terminal.out(f"{count(len(outcomes), 'test')}, {failed or 'none'} failed.")
    return SOME_FAILED if failed else DONE


def _all(terminal: Terminal) -> list[Path]:
    from tallybook.metric_tests import EXAMPLE

    folder = terminal.folder / "tests"
    found = sorted(folder.glob("*.toml"))
    if not found:
        raise DeclarationError(f"no tests in {folder}", hint=f"a first one, tests/signups.toml:\n\n{EXAMPLE}")
    return found
