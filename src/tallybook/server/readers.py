"""Readers, and which parts of the book they may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from tallybook.core import ACCOUNTS, FILTER, Catalog, QueryError, RequestError, did_you_mean
from tallybook.query import BoundedQuestion, Question, segments_of
from tallybook.server.answers import Refusal

if TYPE_CHECKING:
    from tallybook.core import Result
    from tallybook.storage import ApiKey


@dataclass(frozen=True, kw_only=True)
class AnswerReader:
    """A reader. An empty bound allows everything.

    `metrics`: the only metrics. `where`: filters that apply to every answer. `events`: the only events, and the only
    events that allowed metrics read. `accounts`: the only accounts."""

    name: str
    """The name shown to people: the name of a key, a person, or "this machine"."""
    key: ApiKey | None = None
    metrics: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    is_ambient: bool = False
    """Whether the browser itself identifies the reader, so that another site could act in the reader's name."""

    @classmethod
    def of_key(cls, key: ApiKey, *, is_ambient: bool = False) -> AnswerReader:
        """The reader who has a key."""
        return cls(
            name=key.name,
            key=key,
            metrics=key.metrics,
            where=key.where,
            events=key.events,
            accounts=key.accounts,
            is_ambient=is_ambient,
        )

    @property
    def is_bound(self) -> bool:
        """Whether this reader may not see everything."""
        return bool(self.metrics or self.where or self.events or self.accounts)

    @property
    def is_filtered(self) -> bool:
        """Whether answers are computed from only some of the series."""
        return bool(self.where or self.accounts)

    @property
    def view(self) -> str:
        """A text that identifies what the reader may see. Readers with the same view have the same text."""
        return repr((self.metrics, self.where, self.events, self.accounts))

    def visible_metrics(self, catalog: Catalog) -> list[str]:
        """The names of the metrics that the reader may query, in the order of the file."""
        return [name for name in catalog.metrics if self._sees(catalog, name)]

    def bounded(self, catalog: Catalog, question: Question) -> Question:
        """The query, limited to what the reader may see.

        Raises QueryError for a metric that this reader does not know, and Refusal for anything else that the bounds do
        not allow."""
        if not self.is_bound:
            return question
        if question.event is not None:
            self._check_event(question.event)
            accounts = self._account_filters("account")
            dimensions: Sequence[str] | None = None
        else:
            names = _listed(question.metrics)
            visible = self.visible_metrics(catalog)
            for name in names:
                if name not in visible:
                    raise QueryError(f"there is no metric {name!r}", hint=did_you_mean(name, visible), field="metrics")
            dimensions = _common(catalog, names)
            accounts = self._account_filters(self._account_dimension(catalog, names, dimensions))
        self._check_where(question, dimensions)
        lists = [list(self.where), accounts]
        return BoundedQuestion.bounded(question, [*question.within, *lists]) if any(lists) else question

    def sees_event(self, event: str) -> bool:
        """Whether the reader may query a usage event."""
        return event in self.events if self.events else not self.metrics

    def seen(self, result: Result) -> Result:
        """The answer without suggestions of values that the reader may not see."""
        if not self.is_filtered:
            return result
        rows = [{**row, "notes": _without_suggestions(row["notes"])} if "notes" in row else row for row in result.data]
        return msgspec.structs.replace(result, data=rows, warnings=[])

    # -- inside

    def _sees(self, catalog: Catalog, name: str) -> bool:
        if self.metrics and name not in self.metrics:
            return False
        if not self.events:
            return True
        return all(catalog.metrics[operand].event in self.events for operand in catalog.operands(name))

    def _check_event(self, event: str) -> None:
        if not self.sees_event(event):
            raise self._not_bound("event", event, self.events or self.metrics)

    def _account_filters(self, dimension: str) -> list[str]:
        return [f"{dimension}={account}" for account in self.accounts]

    def _account_dimension(self, catalog: Catalog, names: Sequence[str], dimensions: Sequence[str]) -> str:
        if not self.accounts:
            return ""
        declared = catalog.entities.get(ACCOUNTS)
        candidates = (*(declared.dimension if declared is not None else ()), "account", "account_id")
        found = next((one for one in candidates if one in dimensions), None)
        if found is None:
            raise self._not_bound("metric", ", ".join(names), self.accounts)
        return found

    def _check_where(self, question: Question, dimensions: Sequence[str] | None) -> None:
        """Raise Refusal if a bound cannot be applied, or if the query asks for something outside of it."""
        allowed: dict[str, set[str]] = {}
        for text in self.where:
            dimension, equal, value = _parts(text)
            if dimensions is not None and "." not in dimension and dimension not in dimensions:
                raise self._not_bound("metric", ", ".join(question.metrics), self.where)
            if equal:
                allowed.setdefault(dimension.casefold(), set()).add(value)
        for text in (*question.where, *_conditions_of_segments(question)):
            if FILTER.match(text) is None:
                continue
            dimension, equal, value = _parts(text)
            if equal and (values := allowed.get(dimension.casefold())) is not None and value not in values:
                raise self._not_bound("value", text, self.where)

    def _not_bound(self, what: str, seen: str, bound: Sequence[str]) -> Refusal:
        return Refusal(
            RequestError(
                status=403,
                code="not_bound",
                message=f"{self.name!r} may not read this {what}",
                seen=seen[:80],
                expected=", ".join(bound)[:500],
            )
        )


def _without_suggestions(notes: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: dict(note) for name, note in notes.items()}
    for note in found.values():
        if "why" in note:
            note["why"] = str(note["why"]).partition("; did you mean")[0]
    return found


def _parts(text: str) -> tuple[str, bool, str]:
    """The dimension of a filter, whether its operator is =, and its value."""
    found = FILTER.match(text)
    assert found is not None, text
    return found["dim"], found["sign"] == "=", found["value"]


def _conditions_of_segments(question: Question) -> list[str]:
    """The conditions of all segments. Raises QueryError for segments that cannot be read."""
    return [text for one in segments_of(question) for text in one.where]


def _common(catalog: Catalog, names: Sequence[str]) -> list[str]:
    """The dimensions that all of these metrics have."""
    lists = [catalog.queryable_dims(name) for name in names if name in catalog.metrics]
    return [one for one in lists[0] if all(one in other for other in lists)] if lists else []


def _listed(given: Sequence[str]) -> list[str]:
    return [part.strip() for one in given for part in one.split(",") if part.strip()]


LOCAL = AnswerReader(name="this machine", is_ambient=True)


def view_hash(value: object) -> str:
    """A short hash of plain values."""
    import hashlib

    return hashlib.blake2b(msgspec.json.encode(value), digest_size=16).hexdigest()
