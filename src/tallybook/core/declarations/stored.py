"""A metric as a book stores it: with its definition, and with what is needed to read its parts years later."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from tallybook.core.declarations.metrics import Metric
from tallybook.core.expression import OperandValue, evaluate
from tallybook.core.measure.model import Measure

ADDS, DAY = "adds", "day"
AS_STORED = "as stored"
"""The form of a dimension that MySQL does not send as it is stored: FLOAT and BIT."""
STORED_BITS = {"true": "1", "false": "0"}


class BoundSlot(msgspec.Struct, frozen=True, kw_only=True):
    """What the source reported about one aggregate: the type of its result, and how its parts are stored."""

    type: str
    """integer, decimal or float."""
    ids: str = ""
    """How ids are stored: "int" as they are; "hash" as 64 bits of the MD5 of their exact text; "value" where the values
    themselves are the ids; "time" where the id is the instant of a first or last value."""
    k: float = 0.0
    """The K of Σ(x−K) and Σ(x−K)² in definitions of the time before each part had its own."""


class StoredDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A metric with its definition: all that a book needs to read its points, now and years later."""

    metric: Metric
    definition: str
    key: str
    """The name under which the points are stored."""
    zone: str
    forms: dict[str, str]
    slots: tuple[BoundSlot, ...]
    checked: bool = False
    """Its parts leave out rows without a day or a number. Parts of the time before that rule may include them."""
    imported: str = ""
    """For imported finished values: ADDS where several may be added, else DAY."""

    @property
    def measure(self) -> Measure:
        """The parsed measure."""
        assert self.metric.parsed is not None
        return self.metric.parsed

    def column(self, dimension: str) -> str:
        """The points column of a dimension."""
        return f"d{self.metric.dims.index(dimension) + 1}"

    def label(self, dimension: str, value: str | None) -> str | None:
        """A value of `--where` as the points contain it: the values of a BIT column of MySQL are 0 and 1."""
        as_stored = self.forms.get(f"dim.{dimension}") == AS_STORED
        return STORED_BITS.get(value.casefold(), value) if as_stored and value is not None else value

    def empty(self) -> OperandValue:
        """The value of the measure over no rows: 0 where 0 is defined, else None."""
        if (second := self.metric.second) is not None:
            return Decimal(0) if second.zero else None
        leaves: list[OperandValue] = [
            None if not slot.zero else 0.0 if bound.type == "float" else Decimal(0)
            for slot, bound in zip(self.measure.slots, self.slots, strict=True)
        ]
        return evaluate(self.measure.shell, leaves)
