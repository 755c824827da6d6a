"""Answers as Google writes them: without the fields that have their default, and with derived colors.

Google's messages are proto3: a number 0, false, an empty text and an empty list are not written. A field that tells
"unset" from its default is written: one of a wrapper type, such as `bold`, or one of several of which one can be set,
such as `numberValue`. A message without fields is written too: `"foregroundColor": {}` is black.
https://protobuf.dev/programming-guides/json/"""

from __future__ import annotations

from typing import Any

from tallybook_emulators.sheets.colors import COLORS, PARTS, STYLES, float32, with_both

Json = dict[str, Any]
WRITTEN = frozenset(
    {
        # SheetProperties
        "index",
        # GridRange and DimensionRange, but not their sheetId
        "startRowIndex",
        "endRowIndex",
        "startColumnIndex",
        "endColumnIndex",
        "startIndex",
        "endIndex",
        # TextFormat, Color
        "bold",
        "italic",
        "strikethrough",
        "underline",
        "alpha",
        # ExtendedValue, ConditionValue
        "numberValue",
        "stringValue",
        "boolValue",
        "formulaValue",
        "userEnteredValue",
        # SortSpec, TextRotation, UpdateConditionalFormatRuleResponse, ChartAxisViewWindowOptions
        "dimensionIndex",
        "angle",
        "vertical",
        "oldIndex",
        "viewWindowMin",
        "viewWindowMax",
    }
)
"""Fields that are written with their default too."""
WRITTEN_IN = {
    "properties": frozenset({"sheetId"}),
    "location": frozenset({"sheetId"}),
    "metadataLocation": frozenset({"sheetId"}),
    "position": frozenset({"sheetId"}),
    "filterSpecs": frozenset({"columnIndex"}),
}
"""Fields that are written with their default too, by the field that has their message."""
LEFT_OUT_IN = {"textFormatRuns": frozenset({"startIndex"}), "chipRuns": frozenset({"startIndex"})}
"""Exceptions from `WRITTEN`, in the same form."""
MAPS = frozenset({"criteria"})
FLOATS = PARTS | {"bubbleOpacity"}
AS_IS = frozenset({"effectiveValue", "userEnteredValue"})
"""A value of a cell, whatever it is. So are the lists of values in a ValueRange."""
COLORED = COLORS | STYLES
PROPERTIES_METHODS = frozenset({"sheets.spreadsheets.sheets.copyTo"})
"""Methods that answer with SheetProperties."""


def answer(method: str, message: Json) -> Json:
    """The answer of a method as it goes over the wire."""
    return _message(message, "properties" if method in PROPERTIES_METHODS else "")


def _message(message: Json, name: str) -> Json:
    """A message without its defaults. `name` is the field that has it."""
    made: Json = {}
    for field, value in message.items():
        if isinstance(value, dict):
            if value or field not in MAPS:
                made[field] = value if field in AS_IS else _message(value, field)
        elif isinstance(value, list):
            if value:
                made[field] = [_message(one, field) if isinstance(one, dict) else one for one in value]
        elif value or _is_written(field, name):
            made[field] = float32(value) if field in FLOATS else value
    return made if COLORED.isdisjoint(made) else with_both(made, name)


def _is_written(field: str, name: str) -> bool:
    """Whether a field is written with its default."""
    if field in LEFT_OUT_IN.get(name, ()):
        return False
    return field in WRITTEN or field in WRITTEN_IN.get(name, ())
