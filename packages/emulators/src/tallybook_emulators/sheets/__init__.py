"""A Google Sheets, Drive and OAuth server on localhost, in memory, for tests.

    from tallybook_emulators.sheets import Emulator

    with Emulator() as google:
        document = google.create("Metrics", tabs=["Daily"])
        ...                                  # point a client at google.url, with google.authorized_user()
        assert google.document(document)["Daily"].values == [["day", "signups"]]

Not emulated, in short (docs/sheets-emulator.md has the list, and how to use it in one's own CI): requests about comments and
data sources, autoFill, deleteDuplicates, pasteData, randomizeRange, textToColumns and updateEmbeddedObjectBorder (501);
object sheets, pivot tables, array formulas and functions beyond the common ones (#NAME?); what filters hide and conditional
formats show; R1C1 notation, /batch, uploads, shared drives, more than one project, id tokens, delegation, the device flow.

`Emulator` says what it can do; `Fault` is what can go wrong, `Person` what people do meanwhile, `Snapshot` what is
read. It is built from Google's documents, and holds every body against Google's discovery documents where
google-api-python-client is installed. It was never compared with the live service."""

from __future__ import annotations

from tallybook_emulators.sheets.control import described
from tallybook_emulators.sheets.emulator import Emulator, Landing
from tallybook_emulators.sheets.errors import GoogleError
from tallybook_emulators.sheets.faults import Fault, Seen
from tallybook_emulators.sheets.people import Person
from tallybook_emulators.sheets.quotas import Limits
from tallybook_emulators.sheets.snapshot import Snapshot, Tab

__all__ = ["Emulator", "Fault", "GoogleError", "Landing", "Limits", "Person", "Seen", "Snapshot", "Tab", "described"]
