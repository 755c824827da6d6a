"""Finds filters of deliveries and goals that match nothing, where a typing error would look like a true zero."""

from __future__ import annotations

from tallybook.query.question import Question
from tallybook.query.service import QueryService
from tallybook.query.unseen import unseen_values


def unseen_filter_values(service: QueryService) -> dict[str, list[str]]:
    """A sentence for each filter value that no row of the book ever had, by delivery or goal (such as
    `deliveries.board`)."""
    catalog = service.catalog
    declared = {
        f"deliveries.{d.name}": Question(metrics=d.metrics, by=d.by, where=d.where) for d in catalog.deliveries.values()
    }
    declared |= {
        f"goals.{goal.name}": Question(metrics=[goal.metric], where=goal.where) for goal in catalog.goals.values()
    }
    found = {}
    for place, asked in declared.items():
        if asked.where and service.reader.has_book and (whys := _unseen(service, asked)):
            found[place] = whys
    return found


def _unseen(service: QueryService, question: Question) -> list[str]:
    query = service.check(question)
    with service.reader.reading() as reading:
        unseen = unseen_values(service.reader.context_of(query, None, None, reading), query)
    return [why for whys in unseen.values() for why in whys]
