"""Names, messages and pages use plain American technical English: words that had to be decoded stay out."""

from __future__ import annotations

import re
from collections import Counter
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
PHRASES_LEFT: dict[str, int] = {
    "docs/decisions/003-sixteen-dimension-columns.md": 1,
    "docs/decisions/005-not-collected-is-null-inside-coalesce.md": 1,
    "docs/decisions/009-one-sqlite-file-as-ledger.md": 1,
    "docs/decisions/013-workbooks-are-edited-as-bytes.md": 3,
    "docs/decisions/015-pace-only-of-what-adds-up.md": 3,
    "docs/decisions/016-rows-by-stamped-batches.md": 1,
    "docs/decisions/017-an-emulator-instead-of-mocks.md": 2,
    "docs/decisions/018-sheets-are-read-before-they-are-written.md": 2,
    "docs/decisions/019-full-documents-name-the-next.md": 1,
    "docs/decisions/021-cron-expressions-by-cronsim.md": 1,
    "docs/decisions/022-changed-rows-restate-whole-days.md": 1,
    "docs/decisions/024-alerts-are-kept-causes.md": 5,
    "docs/decisions/046-figures-that-a-shared-machine-cannot-give.md": 1,
    "docs/decisions/048-one-rule-for-clocks-that-do-not-exist.md": 1,
    "docs/events.md": 1,
}
"""Files and pages that still have such phrases, with their number. This list may only shrink."""
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
    counts = Counter({path: sum(len(PHRASES.findall(text)) for text in module.texts) for path, module in modules()})
    counts.update({path: len(PHRASES.findall(text)) for path, text in pages()})
    assert +(counts - Counter(PHRASES_LEFT)) == {}, "rewrite these"


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
