"""The tables of a ledger: one text for all databases, with a number that grows when the tables change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tallybook.core import BookError

NUMBER = 7
"""History of the number.

2: `sha256` of files, and `followed`. 3: `alerts`. 4: ranges of days in `coverage`, `identities`, and `horizons`. 5:
usage events and keys (`EVENT_TABLES`). 6: users and accounts, `request_claims`, and `event_pushed`
(`ENTITY_TABLES`), hashes of `id_runs`, and in PostgreSQL the log and files of events. 7: `ACTION_TABLES`."""
EPOCH = "0001-01-01T00:00:00.000000Z"
TABLES = """
CREATE TABLE versions (
    version {number} PRIMARY KEY, at {instant} NOT NULL, run {number}, what {text} NOT NULL,
    cleaned {number} NOT NULL DEFAULT 0);
CREATE TABLE files (
    id {id}, path {text} NOT NULL UNIQUE, kind {text} NOT NULL, metric {text} NOT NULL,
    first_day {day} NOT NULL, last_day {day} NOT NULL, row_count {number} NOT NULL, byte_count {number} NOT NULL,
    format {number} NOT NULL, added {number} NOT NULL REFERENCES versions, removed {number} REFERENCES versions,
    sha256 {text});
CREATE INDEX files_current ON files (removed, added);
CREATE TABLE coverage (
    metric {text} NOT NULL, definition {text} NOT NULL, first_day {day} NOT NULL, last_day {day} NOT NULL,
    day_count {number} NOT NULL, run {number}, instant {text}, added {number} NOT NULL REFERENCES versions,
    removed {number} REFERENCES versions,
    PRIMARY KEY (metric, definition, first_day, added)){rowless};
CREATE TABLE definitions (
    metric {text} NOT NULL, definition {text} NOT NULL, declared {text} NOT NULL, body {text} NOT NULL,
    created {instant} NOT NULL, used {instant} NOT NULL,
    PRIMARY KEY (metric, definition));
CREATE TABLE runs (
    run {id}, what {text} NOT NULL, started {instant} NOT NULL, finished {instant},
    status {text} NOT NULL, host {text} NOT NULL, pid {number} NOT NULL, report {text} NOT NULL DEFAULT '{{}}');
CREATE TABLE leases (
    job {text} PRIMARY KEY, holder {text}, fence {number} NOT NULL, heartbeat {instant} NOT NULL,
    expires {instant} NOT NULL);
CREATE TABLE revisions (
    id {id}, metric {text} NOT NULL, definition {text} NOT NULL, day {day} NOT NULL,
    series {text} NOT NULL, old {text}, new {text}, run {number}, at {instant} NOT NULL);
CREATE INDEX revisions_metric ON revisions (metric, day);
CREATE TABLE followed (
    metric {text} NOT NULL, definition {text} NOT NULL, follows {text} NOT NULL, seen {instant} NOT NULL,
    waiting {text} NOT NULL, PRIMARY KEY (metric, definition)){rowless};
CREATE TABLE horizons (
    run {number} NOT NULL, source {text} NOT NULL, until {instant} NOT NULL, PRIMARY KEY (run, source)){rowless};
CREATE TABLE metric_keys (name {text} PRIMARY KEY, key {text} NOT NULL);
CREATE TABLE deliveries (
    delivery {text} PRIMARY KEY, version {number} NOT NULL, delivered {instant} NOT NULL,
    state {text} NOT NULL DEFAULT '{{}}');
CREATE TABLE identities (
    name {text} NOT NULL, run {number} NOT NULL, value {text} NOT NULL, at {instant} NOT NULL,
    PRIMARY KEY (name, run)){rowless};
CREATE TABLE alerts (cause {text} PRIMARY KEY, metric {text}, state {text} NOT NULL);
CREATE TABLE event_commits (number {number} PRIMARY KEY, at {instant} NOT NULL);
CREATE TABLE event_files (
    id {id}, event {text} NOT NULL, path {text} NOT NULL UNIQUE, first {instant} NOT NULL, last {instant} NOT NULL,
    received_first {instant} NOT NULL, received_last {instant} NOT NULL, rows {number} NOT NULL,
    bytes {number} NOT NULL, sha256 {text} NOT NULL, added {number} NOT NULL REFERENCES event_commits,
    removed {number} REFERENCES event_commits);
