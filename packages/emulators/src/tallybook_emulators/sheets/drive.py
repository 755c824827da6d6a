"""Files and their permissions: the parts of Drive v3 that spreadsheet clients need.

https://developers.google.com/workspace/drive/api/reference/rest/v3. Service accounts have no storage
quota, so they cannot own files."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from tallybook_emulators.sheets import cells, masks
from tallybook_emulators.sheets.a1 import Rect
from tallybook_emulators.sheets.errors import GoogleError
from tallybook_emulators.sheets.model import Document, Json
from tallybook_emulators.sheets.oauth import AccessToken
from tallybook_emulators.sheets.tabs import add, copy_tab, spreadsheet_properties
from tallybook_emulators.sheets.view import View

SPREADSHEET = "application/vnd.google-apps.spreadsheet"
FOLDER = "application/vnd.google-apps.folder"
ROLES = ("reader", "commenter", "writer", "fileOrganizer", "organizer", "owner")
ROOT = "https://www.googleapis.com/auth/"
FILE_SCOPE = ROOT + "drive.file"
WHOLE_SCOPES = {ROOT + "drive", ROOT + "drive.readonly", ROOT + "spreadsheets", ROOT + "spreadsheets.readonly"}


@dataclass
class File:
    """A file. `apps` are the OAuth clients that created it or got it from the picker (scope drive.file)."""

    id: str
    owner: str
    name: str
    mime_type: str
    created: datetime
    changed: datetime
    permissions: list[Json]
    apps: set[str] = field(default_factory=set)
    document: Document | None = None
    parents: list[str] = field(default_factory=list)
    trashed: bool = False
    version: int = 1

    def role(self, account: str) -> int:
        """Index in ROLES of the account's role. -1 without access."""
        domain = account.rpartition("@")[2]
        roles = [
            ROLES.index(one["role"])
            for one in self.permissions
            if one["type"] == "anyone" or one.get("emailAddress") == account or one.get("domain", "") == domain
        ]
        return max(roles, default=-1)


@dataclass
class Store:
    """The files of all accounts."""

    now: Callable[[], datetime]
    files: dict[str, File] = field(default_factory=dict)
    cell_limit: int = 10_000_000
    sort_moves_metadata: bool = False
    copies_take_metadata: bool = False

    def create(
        self, owner: str, name: str, mime_type: str = SPREADSHEET, *, app: str = "", given: Json | None = None
    ) -> File:
        """A new file. A spreadsheet gets the tabs of `given` (a Spreadsheet), or one tab."""
        number = "1" + secrets.token_urlsafe(32)
        now = self.now()
        permission = {
            "id": _id_of(owner),
            "type": "user",
            "kind": "drive#permission",
            "role": "owner",
            "emailAddress": owner,
        }
        made = File(number, owner, name, mime_type, now, now, [permission], {app} if app else set())
        if mime_type == SPREADSHEET:
            made.document = self._document(number, owner, {"properties": {"title": name}} if given is None else given)
            made.name = made.document.properties["title"]
        self.files[number] = made
        return made

    def _document(self, number: str, owner: str, given: Json) -> Document:
        properties = spreadsheet_properties(given.get("properties", {}))
        document = Document(
            number,
            owner,
            properties,
            actor=owner,
            cell_limit=self.cell_limit,
            now=self.now(),
            sort_moves_metadata=self.sort_moves_metadata,
            copies_take_metadata=self.copies_take_metadata,
        )
        for tab in given.get("sheets") or [{}]:
            sheet = add(document, {"title": f"Sheet{len(document.sheets) + 1}"} | tab.get("properties", {}))
            for block in tab.get("data", ()):
                _fill(document, sheet.id, block)
        return document

    # --- access ---------------------------------------------------------------------------------------------

    def opened(self, caller: AccessToken, number: str, *, write: bool) -> File:
        """The spreadsheet, if the caller may access it. Raises GoogleError 404 or 403 as Sheets does."""
        file = self.files.get(number)
        if file is None or file.document is None or not self.granted(caller, file):
            raise GoogleError(404)
        if file.role(caller.account) < (ROLES.index("writer") if write else 0):
            raise GoogleError(403)
        return file

    def granted(self, caller: AccessToken, file: File) -> bool:
        """Whether the scopes of the token cover the file. drive.file covers only the files of the app."""
        return bool(WHOLE_SCOPES & set(caller.scopes)) or caller.app in file.apps

    def found(self, caller: AccessToken, number: str, *, least: str = "reader") -> File:
        """The file, if the caller may access it. Raises GoogleError in Drive's form."""
        file = self.files.get(number)
        if file is None or not self.granted(caller, file) or file.role(caller.account) < 0:
            raise GoogleError(404, f"File not found: {number}.", reason="notFound", location="fileId")
        if file.role(caller.account) < ROLES.index(least):
            raise GoogleError(
                403,
                "The user does not have sufficient permissions for this file.",
                reason="insufficientFilePermissions",
            )
        return file

    def commit(self, file: File, document: Document) -> None:
        """Replace the document of the file by a fork on which all requests succeeded."""
        file.document = document
        file.name = document.properties["title"]
        file.version = document.version
        file.changed = self.now()


