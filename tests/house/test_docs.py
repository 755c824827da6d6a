"""The docs are true: every block of README and docs/ is run or parsed, references are current, links lead somewhere.

What stands behind the language of a fence says what is done with the block, in the order of the page:

    ```sh                   run; must end well
    ```console              `$ ` lines are run, what follows is what they print (`…` stands for anything)
    ```console exits=3      … and the last of them ends with this exit code
    ```toml                 becomes tallybook.toml if it has [book], else is added to it
    ```python               run; file=PATH writes it there instead
    ```sql                  run in the project's app.db; `ledger` and `duckdb` run it there
    ```text output          what the block before it printed
    ```… fragment           is only parsed
    ```… now=INSTANT        from this block on it is then

`export NAME=VALUE` in a `sh` block holds for all that follow. The pages in FROM_NOTHING begin in an empty folder, every
other page with the project in docs/example (those of docs/kinds without its metrics); the clock stands on 10 March 2026 (README's is the real one). The tutorial
is read twice, on SQLite and on PostgreSQL, and the pages of books on PostgreSQL there. With TALLYBOOK_DOCS=write in the environment, what is printed is written
into the pages instead of compared.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
import sqlglot

from docs.generate import pages
from docs.picture import PICTURE, picture
from tallybook.cli import invoke
from tests import warm

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
EXAMPLE = DOCS / "example"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "packages/emulators/README.md")),
    *sorted(DOCS.rglob("*.md")),
]
BY_NAME = {page.relative_to(ROOT).as_posix(): page for page in PAGES}
TUTORIAL = "docs/tutorial.md"
ON_POSTGRESQL = ("docs/postgresql.md", "docs/moving.md")
FROM_NOTHING = ("README.md", TUTORIAL, "docs/who-is-leaving.md")
WRITING = os.environ.get("TALLYBOOK_DOCS") == "write"
TODAY = "2026-03-10T08:00:00+00:00"
COMMAND = """
from datetime import datetime
from tallybook.cli import main
main(now={now})
"""
DATE = """
import sys
from datetime import datetime
print(datetime.fromisoformat({now!r}).strftime(sys.argv[-1].removeprefix("+")))
"""
EXPORT = re.compile(r"^export (\w+)=(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the words behind that, its text, its place on the page and the line of its fence."""

    language: str
    words: tuple[str, ...]
    text: str
    place: int
    line: int

    @property
    def fragment(self) -> bool:
        return "fragment" in self.words

    def said(self, name: str) -> str | None:
        """The VALUE of NAME=VALUE."""
        return next((w.partition("=")[2] for w in self.words if w.startswith(f"{name}=")), None)


FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>```+)(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)(?P=fence) *$", re.MULTILINE | re.DOTALL
)


def blocks(page: Path) -> Iterator[Block]:
    written = page.read_text()
    for place, found in enumerate(FENCE.finditer(written)):
        language, *words = found["info"].split() or [""]
        text = re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
        yield Block(language, tuple(words), text, place, written.count("\n", 0, found.start()) + 1)


# --- running a page -----------------------------------------------------------------------------------------


class Reader:
    """Somebody who reads a page and does what it says, in a folder of their own, with `given` where it exports that."""

    def __init__(self, page: Path, home: Path, given: Mapping[str, str] | None = None) -> None:
        self.page, self.folder, self.bin = page, home / "project", home / "bin"
        self.name = page.relative_to(ROOT).as_posix()
        self.given, self.exported = given or {}, dict[str, str]()
        self.bin.mkdir(parents=True)
        self.printed = ""
        self.now = None if self.name == "README.md" else datetime.fromisoformat(TODAY)
        self.set_clock()
        if self.name in FROM_NOTHING:
            self.folder.mkdir()
        else:
            shutil.copytree(EXAMPLE, self.folder)
            if page.parent.name == "kinds":
                project = self.folder / "tallybook.toml"
                project.write_text(project.read_text().partition("[metrics.")[0])
            self.sqlite((self.folder / "app.sql").read_text(), "app.db")

    def set_clock(self) -> None:
        """Write the commands of this reader's PATH that know what time it is."""
        now = f'lambda: datetime.fromisoformat("{self.now}")' if self.now else "None"
        commands = {"tallybook": COMMAND.format(now=now)}
        if self.now:
            commands["date"] = DATE.format(now=str(self.now))
        for name, code in commands.items():
            warm.write_command(self.bin / name, "-c", code)
        warm.write_command(self.bin / "python-block", "-W", "error::SyntaxWarning")

    def follow(self) -> None:
        for block in list(blocks(self.page)):
            self.do(block)

    def do(self, block: Block) -> None:
        if now := block.said("now"):
            self.now = datetime.fromisoformat(now)
            self.set_clock()
        do = self.parse if block.fragment else getattr(self, f"do_{block.language}", None)
        assert do is not None, f"{self.at(block)}: a block in {block.language or 'no language'}: nothing checks it"
        do(block)

    def at(self, block: Block) -> str:
        return f"{self.page.relative_to(ROOT)}, the block at line {block.line}"

    def parse(self, block: Block) -> None:
        """What cannot be run here is at least no nonsense."""
        match block.language:
            case "toml":
                tomllib.loads(block.text)
            case "python":
                ast.parse(block.text)
            case "sql":
                dialect = next((w for w in block.words if w != "fragment"), "postgres")
                assert sqlglot.parse(block.text, dialect=dialect)
            case "sh" | "console":
                script = (
                    "\n".join(re.findall(r"^\$ (.*)$", block.text, re.MULTILINE))
                    if block.language == "console"
                    else block.text
                )
                subprocess.run(["bash", "-n"], input=script, text=True, check=True)
            case "json":
                json.loads(block.text)
            case "http":
                assert re.match(r"(GET|POST|PUT) /\S+\n(\S+: .+\n)+\n.", block.text)
            case "text":
                assert block.text.strip()
            case "html":
                HTMLParser().feed(block.text)
            case "js":
                if (node := shutil.which("node")) is not None:
                    subprocess.run([node, "--check", "-"], input=block.text, text=True, check=True)
            case _:
                raise AssertionError(f"{self.at(block)}: a fragment in {block.language!r} cannot be parsed")

    def shell(self, script: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.bin}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        env = {**os.environ, **self.exported, "PATH": path, "COLUMNS": "100", "NO_COLOR": "1"}
        return subprocess.run(
            ["bash", "-e", "-c", script], cwd=self.folder, env=env, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=180,
        )  # fmt: skip

    def typed(self, command: str) -> tuple[int, str]:
        """A command's exit code and what it prints; ours without a process of its own, which would take longer."""
        now = self.now
        command = re.sub(r'"\$(\w+)"', lambda name: self.exported.get(name[1], name[0]), command)
        if now is None or not re.fullmatch(r"tallybook [^|>&;$`]*", command):
            done = self.shell(command)
            return done.returncode, done.stdout
        printed = StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            arguments = shlex.split(command)[1:]
            env = {**self.exported, "NO_COLOR": "1"}
            code = invoke(arguments, now=lambda: now, stdout=printed, stderr=printed, env=env)
        return code, printed.getvalue()

    def do_sh(self, block: Block) -> None:
        script = EXPORT.sub(lambda e: f"export {e[1]}={shlex.quote(self.given.get(e[1], e[2]))}", block.text)
        self.exported |= {name: shlex.split(value)[0] for name, value in EXPORT.findall(script)}
        done = self.shell(script)
        assert done.returncode == 0, f"{self.at(block)} ends with {done.returncode}:\n{done.stdout}"
        self.printed = done.stdout

    def do_console(self, block: Block) -> None:
        steps = re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]
        assert steps, f"{self.at(block)}: no line begins with `$ `"
        written = ""
        for number, step in enumerate(steps, 1):
            command, _, expected = step.partition("\n")
            while command.endswith("\\"):
                more, _, expected = expected.partition("\n")
                command = f"{command}\n{more}"
            ended, printed = self.typed(command)
            code = int(block.said("exits") or 0) if number == len(steps) else 0
            assert ended == code, f"{self.at(block)}: {command} ends with {ended}:\n{printed}"
            written += f"$ {command}\n{self.compared(block, command, printed, expected)}"
        self.write_page(block, written)

    def compared(self, block: Block, what: str, printed: str, expected: str) -> str:
        """What the page should say; where it is only checked, what it says."""
        if _alike(printed, expected):
            return expected
        told = f"{self.at(block)}: {what} prints\n\n{printed}\nand the page says\n\n{expected}"
        assert WRITING, told
        return _tidy(printed) + "\n"

    def write_page(self, block: Block, written: str) -> None:
        if written == block.text:
            return
        assert WRITING
        page = self.page.read_text()
        found = list(FENCE.finditer(page))[block.place]
        self.page.write_text(page[: found.start("text")] + written + page[found.end("text") :])

    def do_toml(self, block: Block) -> None:
        file = self.folder / (block.said("file") or "tallybook.toml")
        whole = "[book]" in block.text or not file.exists()
        text = block.text if whole else f"{file.read_text()}\n{block.text}"
        tomllib.loads(text)
        file.write_text(text)
        ended, printed = self.typed("tallybook check")
        assert ended == 0, f"{self.at(block)} is not well:\n{printed}"

    def do_python(self, block: Block) -> None:
        if name := block.said("file"):
            self.write(name, block.text)
            return
        script = self.folder / "_block.py"
        script.write_text(block.text)
        done = self.shell("python-block _block.py")
        script.unlink()
        assert done.returncode == 0, f"{self.at(block)} raises\n{done.stdout}"
        self.printed = done.stdout

    def do_sql(self, block: Block) -> None:
        if name := block.said("file"):
            self.write(name, block.text)
        elif "duckdb" in block.words:
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(self.folder)
                with duckdb.connect() as db:
                    self.printed = _table(db.sql(block.text))
        else:
            self.printed = self.sqlite(block.text, "book/ledger.sqlite" if "ledger" in block.words else "app.db")

    def sqlite(self, script: str, name: str) -> str:
        with closing(sqlite3.connect(self.folder / name)) as db:
            if script.lstrip().lower().startswith("select"):
                rows = [row for select in script.split(";\n") for row in db.execute(select)]
                return "\n".join("|".join(map(str, row)) for row in rows)
            db.executescript(script)
            db.commit()
            return ""

    def do_text(self, block: Block) -> None:
        if "output" in block.words:
            self.write_page(block, self.compared(block, "the block before", self.printed, block.text))

    def do_json(self, block: Block) -> None:
        json.loads(block.text)

    def write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def _tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def _alike(printed: str, expected: str) -> bool:
    """`…` in what is expected stands for anything, with the blanks before it. A slow machine publishes oftener, so versions are not compared."""
    seen, wanted = (re.sub(r"\bversion \d+", "version N", _tidy(text)) for text in (printed, expected))
    pattern = ".*?".join(map(re.escape, re.split(" *…", wanted)))
    return re.fullmatch(pattern, seen, re.DOTALL) is not None


