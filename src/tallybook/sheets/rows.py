"""Positions of rows in a sheet, and the batch that writes the rows. Pure: takes what was read, returns requests.

Rows are appended below the last row in which one of our columns shows a value. They are sent with their positions,
as `updateCells`. A claim protects the positions from concurrent writers: an entry of developer metadata whose id is
derived from the sheet and a sequence number. Two writers that read the same sheet claim the same number. Google
accepts the first batch and refuses the second as a whole; the second writer then reads the sheet again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, time, timedelta, tzinfo
from itertools import groupby

from tallybook.sheets.cells import Cell, cell, zone_of
from tallybook.sheets.marks import DELIVERY, Json, metadata_id, metadata_removal

NONE: Mapping[int, Json] = {}
KEY = "tallybook.rows"
MAX_CLAIMS = 50
"""Maximum number of claims on a sheet; they use 2 of its 30 kB. They identify a batch whose response was lost, and keep
the number of a delayed batch reserved."""
SHAPE = "properties.timeZone,sheets(properties(sheetId,title,sheetType,hidden,gridProperties),developerMetadata)"
"""The fields that describe the sheets, without cells."""
CELLS = f"{SHAPE[:-1]},data(startRow,rowData.values(effectiveValue,dataValidation.condition.type)))"
"""The same, plus the displayed values of our columns, and validation rules, which identify unchecked boxes."""
FORMATS = "sheets.data.rowData.values.userEnteredFormat.numberFormat"
"""The fields with the number formats of cells."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A finished row. `at`: the row to overwrite, counted from 1; None: append it below the last row."""

    values: tuple[object, ...]
    at: int | None = None


@dataclass(frozen=True, kw_only=True)
class Claim:
    """An entry that a batch left on the sheet: its number, its id, the last row, the first column (counted from 0) and
    the number of columns."""

    id: int
    number: int
    batch: str
    last: int
    column: int
    width: int

    def value(self) -> str:
        """The text of the entry."""
        return f"{self.number} {self.batch} {self.last} {self.column} {self.width}"


@dataclass(frozen=True, kw_only=True)
class WorksheetRows:
    """The state of a worksheet as it was read."""

    id: int
    title: str
    rows: int
    columns: int
    hidden: bool = False
    grid: bool = True
    """False for a chart or a connected source, which have no cells."""
    zone: str = "Etc/GMT"
    claims: tuple[Claim, ...] = ()
    """Oldest first."""
    delivery: str = ""
    """The delivery that writes to it, as `<book>/<delivery>`; empty without a delivery."""

    def has_batch(self, batch: str) -> bool:
        """Whether a batch was applied."""
        return any(claim.batch == batch for claim in self.claims)

    def newest(self, column: int) -> Claim | None:
        """The last claim whose rows begin at this column. Other programs may write to other columns."""
        return next((claim for claim in reversed(self.claims) if claim.column == column), None)


@dataclass(frozen=True)
class Filled:
    """The filled rows among the rows from `first` on, judged by our columns."""

    first: int
    last: int
    """The last row with a value, counted from 1; 0: none."""
    begins: bool
    """Whether row `first` has a value."""


def sheets_of(read: Json) -> list[WorksheetRows]:
    """The worksheets of a Spreadsheet read with SHAPE, in the order of the tabs."""
    zone = read.get("properties", {}).get("timeZone", "Etc/GMT")
    return [_sheet(found, zone) for found in read.get("sheets", ())]


def _sheet(found: Json, zone: str) -> WorksheetRows:
    properties = found["properties"]
    grid = properties.get("gridProperties", {})
    entries = found.get("developerMetadata", ())
    claims = (_claim(entry) for entry in entries if entry.get("metadataKey") == KEY)
    owned = (str(entry.get("metadataValue", "")) for entry in entries if entry.get("metadataKey") == DELIVERY)
    return WorksheetRows(
        id=properties.get("sheetId", 0),
        title=properties.get("title", ""),
        rows=grid.get("rowCount", 0),
        columns=grid.get("columnCount", 0),
        hidden=properties.get("hidden", False),
        grid=properties.get("sheetType", "GRID") == "GRID",
        zone=zone,
        claims=tuple(sorted((c for c in claims if c), key=lambda c: c.number)),
        delivery=next(owned, "").rpartition("#")[0],
    )


def _claim(entry: Json) -> Claim | None:
    """The claim in an entry; None if a person or another program changed it."""
    try:
        number, batch, *places = entry["metadataValue"].split()
        last, column, width = map(int, places)
        return Claim(id=entry["metadataId"], number=int(number), batch=batch, last=last, column=column, width=width)
    except (ValueError, KeyError, TypeError):
        return None