CREATE INDEX event_files_current ON event_files (removed, event);
CREATE TABLE event_logs (
    host {text} NOT NULL, file {text} NOT NULL, consumed {number} NOT NULL, closed {number} NOT NULL,
    PRIMARY KEY (host, file)){rowless};
CREATE TABLE event_days (
    event {text} NOT NULL, day {day} NOT NULL, number {number} NOT NULL, PRIMARY KEY (event, day, number)){rowless};
CREATE TABLE event_schema (
    event {text} NOT NULL, property {text} NOT NULL, type {text} NOT NULL, since {number} NOT NULL,
    spelled {text} NOT NULL, conflicts {number} NOT NULL, PRIMARY KEY (event, property)){rowless};
CREATE TABLE event_closed (
    event {text} NOT NULL, day {day} NOT NULL, key {text} NOT NULL, at {instant} NOT NULL,
    PRIMARY KEY (event, day, key)){rowless};
CREATE TABLE event_hosts (host {text} PRIMARY KEY, sealed {instant}, seen {instant}, lost {instant});
CREATE TABLE event_runs (run {number} PRIMARY KEY, number {number} NOT NULL);
CREATE TABLE served (
    host {text} NOT NULL, first {instant} NOT NULL, last {instant} NOT NULL, PRIMARY KEY (host, first)){rowless};
CREATE TABLE keys (
    name {text} PRIMARY KEY, hash {text} NOT NULL UNIQUE, scopes {text} NOT NULL, events {text} NOT NULL,
    accounts {text} NOT NULL, limits {text} NOT NULL, created {instant} NOT NULL, expires {instant},
    revoked {instant}, seen {instant});
CREATE TABLE id_runs (
    path {text} PRIMARY KEY, first {instant} NOT NULL, last {instant} NOT NULL, rows {number} NOT NULL,
    bytes {number} NOT NULL DEFAULT 0, sha256 {text} NOT NULL DEFAULT '');
CREATE TABLE entity_commits (number {number} PRIMARY KEY, at {instant} NOT NULL);
CREATE TABLE entities (
    kind {text} NOT NULL, id {text} NOT NULL, row {text} NOT NULL, version {number} NOT NULL, deleted {instant},
    PRIMARY KEY (kind, id)){rowless};
CREATE TABLE attribute_schema (
    kind {text} NOT NULL, attribute {text} NOT NULL, type {text} NOT NULL, since {number} NOT NULL,
    spelled {text} NOT NULL, conflicts {number} NOT NULL, PRIMARY KEY (kind, attribute)){rowless};
CREATE TABLE attribute_changes (
    kind {text} NOT NULL, id {text} NOT NULL, number {number} NOT NULL, place {number} NOT NULL,
    time {instant} NOT NULL, received {instant} NOT NULL, origin {text} NOT NULL, run {number}, changes {text} NOT NULL,
    PRIMARY KEY (kind, id, number, place)){rowless};
CREATE TABLE attribute_files (
    id {id}, kind {text} NOT NULL, path {text} NOT NULL UNIQUE, first {instant} NOT NULL, last {instant} NOT NULL,
    rows {number} NOT NULL, bytes {number} NOT NULL, sha256 {text} NOT NULL, added {number} NOT NULL,
    removed {number});
CREATE TABLE request_claims (
    key {text} NOT NULL, request {text} NOT NULL, body {text} NOT NULL, at {instant} NOT NULL,
    PRIMARY KEY (key, request)){rowless};
CREATE TABLE event_pushed (
    event {text} NOT NULL, day {day} NOT NULL, key {text} NOT NULL, PRIMARY KEY (event, day, key)){rowless};
CREATE TABLE series_slots (
    dimension {text} NOT NULL, value {text} NOT NULL, slot {number} NOT NULL, PRIMARY KEY (dimension, value)){rowless};
CREATE TABLE event_kept (first {day} PRIMARY KEY, number {number} NOT NULL, at {instant} NOT NULL);
CREATE INDEX entities_by_version ON entities (kind, version);
CREATE TABLE shares (
    id {text} PRIMARY KEY, payload {text} NOT NULL, created {instant} NOT NULL, maker {text} NOT NULL,
    until {instant} NOT NULL, revoked {instant}, seen {instant});
CREATE TABLE identity_links (
    alias {text} PRIMARY KEY, canonical {text} NOT NULL, key {text} NOT NULL, at {instant} NOT NULL,
    number {number} NOT NULL){rowless};
