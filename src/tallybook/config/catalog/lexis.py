"""SQL text without its strings, quoted names and comments, by the lexical rules of each dialect.

Finding a `;` or an unmatched bracket needs no parser, so SQL that sqlglot cannot parse is checked too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Lexis:
    """The syntax of strings, quoted names and comments in a dialect."""

    quotes: str = "'\""
    escaped: str = ""
    """Quotes within which a backslash escapes the next character."""
    brackets: bool = False
    """Whether [name] is a quoted name."""
    dollars: str = ""
    """A pattern of the delimiters that begin and end a string: $$ or $tag$."""
    prefixed: str = ""
    """Letters before a quote that make backslashes escapes: E'it\\'s'."""
    lines: str = "--"
    """A pattern of the start of a comment that ends with the line."""
    nested: bool | None = False
    """Whether a block comment may contain another one. None: it depends on the version, so such text is refused."""
    triple: bool = False
    """Whether strings in three quotes exist."""
    q_quotes: bool = False
    """Whether Oracle's q'[text]' exists."""
    executes: bool = False
    """Whether the server runs the content of /*! … */, so that it is not a comment."""
    batches: bool = False
    """Whether statements need no semicolon between them."""


_TAGGED = r"\$(?:[^\W\d]\w*)?\$"
_POSTGRES = Lexis(dollars=_TAGGED, prefixed="eE", nested=True)
_BY_DIALECT = {
    "postgres": _POSTGRES,
    "redshift": _POSTGRES,
    "duckdb": _POSTGRES,
    "sqlite": Lexis(quotes="'\"`", brackets=True),
    "mysql": Lexis(executes=True, quotes="'\"`", escaped="'\"", lines=r"#|--(?=[\s\x00-\x1f]|\Z)"),
    "clickhouse": Lexis(quotes="'\"`", escaped="'\"`", dollars=r"\$\w*\$", lines=r"--|#[ !]", nested=None),
    "tsql": Lexis(batches=True, brackets=True, nested=True),
    "bigquery": Lexis(quotes="'\"`", escaped="'\"`", lines=r"--|#", triple=True),
    "snowflake": Lexis(escaped="'", dollars=r"\$\$", lines=r"--|//"),
    "oracle": Lexis(q_quotes=True),
    "trino": Lexis(),
}
_PAIRS = {"[": "]", "{": "}", "(": ")", "<": ">"}


class UnclosedText(Exception):
    """A string, quoted name or comment is not closed."""


class ExecutedComment(UnclosedText):
    """A text contains a comment whose content the server runs."""

    def __init__(self) -> None:
        super().__init__("has a comment that the server executes (/*! … */)")


class Bare(NamedTuple):
    """SQL with blanks for strings, quoted names and comments. Positions stay the same."""

    text: str
    commented: bool

    @property
    def words(self) -> list[str]:
        """Its words and signs."""
        return re.findall(r"\w+|[^\w\s]", self.text)

    @property
    def balanced(self) -> bool:
        """Whether all brackets are balanced."""
        depth = 0
        for sign in re.findall(r"[()]", self.text):
            depth += 1 if sign == "(" else -1
            if depth < 0:
                return False
        return depth == 0


def lexis_of(dialect: str) -> Lexis:
    """The lexical rules of a dialect. For an unknown dialect, quotes of every sort."""
    return _BY_DIALECT.get(dialect, Lexis(quotes="'\"`"))


def bare(text: str, dialect: str) -> Bare:
    """The text without strings, quoted names and comments. Raises UnclosedText."""
    lexis = lexis_of(dialect)
    return _Scan(text, lexis, executes=lexis.executes).bare()


@dataclass
class _Scan:
    text: str
    lexis: Lexis
    executes: bool
    """Whether the server runs the content of /*! … */, so that it is not a comment."""

    def bare(self) -> Bare:
        kept, at, commented = [], 0, False
        while at < len(self.text):
            end = self._comment(at)
            commented = commented or end is not None
            end = end if end is not None else self._quoted(at)
            if end is None:
                kept.append(self.text[at])
                at += 1
            else:
                kept.append(re.sub(r"[^\n]", " ", self.text[at:end]))
                at = end
        return Bare("".join(kept), commented)

    def _comment(self, at: int) -> int | None:
        """The end of the comment that begins at `at`; None if no comment begins there."""
        if re.compile(self.lexis.lines).match(self.text, at):
            end = self.text.find("\n", at)
            return len(self.text) if end < 0 else end
        if not self.text.startswith("/*", at):
            return None
        if self.executes and re.compile(r"/\*M?!").match(self.text, at):
            raise ExecutedComment
        return self._block(at)

    def _block(self, at: int) -> int:
        depth = 0
        for found in re.compile(r"/\*|\*/").finditer(self.text, at):
            if found.start() < at:
                continue  # the * belongs to a mark that was already read, as in /*/
            at = found.end()
            if found[0] == "/*" and depth and self.lexis.nested is None:
                raise UnclosedText("has a comment within a comment")
            if found[0] == "/*":
                depth += 1 if self.lexis.nested or not depth else 0
            else:
                depth -= 1
            if not depth:
                return at
        raise UnclosedText("has a comment that is not closed")

    def _quoted(self, at: int) -> int | None:
        """The end of the string or quoted name that begins at `at`; None if none begins there."""
        sign, before = self.text[at], self.text[at - 1 : at]
        if sign == "$" and self.lexis.dollars and not re.match(r"[\w$]", before):
            found = re.compile(self.lexis.dollars).match(self.text, at)
            return self._until(found[0], found.end()) if found else None
        if self.lexis.q_quotes and (found := re.compile(r"(?i)(?<!\w)n?q'(\S)").match(self.text, at)):
            return self._until(_PAIRS.get(found[1], found[1]) + "'", found.end())
        if sign == "[" and self.lexis.brackets:
            return self._closed("]", at + 1, escaped=False)
        if sign not in self.lexis.quotes:
            return None
        if self.lexis.triple and self.text.startswith(sign * 3, at):
            return self._closed(sign * 3, at + 3, escaped=True)
        prefixed = bool(before) and before in self.lexis.prefixed and not re.match(r"\w", self.text[at - 2 : at - 1])
        return self._closed(sign, at + 1, escaped=sign in self.lexis.escaped or (sign == "'" and prefixed))

    def _until(self, mark: str, at: int) -> int:
        end = self.text.find(mark, at)
        if end < 0:
            raise UnclosedText("has a quote that is not closed")
        return end + len(mark)

    def _closed(self, mark: str, at: int, *, escaped: bool) -> int:
        """The end of the first `mark` from `at` on.

        A doubled quote counts as the end of one string and the beginning of another; together they have the same
        end."""
        while at < len(self.text):
            if escaped and self.text[at] == "\\":
                at += 2
            elif self.text.startswith(mark, at):
                return at + len(mark)
            else:
                at += 1
        raise UnclosedText("has a quote that is not closed")
