"""Loads `tallybook.toml`, metric files and the environment into a checked `Catalog`; reports all mistakes together."""

from __future__ import annotations

from tallybook._door import opened

__getattr__, __dir__ = opened(
    __name__,
    {
        "catalog.assumptions": ("explain_assumptions",),
        "catalog.building": ("build",),
        "catalog.entity_rules": ("fields_of",),
        "catalog.templates": ("filled_template", "only_field", "template_fields"),
        "catalog.keys": ("SOURCE_KEYS",),
        "catalog.values": (
            "Wrong",
            "choice_of",
            "read_address",
            "read_document",
            "read_flag",
            "read_paths",
            "read_text",
            "separator_of",
            "whole_number",
        ),
        "catalog.receiver_values": (
            "read_own_table",
            "read_recipients",
            "read_secret_texts",
            "read_span_of_days",
            "read_template",
            "read_time_of_day",
            "read_url",
            "read_weekday_names",
        ),
        "catalog.words": ("toml",),
        "catalog.zones": ("zone_warnings",),
        "condition_parsing": ("SINCE_LAST", "names_in"),
        "conditions": ("ANY", "Condition", "ConditionColumn", "compile_condition"),
        "asked_events": ("event_metrics", "events_settings"),
        "declared_files": ("Stamp", "declaration_hash", "declaration_stamp"),
        "files": (
            "read_optional",
            "variables_of",
        ),
        "owner": (
            "check_owner",
            "known_source",
            "owner_of",
        ),
        "project": (
            "Project",
            "load",
            "mask",
            "source_override",
        ),
        "urls": (
            "WEBHOOKS",
            "alert_name",
            "dialect_of",
            "masked",
            "masked_url",
            "names_path",
            "resolved",
            "secrets_of",
            "secrets_of_address",
            "wrong_ledger",
            "wrong_url",
        ),
        "variables": ("parse_dotenv",),
    },
)
