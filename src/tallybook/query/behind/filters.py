"""Filters of deliveries and goals that find nothing: a typing error would look like a true zero."""

from __future__ import annotations

from collections.abc import Sequence

from tallybook.query.question import Question
from tallybook.query.service import QueryService
from tallybook.query.unseen import unseen_values


def unseen_filter_values(service: QueryService) -> dict[str, list[str]]:
    """By delivery and goal (as `deliveries.board`), a sentence for each filter value that no row of the book ever
    had."""
    catalog = service.catalog
    declared: dict[str, tuple[Sequence[str], Sequence[str]]] = {
        f"deliveries.{d.name}": (d.metrics, d.where) for d in catalog.deliveries.values() if not d.later
    }
    declared |= {f"goals.{goal.name}": ((goal.metric,), goal.where) for goal in catalog.goals.values()}
    found = {}
    for place, (metrics, where) in declared.items():
        if where and service.reader.there and (whys := _unseen(service, Question(metrics=metrics, where=where))):
            found[place] = whys
    return found


def _unseen(service: QueryService, question: Question) -> list[str]:
    query = service.check(question)
    with service.reader.reading() as reading:
        unseen = unseen_values(service.reader.ground(query, None, None, reading), query)
    return [why for whys in unseen.values() for why in whys]
