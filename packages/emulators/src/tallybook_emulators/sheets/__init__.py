"""A Google Sheets, Drive and OAuth server on localhost, in memory, for tests.

    from tallybook_emulators.sheets import Emulator

    with Emulator() as google:
        document = google.create("Metrics", tabs=["Daily"])
        ...                                  # point a client at google.url, with google.authorized_user()
        assert google.document(document)["Daily"].values == [["day", "signups"]]

`Emulator` is the server, `Fault` an error to provoke, `Person` a person who edits the document meanwhile, `Snapshot`
the content of a document. The server is built from Google's documents. It validates every body against Google's
discovery documents where google-api-python-client is installed. It was never compared with the live service.

docs/sheets-emulator.md of Tallybook shows how to use it in CI, and lists what is not emulated. In short: requests about
comments and data sources, autoFill, deleteDuplicates, pasteData, randomizeRange, textToColumns and
updateEmbeddedObjectBorder (501); object sheets, pivot tables, array formulas and uncommon functions (#NAME?); the
effect of filters and conditional formats; R1C1 notation, /batch, uploads, shared drives, several projects, id tokens,
delegation, the device flow."""

from __future__ import annotations

from tallybook_emulators.sheets.control import described
from tallybook_emulators.sheets.emulator import Emulator, Landing
from tallybook_emulators.sheets.errors import GoogleError
from tallybook_emulators.sheets.faults import Fault, Seen
from tallybook_emulators.sheets.people import Person
from tallybook_emulators.sheets.quotas import Limits
from tallybook_emulators.sheets.snapshot import Snapshot, Tab

__all__ = ["Emulator", "Fault", "GoogleError", "Landing", "Limits", "Person", "Seen", "Snapshot", "Tab", "described"]
