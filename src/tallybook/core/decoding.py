"""Decoders of typed JSON and MessagePack that several threads may use at the same time.

msgspec reads the fields of a struct when it first decodes one. If a second thread decodes the same type meanwhile,
it uses a half-built description and crashes the process. Here one thread at a time builds a decoder."""

from __future__ import annotations

import threading
from typing import Any, TypeVar, cast

import msgspec

T = TypeVar("T")
_lock = threading.RLock()
_built: dict[tuple[type, Any], Any] = {}


def json_decoder(type_: type[T]) -> msgspec.json.Decoder[T]:
    """The JSON decoder of a type, the same object at every call."""
    return cast("msgspec.json.Decoder[T]", _decoder(msgspec.json.Decoder, type_))


def msgpack_decoder(type_: type[T]) -> msgspec.msgpack.Decoder[T]:
    """The MessagePack decoder of a type, the same object at every call."""
    return cast("msgspec.msgpack.Decoder[T]", _decoder(msgspec.msgpack.Decoder, type_))


def _decoder(format_: type, type_: Any) -> Any:
    found = _built.get((format_, type_))
    if found is None:
        with _lock:
            found = _built.setdefault((format_, type_), format_(type_))
    return found
