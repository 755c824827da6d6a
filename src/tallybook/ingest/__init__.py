"""Turns bytes over HTTP into typed events: wire protocols, the log, keys, and the compaction of the log into
Parquet."""

from __future__ import annotations

from tallybook._door import opened

__getattr__, __dir__ = opened(
    __name__,
    {
        "attribute_imports": ("AttributeImport", "import_attributes"),
        "attribute_requests": ("SentAttributes", "decode_changes", "in_order", "push_attributes"),
        "compaction": ("Compactor",),
        "erasing": ("erase_events",),
        "event_search": ("EventSearch", "search_events"),
        "csv_bodies": ("CELL_TYPES", "CsvMapping", "CsvRows", "KINDS_OF_ROWS", "rows_of_csv", "too_large_file"),
        "expiry": ("Expiry",),
        "exporting": ("EventExport", "export_events"),
        "last_seen": ("LastSeen",),
        "seen_summaries": ("SeenSummaries",),
        "group_commit": ("GroupCommit",),
        "id_rebuilding": ("RebuiltIds", "rebuild_ids"),
        "importing": ("EventImport", "IMPORT_KEY", "ImportedEvents", "StoredIds", "import_events"),
        "keys": (
            "KeyRing",
            "KeysUnknown",
            "KeyTerms",
            "SCOPES",
            "claim_invitation",
            "create_key",
            "invite",
            "key_text",
            "revoke_key",
            "rotate_key",
            "without_text",
        ),
        "log": ("LogAway", "LogFailed", "LogFolder", "LogFull", "LogRow"),
        "logs": ("logs_to_compact", "logs_to_write"),
        "log_sqlite": ("SqliteLogs",),
        "names": ("within_names",),
        "plug_in": ("EventProtocol",),
        "reading": ("DEFAULT_PAGE", "EventQuestion", "MAX_PAGE", "on_present_files", "read_events"),
        "rejected": ("RejectedQuestion", "read_rejected"),
        "replaying": ("Replayed", "replay_rejected"),
        "sending": ("EventSender", "HttpSender", "LOCAL_KEY", "LocalSender"),
        "protocols.gainsight_px": ("PX_EVENTS_PATH", "PX_KEY_HEADER", "PX_PROPERTY", "px_error"),
        "protocols.translated": ("SentEntity", "SentLink"),
        "upkeep": ("Upkeep",),
        "wire": ("OWN_PROTOCOL", "WireProtocol"),
        "unpacking": ("decode_row", "unpack"),
    },
)