def _table(found: Any) -> str:
    return "\n".join("|".join(map(str, row)) for row in found.fetchall())


@pytest.mark.parametrize("name", [name for name in BY_NAME if name not in (TUTORIAL, *ON_POSTGRESQL)])
def test_every_block_of_a_page_does_what_the_page_says(name: str, tmp_path: Path) -> None:
    Reader(BY_NAME[name], tmp_path).follow()


@pytest.mark.parametrize("name", ON_POSTGRESQL)
def test_a_page_of_books_on_postgresql_holds_on_a_real_server(
    name: str, postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    Reader(BY_NAME[name], tmp_path, {"LEDGER_URL": postgresql_url}).follow()


@pytest.mark.cases(1)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_tutorial_holds_word_for_word(kind: str, make_database: Callable[[str], str], tmp_path: Path) -> None:
    """From an empty folder; on PostgreSQL only the URL is another one. The workbook changes where it should."""
    given = {} if kind == "sqlite" else {"DATABASE_URL": make_database(kind)}
    reader = Reader(BY_NAME[TUTORIAL], tmp_path, given)
    books: list[Sheet] = []
    for block in list(blocks(reader.page)):
        reader.do(block)
        seen = sheet(reader.folder / "board.xlsx", "Daily")
        if seen and seen not in books:
            books.append(seen)
    first, second = books
    yesterday, today = date(2026, 3, 9), date(2026, 3, 10)
    assert {day for day in first if first[day] != second[day]} == {yesterday}
    assert set(second) - set(first) == {today}
    changed = {name for name, value in first[yesterday].items() if second[yesterday][name] != value}
    assert changed == {"revenue"}
    answer = json.loads(reader.typed("tallybook query signups revenue mrr active_users --format json")[1])
    for row in answer["rows"]:
        written = second[date.fromisoformat(row["period"])]
        assert written == {"complete": "yes", **{name: row[name] for name in answer["metrics"]}}


Sheet = dict[date, dict[str, object]]


def sheet(path: Path, tab: str) -> Sheet:
    """What a reader of the workbook sees: the row of each day, under its headings."""
    if not path.exists():
        return {}
    with closing(openpyxl.load_workbook(path)) as book:
        heads, *rows = book[tab].iter_rows(values_only=True)
    found = [dict(zip(heads, row, strict=True)) for row in rows]
    return {row.pop("day").date(): row for row in found}


# --- references, links, words ---------------------------------------------------------------------------------


def test_the_references_are_what_the_code_says() -> None:
    for name, text in pages().items():
        assert (DOCS / name).read_text() == text, f"docs/{name} is not current: python -m docs.generate"


def test_the_picture_is_what_its_script_draws_today() -> None:
    made = picture()
    if WRITING:
        PICTURE.write_text(made, "utf-8")
    kept = PICTURE.read_text("utf-8")
    assert _alike(made, kept), "docs/pictures/terminal.svg is not current: python -m docs.picture"
    assert "refused:" in kept
    assert len(kept) < 60_000
    assert kept.count("//") == kept.count('xmlns="http://www.w3.org/2000/svg"') == 1, "it loads something"


@pytest.mark.parametrize("name", BY_NAME)
def test_every_relative_link_leads_somewhere(name: str) -> None:
    page = BY_NAME[name]
    text = FENCE.sub("", page.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if re.match(r"\w+:", target):
            continue
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{name} links to {target}, which is not there"
        if anchor and file.suffix == ".md":
            assert anchor in _anchors(file), f"{name} links to {target}: no such heading"


@pytest.mark.parametrize("name", BY_NAME)
def test_every_module_that_a_page_names_is_there(name: str) -> None:
    source = ROOT / "src"
    roots = [ROOT, source, source / "tallybook", ROOT / "packages" / "emulators" / "src" / "tallybook_emulators"]
    paths = re.findall(r"`([a-z_]+(?:/[a-z_]+)*/[a-z_]+\.py)`", FENCE.sub("", BY_NAME[name].read_text()))
    assert [path for path in paths if not any((root / path).exists() for root in roots)] == []


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    todo = [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in seen:
            continue
        seen.add(page)
        links = re.findall(r"\]\(([^)\s#]+\.md)", page.read_text())
        todo += [(page.parent / link).resolve() for link in links if not re.match(r"\w+:", link)]
    assert not [str(page.relative_to(ROOT)) for page in PAGES if page not in seen]


def test_the_readme_names_every_page_of_the_docs() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [page.name for page in sorted(DOCS.glob("*.md")) if f"](docs/{page.name}" not in readme] == []


FORBIDDEN = {
    r"(?<![\w.])/(?:work|home|root|tmp|Users|var|opt)/": "a path of some machine",
    r"https?://[^\s)]*(?:simple|registry|artifactory|nexus|proxy|mirror)[^\s)]*": "the host of a registry",
    r"--(?:extra-)?index-url": "the host of a registry",
    r"(?i)\b(?:TODO|FIXME|XXX)\b": "something undone",
}


@pytest.mark.parametrize(
    "name",
    [
        *BY_NAME,
        *(path.relative_to(ROOT).as_posix() for path in sorted(DOCS.glob("*.py"))),
        "docs/example/app.sql",
        "docs/example/sheet.py",
        "docs/example/tallybook.toml",
    ],
)
def test_no_page_names_a_machine(name: str) -> None:
    for number, line in enumerate((ROOT / name).read_text().splitlines(), 1):
        for pattern, what in FORBIDDEN.items():
            assert not re.search(pattern, line), f"{name}, line {number} holds {what}: {line}"


def test_the_readme_opens_with_one_sentence() -> None:
    first = next(line for line in (ROOT / "README.md").read_text().splitlines() if line and not line.startswith("#"))
    assert re.fullmatch(r"[^.]+\.", first), first


def test_the_description_of_the_package_has_no_relative_links() -> None:
    text = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["readme"]["text"]
    assert not re.findall(r"\]\((?!https?://)", text)