def _fill(document: Document, sheet_id: int, block: Json) -> None:
    """Write the cells of a GridData to a new spreadsheet."""
    start = {"sheetId": sheet_id, "rowIndex": block.get("startRow", 0), "columnIndex": block.get("startColumn", 0)}
    cells.update_request(document, {"start": start, "rows": block.get("rowData", []), "fields": "*"})


def _id_of(account: str) -> str:
    return "".join(str(ord(letter) % 10) for letter in account)[:20].ljust(20, "0")


def no_storage() -> GoogleError:
    """The error for a service account that would own a file."""
    return GoogleError(
        403,
        "Service Accounts do not have storage quota. Leverage shared drives "
        "(https://developers.google.com/workspace/drive/api/guides/about-shareddrives), or use OAuth delegation "
        "(http://support.google.com/a/answer/7281227) instead.",
        reason="storageQuotaExceeded",
        domain="usageLimits",
    )


class Drive:
    """The methods of Drive v3."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def create(self, caller: AccessToken, query: Json, body: Json) -> Json:
        if caller.is_service:
            raise no_storage()
        name = body.get("name", "Untitled")
        file = self.store.create(caller.account, name, body.get("mimeType", "application/octet-stream"), app=caller.app)
        file.parents = body.get("parents", [])
        return _masked(self.json(file, caller), query)

    def get(self, caller: AccessToken, number: str, query: Json) -> Json:
        return _masked(self.json(self.store.found(caller, number), caller), query)

    def list(self, caller: AccessToken, query: Json) -> Json:
        """files.list: newest first, in pages, filtered by the common terms of `q`."""
        test = search(query.get("q", ""))
        seen = [
            file
            for file in self.store.files.values()
            if file.role(caller.account) >= 0 and self.store.granted(caller, file) and test(file)
        ]
        seen.sort(key=lambda file: file.changed, reverse=True)
        given = query.get("pageToken") or "0", query.get("pageSize") or "100"
        if not all(number.isdecimal() for number in given):
            raise GoogleError(400, "Invalid Value", reason="invalid", location="pageToken")
        start, size = map(int, given)
        page = [self.json(file, caller) for file in seen[start : start + size]]
        answer: Json = {"kind": "drive#fileList", "incompleteSearch": False, "files": page}
        if start + size < len(seen):
            answer["nextPageToken"] = str(start + size)
        return _masked(answer, query, listed="files")

    def update(self, caller: AccessToken, number: str, query: Json, body: Json) -> Json:
        file = self.store.found(caller, number, least="writer")
        if "name" in body and file.document is not None:
            document = file.document.fork(caller.account, self.store.now())
            document.properties["title"] = body["name"]
            self.store.commit(file, document)
        file.name = body.get("name", file.name)
        file.trashed = body.get("trashed", file.trashed)
        added, removed = query.get("addParents", ""), query.get("removeParents", "").split(",")
        file.parents = [p for p in file.parents if p not in removed] + [p for p in added.split(",") if p]
        return _masked(self.json(file, caller), query)

    def copy(self, caller: AccessToken, number: str, query: Json, body: Json) -> Json:
        source = self.store.found(caller, number)
        if caller.is_service:
            raise no_storage()
        made = self.store.create(
            caller.account, body.get("name", f"Copy of {source.name}"), source.mime_type, app=caller.app
        )
        made.parents = body.get("parents", [])
        if source.document is not None and made.document is not None:
            first = made.document.sheets[0]
            for sheet in source.document.sheets:
                title = sheet.title
                first.properties["title"] = "\0"
                copy_tab(made.document, sheet, {"title": title})
            made.document.sheets.remove(first)
            made.document.number_tabs()
            made.document.properties |= {k: v for k, v in source.document.properties.items() if k != "title"}
        return _masked(self.json(made, caller), query)

    def delete(self, caller: AccessToken, number: str) -> None:
        self.store.found(caller, number, least="owner")
        del self.store.files[number]

    def export(self, caller: AccessToken, number: str, query: Json) -> tuple[str, bytes]:
        """The MIME type and bytes of the first tab as CSV or TSV. Other types are refused."""
        file = self.store.found(caller, number)
        mark = {"text/csv": ",", "text/tab-separated-values": "\t"}.get(query.get("mimeType", ""))
        if mark is None or file.document is None:
            raise GoogleError(400, "The requested conversion is not supported.", reason="badRequest")
        sheet = file.document.sheets[0]
        view = View(file.document, self.store.now())
        values = view.values(sheet, Rect(0, len(sheet.rows), 0, len(sheet.columns)), option="FORMATTED_VALUE", dates="")
        width = max(map(len, values), default=0)
        lines = [mark.join(_csv(cell, mark) for cell in [*row, *[""] * (width - len(row))]) for row in values]
        return query["mimeType"], "\r\n".join(lines).encode()

    def json(self, file: File, caller: AccessToken) -> Json:
        role = file.role(caller.account)
        made: Json = {
            "kind": "drive#file",
            "id": file.id,
            "name": file.name,
            "mimeType": file.mime_type,
            "trashed": file.trashed,
            "createdTime": _time(file.created),
            "modifiedTime": _time(file.changed),
            "version": str(file.version),
            "webViewLink": f"https://docs.google.com/spreadsheets/d/{file.id}/edit",
            "parents": file.parents,
            "owners": [{"kind": "drive#user", "emailAddress": file.owner, "me": file.owner == caller.account}],
            "ownedByMe": file.owner == caller.account,
            "shared": len(file.permissions) > 1,
            "capabilities": {"canEdit": role >= ROLES.index("writer")},
        }
        return made | ({"permissions": file.permissions} if role >= ROLES.index("writer") else {})

    def comments(self, caller: AccessToken, number: str) -> Json:
        """An empty list. Clients ask for comments when they copy a file."""
        self.store.found(caller, number)
        return {"kind": "drive#commentList", "comments": []}

    # --- permissions ----------------------------------------------------------------------------------------

    def share(self, caller: AccessToken, number: str, query: Json, body: Json) -> Json:
        file = self.store.found(caller, number, least="writer")
        if body.get("role") not in ROLES or body.get("type") not in ("user", "group", "domain", "anyone"):
            raise GoogleError(400, "The specified role or type is not valid.", reason="invalid")
        whom = body.get("emailAddress") or body.get("domain") or "anyone"
        number = "anyoneWithLink" if body["type"] == "anyone" else _id_of(whom)
        one = {"kind": "drive#permission", "id": number, "type": body["type"], "role": body["role"]}
        one |= {name: body[name] for name in ("emailAddress", "domain") if name in body}
        file.permissions = [p for p in file.permissions if p["id"] != number] + [one]
        self.update_editors(file)
        return _masked(one, query, default=("kind", "id", "type", "role"))

    def permissions(self, caller: AccessToken, number: str, query: Json) -> Json:
        file = self.store.found(caller, number, least="writer")
        answer = {"kind": "drive#permissionList", "permissions": file.permissions}
        return _masked(answer, query)

    def unshare(self, caller: AccessToken, number: str, permission: str) -> None:
        file = self.store.found(caller, number, least="writer")
        if permission not in {one["id"] for one in file.permissions}:
            raise GoogleError(404, f"Permission not found: {permission}.", reason="notFound", location="permissionId")
        file.permissions = [one for one in file.permissions if one["id"] != permission or one["role"] == "owner"]
        self.update_editors(file)

    def update_editors(self, file: File) -> None:
        """Copy the accounts with write access to the document, for protected ranges that name no editors."""
        if file.document is not None:
            writers = [
                p["emailAddress"] for p in file.permissions if p["role"] in ("writer", "owner") and "emailAddress" in p
            ]
            file.document = replace(file.document, editors=tuple(writers))


def _csv(cell: Any, mark: str) -> str:
    text = str(cell)
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in (mark, '"', "\n")) else text


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _masked(answer: Json, query: Json, *, default: tuple[str, ...] = (), listed: str = "") -> Json:
    """The fields of an answer that `query` asks for. Without `fields`, Drive answers few."""
    few = default or ("kind", "id", "name", "mimeType")
    if fields := query.get("fields"):
        made: Json = masks.select_fields(answer, masks.parse(fields))
        return made
    if listed:
        return answer | {listed: [{k: v for k, v in one.items() if k in few} for one in answer[listed]]}
    return {k: v for k, v in answer.items() if k in few or (k == "permissions" and "permissionList" in answer["kind"])}


def search(q: str) -> Callable[[File], bool]:
    """The filter of files.list's `q`. Understands the terms that clients use, joined by `and`, and refuses others."""
    tests: list[Callable[[File], bool]] = []
    for term in re.split(r"\s+and\s+", q.strip(), flags=re.IGNORECASE) if q.strip() else []:
        tests.append(_term(term.strip("() ")))
    return lambda file: all(test(file) for test in tests)


def _term(term: str) -> Callable[[File], bool]:
    quoted = r"['\"]((?:\\.|[^'\"\\])*)['\"]"
    if match := re.fullmatch(rf"(name|mimeType)\s*(=|!=|contains)\s*{quoted}", term):
        name, sign, wanted = match[1], match[2], re.sub(r"\\(.)", r"\1", match[3])
        read: Mapping[str, Callable[[File], str]] = {"name": lambda f: f.name, "mimeType": lambda f: f.mime_type}
        tests: Mapping[str, Callable[[str], bool]] = {
            "=": lambda text: text == wanted,
            "!=": lambda text: text != wanted,
            "contains": lambda text: wanted in text,
        }
        return lambda file: tests[sign](read[name](file))
    if match := re.fullmatch(r"trashed\s*=\s*(true|false)", term, re.IGNORECASE):
        wanted_trash = match[1].lower() == "true"
        return lambda file: file.trashed == wanted_trash
    if match := re.fullmatch(rf"{quoted}\s+in\s+parents", term):
        folder = match[1]
        return lambda file: folder in file.parents
    raise GoogleError(400, "Invalid Value", reason="invalid", location="q")
