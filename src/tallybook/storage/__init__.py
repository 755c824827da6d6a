"""Where a book is kept: the ledger (SQLite or PostgreSQL), points files, versions, copies, backups, and the engine
that reads them."""

from __future__ import annotations

from tallybook._door import opened

__getattr__, __dir__ = opened(
    __name__,
    {
        "aside": ("set_aside",),
        "clocks": ("TakenBack", "last_true_before", "taken_back", "true_start"),
        "copying": ("Copied", "copy_book", "copy_points"),
        "doctor": ("examine", "remarks"),
        "engines.duckdb": ("connect", "identifier", "literal", "widened", "without_bar"),
        "event_ledger": (
            "REJECTED",
            "ApiKey",
            "ConsumedLog",
            "EventCommit",
            "EventFile",
            "EventLedger",
            "EventsSnapshot",
            "IdRun",
            "PROPERTY_PREFIX",
            "Property",
        ),
        "entity_history": ("entities_at",),
        "entity_ledger": ("EntityLedger",),
        "entity_records": ("AttributeType", "Entity"),
        "files": ("BadFile", "OWNER", "engine_path", "folder_mode", "hash_of", "make_folder", "scratch_folder", "sync"),
        "folder": ("Store",),
        "ledger": (
            "Conflict",
            "Cleaned",
            "Commit",
            "Covered",
            "CoveredDay",
            "Definition",
            "Delivered",
            "Followed",
            "Lease",
            "Ledger",
            "PointsFile",
            "Revision",
            "Stretch",
            "VersionSnapshot",
            "kept_under",
        ),
        "ledger_files": ("private_folder",),
        "lost": ("Losses",),
        "places": ("BookLocation", "IN_LEDGER", "SCHEMA", "backup_in", "find_store", "open_store"),
        "retention": ("FOLDABLE_FILES", "LOOSE_FILES", "STRAY_HOURS"),
        "stored_rows": ("stamp_of",),
        "sqlite_file": ("State", "left_behind", "needs_side_files", "state"),
    },
)