def filled(read: Json) -> Filled:
    """The filled rows of a sheet read with CELLS. Empty results of formulas and unchecked boxes do not count."""
    data: Json = next(iter(read["sheets"][0].get("data", ())), {})
    first = data.get("startRow", 0) + 1
    shows = [any(map(_shows, row.get("values", ()))) for row in data.get("rowData", ())]
    last = max((place for place, shown in enumerate(shows) if shown), default=-1)
    return Filled(first, first + last if last >= 0 else 0, bool(shows) and shows[0])


def formats(read: Json, column: int) -> dict[int, Json]:
    """The number formats of a row read with FORMATS, by column. `column`: the first column, counted from 0."""
    data: Json = next(iter(read["sheets"][0].get("data", ())), {})
    cells = next((row.get("values", ()) for row in data.get("rowData", ())), ())
    found = {place: cell.get("userEnteredFormat", {}).get("numberFormat") for place, cell in enumerate(cells, column)}
    return {place: form for place, form in found.items() if form}


def has_dates(rows: Iterable[Row]) -> bool:
    """Whether any value needs a number format."""
    return any(isinstance(value, date | time | timedelta) for row in rows for value in row.values)


def _shows(cell: Json) -> bool:
    value = cell.get("effectiveValue", {})
    if "boolValue" in value:
        is_box = cell.get("dataValidation", {}).get("condition", {}).get("type") == "BOOLEAN"
        return bool(value["boolValue"]) or not is_box
    return bool(value) and value.get("stringValue") != ""


@dataclass(frozen=True)
class BatchPlan:
    """A batch: its requests, its claim, and the rows of the sheet that it writes."""

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
    """The batch that writes `rows`. Rows without a position go below row `end`, in order.

    `column`: our first column, counted from 0. `width`: the number of our columns. `above`: the number formats of
    row `end`. Raises CellError."""
    places, below = [], end
    for row in rows:
        place = row.at or below + 1
        below = max(below, place)
        places.append(place)
    # The next batch does not see blank lines at the end.
    written = [place for row, place in zip(rows, places, strict=True) if any(v is not None for v in row.values)]
    last = max([end, *written])
    number = sheet.claims[-1].number + 1 if sheet.claims else 1
    claim = Claim(
        id=metadata_id(KEY, sheet.id, number), number=number, batch=batch, last=last, column=column, width=width
    )
    requests = [
        *(metadata_removal(old.id) for old in sheet.claims if old.number <= number - MAX_CLAIMS),
        *_grown(sheet, max(places, default=0), column + max((len(r.values) for r in rows), default=0)),
        *_updates(sheet, rows, places, column, above),
    ]
    return BatchPlan(requests, claim, places)


def _grown(sheet: WorksheetRows, rows: int, columns: int) -> list[Json]:
    """Requests that add the missing rows and columns to the sheet."""
    lacking = {"ROWS": rows - sheet.rows, "COLUMNS": columns - sheet.columns}
    return [
        {"appendDimension": {"sheetId": sheet.id, "dimension": dimension, "length": length}}
        for dimension, length in lacking.items()
        if length > 0
    ]


# -- cells -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    """Adjacent cells of a row that are written with the same field mask."""

    column: int
    fields: str
    cells: tuple[Cell, ...]


def _updates(
    sheet: WorksheetRows, rows: Sequence[Row], places: Sequence[int], column: int, above: Mapping[int, Json]
) -> Iterable[Json]:
    """The minimal list of requests: one for each block of consecutive rows with the same filled columns."""
    zone = zone_of(sheet.zone) if any(_is_aware(v) for row in rows for v in row.values) else UTC
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


def _is_aware(value: object) -> bool:
    """Whether a value has a time zone."""
    return getattr(value, "tzinfo", None) is not None


def _runs(row: Row, above: Mapping[int, Json], column: int, zone: tzinfo) -> list[_Run]:
    """Runs of cells of a row. None is an empty cell: a new row leaves it unchanged, an overwritten row clears it."""
    made: list[tuple[int, str, Cell]] = []
    for place, value in enumerate(row.values, column):
        found = cell(value, zone)
        if found is None and row.at is None:
            continue
        known = _with_format(found or {}, above.get(place))
        made.append((place, "userEnteredValue" + (",userEnteredFormat.numberFormat" if len(known) > 1 else ""), known))
    runs = []
    for (_, fields), group in groupby(enumerate(made), key=lambda it: (it[1][0] - it[0], it[1][1])):
        cells = [item for _, item in group]
        runs.append(_Run(cells[0][0], fields, tuple(c for _, _, c in cells)))
    return runs


def _with_format(cell: Cell, above: Json | None) -> Cell:
    """The cell of a date, in the format of the cell above it, which people may have chosen."""
    form = cell.get("userEnteredFormat", {}).get("numberFormat")
    if form and above and above.get("type") == form["type"]:
        return {**cell, "userEnteredFormat": {"numberFormat": dict(above)}}
    return cell
