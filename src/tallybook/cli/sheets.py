"""The verbs for Google Sheets: `sheets list`, `sheets doctor`, `sheets continue`. Also output that `sheets setup`
uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from tallybook.cli.options import TABLE_OR_JSON, verb
from tallybook.cli.terminal import Terminal, indented, table
from tallybook.cli.verbs import Verb, verb_group
from tallybook.core import DONE, NOT_READY

if TYPE_CHECKING:
    from tallybook.core import Catalog
    from tallybook.sheets import Finding, Keys, ServiceUrls, WorksheetRows

VERBS = {
    "Google Sheets": {
        "setup": Verb("connect with a client, a consent and a document; prints code to paste", "sheets_setup:setup"),
        "list": Verb("list the worksheets of a document, each with its code", "sheets:list_"),
        "doctor": Verb("check the keys, the token, the API and a document", "sheets:doctor"),
        "continue": Verb("name the document that continues a full one", "sheets:continue_"),
        "emulator": Verb("run an emulator of Google Sheets on localhost, for tests", "sheets_emulator:emulator"),
    },
}
API = click.option("--api", metavar="URL", help="Call this address instead of Google, for example an emulator.")


@verb_group(VERBS)
def sheets() -> None:
    """Connect Google Sheets, list the worksheets of a document, check the connection.

    \b
      tallybook sheets setup                  connect, and get code that writes a row
      tallybook sheets list DOCUMENT
      tallybook sheets doctor --document DOCUMENT
      tallybook sheets continue FULL --in NEW
      tallybook sheets emulator               an emulator for tests"""


# --- shared by the verbs


def environment(terminal: Terminal) -> Mapping[str, str]:
    """The environment, completed by the project's .env."""
    from tallybook.config import parse_dotenv, read_optional
    from tallybook.core import Problems

    problems = Problems()
    found = parse_dotenv(read_optional(terminal.folder / ".env"), problems)
    problems.raise_if_any(".env")
    return {**found, **terminal.env}


def clock(terminal: Terminal) -> datetime:
    """The current instant."""
    return terminal.now() if terminal.now else datetime.now(UTC)


def opened(terminal: Terminal, api: str | None) -> tuple[Keys, ServiceUrls]:
    """The stored keys, masked in all output, and the addresses of Google. Raises DeclarationError."""
    from tallybook.sheets import ServiceUrls, find_keys

    env = environment(terminal)
    keys = find_keys(env)
    terminal.hide(keys.secrets)
    return keys, ServiceUrls.of(api, env)


def worksheets_of(keys: Keys, places: ServiceUrls, document: str) -> list[WorksheetRows]:
    """The worksheets of a document that have cells. Raises DestinationRefused, SignInError or
    DestinationUnavailable."""
    from tallybook.sheets import SHAPE, Api, sheets_of

    return [sheet for sheet in sheets_of(Api(keys, places).read(document, fields=SHAPE)) if sheet.grid]


def declared(terminal: Terminal) -> Catalog | None:
    """The declarations of the project, or None without a readable project."""
    from tallybook.config import load
    from tallybook.core import TallybookError

    try:
        return load(terminal.folder, terminal.env).catalog
    except TallybookError:
        return None


def described(terminal: Terminal, document: str, found: Sequence[WorksheetRows], places: ServiceUrls) -> dict[str, Any]:
    """The document and its worksheets with the code for each, as printed and as JSON."""
    from tallybook.sheets import delivery_lines, link, python_lines, session_lines

    catalog = declared(terminal)
    metrics, taken = (list(catalog.metrics), list(catalog.deliveries)) if catalog else ([], [])
    listed = []
    for sheet in found:
        kept_by, paste = _delivery_of(sheet, document, catalog), ""
        if not kept_by:
            paste = delivery_lines(document, sheet, metrics=metrics[:5], taken=taken, api=places.api)
            taken.append(paste.splitlines()[0].removeprefix("[deliveries.").removesuffix("]"))
        listed.append(
            {
                "id": sheet.id,
                "title": sheet.title,
                "rows": sheet.rows,
                "columns": sheet.columns,
                "hidden": sheet.hidden,
                "python": python_lines(document, sheet),
                "delivery": paste,
                "kept_by": kept_by,
            }
        )
    return {
        "document": document,
        "link": link(document),
        "session": session_lines(places.api),
        "worksheets": listed,
    }


def _delivery_of(sheet: WorksheetRows, document: str, catalog: Catalog | None) -> str:
    """The delivery that writes a worksheet, as `<book>/<delivery>`: by its mark, or else by the declaration. Empty if
    no delivery does."""
    if sheet.delivery or catalog is None:
        return sheet.delivery
    title = sheet.title.casefold()
    writers = (
        d
        for d in catalog.deliveries.values()
        if d.options.get("spreadsheet") == document and d.tab_name.casefold() == title
    )
    return next((f"{catalog.book.name}/{d.name}" for d in writers), "")


