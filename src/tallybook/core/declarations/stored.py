"""A metric as a book stores it: with its definition, and everything needed to read its parts years later."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from tallybook.core.declarations.metrics import Metric
from tallybook.core.expression import OperandValue, evaluate
from tallybook.core.measure.model import Measure

ADDS, DAY = "adds", "day"
AS_STORED = "as stored"
"""The form of a dimension whose values MySQL sends in another form than the stored one: FLOAT and BIT."""
STORED_BITS = {"true": "1", "false": "0"}


class BoundSlot(msgspec.Struct, frozen=True, kw_only=True):
    """What the source reported about one aggregate: the type of its result, and how its parts are stored."""

    type: str
    """integer, decimal or float."""
    ids: str = ""
    """How ids are stored. "int": unchanged. "hash": 64 bits of the MD5 of their exact text. "value": the values
    themselves are the ids. "time": the id is the instant of a first or last value."""
    k: float = 0.0
    """The K of Σ(x−K) and Σ(x−K)² in old definitions, from before each part had its own K."""


class StoredDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A metric with its definition: everything that a book needs to read its points, now and years later."""

    metric: Metric
    definition: str
    key: str
    """The name under which the points are stored."""
    zone: str
    forms: dict[str, str]
    slots: tuple[BoundSlot, ...]
    checked: bool = False
    """Whether its parts leave out rows without a day or a number. Older parts may include them."""
    imported: str = ""
    """For imported finished values: ADDS if several may be added, else DAY."""

    @property
    def measure(self) -> Measure:
        """The parsed measure."""
        assert self.metric.parsed is not None
        return self.metric.parsed

    def column(self, dimension: str) -> str:
        """The points column of a dimension."""
        return f"d{self.metric.dims.index(dimension) + 1}"

    def label(self, dimension: str, value: str | None) -> str | None:
        """A value of `--where` in the form that the points contain: the values of a BIT column of MySQL are 0 and 1."""
        as_stored = self.forms.get(f"dim.{dimension}") == AS_STORED
        return STORED_BITS.get(value.casefold(), value) if as_stored and value is not None else value

    def empty(self) -> OperandValue:
        """The value of the measure over no rows: 0 if the measure defines that, else None."""
        if (second := self.metric.second) is not None:
            return Decimal(0) if second.zero else None
        leaves: list[OperandValue] = [
            None if not slot.zero else 0.0 if bound.type == "float" else Decimal(0)
            for slot, bound in zip(self.measure.slots, self.slots, strict=True)
        ]
        return evaluate(self.measure.shell, leaves)
