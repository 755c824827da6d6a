"""A result as the file of a delivery: read what is there, make what shall be there, replace it in one step."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from io import BytesIO
from pathlib import Path

from tallybook.destinations import refuse_while_open, replacing
from tallybook.destinations.layout import Grid, apart, arranged, to_arrow, to_csv
from tallybook.errors import DestinationError
from tallybook.metrics import Delivery
from tallybook.result import Result

LEFTOVER_SECONDS = 600.0
"""So old a temporary file belongs to a process that was killed."""
MAX_TAB = 31


@dataclass(frozen=True)
class Record:
    """The answer from the first period that a record may lack, for a workbook whose rows stay; `since`: the first period of
    the window."""

    result: Result
    since: date


def write(
    result: Result, delivery: Delivery, path: Path, *, created: datetime, record: Record | None = None
) -> bool:  # fmt: skip
    """Put the answer into the file, `record` where its rows stay; False when it is there already. Raises
    DestinationError."""
    refuse_while_open(path)
    if path.suffix.lower() == ".xlsm" and not path.exists():
        raise DestinationError(
            f"cannot make {path}: a workbook with macros is made in Excel, and only then brought up to date",
            hint="save one there, or write .xlsx",
        )
    _sweep(path)
    seen = _seen(path)
    there = path.read_bytes() if seen else None
    made = _MAKERS[delivery.to](result, delivery, there, created, record)
    if made is None or made == there:
        return False
    with replacing(path) as file:
        file.write(made)
        refuse_while_open(path)
        if _seen(path) != seen:
            raise DestinationError(
                f"{path} was changed by somebody while it was brought up to date", hint="tallybook deliver"
            )
    return True


def _seen(path: Path) -> tuple[int, int, int] | None:
    """What tells one state of a file from another; None where there is none."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if path.is_dir():
        raise DestinationError(f"cannot write {path}: it is a folder", hint="name a file in it")
    return found.st_ino, found.st_size, found.st_mtime_ns


def _sweep(path: Path) -> None:
    """Take away what a killed delivery left beside the file."""
    target = Path(os.path.realpath(path))
    with suppress(OSError):
        for left in target.parent.glob(f".{_literal(target.name)}.*.tmp"):
            if time.time() - left.stat().st_mtime > LEFTOVER_SECONDS:
                left.unlink()


def _literal(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _csv(result: Result, delivery: Delivery, there: bytes | None, created: datetime, record: Record | None) -> bytes:
    guard, separator, decimal = delivery.guard, delivery.separator, delivery.decimal
    if delivery.layout == "columns":
        text = result.to_csv(guard=guard, separator=separator, decimal=decimal)
    else:
        text = to_csv(arranged(result, delivery.layout), guard=guard, separator=separator, decimal=decimal)
    return text.encode("utf-8-sig" if delivery.bom else "utf-8")


def _parquet(
    result: Result, delivery: Delivery, there: bytes | None, created: datetime, record: Record | None
) -> bytes:
    file = BytesIO()
    if delivery.layout == "columns":
        result.to_parquet(file)
    else:
        import pyarrow.parquet as pq

        pq.write_table(to_arrow(arranged(result, delivery.layout)), file, compression="zstd")
    return file.getvalue()


def _xlsx(
    result: Result, delivery: Delivery, there: bytes | None, created: datetime, record: Record | None
) -> bytes | None:
    """None where it stands in the workbook already."""
    from tallybook.destinations.workbooks import Place, updated
    from tallybook.destinations.xlsx import blank_workbook

    since, (rows, totals) = record.since if record else None, apart(result)
    kept_rows, kept_totals = apart(record.result) if record else (None, None)
    tab, layout = delivery.tab_name[:MAX_TAB], delivery.layout
    kept = None if kept_rows is None else arranged(kept_rows, layout)
    grids: list[tuple[Place, Grid]] = [
        (Place(tab=tab, name=delivery.name, record=kept, since=since), arranged(rows, layout))
    ]
    if totals is not None:
        kept = None if kept_totals is None else arranged(kept_totals, layout)
        place = Place(tab=f"{tab[: MAX_TAB - 7]} totals", name=f"{delivery.name}_totals", record=kept, since=since)
        grids.append((place, arranged(totals, layout)))
    return updated(there or blank_workbook(tab, created), grids)


_MAKERS = {"csv": _csv, "parquet": _parquet, "xlsx": _xlsx}
