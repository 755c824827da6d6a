"""`.env` files and `${NAME}` in strings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tallybook.core import Problems

_LINE = re.compile(
    r"""
    [ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_]\w*)[ \t]*=[ \t]*
    (?:'(?P<single>[^']*)' | "(?P<double>(?:\\.|[^"\\])*)" | (?P<bare>(?!['"])[^\n]*?))
    (?:[ \t]+\#[^\n]*)?[ \t]*(?:\n|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
_NO_LINE = re.compile(r"[ \t]*(?:\#[^\n]*)?(?:\n|\Z)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def parse_dotenv(text: str, problems: Problems) -> dict[str, str]:
    r"""The variables in KEY=VALUE lines, with `export`, comments, 'raw' and "escaped \n" quotes, which may span lines.

    A line that cannot be read is reported but not repeated, because it may contain a secret."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        line = _NO_LINE.match(text, at) or _LINE.match(text, at)
        if line is None:
            number = text.count("\n", 0, at) + 1
            problems.add(f".env:{number}", "the line cannot be read", expected="NAME=value", paste="NAME='value'")
            at = (text.find("\n", at) + 1) or len(text)
            continue
        if line.re is _LINE:
            found[line["name"]] = _value(line)
        at = max(line.end(), at + 1)
    return found


def _value(line: re.Match[str]) -> str:
    if line["double"] is not None:
        return re.sub(r"\\(.)", lambda e: _ESCAPES.get(e[1], e[1]), line["double"], flags=re.DOTALL)
    return line["single"] if line["single"] is not None else re.sub(r"(^|[ \t])#.*$", "", line["bare"]).strip()


_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)\}?")
_NAMED = re.compile(r"([A-Za-z_]\w*)(?::-(.*))?", re.DOTALL)


def named_in(value: object) -> Iterator[tuple[str, bool]]:
    """(name, whether it has a default) of every variable in the strings of a value, in order."""
    match value:
        case str():
            for found in _REFERENCE.finditer(value):
                if found[0] != "$${" and (named := _NAMED.fullmatch(found[1] or "")):
                    yield named[1], named[2] is not None
        case list() | tuple():
            for item in value:
                yield from named_in(item)
        case dict():
            for item in value.values():
                yield from named_in(item)


_SAME_WORDS = {
    "db": "database",
    "pg": "postgres",
    "postgresql": "postgres",
    "uri": "url",
    "dsn": "url",
    "pwd": "password",
}
_SAME_WORDS |= {"pass": "password", "tz": "timezone", "conn": "connection"}


def _full_words(name: str) -> str:
    """The name of a variable in lower case without abbreviations, so that PG_URI equals POSTGRES_URI."""
    words = re.findall(r"[A-Za-z\d]+", name.lower())
    return "_".join(_SAME_WORDS.get(word, word) for word in words)


_OTHER_FORMS = re.compile(
    r"\$(?P<shell>[A-Za-z_]\w*)|\{\{?\s*(?P<curly>[A-Za-z_]\w*)\s*\}?\}|%(?P<percent>[A-Za-z_]\w*)%"
    r"|\$?env[:.(]\s*['\"]?(?P<env>[A-Za-z_]\w*)['\"]?\)?|os\.environ\[['\"](?P<python>\w+)['\"]\]"
    r"|\$\((?P<make>[A-Za-z_]\w*)\)|(?P<bare>[A-Z][A-Z_\d]*_(?:URL|URI|DSN))"
)


def reference_meant(text: str) -> str | None:
    """`${NAME}` for a text that names a variable in another form, such as `$NAME` or `{NAME}`; None for any other
    text."""
    found = _OTHER_FORMS.fullmatch(text.strip())
    names = [name for name in found.groups() if name] if found else []
    # A name without one of these words may be a password.
    return f"${{{names[0]}}}" if names and re.search(r"(?i)url|uri|dsn|database|db", names[0]) else None


@dataclass
class Expansion:
    """Replaces `${NAME}` and `${NAME:-default}`; `$${` is a literal `${`. Reports variables that are not set."""

    variables: Mapping[str, str]
    problems: Problems
    used: dict[str, str | None] = field(default_factory=dict)
    """The variables that were used, with their values; None for a variable that is not set."""

    def value(self, value: object, path: str) -> object:
        """A value with every string in it expanded. Paths are TOML paths, without indexes of lists."""
        match value:
            case str():
                return self.text(value, path)
            case list() | tuple():
                return [self.value(v, path) for v in value]
            case dict():
                return {k: self.value(v, f"{path}.{k}") for k, v in value.items()}
        return value

    def text(self, text: str, path: str) -> str:
        return _REFERENCE.sub(lambda found: self._replacement(found, path), text) if "${" in text else text

    def _replacement(self, found: re.Match[str], path: str) -> str:
        """The value of one reference; the reference itself if it has no value."""
        if found[0] == "$${":
            return "${"
        named = _NAMED.fullmatch(found[1])
        if named is None or not found[0].endswith("}"):
            expected = "${NAME} or ${NAME:-default}; a literal ${ is written $${"
            self.problems.add(path, "a variable is not written as one", seen=found[0][:40], expected=expected)
            return found[0]
        name, default = named[1], named[2]
        value = self.used[name] = self.variables.get(name)
        if default is not None:
            return value or default
        if value is None:
            self._missing(name, path, whole=found[0] == found.string.strip())
            return found[0]
        return value

    def _missing(self, name: str, path: str, *, whole: bool) -> None:
        """Report a variable without a value. `whole`: the reference is the entire text."""
        meant, key = self._meant(name), path.rpartition(".")[2]
        corrected = f'{key} = "${{{meant}}}"' if whole and meant else ""
        self.problems.add(
            path,
            f"the environment variable {name} is not set",
            seen=f"${{{name}}}",
            expected="a value in the environment, or in .env beside tallybook.toml",
            hint=f"did you mean {meant}?" if meant else f"or give a default: ${{{name}:-…}}",
            paste=corrected or f"export {name}='…'",
        )

    def _meant(self, name: str) -> str | None:
        """The set variable that was probably meant: DATABASE_URI for DATABASE_URL, DATABASE_URL for DB_URL."""
        from tallybook.config.catalog.words import closest_key

        if close := closest_key(name, self.variables, cutoff=0.8):
            return close
        full = {_full_words(one): one for one in self.variables}
        return full.get(_full_words(name))