CREATE INDEX identity_links_user ON identity_links (canonical);
CREATE TABLE identity_days (
    event {text} NOT NULL, day {day} NOT NULL, number {number} NOT NULL, PRIMARY KEY (event, day)){rowless};
CREATE TABLE outbox (
    delivery {text} NOT NULL, item {text} NOT NULL, hash {text} NOT NULL, state {text} NOT NULL,
    attempts {number} NOT NULL DEFAULT 0, next {instant} NOT NULL, at {instant} NOT NULL,
    answer {text} NOT NULL DEFAULT '', day {text} NOT NULL, version {number} NOT NULL, body {text} NOT NULL,
    PRIMARY KEY (delivery, item)){rowless};
CREATE INDEX outbox_next ON outbox (delivery, state, next);
CREATE TABLE outbox_folded (
    delivery {text} NOT NULL, day {day} NOT NULL, version {number} NOT NULL, hash {text} NOT NULL,
    items {number} NOT NULL, PRIMARY KEY (delivery, day)){rowless};
CREATE TABLE outbox_gone (
    delivery {text} NOT NULL, day {text} NOT NULL, item {text} NOT NULL, PRIMARY KEY (delivery, day, item)){rowless};
CREATE TABLE outbox_wanted (
    delivery {text} NOT NULL, entity {text} NOT NULL, number {number} NOT NULL, body {text} NOT NULL,
    PRIMARY KEY (delivery, entity)){rowless};
CREATE TABLE outbox_attributes (
    delivery {text} NOT NULL, entity {text} NOT NULL, attribute {text} NOT NULL, hash {text} NOT NULL,
    at {instant} NOT NULL, PRIMARY KEY (delivery, entity, attribute)){rowless};
CREATE TABLE outbox_deliveries (
    delivery {text} PRIMARY KEY, version {number} NOT NULL, entities {number} NOT NULL, question {text} NOT NULL,
    at {instant} NOT NULL, stopped {text} NOT NULL DEFAULT '', failures {number} NOT NULL DEFAULT 0,
    again {instant}, said {text} NOT NULL DEFAULT '', held {text});
CREATE TABLE outbox_pace (
    place {text} PRIMARY KEY, day {text} NOT NULL, requests {number} NOT NULL, slot {number} NOT NULL);
CREATE TABLE outbox_trace (
    delivery {text} NOT NULL, number {number} NOT NULL, at {instant} NOT NULL, items {number} NOT NULL,
    first {text} NOT NULL, outcome {text} NOT NULL, status {number} NOT NULL, seconds {text} NOT NULL,
    answer {text} NOT NULL, PRIMARY KEY (delivery, number)){rowless};
CREATE TABLE outbox_subscriptions (
    id {text} PRIMARY KEY, delivery {text} NOT NULL, target {text} NOT NULL, key {text} NOT NULL,
    created {instant} NOT NULL, ended {instant}, why {text} NOT NULL DEFAULT '');
CREATE TABLE rule_evaluations (
    number {number} PRIMARY KEY, at {instant} NOT NULL, day {day} NOT NULL, version {number} NOT NULL,
    report {text} NOT NULL);
CREATE TABLE rule_definitions (
    rule {text} PRIMARY KEY, kind {text} NOT NULL, definition {text} NOT NULL, number {number} NOT NULL);
CREATE TABLE rule_states (
    path {text} PRIMARY KEY, kind {text} NOT NULL, number {number} NOT NULL, whole {number} NOT NULL,
    rows {number} NOT NULL, bytes {number} NOT NULL, sha256 {text} NOT NULL, removed {number});
CREATE TABLE firings (
    rule {text} NOT NULL, entity {text} NOT NULL, number {number} NOT NULL, edge {text} NOT NULL,
    kind {text} NOT NULL, at {instant} NOT NULL, day {day} NOT NULL, "values" {text} NOT NULL, why {text} NOT NULL,
    state {text} NOT NULL, due {instant}, restated {text}, PRIMARY KEY (rule, entity, number, edge)){rowless};
CREATE INDEX firings_entity ON firings (kind, entity);
CREATE TABLE collisions (
    rule {text} NOT NULL, entity {text} NOT NULL, number {number} NOT NULL, kind {text} NOT NULL, at {instant} NOT NULL,
    why {text} NOT NULL, winner {text}, PRIMARY KEY (rule, entity, number)){rowless};
