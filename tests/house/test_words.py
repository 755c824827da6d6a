"""Names, messages and pages use plain American technical English: words that had to be decoded stay out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.syntax import ModuleFacts, facts

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "tallybook"
NAMES = re.compile(
    r"_*(?:told|tell|said|anew|alone|there|found)|_*tell_\w+|\w+_told"
    r"|Means|Look|Place|Held|Shelf|Ground"
    r"|MOST|MANY|FEW|ENOUGH|LEAST|TIMES|SOON|CLOSE|OFTEN_ENOUGH|ALIKE|STEADY|BEYOND|WOULD|NOT_YET|AGAIN|HELD"
)
"""Functions, classes and constants that say nothing without their module."""
PHRASES = re.compile(
    r"\b(?:(?:is|are|was|be) told(?: of)?|stands? (?:in|for)|anew|(?<=, )of what|beyond which|nobody is named|there is none"
    r"|no longer there|the system refused|otherwise than|as it should|is held against|held against|at work|had where"
    r"|looked at|nobody (?:knows|can tell)|says otherwise)\b",
    re.IGNORECASE,
)
"""What messages, help and pages do not say."""
PROMISES = re.compile(
    r"there are none yet|not (?:built|implemented) yet|this version (?:ignores|keeps)|^Planned:",
    re.IGNORECASE | re.MULTILINE,
)
"""What was true of an earlier version, and stays on a page after it was built."""
PLAIN_ROOMS = ("ingest", "act", "client", "deliver", "server")
"""Rooms whose docstrings, comments and messages were read once more, word by word."""
ROOMS_WITH_PLAIN_DOCS = (
    "core",
    "config",
    "storage",
    "query",
    "sheets",
    "collect",
    "monitor",
    "draft",
    "metric_tests",
    "cli",
    "demo",
)
"""Rooms whose docstrings and comments were read so, but not their messages."""
WORDS = re.compile(
    r"\b(?:told|tells?(?! the format)|stands?|stood|anew|alone|apart|holds?|there (?:is|are) none|looked at|at work"
    r"|(?:is|are|was) said|of what)\b",
    re.IGNORECASE,
)
"""What the prose of these rooms does not say."""
CODE = re.compile(r"`[^`]*`")
COMMENT = re.compile(r"(?m)^\s*# (.*)$|  # (.*)$")
GENERATED = ("docs/reference-cli.md", "docs/reference-toml.md", "docs/reference-errors.md", "docs/glossary.md")


def modules() -> Iterator[tuple[str, ModuleFacts]]:
    """(path in the repository, facts) of each module."""
    for path in sorted(SOURCE.rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), facts(path)


def names(module: ModuleFacts) -> Iterator[str]:
    """The names of functions, classes and constants."""
    yield from (name for name, _ in module.functions)
    yield from module.classes
    yield from module.constants


def pages() -> Iterator[tuple[str, str]]:
    """(path, text) of each page but the changelog and generated ones."""
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        name = path.relative_to(ROOT).as_posix()
        if name not in GENERATED:
            yield name, path.read_text(encoding="utf-8")


def test_names_are_understood_without_their_module() -> None:
    assert [(path, n) for path, module in modules() for n in names(module) if NAMES.fullmatch(n)] == [], "rename these"


def test_messages_and_pages_are_read_once() -> None:
    texts = [*((path, text) for path, module in modules() for text in module.texts), *pages()]
    assert [(path, found[0]) for path, text in texts for found in PHRASES.finditer(text)] == [], "rewrite these"


def test_no_page_announces_what_is_built() -> None:
    assert [path for path, text in pages() if PROMISES.search(text)] == []
    assert not PROMISES.search((ROOT / "docs" / "key_meanings.py").read_text(encoding="utf-8"))


def test_the_prose_of_plain_rooms_is_read_once() -> None:
    found = []
    for path, module in modules():
        room = path.split("/")[2]
        if room in (*PLAIN_ROOMS, *ROOMS_WITH_PLAIN_DOCS):
            comments = ("".join(pair) for pair in COMMENT.findall((ROOT / path).read_text(encoding="utf-8")))
            messages = [text for text in module.texts if " " in text] if room in PLAIN_ROOMS else []
            prose = (CODE.sub("", text) for text in (*module.docs, *comments, *messages))
            found += [f"{path}: {text.strip()[:100]}" for text in prose if WORDS.search(text)]
    assert found == [], "rewrite these"
