"""The REST API of Gainsight PX on localhost, in memory, for tests.

    from tallybook_emulators.gainsight_px import PxEmulator

    with PxEmulator() as px:
        px.attribute("account", "mrr__c", "NUMBER")
        ...                                  # point a client at px.api, with px.key
        assert px.events == []

`PxEmulator` is the server, `PxFault` an error to provoke, `PxLimits` the limits of requests. Other languages start it
with `python -m tallybook_emulators.gainsight_px`. It is built from the public description of the API, written down as
facts in contract.json; each request and answer is checked against that file. It was never compared with the live
service. docs/px-emulator.md of Tallybook lists what is not emulated, and which answers are assumptions."""

from __future__ import annotations

from tallybook_emulators.gainsight_px.contract import FACTS
from tallybook_emulators.gainsight_px.emulator import PxEmulator
from tallybook_emulators.gainsight_px.errors import PxError
from tallybook_emulators.gainsight_px.faults import PxFault, PxRequest
from tallybook_emulators.gainsight_px.quotas import PxLimits

__all__ = ["FACTS", "PxEmulator", "PxError", "PxFault", "PxLimits", "PxRequest"]