CREATE TABLE message_states (
    message {text} NOT NULL, rule {text} NOT NULL, entity {text} NOT NULL, viewer {text} NOT NULL,
    number {number} NOT NULL, shown {instant}, clicked {instant}, dismissed {instant}, times {number} NOT NULL,
    PRIMARY KEY (message, rule, entity, viewer, number)){rowless};
CREATE TABLE audit_lines (
    at {instant} NOT NULL, id {text} NOT NULL, line {text} NOT NULL, PRIMARY KEY (at, id)){rowless};
INSERT INTO versions VALUES (0, '0001-01-01T00:00:00.000000Z', NULL, 'empty', 0)
"""
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "versions": ("version", "at", "run", "what", "cleaned"),
    "files": (
        "id",
        "path",
        "kind",
        "metric",
        "first_day",
        "last_day",
        "row_count",
        "byte_count",
        "format",
        "added",
        "removed",
        "sha256",
    ),
    "coverage": (
        "metric",
        "definition",
        "first_day",
        "added",
        "last_day",
        "day_count",
        "run",
        "instant",
        "removed",
    ),
    "definitions": ("metric", "definition", "declared", "body", "created", "used"),
    "runs": ("run", "what", "started", "finished", "status", "host", "pid", "report"),
    "leases": ("job", "holder", "fence", "heartbeat", "expires"),
    "revisions": ("id", "metric", "definition", "day", "series", "old", "new", "run", "at"),
    "followed": ("metric", "definition", "follows", "seen", "waiting"),
    "horizons": ("run", "source", "until"),
    "metric_keys": ("name", "key"),
    "deliveries": ("delivery", "version", "delivered", "state"),
    "alerts": ("cause", "metric", "state"),
    "identities": ("name", "run", "value", "at"),
    "event_commits": ("number", "at"),
    "event_files": (
        "id",
        "event",
        "path",
        "first",
        "last",
        "received_first",
        "received_last",
        "rows",
        "bytes",
        "sha256",
        "added",
        "removed",
    ),
    "event_logs": ("host", "file", "consumed", "closed"),
    "event_days": ("event", "day", "number"),
    "event_schema": ("event", "property", "type", "since", "spelled", "conflicts"),
    "event_closed": ("event", "day", "key", "at"),
    "event_hosts": ("host", "sealed", "seen", "lost"),
    "event_runs": ("run", "number"),
    "served": ("host", "first", "last"),
    "keys": ("name", "hash", "scopes", "events", "accounts", "limits", "created", "expires", "revoked", "seen"),
    "id_runs": ("path", "first", "last", "rows", "bytes", "sha256"),
    "entity_commits": ("number", "at"),
    "entities": ("kind", "id", "row", "version", "deleted"),
    "attribute_schema": ("kind", "attribute", "type", "since", "spelled", "conflicts"),
    "attribute_changes": ("kind", "id", "number", "place", "time", "received", "origin", "run", "changes"),
    "attribute_files": ("id", "kind", "path", "first", "last", "rows", "bytes", "sha256", "added", "removed"),
    "request_claims": ("key", "request", "body", "at"),
    "event_pushed": ("event", "day", "key"),
    "series_slots": ("dimension", "value", "slot"),
    "event_kept": ("first", "number", "at"),
    "shares": ("id", "payload", "created", "maker", "until", "revoked", "seen"),
    "identity_links": ("alias", "canonical", "key", "at", "number"),
    "identity_days": ("event", "day", "number"),
    "outbox": (
        "delivery",
        "item",
        "hash",
        "state",
        "attempts",
        "next",
        "at",
        "answer",
        "day",
        "version",
        "body",
    ),
    "outbox_folded": ("delivery", "day", "version", "hash", "items"),
    "outbox_gone": ("delivery", "day", "item"),
    "outbox_wanted": ("delivery", "entity", "number", "body"),
    "outbox_attributes": ("delivery", "entity", "attribute", "hash", "at"),
    "outbox_deliveries": (
        "delivery",
        "version",
        "entities",
        "question",
        "at",
        "stopped",
        "failures",
        "again",
        "said",
        "held",
    ),
    "outbox_pace": ("place", "day", "requests", "slot"),
    "outbox_trace": ("delivery", "number", "at", "items", "first", "outcome", "status", "seconds", "answer"),
    "outbox_subscriptions": ("id", "delivery", "target", "key", "created", "ended", "why"),
    "rule_evaluations": ("number", "at", "day", "version", "report"),
    "rule_definitions": ("rule", "kind", "definition", "number"),
    "rule_states": ("path", "kind", "number", "whole", "rows", "bytes", "sha256", "removed"),
    "firings": (
        "rule",
        "entity",
        "number",
        "edge",
        "kind",
        "at",
        "day",
        "values",
        "why",
        "state",
        "due",
        "restated",
    ),
    "collisions": ("rule", "entity", "number", "kind", "at", "why", "winner"),
    "message_states": (
        "message",
        "rule",
        "entity",
        "viewer",
        "number",
        "shown",
        "clicked",
        "dismissed",
        "times",
    ),
    "audit_lines": ("at", "id", "line"),
}
"""Tables and columns that a copy of a book includes. Each table comes after the tables that it references. Key columns
come first, so that sorting by the columns in this order is unique."""
_LISTED = list(COLUMNS)
EVENT_TABLES = tuple(_LISTED[_LISTED.index("event_commits") : _LISTED.index("entity_commits")])
"""Tables added by number 5, each after the tables that it references."""
ENTITY_TABLES = tuple(_LISTED[_LISTED.index("entity_commits") : _LISTED.index("series_slots")])
"""Tables added by number 6."""
ACTION_TABLES = tuple(_LISTED[_LISTED.index("series_slots") :])
"""Tables added by number 7: colors of series, and everything that is sent or shown to people."""
NUMBERED = {"files": "id", "runs": "run", "revisions": "id", "event_files": "id", "attribute_files": "id"}
"""Columns whose values the database generates."""
SQLITE = {
    "number": "INTEGER",
    "id": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "text": "TEXT",
    "day": "TEXT",
    "instant": "TEXT",
    "rowless": " WITHOUT ROWID",
}
POSTGRESQL = {
    "number": "BIGINT",
    "id": "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
    "text": 'TEXT COLLATE "C"',
    "day": "DATE",
    "instant": "TIMESTAMPTZ",
    "rowless": "",
}


def folded(table: str, island: str) -> str:
    """The statement that fills `coverage` from a table of single days, as in ledgers before number 4.

    `island`: the day minus `{count}` days in the database's SQL."""
    alike = "metric, definition, run, instant, added, removed"
    number = island.format(count=f"row_number() OVER (PARTITION BY {alike} ORDER BY day)")
    return (
        "INSERT INTO coverage (metric, definition, first_day, last_day, day_count, run, instant, added, removed) "
        "SELECT metric, definition, min(day), max(day), count(*), run, instant, added, removed "
        f"FROM (SELECT day, {alike}, {number} AS island FROM {table}) AS days GROUP BY {alike}, island"
    )


