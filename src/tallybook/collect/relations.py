"""The FROM clause: the table or the SQL of a metric, with the bounds of days in it."""

from __future__ import annotations

import re
from datetime import date

from tallybook.collect.sources.base import Source
from tallybook.collect.sources.dialect import TimeForm
from tallybook.collect.sources.readings import NUMBERS as NUMBER_FORMS
from tallybook.core import Metric, start_of


def relation_of(source: Source, metric: Metric) -> str:
    """The text after FROM. `sql` is inserted unchanged."""
    if metric.sql is not None:
        return f"(\n{metric.sql.strip().rstrip(';')}\n) f"
    assert metric.table is not None
    return source.table_name(metric.table)


def placeholders_filled(source: Source, metric: Metric, relation: str, zone: str) -> str:
    """A relation over all time, for reading it as a whole. Its time form need not be known."""
    form = metric.stored if metric.stored in (*NUMBER_FORMS, "date") else "naive"
    return fill(relation, source, TimeForm(form), zone, date(1970, 1, 1), date(2200, 1, 1))


def fill(relation: str, source: Source, form: TimeForm, zone: str, first: date, after: date) -> str:
    """A relation with `{{from}}` and `{{to}}` replaced by the bounds of [first, after)."""
    if "{{" not in relation:
        return relation
    relation = re.sub(r"\{\{\s*from\s*\}\}", source.bound(form, start_of(first, zone), first), relation)
    return re.sub(r"\{\{\s*to\s*\}\}", source.bound(form, start_of(after, zone), after), relation)
