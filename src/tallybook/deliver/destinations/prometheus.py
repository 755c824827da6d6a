"""The latest values of metrics in the text format of Prometheus, for the textfile collector of its node exporter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any, BinaryIO

from tallybook.core import DELIVER, Delivery, DestinationKind, OptionProblem, Result, is_complete_for
from tallybook.deliver.destinations.base import FileDestination, OutputSettings
from tallybook.deliver.destinations.row_keys import key_text


class Prometheus(FileDestination):
    """For each metric and series, the value of its last complete period and the first day of that period."""

    kind = DestinationKind(name="prometheus", noun="a Prometheus file", endings=(".prom",), uses=(DELIVER,))

    def problems(self, delivery: Delivery, given: Iterable[str]) -> Iterable[OptionProblem]:
        if delivery.totals:
            yield OptionProblem(key="totals", message="Prometheus adds series up itself", expected="without this line")

    def write(self, result: Result, file: BinaryIO, settings: OutputSettings) -> None:
        file.write("".join(_families(result)).encode())


def _families(result: Result) -> Iterator[str]:
    dimensions = [column.name for column in result.dimension_columns]
    for metric in result.metrics:
        rows = _last_rows(result, metric)
        if not rows:
            continue
        name = f"tallybook_value_{metric}"
        yield f"# HELP {name} {metric} of the last complete {result.scope}.\n# TYPE {name} gauge\n"
        for row in rows:
            yield f"{name}{_labels(row, dimensions)} {row[metric]}\n"
        period = f"{name}_period_timestamp_seconds"
        yield f"# HELP {period} The first day of that {result.scope}.\n# TYPE {period} gauge\n"
        yield f"{period} {_timestamp(rows[0]['period'])}\n"


def _last_rows(result: Result, metric: str) -> list[dict[str, Any]]:
    """The rows of the last complete period in which the metric has a value."""
    known = [
        row
        for row in result.data
        if row[metric] is not None and is_complete_for(row, metric) and not (row.get("total") or row.get("others"))
    ]
    last = max((row["period"] for row in known if row["period"] is not None), default=None)
    return [dict(row) for row in known if row["period"] == last]


def _timestamp(day: date | None) -> int:
    return (day - date(1970, 1, 1)).days * 86400 if day is not None else 0


def _labels(row: dict[str, Any], dimensions: list[str]) -> str:
    """The labels for the dimensions. A null dimension gets no label. Prometheus takes an empty label for none, so the
    empty text has a name."""
    given = {name: key_text(str(row[name])) for name in dimensions if row[name] is not None}
    escaped = {k: v.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for k, v in given.items()}
    return "{" + ",".join(f'{key}="{value}"' for key, value in escaped.items()) + "}" if given else ""
