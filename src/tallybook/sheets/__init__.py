"""Google Sheets by hand: rows from your own code, written once each; and what an Excel file contains.

    from tallybook.sheets import Session

    session = Session(client_id, client_secret, refresh_token)
    worksheet = session.worksheet(document_id, worksheet_id)
    worksheet << 1 << 2
    worksheet.append(5)
    worksheet.save_row()

`tallybook sheets setup` gets the three words from Google. Needs `pip install 'tallybook[google]'`. The modules, from top to
bottom: `session`, `worksheet` (rows collected and written), `rows` (where they go), `doctor`, `api` (requests, their pace
and what to do when an answer is lost), `consent` and `keep` (tokens), `refusals`, `pace`, `marks`, `cells`; `workbook/` reads
and edits the parts of an .xlsx file.
"""

from __future__ import annotations

from tallybook._door import opened

__getattr__, __dir__ = opened(
    __name__,
    {
        "words": (
            "delivery_lines",
            "python_lines",
            "session_lines",
        ),
        "api": ("Api",),
        "cells": ("LONGEST", "serial"),
        "consent": ("Client", "ConsentRequest", "RedirectListener", "answered", "ask", "client_file"),
        "doctor": ("BAD", "Finding", "examine"),
        "keep": (
            "FILE",
            "FILES",
            "Keys",
            "NAMES",
            "SERVICE_ACCOUNT",
            "SPREADSHEETS",
            "default_file",
            "extra",
            "find",
            "has_keyring",
            "save",
            "service_account",
            "variables",
        ),
        "marks": ("DELIVERY", "Json", "Stamp", "forget", "mark", "metadata_id"),
        "places": ("AUDIENCE", "CLIENTS", "ENABLE", "Places", "document", "link"),
        "refusals": ("cannot_own",),
        "rows": ("CELLS", "SHAPE", "WorksheetRows", "sheets_of"),
        "session": ("Session",),
        "workbook.attached": ("attached_rows", "grow_rules"),
        "workbook.book": ("Workbook", "recalculating", "shared_strings"),
        "workbook.package": ("Package", "RELATIONS", "damage_reported", "for_reading"),
        "workbook.places": ("Area", "area", "cell"),
        "workbook.sheet": ("WorkbookSheet",),
        "workbook.styles": ("CellStyle", "Styles"),
        "workbook.table": ("WorkbookTable", "free_number", "free_table_name", "new_table", "tables"),
        "workbook.xml": ("escaped",),
        "worksheet": ("Worksheet", "chosen"),
    },
)
