"""The page docs/reference-toml.md: every key with its meaning, default and example."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from docs.generated import MADE
from docs.key_meanings import (
    ALERT,
    BOARD,
    BOOK,
    DELIVERY,
    ENTITIES,
    EVENT,
    EVENTS,
    GOAL,
    MESSAGE,
    METRIC,
    METRIC_ATTRIBUTE,
    NOTE,
    RULE,
    SCHEDULE,
    SERIES,
    SERVE,
    SOURCE,
    VIEW,
)
from tallybook.config.catalog.keys import (
    ALERT_KEYS,
    BOARD_KEYS,
    BOOK_KEYS,
    DELIVERY_KEYS,
    ENTITY_KEYS,
    EVENT_KEYS,
    EVENTS_KEYS,
    GOAL_KEYS,
    MESSAGE_KEYS,
    METRIC_ATTRIBUTE_KEYS,
    METRIC_KEYS,
    NOTE_KEYS,
    RULE_KEYS,
    SCHEDULE_KEYS,
    SERIES_KEYS,
    SERVE_KEYS,
    SOURCE_KEYS,
    VIEW_KEYS,
    Key,
)
from tallybook.config.catalog.words import toml
from tallybook.core import (
    ALERT_KINDS,
    RESERVED_NAMES,
    AlertSettings,
    Board,
    BoardSeries,
    BoardView,
    BookSettings,
    Delivery,
    EntitySettings,
    EventDeclaration,
    EventLimits,
    EventSettings,
    Goal,
    InAppMessage,
    Metric,
    MetricAttribute,
    Note,
    Rule,
    ScheduleSettings,
    ServeSettings,
    SourceSettings,
)
from tallybook.core.adapters.destinations import DELIVER, destination_kinds
from tallybook.core.adapters.registry import Option
from tallybook.core.adapters.sources import REGISTRY, SourceKind

SPANS = {
    "statement_timeout",
    "lock_timeout",
    "snapshot_grace",
    "jitter",
    "max_load",
    "downtime",
    "dedup",
    "future",
    "every",
}
DAYS = {"lookback", "keep_versions", "carry", "unusual_history", "history", "keep"}


INTRODUCTION = (
    'Every key. Spans are a number with `s`, `m`, `h`, `d` or `w`, as `"3d"`; days are `"2023-01-31"`. '
    "`${NAME}` and `${NAME:-default}` are replaced in every string, from the environment and from "
    "`.env` beside the file; `$${` is a literal `${`. A file `metrics/NAME.sql` is the `sql` of a metric, "
    "its leading `-- key = value` lines the other keys; "
    "functions in `metrics/*.py` are found automatically.\n"
)
METRICS_AS_ATTRIBUTES = (
    'Attributes that are metrics, each a table: `api_calls_7d = { metric = "api_calls", last = "7 days" }`. '
    "See [users and accounts](accounts.md#metrics-as-attributes).\n"
)


def reference_toml() -> str:
    sections = [*_single_sections(), *_named_sections()]
    checked = "`tallybook check` lists every mistake at once, with a line to paste.\n"
    return "\n".join(["# tallybook.toml\n", MADE, INTRODUCTION, checked, *sections, _reserved_names()])


def _section(title: str, *texts: str) -> list[str]:
    """A heading with its texts."""
    return [f"## {title}\n", *texts]


def _single_sections() -> list[str]:
    """The tables that the file has once."""
    see_limits = "See [events](events.md#limits). The keys with `max_` are limits of requests and events.\n"
    return [
        *_section("[book]", _keys(BOOK_KEYS, BOOK, BookSettings)),
        *_section("[schedule]", "See [every day](schedule.md).\n", _keys(SCHEDULE_KEYS, SCHEDULE, ScheduleSettings)),
        *_section("[serve]", "See [events](events.md).\n", _keys(SERVE_KEYS, SERVE, ServeSettings)),
        *_section("[events]", see_limits, _keys(EVENTS_KEYS, EVENTS, EventSettings, EventLimits)),
        *_section(
            "[events.NAME]", "See [events](events.md#declared-events).\n", _keys(EVENT_KEYS, EVENT, EventDeclaration)
        ),
        *_section(
            "[accounts], [users]",
            "See [users and accounts](accounts.md).\n",
            _keys(ENTITY_KEYS, ENTITIES, EntitySettings),
        ),
        *_section(
            "[accounts.metrics], [users.metrics]",
            METRICS_AS_ATTRIBUTES,
            _keys(METRIC_ATTRIBUTE_KEYS, METRIC_ATTRIBUTE, MetricAttribute),
        ),
        *_section("[alerts]", "See [alerts](alerts.md).\n", _keys(ALERT_KEYS, ALERT, AlertSettings)),
    ]


def _named_sections() -> list[str]:
    """The tables that the file has once for each name."""
    own_keys = "Keys that only some kinds of sources have:\n"
    deliveries = _keys(DELIVERY_KEYS, DELIVERY, Delivery, options=_delivery_options())
    return [
        *_section("[sources.NAME]", _keys(SOURCE_KEYS, SOURCE, SourceSettings), own_keys, _options(REGISTRY.kinds())),
        *_section("[metrics.NAME]", _keys(METRIC_KEYS, METRIC, Metric)),
        *_section("[goals.NAME]", "See [goals](goals.md).\n", _keys(GOAL_KEYS, GOAL, Goal)),
        *_section("[boards.NAME]", "See [pages](pages.md#boards).\n", _keys(BOARD_KEYS, BOARD, Board)),
        *_section("Views of a board", _keys(VIEW_KEYS, VIEW, BoardView)),
        *_section("Series of a view", _keys(SERIES_KEYS, SERIES, BoardSeries)),
        *_section("[[notes]]", "See [pages](pages.md#notes).\n", _keys(NOTE_KEYS, NOTE, Note)),
        *_section("[deliveries.NAME]", "See [deliveries](deliveries.md).\n", deliveries),
        *_section("[rules.NAME]", "See [rules](rules.md).\n", _keys(RULE_KEYS, RULE, Rule)),
        *_section(
            "[messages.NAME]",
            "See [messages](rules.md#messages-in-your-product).\n",
            _keys(MESSAGE_KEYS, MESSAGE, InAppMessage),
        ),
    ]


def _reserved_names() -> str:
    return (
        "Names have letters, digits and `_`, and do not begin with a digit. These are words of every "
        "answer and cannot be names of metrics or dimensions: "
        f"{', '.join(f'`{n}`' for n in sorted(RESERVED_NAMES))}.\n"
    )


def _delivery_options() -> list[Option]:
    """The keys that only some destinations have."""
    return [option for kind in destination_kinds(DELIVER) for option in kind.options]


def _keys(keys: Mapping[str, Key], meanings: Mapping[str, str], *settings: Any, options: Sequence[Option] = ()) -> str:
    if set(keys) != set(meanings):
        raise SystemExit(
            f"docs/key_meanings.py does not describe exactly the existing keys: {sorted(set(keys) ^ set(meanings))}"
        )
    defaults = {field.name: field.default for one in settings for field in msgspec.structs.fields(one)}
    rows = ["| key | meaning | default | example |", "|---|---|---|---|"]
    for name, key in keys.items():
        default = _default(name, defaults.get(key.field or name, msgspec.NODEFAULT))
        example = f"`{name} = {key.example}`" if key.example else ""
        rows.append(f"| `{name}` | {meanings[name]} | {default} | {example} |")
    for option in options:
        default, example = _default(option.name, option.default), f"`{option.name} = {option.example}`"
        rows.append(f"| `{option.name}` | {option.help} | {default} | {example} |")
    return "\n".join(rows) + "\n"


def _options(kinds: Iterable[SourceKind]) -> str:
    """The own keys of adapters, as their descriptors name them, also of those that another package installed."""
    rows = ["| source | key | meaning | default | example |", "|---|---|---|---|---|"]
    for kind in kinds:
        for option in kind.options:
            default = "" if option.default in (None, (), "") else f"`{toml(option.default)}`"
            example = f"`{option.name} = {option.example}`"
            rows.append(f"| {kind.title or kind.name} | `{option.name}` | {option.help} | {default} | {example} |")
    return "\n".join(rows) + "\n"


def _default(name: str, value: Any) -> str:
    if value is msgspec.NODEFAULT or value is None or value in ((), {}, "", ALERT_KINDS):
        return ""
    if name in DAYS:
        return f'`"{value}d"`'
    if name in SPANS:
        if value >= 172800:
            return f'`"{value / 86400:g}d"`'
        size, unit = (3600, "h") if value >= 3600 else (60, "m") if value >= 300 else (1, "s")
        return f'`"{value / size:g}{unit}"`'
    return (
        f"`{str(value).lower()}`"
        if isinstance(value, bool)
        else f'`"{value}"`'
        if isinstance(value, str)
        else f"`{value}`"
    )
