"""Takes docs/pictures/page-*.png: the pages of the demo's company in Debian's Chromium.

    python -m docs.page_pictures

The database is that of `make demo` with fewer customers, seen on 12 March 2026. Two weeks of signups are left out on
purpose, so that a gap is seen."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from string import Template

import tallybook
from tallybook.core import DEFAULT_RULES, ServeSettings
from tallybook.demo import __main__ as demo, saas
from tallybook.ingest import KeyRing
from tallybook.server import SharedBook, WorkerPlan, event_ledger
from tallybook.server.app import EventsApp
from tallybook.server.clients import DoorPolicy
from tallybook.server.worker import _doors

PICTURES = Path(__file__).resolve().parent / "pictures"
NOW = datetime(2026, 3, 12, 8, tzinfo=UTC)
FIRST, LAST = date(2025, 1, 1), date(2026, 3, 11)
GAP = (date(2025, 12, 15), date(2025, 12, 28))
SEED = "/q?metrics=mrr&scope=week&show=average&by=plan&last=17+weeks"
PAGES = {
    "overview": ("/", 1280, 1500, False),
    "metric": ("/m/signups?compare=previous", 1280, 1220, False),
    "query": (SEED, 1280, 1180, False),
    "trap": ("/q?metrics=mrr&scope=week&show=total", 1280, 900, False),
    "board": ("/boards/weekly", 1280, 1180, True),
    "phone": ("/m/revenue", 390, 1100, True),
}
"""By name: the address, the width, the height that is kept, whether it is dark."""
NOTE = '\n[[notes]]\nday = "2026-01-19"\ntext = "Trial extended from 14 to 30 days"\nmetrics = ["signups"]\n'


def project(folder: Path) -> None:
    """The demo's project, collected except for the gap."""
    text = Template(demo.template()).substitute(start=FIRST)
    (folder / "tallybook.toml").write_text(text + NOTE, "utf-8")
    saas.write(folder / "app.db", seed=7, end=LAST, first=FIRST, scale=0.4, now=NOW.replace(tzinfo=None))
    with tallybook.open(folder, now=lambda: NOW) as book:
        metrics = [name for name, one in book.project.catalog.metrics.items() if not one.derived and name != "signups"]
        book.run(*metrics)
        book.run("signups", from_=FIRST, to=GAP[0] - timedelta(days=1))
        book.run("signups", from_=GAP[1] + timedelta(days=1), to=LAST)


def serve(folder: Path, listener: socket.socket) -> None:
    """Serve the pages from a thread, at the hour of the pictures."""
    import uvicorn

    shared = SharedBook(folder, lambda: tallybook.open(folder, now=lambda: NOW))
    with shared.using() as book:
        place = book.project.place
    events = event_ledger(place)
    plan = WorkerPlan(
        place=place,
        settings=ServeSettings(),
        rules=DEFAULT_RULES,
        clock=lambda: NOW,
        reload=lambda: (ServeSettings(), DEFAULT_RULES),
        on_error=lambda error: None,
        book=shared,
    )
    app = EventsApp(None, KeyRing(events, lambda: NOW), events, clock=lambda: NOW, doors=_doors(plan))
    app.policy = DoorPolicy.of(ServeSettings(), needs_proxy=False)
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, ws="none"))
    threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
    while not server.started:
        time.sleep(0.02)


def take(address: str) -> None:
    """The pictures of all pages."""
    from playwright.sync_api import sync_playwright

    from tests import servers
    from tests.browser import OPTIONS

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=servers.tool("chromium"), args=list(OPTIONS))
        for name, (path, width, height, dark) in PAGES.items():
            scheme = "dark" if dark else "light"
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto(address + path)
            page.screenshot(path=str(PICTURES / f"page-{name}.png"), clip=_clip(width, height))
            page.close()
        browser.close()


def _clip(width: int, height: int) -> dict[str, float]:
    return {"x": 0, "y": 0, "width": width, "height": height}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, closing(socket.create_server(("127.0.0.1", 0))) as listener:
        project(Path(folder))
        serve(Path(folder), listener)
        take(f"http://127.0.0.1:{listener.getsockname()[1]}")


if __name__ == "__main__":
    main()