HASHES_OF_RUNS = ("bytes {number} NOT NULL DEFAULT 0", "sha256 {text} NOT NULL DEFAULT ''")
"""Columns that number 6 adds to `id_runs`. Files of an older ledger have no hash."""


def older_book(name: str, number: int) -> BookError:
    """The error for a user without write permission whose Tallybook is newer than the tables."""
    return BookError(
        f"{name} was written by an older Tallybook (ledger {number}, this one needs {NUMBER}), and you may not "
        "write to it",
        hint="let somebody who may write to it run once, with this version: tallybook doctor",
    )


def made(table: str, types: Mapping[str, str]) -> str:
    """The statement that creates a table in its current form."""
    (found,) = [one for one in statements(TABLES, types) if f"TABLE {table} " in one]
    return found


def added_tables(names: Sequence[str], types: Mapping[str, str]) -> list[str]:
    """The statements that create some current tables, which must be adjacent in TABLES, with their indexes."""
    every = statements(TABLES, types)
    first, last = (next(i for i, one in enumerate(every) if f"TABLE {names[end]} " in one) for end in (0, -1))
    while last + 1 < len(every) and every[last + 1].startswith("CREATE INDEX"):
        last += 1
    return every[first : last + 1]


def statements(text: str, types: Mapping[str, str]) -> list[str]:
    """The statements of TABLES, or of an upgrade step, with the types of a database."""
    return [one.strip() for one in text.format(**types).split(";\n") if one.strip()]
