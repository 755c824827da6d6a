"""Clients that people use, unmodified, on a road to the emulator instead of to Google.

What is replaced is the transport below them: a requests adapter for gspread, an httplib2.Http for pygsheets. Google's
own client takes the emulator's address from the discovery document that it is built from."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import gspread
import httplib2
import pygsheets
import requests
from googleapiclient.discovery import Resource, build_from_document
from pygsheets.client import Client as PygsheetsClient
from requests.adapters import HTTPAdapter

from tallybook_emulators.sheets import Emulator
from tallybook_emulators.sheets.contract import document

assert pygsheets.__version__
GOOGLE = ("https://sheets.googleapis.com/", "https://www.googleapis.com/")


def moved(address: str, url: str) -> str:
    """An address at Google as one of the emulator."""
    parts = urlsplit(address)
    return url + parts.path + (f"?{parts.query}" if parts.query else "")


class Adapter(HTTPAdapter):
    """Sends a prepared request to the emulator."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    def send(self, request: requests.PreparedRequest, *rest: Any, **options: Any) -> requests.Response:
        request.url = moved(request.url or "", self.url)
        return super().send(request, *rest, **options)


class Http(httplib2.Http):
    """The same for httplib2."""

    def __init__(self, url: str) -> None:
        super().__init__(timeout=10)
        self.url = url

    def request(self, uri: str, *rest: Any, **options: Any) -> Any:
        return super().request(moved(uri, self.url), *rest, **options)


def googles(google: Emulator, api: str = "sheets", credentials: Any = None) -> Resource:
    """Google's own client, made from the static discovery document."""
    described = json.loads(json.dumps(document(api)))
    described["rootUrl"] = google.url + "/"
    described.pop("mtlsRootUrl", None)
    described["baseUrl"] = f"{google.url}/{described['servicePath']}"
    return build_from_document(described, credentials=credentials or google.credentials())


def gspreads(google: Emulator, credentials: Any = None) -> gspread.Client:
    client = gspread.Client(auth=credentials or google.credentials())
    for root in GOOGLE:
        client.http_client.session.mount(root, Adapter(google.url))
    return client


def pygsheetss(google: Emulator, credentials: Any = None) -> PygsheetsClient:
    return PygsheetsClient(credentials or google.credentials(), http=Http(google.url), retries=0)
