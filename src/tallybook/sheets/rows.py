"""Where rows go in a sheet, and the batch that puts them there. Pure: what was read in, requests out.

Rows are appended below the last row in which one of our columns shows something. Positions are decided here and sent
as `updateCells`; a claim sees to it that nobody else took them meanwhile: an entry of developer metadata whose id
follows from the sheet and a running number. Two writers that read the same sheet claim the same number; Google takes
the first batch and refuses the second as a whole, which then reads anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, time, timedelta, tzinfo
from itertools import groupby

from tallybook.sheets.cells import Cell, cell, zone_of
from tallybook.sheets.marks import DELIVERY, Json, forget, metadata_id

NONE: Mapping[int, Json] = {}
KEY = "tallybook.rows"
KEPT = 50
"""Claims that stay on a sheet, 2 of the 30 kB that it may hold: by them a batch is known after its answer was lost, and
one that comes late finds its number taken, not free again."""
SHAPE = "properties.timeZone,sheets(properties(sheetId,title,sheetType,hidden,gridProperties),developerMetadata)"
"""The fields that say what there is, without cells."""
CELLS = f"{SHAPE[:-1]},data(startRow,rowData.values(effectiveValue,dataValidation.condition.type)))"
"""The same with what our columns show: what is computed too, and which FALSE is only a box that nobody ticked."""
FORMATS = "sheets.data.rowData.values.userEnteredFormat.numberFormat"
"""How the cells of a row look."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A finished row. `at` is the row to overwrite, from 1; None: below the last one."""

    values: tuple[object, ...]
    at: int | None = None


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a batch left on the sheet: its number, itself, the last row it knew, and which columns were ours: the first
    (from 0), and how many."""

    id: int
    number: int
    batch: str
    last: int
    column: int
    width: int

    def value(self) -> str:
        return f"{self.number} {self.batch} {self.last} {self.column} {self.width}"


@dataclass(frozen=True, kw_only=True)
class WorksheetRows:
    """A worksheet as it was read."""

    id: int
    title: str
    rows: int
    columns: int
    hidden: bool = False
    grid: bool = True
    """False for a sheet that is a chart or a connected source: it has no cells."""
    zone: str = "Etc/GMT"
    claims: tuple[Claim, ...] = ()
    """Oldest first."""
    delivery: str = ""
    """The delivery that writes it, as `<book>/<delivery>`; empty where none does."""

    def holds(self, batch: str) -> bool:
        """Whether a batch was applied."""
        return any(claim.batch == batch for claim in self.claims)

    def newest(self, column: int) -> Claim | None:
        """The last claim of rows that begin at this column; other programs may write beside."""
        return next((claim for claim in reversed(self.claims) if claim.column == column), None)


@dataclass(frozen=True)
class Filled:
    """What our columns show from row `first` on."""

    first: int
    last: int
    """The last row with something in it, from 1; 0: none was seen."""
    begins: bool
    """Whether the first row that was looked at has something."""


def sheets_of(read: Json) -> list[WorksheetRows]:
    """The worksheets of a Spreadsheet that was read with SHAPE, in the order of the tabs."""
    zone = read.get("properties", {}).get("timeZone", "Etc/GMT")
    return [_sheet(found, zone) for found in read.get("sheets", ())]


def _sheet(found: Json, zone: str) -> WorksheetRows:
    said = found["properties"]
    grid = said.get("gridProperties", {})
    entries = found.get("developerMetadata", ())
    claims = (_claim(entry) for entry in entries if entry.get("metadataKey") == KEY)
    owned = (str(entry.get("metadataValue", "")) for entry in entries if entry.get("metadataKey") == DELIVERY)
    return WorksheetRows(
        id=said.get("sheetId", 0),
        title=said.get("title", ""),
        rows=grid.get("rowCount", 0),
        columns=grid.get("columnCount", 0),
        hidden=said.get("hidden", False),
        grid=said.get("sheetType", "GRID") == "GRID",
        zone=zone,
        claims=tuple(sorted((c for c in claims if c), key=lambda c: c.number)),
        delivery=next(owned, "").rpartition("#")[0],
    )


def _claim(entry: Json) -> Claim | None:
    """None for an entry that people or other programs changed."""
    try:
        number, batch, *places = entry["metadataValue"].split()
        last, column, width = map(int, places)
        return Claim(id=entry["metadataId"], number=int(number), batch=batch, last=last, column=column, width=width)
    except (ValueError, KeyError, TypeError):
        return None


def filled(read: Json) -> Filled:
    """What a sheet read with CELLS shows. A formula that shows nothing and a box that nobody ticked are nothing."""
    data: Json = next(iter(read["sheets"][0].get("data", ())), {})
    first = data.get("startRow", 0) + 1
    shows = [any(map(_shows, row.get("values", ()))) for row in data.get("rowData", ())]
    last = max((place for place, shown in enumerate(shows) if shown), default=-1)
    return Filled(first, first + last if last >= 0 else 0, bool(shows) and shows[0])


def formats(read: Json, column: int) -> dict[int, Json]:
    """The number formats of a row read with FORMATS, by column; `column` is its first, from 0."""
    data: Json = next(iter(read["sheets"][0].get("data", ())), {})
    cells = next((row.get("values", ()) for row in data.get("rowData", ())), ())
    found = {place: cell.get("userEnteredFormat", {}).get("numberFormat") for place, cell in enumerate(cells, column)}
    return {place: form for place, form in found.items() if form}


def has_dates(rows: Iterable[Row]) -> bool:
    """Whether a value is written with a number format."""
    return any(isinstance(value, date | time | timedelta) for row in rows for value in row.values)


def _shows(cell: Json) -> bool:
    value = cell.get("effectiveValue", {})
    if "boolValue" in value:
        is_box = cell.get("dataValidation", {}).get("condition", {}).get("type") == "BOOLEAN"
        return bool(value["boolValue"]) or not is_box
    return bool(value) and value.get("stringValue") != ""


@dataclass(frozen=True)
class BatchPlan:
    """A batch: what to send beside the claim, and the rows of the sheet that it writes."""

    requests: list[Json]
    claim: Claim
    places: list[int]


def plan(
    sheet: WorksheetRows,
    end: int,
    rows: Sequence[Row],
    *,
    column: int,
    width: int,
    batch: str,
    above: Mapping[int, Json] = NONE,
) -> BatchPlan:
    """Put `rows` into the sheet: those without a place below row `end`, one after the other.

    `column` is the first of ours, from 0, and `width` how many there are; `above` are the number formats of row `end`.
    Raises CellError."""
    places, below = [], end
    for row in rows:
        place = row.at or below + 1
        below = max(below, place)
        places.append(place)
    # Blank lines at the end are not there for the next batch.
    written = [place for row, place in zip(rows, places, strict=True) if any(v is not None for v in row.values)]
    last = max([end, *written])
    number = sheet.claims[-1].number + 1 if sheet.claims else 1
    claim = Claim(
        id=metadata_id(KEY, sheet.id, number), number=number, batch=batch, last=last, column=column, width=width
    )
    requests = [
        *(forget(old.id) for old in sheet.claims if old.number <= number - KEPT),
        *_grown(sheet, max(places, default=0), column + max((len(r.values) for r in rows), default=0)),
        *_updates(sheet, rows, places, column, above),
    ]
    return BatchPlan(requests, claim, places)


def _grown(sheet: WorksheetRows, rows: int, columns: int) -> list[Json]:
    """A sheet only grows, and only as far as it must."""
    lacking = {"ROWS": rows - sheet.rows, "COLUMNS": columns - sheet.columns}
    return [
        {"appendDimension": {"sheetId": sheet.id, "dimension": dimension, "length": length}}
        for dimension, length in lacking.items()
        if length > 0
    ]


# -- cells -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    """Neighbouring cells of a row that are written with the same field mask."""

    column: int
    fields: str
    cells: tuple[Cell, ...]


def _updates(
    sheet: WorksheetRows, rows: Sequence[Row], places: Sequence[int], column: int, above: Mapping[int, Json]
) -> Iterable[Json]:
    """As few requests as can be: one for each block of rows below one another that are filled alike."""
    zone = zone_of(sheet.zone) if any(_knows_its_zone(v) for row in rows for v in row.values) else UTC
    runs = [_runs(row, above, column, zone) for row in rows]
    shapes = [tuple((run.column, run.fields, len(run.cells)) for run in row) for row in runs]
    for _, group in groupby(range(len(rows)), key=lambda i: (places[i] - i, shapes[i])):
        block = list(group)
        for n, run in enumerate(runs[block[0]]):
            yield {
                "updateCells": {
                    "start": {"sheetId": sheet.id, "rowIndex": places[block[0]] - 1, "columnIndex": run.column},
                    "rows": [{"values": list(runs[i][n].cells)} for i in block],
                    "fields": run.fields,
                }
            }


def _knows_its_zone(value: object) -> bool:
    return getattr(value, "tzinfo", None) is not None


def _runs(row: Row, above: Mapping[int, Json], column: int, zone: tzinfo) -> list[_Run]:
    """None is an empty cell: a new row leaves it as it is, an overwritten one empties it."""
    made: list[tuple[int, str, Cell]] = []
    for place, value in enumerate(row.values, column):
        found = cell(value, zone)
        if found is None and row.at is None:
            continue
        known = _with_format(found or {}, above.get(place))
        made.append((place, "userEnteredValue" + (",userEnteredFormat.numberFormat" if len(known) > 1 else ""), known))
    runs = []
    for (_, fields), group in groupby(enumerate(made), key=lambda it: (it[1][0] - it[0], it[1][1])):
        cells = [one for _, one in group]
        runs.append(_Run(cells[0][0], fields, tuple(c for _, _, c in cells)))
    return runs


def _with_format(cell: Cell, above: Json | None) -> Cell:
    """A date looks as the one above it, if people chose how."""
    own = cell.get("userEnteredFormat", {}).get("numberFormat")
    if own and above and above.get("type") == own["type"]:
        return {**cell, "userEnteredFormat": {"numberFormat": dict(above)}}
    return cell
