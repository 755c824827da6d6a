"""Google Sheets from your own code: each row is written once. Also the parts of Excel files.

    from tallybook.sheets import Session

    session = Session(client_id, client_secret, refresh_token)
    worksheet = session.worksheet(document_id, worksheet_id)
    worksheet << 1 << 2
    worksheet.append(5)
    worksheet.save_row()

`tallybook sheets setup` gets the three keys from Google. Needs `pip install 'tallybook[google]'`. The modules from top
to bottom: `session`, `worksheet` (gathers and writes rows), `rows` (decides their positions), `doctor`, `api`
(requests, their pace, and lost responses), `consent` and `credentials`, `refusals`, `pace`, `marks`, `cells`.
`workbook/` reads and edits the parts of an .xlsx file."""

from __future__ import annotations

from tallybook._door import opened

__getattr__, __dir__ = opened(
    __name__,
    {
        "api": ("Api",),
        "cells": (
            "MAX_CELL_CHARACTERS",
            "serial",
        ),
        "consent": (
            "OAuthClient",
            "ConsentRequest",
            "RedirectListener",
            "client_file",
            "exchange_answer",
            "request_consent",
        ),
        "credentials": (
            "FILE",
            "FILES",
            "Keys",
            "NAMES",
            "SERVICE_ACCOUNT",
            "SPREADSHEETS",
            "default_file",
            "find_keys",
            "has_keyring",
            "key_variables",
            "require_packages",
            "save_keys",
            "service_account",
        ),
        "doctor": (
            "BAD",
            "Finding",
            "examine",
        ),
        "marks": (
            "DELIVERY",
            "Json",
            "Stamp",
            "metadata_creation",
            "metadata_id",
            "metadata_removal",
        ),
        "service_urls": (
            "AUDIENCE",
            "CLIENTS",
            "ENABLE",
            "ServiceUrls",
            "document",
            "link",
        ),
        "refusals": ("no_drive_space",),
        "rows": (
            "CELLS",
            "SHAPE",
            "WorksheetRows",
            "sheets_of",
        ),
        "session": ("Session",),
        "words": (
            "delivery_lines",
            "python_lines",
            "session_lines",
        ),
        "workbook.attached": (
            "attached_rows",
            "follow_rules",
        ),
        "workbook.book": (
            "Workbook",
            "recalculating",
            "shared_strings",
        ),
        "workbook.package": (
            "Package",
            "RELATIONS",
            "damage_reported",
            "for_reading",
        ),
        "workbook.places": (
            "Area",
            "area",
            "cell",
        ),
        "workbook.sheet": ("WorkbookSheet",),
        "workbook.styles": (
            "CellStyle",
            "Styles",
        ),
        "workbook.table": (
            "WorkbookTable",
            "free_number",
            "free_table_name",
            "new_table",
            "tables",
        ),
        "workbook.xml": ("escaped",),
        "worksheet": (
            "Worksheet",
            "find_worksheet",
        ),
    },
)
