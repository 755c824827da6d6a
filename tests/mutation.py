"""Faults put into a copy of the code on purpose: one operator, term, bound or constant each.

    mutant = random.Random(seed).choice(mutants_of("query/ranges.py"))
    verdict(mutant, ["tests/query/test_comparisons.py"], seconds=60)

A mutant is applied in a scratch copy of `src`, which comes first on PYTHONPATH of the tests that are run against it."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "tallybook"


@dataclass(frozen=True)
class Mutant:
    """The text from `begin` to `end` of a file of the package, and what it becomes."""

    path: str
    begin: int
    end: int
    new: str
    source: str

    @property
    def mutated(self) -> str:
        return self.source[: self.begin] + self.new + self.source[self.end :]

    def __str__(self) -> str:
        line = self.source.count("\n", 0, self.begin) + 1
        first = self.source.rfind("\n", 0, self.begin) + 1
        last = self.source.find("\n", self.end)
        before, after = self.source[first : self.begin], self.source[self.end : last if last >= 0 else None]
        old = self.source[self.begin : self.end]
        return f"{self.path} line {line}: {' '.join(f'{before}⟦{old} → {self.new}⟧{after}'.split())}"


def replaced(path: str, old: str, new: str) -> Mutant:
    """The mutant that changes one text, which the file has exactly once."""
    source = (PACKAGE / path).read_text(encoding="utf-8")
    assert source.count(old) == 1, f"{path} has {source.count(old)} times, expected once: {old}"
    begin = source.index(old)
    return Mutant(path, begin, begin + len(old), new, source)


# --- where a file can be changed ---------------------------------------------------------------------------

OTHER_SIGN = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"), ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="), ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"), ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"), ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"),
}  # fmt: skip
OTHER_CALL = {"min": "max", "max": "min", "all": "any", "any": "all", "first": "last", "last": "first"}
SQL = re.compile(r"\b(SELECT|WHERE|CASE WHEN|GROUP BY|coalesce|sum|min|max|count)\b")
SQL_WORDS = [
    (r"(?<= )<(?= )", "<="), (r"(?<= )<=(?= )", "<"), (r"(?<= )>(?= )", ">="), (r"(?<= )>=(?= )", ">"),
    (r"\bAND\b", "OR"), (r"\bOR\b", "AND"), (r"\bsum\(", "max("), (r"\bmin\(", "max("), (r"\bmax\(", "min("),
    (r" \+ 1\b", ""), (r" - 1\b", ""), (r"\bIS NOT NULL\b", "IS NULL"), (r"(?<= )\+(?= )", "-"), (r"(?<= )-(?= )", "+"),
]  # fmt: skip


def mutants_of(path: str) -> list[Mutant]:
    """Every change of one file that is known here, in the order of the file."""
    source = (PACKAGE / path).read_text(encoding="utf-8")
    places = ServiceUrls(source)
    found = {change for node in places.nodes() for change in places.changes(node)}
    return [Mutant(path, begin, end, new, source) for begin, end, new in sorted(found)]


Change = tuple[int, int, str]


class ServiceUrls:
    """A source text and its syntax tree: nodes as offsets, and how each may be changed."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.lines = [0]
        for line in source.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))

    def nodes(self) -> Iterator[ast.AST]:
        """Every node but annotations, docstrings, and what is inside f-strings, whose positions are not exact."""
        pending: list[ast.AST] = [ast.parse(self.source)]
        while pending:
            node = pending.pop()
            yield node
            for name, value in ast.iter_fields(node):
                if name in ("annotation", "returns") or isinstance(node, ast.JoinedStr):
                    continue
                pending += [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, ast.AST)]

    def changes(self, node: ast.AST) -> Iterator[Change]:
        match node:
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                sides = [left, *comparators]
                for number, sign in enumerate(ops):
                    yield from self.sign(sides[number], sign, sides[number + 1])
            case ast.BinOp(left=left, op=sign, right=right) if type(sign) in OTHER_SIGN:
                yield from self.sign(left, sign, right)
                if isinstance(sign, ast.Add | ast.Sub):
                    yield (*self.span(node), self.text(left))
            case ast.BoolOp(op=sign, values=values):
                word, other = ("and", "or") if isinstance(sign, ast.And) else ("or", "and")
                for left, right in pairwise(values):
                    yield from self.between(left, word, other, right)
                for dropped in values:
                    kept = [f"({self.text(one)})" for one in values if one is not dropped]
                    yield (*self.span(node), f"({f' {word} '.join(kept)})")
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield (*self.span(node), f"bool({self.text(operand)})")
            case ast.Constant(value=bool() as value):
                yield (*self.span(node), str(not value))
            case ast.Constant(value=int() as value):
                yield (*self.span(node), str(value + 1))
                yield (*self.span(node), f"({value - 1})" if value < 1 else str(value - 1))
            case ast.Call(func=ast.Name(id=name) as function) if name in OTHER_CALL:
                yield (*self.span(function), OTHER_CALL[name])
            case ast.JoinedStr() | ast.Constant(value=str()):
                yield from self.words(node)

    def sign(self, left: ast.AST, sign: ast.AST, right: ast.AST) -> Iterator[Change]:
        if type(sign) in OTHER_SIGN:
            yield from self.between(left, *OTHER_SIGN[type(sign)], right)

    def between(self, left: ast.AST, old: str, new: str, right: ast.AST) -> Iterator[Change]:
        """The operator that is between two nodes."""
        begin, end = self.span(left)[1], self.span(right)[0]
        found = re.search(rf"(?<!\w){re.escape(old)}(?!\w)", self.source[begin:end])
        if found:
            yield begin + found.start(), begin + found.end(), new

    def words(self, node: ast.AST) -> Iterator[Change]:
        """Operators and functions of SQL text."""
        begin, end = self.span(node)
        text = self.source[begin:end]
        if text.startswith('"""') or not SQL.search(text):
            return
        for pattern, new in SQL_WORDS:
            for found in re.finditer(pattern, text):
                yield begin + found.start(), begin + found.end(), new

    def span(self, node: ast.AST) -> tuple[int, int]:
        """From where to where a node stretches, in letters: the tree counts bytes."""
        return self.offset(node.lineno, node.col_offset), self.offset(node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]

    def offset(self, line: int, column: int) -> int:
        begin = self.lines[line - 1]
        text = self.source[begin : self.lines[line]]
        return begin + len(text.encode()[:column].decode())

    def text(self, node: ast.AST) -> str:
        begin, end = self.span(node)
        return self.source[begin:end]


