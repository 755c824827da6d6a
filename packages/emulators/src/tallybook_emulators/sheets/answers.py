"""Formats answers as Google does: fields with their default value are left out, and derived colors are added.

Google's messages are proto3, which omits a number 0, false, an empty text and an empty list. Fields that distinguish
"unset" from the default are written: those of a wrapper type, such as `bold`, and the members of a oneof, such as
`numberValue`. A message without fields is written too: `"foregroundColor": {}` is black.
https://protobuf.dev/programming-guides/json/"""

from __future__ import annotations

from typing import Any

from tallybook_emulators.sheets.colors import COLORS, PARTS, STYLES, float32, with_both_color_fields

Json = dict[str, Any]
WRITTEN = frozenset(
    {
        # SheetProperties
        "index",
        # GridRange and DimensionRange, except their sheetId
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
"""Fields that are written even with their default."""
WRITTEN_IN = {
    "properties": frozenset({"sheetId"}),
    "location": frozenset({"sheetId"}),
    "metadataLocation": frozenset({"sheetId"}),
    "position": frozenset({"sheetId"}),
    "filterSpecs": frozenset({"columnIndex"}),
}
"""Fields that are written even with their default, by the field that contains their message."""
LEFT_OUT_IN = {"textFormatRuns": frozenset({"startIndex"}), "chipRuns": frozenset({"startIndex"})}
"""Exceptions to `WRITTEN`, by the field that contains their message."""
MAPS = frozenset({"criteria"})
FLOATS = PARTS | {"bubbleOpacity"}
AS_IS = frozenset({"effectiveValue", "userEnteredValue"})
"""Fields with the value of a cell. It is written unchanged, like the values of a ValueRange."""
COLORED = COLORS | STYLES
PROPERTIES_METHODS = frozenset({"sheets.spreadsheets.sheets.copyTo"})
"""Methods whose answer is a SheetProperties."""


def answer(method: str, message: Json) -> Json:
    """The answer of a method in its form on the wire."""
    return _message(message, "properties" if method in PROPERTIES_METHODS else "")


def _message(message: Json, name: str) -> Json:
    """A message without its defaults. `name` is the field that contains it."""
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
    return made if COLORED.isdisjoint(made) else with_both_color_fields(made, name)


def _is_written(field: str, name: str) -> bool:
    """Whether a field is written even with its default."""
    if field in LEFT_OUT_IN.get(name, ()):
        return False
    return field in WRITTEN or field in WRITTEN_IN.get(name, ())
