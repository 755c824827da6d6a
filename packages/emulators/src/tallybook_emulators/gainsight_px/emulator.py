"""`PxEmulator`: the object that tests use."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from tallybook_emulators.gainsight_px.api import PxApi
from tallybook_emulators.gainsight_px.clock import PxClock
from tallybook_emulators.gainsight_px.contract import FACTS
from tallybook_emulators.gainsight_px.control import handle
from tallybook_emulators.gainsight_px.faults import PxFault, PxFaults, PxRequest
from tallybook_emulators.gainsight_px.quotas import PxLimits, PxQuotas
from tallybook_emulators.gainsight_px.server import PxServer

PX_LIMITS = PxLimits()
KEY = "px-emulator-key"
ALL = ("read", "write")
Json = dict[str, Any]


class PxEmulator:
    """The REST API of Gainsight PX on localhost: users, accounts, custom events and the catalogue of attributes.

    It keeps everything in memory. `start` (a datetime with a time zone) stops its clock at that time until
    `clock.advance`. Without it the clock follows the machine's. `limits=None` turns limits off. `port=0` takes a free
    port. `keys` are API keys with their permissions, `read` and `write`."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        start: datetime | None = None,
        limits: PxLimits | None = PX_LIMITS,
        keys: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        self.clock = PxClock(start)
        self.faults = PxFaults()
        known = {name: frozenset(words) for name, words in (keys or {KEY: ALL}).items()}
        self._api = PxApi(self.clock, known, PxQuotas(self.clock, limits), self.faults)
        self._api.control = lambda verb, target, body: handle(self, verb, target, body)
        self._server = PxServer(self._api, host, port)
        self._host = host

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def open(self) -> None:
        self._server.start()

    def close(self) -> None:
        self._server.stop()

    @property
    def url(self) -> str:
        """The root URL, without a trailing slash."""
        return f"http://{self._host}:{self._server.server_address[1]}"

    @property
    def api(self) -> str:
        """The URL that a client uses in place of https://api.aptrinsic.com/v1."""
        return f"{self.url}/v1"

    @property
    def key(self) -> str:
        """The first key, for the header X-APTRINSIC-API-KEY."""
        return next(iter(self._api.keys))

    @property
    def headers(self) -> Json:
        """The headers of a request with `key`."""
        return {FACTS["header"]: self.key, "Content-Type": "application/json"}

    # --- content ---------------------------------------------------------------------------------------------

    def attribute(
        self, model: str, api_name: str, kind: str = "NUMBER", *, name: str = "", state: str = "ENABLED"
    ) -> None:
        """Add a custom attribute of `user` or `account`, as an administrator does in PX. Types: NUMBER, STRING,
        BOOLEAN, DATE_TIME; states: ENABLED, DISABLED, DELETED."""
        with self._api.lock:
            self._api.subscription.define(model, api_name, kind, name=name, state=state, origin="CUSTOM")

    def add_user(self, identify_id: str, **fields: Any) -> None:
        """Create a user, without a request."""
        with self._api.lock:
            self._api.subscription.create("user", {"identifyId": identify_id, "propertyKeys": ["AP-TEST-2"], **fields})

    def add_account(self, account_id: str, **fields: Any) -> None:
        """Create an account, without a request."""
        given = {"id": account_id, "name": account_id, "propertyKeys": ["AP-TEST-2"], **fields}
        with self._api.lock:
            self._api.subscription.create("account", given)

    @property
    def users(self) -> dict[str, Json]:
        """A copy of every user, by identifyId."""
        with self._api.lock:
            return copy.deepcopy(self._api.subscription.users)

    @property
    def accounts(self) -> dict[str, Json]:
        """A copy of every account, by id."""
        with self._api.lock:
            return copy.deepcopy(self._api.subscription.accounts)

    @property
    def events(self) -> list[Json]:
        """A copy of every custom event, in the order of arrival."""
        with self._api.lock:
            return copy.deepcopy(self._api.subscription.events)

    @property
    def dropped(self) -> list[tuple[str, str, str]]:
        """(model, id, apiName) of custom attributes that were sent and not stored. PX answers 204 to such requests
        too."""
        return list(self._api.subscription.dropped)

    # --- requests and faults ---------------------------------------------------------------------------------

    @property
    def requests(self) -> list[PxRequest]:
        """Every request so far, in the order of the answers."""
        return list(self._api.log)

    def forget_requests(self) -> None:
        with self._api.lock:
            self._api.log.clear()

    def busiest_second(self) -> int:
        """The largest number of requests within any second, by the machine's clock."""
        busiest, recent = 0, deque[float]()
        for at in sorted(seen.arrived for seen in self.requests):
            recent.append(at)
            while recent[0] <= at - 1:
                recent.popleft()
            busiest = max(busiest, len(recent))
        return busiest

    @property
    def mistakes(self) -> list[Exception]:
        """Exceptions inside the emulator. If there are any, the emulator has a bug."""
        return list(self._server.mistakes)

    def fault(self, answer: int | None = None, **rule: Any) -> PxFault:
        """Add a rule; its fields are those of `PxFault`. `px.fault(503, after=True, path="/events/custom")`."""
        return self.faults.add(PxFault(answer, **rule))