# --- whether tests find it ---------------------------------------------------------------------------------------

KILLED, SURVIVED, TIMED_OUT, DOUBTFUL = "killed", "survived", "timed out", "died of something else"


def verdict(mutant: Mutant, tests: Sequence[str], seconds: float, seed: int) -> tuple[str, str]:
    """What became of a mutant, and the test that failed. A test that fails without the mutant, too, kills nothing."""
    with tempfile.TemporaryDirectory(prefix="tallybook-mutant-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder) / "src"
        shutil.copytree(ROOT / "src", scratch, ignore=shutil.ignore_patterns("__pycache__"))
        (scratch / "tallybook" / mutant.path).write_text(mutant.mutated, encoding="utf-8")
        try:
            compile(mutant.mutated, mutant.path, "exec")
            done = run(scratch, tests, seconds, seed, examples=f"{folder}/found")
        except SyntaxError:
            return KILLED, "it does not compile"
        except subprocess.TimeoutExpired:
            return TIMED_OUT, ""
        if done.returncode == 0:
            return SURVIVED, ""
        failed = re.search(r"^(?:FAILED|ERROR) (\S+?(?:\[.*?\])?)(?: - |$)", done.stdout, re.MULTILINE)
        test = failed.group(1) if failed else ""
        if not test.startswith("tests/"):
            return DOUBTFUL, done.stdout[-2000:] + done.stderr[-2000:]
        sound = run(ROOT / "src", [test], 600, seed, examples=f"{folder}/none")
        return (KILLED, test) if sound.returncode == 0 else (DOUBTFUL, f"{test} fails without the mutant, too")


def run(
    source: Path, tests: Sequence[str], seconds: float, seed: int, *, examples: str
) -> subprocess.CompletedProcess[str]:
    """Run tests against the package in `source` until one fails. `examples`: where Hypothesis keeps those that fail."""
    words = ["-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"]
    if not any("[" in test for test in tests):
        words += ["-k", "not postgresql and not mariadb"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TALLYBOOK_", "PYTEST_"))}
    more = {
        "PYTHONPATH": str(source), "TALLYBOOK_SEED": str(seed), "TALLYBOOK_REDUCING_SECONDS": "0",
        "HYPOTHESIS_STORAGE_DIRECTORY": examples,
    }  # fmt: skip
    command = [sys.executable, "-m", "pytest", *words, *tests]
    return subprocess.run(
        command, cwd=ROOT, env=kept | more, capture_output=True, text=True, timeout=seconds, check=False
    )
