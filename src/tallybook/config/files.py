"""Reads the files of a project: tallybook.toml, .env, and metrics/*.sql with TOML in their first lines."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from tallybook.config.quoting import quoted_line
from tallybook.config.urls import masked
from tallybook.config.variables import named_in
from tallybook.core import DeclarationError, Problem, Problems

TOML = "tallybook.toml"
MINIMAL = """\
[book]
name = "Acme"
timezone = "UTC"

[sources.app]
url = "sqlite:///app.db"

[metrics.signups]
table = "users"
time = "created_at"
measure = "count(*)"
"""


def read_toml(folder: Path) -> tuple[bytes, dict[str, object]]:
    """The bytes and the content of tallybook.toml. Raises DeclarationError."""
    try:
        written = (folder / TOML).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise _no_toml(folder) from None
    except OSError as error:
        raise DeclarationError(f"{folder / TOML} cannot be read: {error.strerror}") from None
    return written, _parse(_decoded(written, TOML))


def _no_toml(folder: Path) -> DeclarationError:
    lines = ["`tallybook` reads the current folder, or the one given with --project"]
    above = [parent for parent in folder.parents if (parent / TOML).is_file()]
    lines += [f"a parent folder has one: --project {above[0]}"] if above else []
    lines += [f"a minimal {folder / TOML}:", "", MINIMAL]
    where = f"there is no {TOML} in {folder}" if folder.is_dir() else f"there is no folder {folder}"
    return DeclarationError(where, hint="\n".join(lines))


def _decoded(written: bytes, name: str) -> str:
    try:
        return written.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = written[: error.start].count(b"\n") + 1
        problem = Problem(path=f"{name}:{line}", message="is not UTF-8", expected="a file saved as UTF-8")
        raise DeclarationError(f"{name}: 1 problem", problems=[problem]) from None


def _parse(text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise DeclarationError(f"{TOML}: 1 problem", problems=[_syntax_problem(error, text)]) from None


def _syntax_problem(error: Exception, text: str) -> Problem:
    """The problem for a syntax error in a TOML text, with its line."""
    reason = str(error) if isinstance(error, ValueError) else "nested too deeply"
    lines = text.splitlines() or [""]
    match = re.search(r"\s*\(at line (\d+), column \d+\)", reason)
    number = min(int(match[1]), len(lines)) if match else len(lines)
    twice = re.search("twice|overwrite", reason)
    return Problem(
        hint="the file has it twice: keep one of the two, or give one another name" if twice else "",
        path=f"{TOML}:{number}",
        message="not toml: " + re.sub(r"\s*\(at [^)]*\)$", "", reason),
        seen=masked(lines[number - 1].strip(), {}),
        expected='key = "value" lines below [tables]',
        paste="" if twice else quoted_line(masked(lines[number - 1], {})),
    )


def variables_of(folder: Path) -> dict[str, bool]:
    """The variables that a project uses, in the order of its files. The value is True if every use has a default.

    Raises DeclarationError for a file that cannot be read."""
    _, raw = read_toml(folder)
    texts: list[object] = [
        raw,
        *(w.decode("utf-8", "replace") for n, w in metric_files(folder).items() if n[-1] == "l"),
    ]
    variables: dict[str, bool] = {}
    for text in texts:
        for name, default in named_in(text):
            variables[name] = variables.get(name, True) and default
    return variables


def read_optional(path: Path) -> str:
    """The text of a file; empty if it does not exist."""
    try:
        return _decoded(path.read_bytes(), path.name)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return ""
    except OSError as error:
        raise DeclarationError(f"{path} cannot be read: {error.strerror}") from None


def metric_files(folder: Path) -> dict[str, bytes]:
    """The content of metrics/*.sql and metrics/*.py, by path within the project, in order."""
    files = {}
    for path in sorted((folder / "metrics").glob("*.*")):
        if path.suffix in (".sql", ".py") and not path.name.startswith(".") and path.is_file():
            files[f"metrics/{path.name}"] = _bytes_of(path)
    return files


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DeclarationError(f"{path} cannot be read: {error.strerror}") from None


_KEY_LINE = re.compile(r"\s*[\w-]+\s*=")


def sql_metric(name: str, written: bytes, problems: Problems) -> dict[str, object] | None:
    """The keys of a metric in a .sql file: the TOML in its leading `-- ` lines, and the rest of the file as `sql`.

    A metric of an event needs no `sql`. A leading comment without `=` is an ordinary comment. None for a file that
    is not text."""
    try:
        lines = _decoded(written, name).replace("\r\n", "\n").split("\n")
    except DeclarationError as error:
        problems.found += error.problems
        return None
    end = next((i for i, line in enumerate(lines) if line.strip() and not _comment(line)), len(lines))
    keys = _header([line.strip()[2:] if _comment(line) else "" for line in lines[:end]], name, problems)
    for key in ("sql", "table"):
        if key in keys:
            del keys[key]
            message = f"the file itself is the sql, so it has no key {key}"
            problems.add(f"{name}: {key}", message, seen=f"-- {key} = …", expected="without this line")
    sql = "\n".join(lines[end:]).strip()
    return keys if "event" in keys and not sql else {**keys, "sql": sql}


def _comment(line: str) -> bool:
    return line.lstrip().startswith("--")


def _header(lines: list[str], name: str, problems: Problems) -> dict[str, object]:
    """The TOML in comment lines. A value may continue on the following lines."""
    keys: dict[str, object] = {}
    at = 0
    while at < len(lines):
        if not _KEY_LINE.match(lines[at]):
            at += 1
            continue
        used, values = _first_value(lines[at:])
        wrong = "not toml" if values is None else "given twice" if keys.keys() & values.keys() else ""
        if wrong:
            expected = 'key = "value", each once; plain comments have no ='
            seen = masked(lines[at].strip(), {})
            problems.add(f"{name}:{at + 1}", wrong, seen=f"-- {seen}", expected=expected)
        keys |= values or {}
        at += used
    return keys


def _first_value(lines: list[str]) -> tuple[int, dict[str, object] | None]:
    """The number of lines of the first value, and its content; (1, None) if the lines are not valid TOML."""
    for end in range(1, min(len(lines), 50) + 1):
        try:
            return end, tomllib.loads("\n".join(line.strip() for line in lines[:end]))
        except (ValueError, RecursionError):
            continue
    return 1, None