def print_worksheets(found: Mapping[str, Any], terminal: Terminal, write: Callable[[str], None]) -> None:
    """Print the worksheets, then the code for each."""
    listed = found["worksheets"]
    rows = [(s["id"], s["title"], f"{s['rows']:,} × {s['columns']:,}", "hidden" if s["hidden"] else "") for s in listed]
    header, *lines = table(("id", "title", "rows × columns", ""), rows, numbers=("id",))
    which = "" if len(listed) == 1 else ", with the line of one worksheet"
    lines = [
        "",
        terminal.styled(header, "bold"),
        *lines,
        "",
        f"In Python{which}:",
        "",
        indented(found["session"], "    "),
    ]
    lines += [f"    {sheet['python']}   # {sheet['title']}" for sheet in listed]
    lines += [
        "    worksheet << 1 << 2",
        "    worksheet.append(5)",
        "    worksheet.save_row()",
        "",
        "    session.close()",
    ]
    lines += ["", "In tallybook.toml:"]
    for sheet in listed:
        kept = f"# {sheet['title']!r} is written by the delivery {sheet['kept_by']!r}."
        lines += ["", indented(sheet["delivery"] or kept, "    ")]
    write("\n".join(lines))


# --- list


@verb(click.argument("document", metavar="DOCUMENT"), API, TABLE_OR_JSON)
def list_(terminal: Terminal, document: str, api: str | None, form: str) -> int:
    """List the worksheets of a document, with Python and TOML code for each.

    \b
      tallybook sheets list 1UgxVGDt8X0YgB9JYRVQ
      tallybook sheets list https://docs.google.com/spreadsheets/d/1UgxVGDt8X0YgB9JYRVQ/edit"""
    from tallybook.sheets import document as named

    place = named(document)
    keys, places = opened(terminal, api)
    found = described(terminal, place.id, worksheets_of(keys, places, place.id), places)
    if form == "json":
        terminal.json(found)
    else:
        print_worksheets(found, terminal, terminal.out)
    return DONE


# --- doctor


@verb(
    click.option("--document", metavar="DOCUMENT", help="Also check that this document can be read and has room."),
    API,
    TABLE_OR_JSON,
)
def doctor(terminal: Terminal, document: str | None, api: str | None, form: str) -> int:
    """Check the connection to Google Sheets: keys, token, API, quota; and the room left in a document.

    \b
      tallybook sheets doctor
      tallybook sheets doctor --document 1UgxVGDt8X0YgB9JYRVQ

    Writes nothing. Exit code 4 if there is a problem."""
    from tallybook.sheets import BAD, examine

    keys, places = opened(terminal, api)
    findings = list(examine(keys, places, document=document, now=clock(terminal)))
    well = all(finding.state != BAD for finding in findings)
    if form == "json":
        terminal.json({"well": well, "findings": [vars(finding) for finding in findings]})
    else:
        terminal.out("\n".join(_in_words(terminal, finding) for finding in findings))
    return DONE if well else NOT_READY


def _in_words(terminal: Terminal, finding: Finding) -> str:
    sign, style = {"good": ("✓", "green"), "care": ("!", "yellow"), "bad": ("✗", "red")}[finding.state]
    line = f"{terminal.styled(sign, 'bold', style)} {finding.what:<9} {finding.said}"
    return f"{line}\n{indented(finding.hint, '            ')}" if finding.hint else line


# --- continue


@verb(
    click.argument("document", metavar="FULL"),
    click.option("--in", "following", metavar="NEW", required=True, help="The document that continues it."),
    API,
    TABLE_OR_JSON,
)
def continue_(terminal: Terminal, document: str, following: str, api: str | None, form: str) -> int:
    """Name the document that continues a full one, for deliveries with mode = "history".

    \b
      tallybook sheets continue 1UgxVGDt8X0YgB9JYRVQ --in 1Kv0DbJv4ZQ2vXcEwRj7

    A delivery creates the next document by itself if its keys allow that. This command is for service accounts, which
    cannot create files, and for choosing the next document yourself. Rows in the full document stay and are still
    corrected."""
    from tallybook.core import DeclarationError
    from tallybook.deliver import OVERVIEW, name
    from tallybook.sheets import Api, document as named, link

    full, new = named(document).id, named(following).id
    if full == new:
        raise DeclarationError(f"document {full} cannot continue itself", hint="name another document: --in NEW")
    keys, places = opened(terminal, api)
    asked = Api(keys, places)
    title = asked.read(new, fields=OVERVIEW)["properties"]["title"]
    following_id = name(asked, full, new)
    if following_id != new:
        raise DeclarationError(
            f"document {full} is continued by {following_id} already",
            hint=f"once that is full: tallybook sheets continue {following_id} --in {new}",
        )
    if form == "json":
        terminal.json({"document": full, "onward": new, "title": title})
    else:
        terminal.out(f"New rows of {full} go to {title!r}: {link(new)}")
    return DONE
