"""CloudEvents 1.0 over Kafka: written in binary mode, read in binary and structured mode.

CloudEvents Kafka Protocol Binding 1.0.2 §3: in binary mode the attributes are headers ``ce_<name>`` and the value is
the data; in structured mode the content type is ``application/cloudevents+json`` and the value holds everything.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from yijian_contracts.events import EVENTS, Event
from yijian_contracts.strict_json import InvalidJsonError, parse

E_co = TypeVar("E_co", bound=Event, covariant=True)
E = TypeVar("E", bound=Event)

JSON = "application/json"
STRUCTURED = "application/cloudevents+json"

MAX_NAME = 200

# W3C Trace Context §3.2. Anything else would be kept and passed on for as long as the sender made it.
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

_MODELS: dict[str, type[Event]] = {model.full_type(): model for model in EVENTS}
_STEMS = {model.TYPE for model in EVENTS}


class UndecodableError(ValueError):
    """A record is no event that we understand. The message names no personal value; it is safe to log and to show."""


@dataclass(frozen=True)
class CloudEvent(Generic[E_co]):
    """An event with the context it travelled in. `traceparent` is W3C Trace Context, if the sender gave a valid one."""

    id: str
    source: str
    time: datetime
    data: E_co
    traceparent: str | None = None

    def holding(self, data: E) -> "CloudEvent[E]":
        """The same event, whose data is known to be of a kind."""
        return CloudEvent(id=self.id, source=self.source, time=self.time, data=data, traceparent=self.traceparent)


@dataclass(frozen=True)
class EncodedEvent:
    """An event as it is produced: to `topic`, under `key`."""

    id: str
    topic: str
    key: str
    headers: dict[str, str]
    value: bytes


def encode(event: Event, *, source: str, time: datetime | None = None, traceparent: str | None = None) -> EncodedEvent:
    """The record to produce for `event`. `source` is the sender's principal, such as ``approval``."""
    key = event.key
    at = time.astimezone(UTC) if time else datetime.now(UTC)
    headers = {
        "ce_specversion": "1.0",
        "ce_id": str(event.event_id),
        "ce_source": f"/{source}",
        "ce_type": event.full_type(),
        "ce_subject": key,
        "ce_time": at.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z",
        "content-type": JSON,
    }
    if traceparent:
        headers["traceparent"] = traceparent
    value = event.model_dump_json(exclude_none=True).encode()
    return EncodedEvent(id=headers["ce_id"], topic=event.topic, key=key, headers=headers, value=value)


def decode(headers: Iterable[tuple[str, bytes]], value: bytes | None) -> CloudEvent[Event]:
    """The event in a record, whichever mode it was written in. Raises `UndecodableError`."""
    if value is None:
        raise UndecodableError("the record has no value; tombstones are not part of any contract")
    texts = _header_texts(headers)
    try:
        content = parse(value)
    except InvalidJsonError as error:
        raise UndecodableError(f"the value is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise UndecodableError("the value is not a JSON object")
    if texts.get("content-type", "").split(";")[0].strip().lower() == STRUCTURED:
        attributes, data = _structured(content)
        # In structured mode trace context may stand in the headers as well as in the envelope.
        attributes.setdefault("traceparent", texts.get("traceparent", ""))
    else:
        attributes = {name.removeprefix("ce_"): text for name, text in texts.items() if name.startswith("ce_")}
        attributes["traceparent"] = texts.get("traceparent", attributes.get("traceparent", ""))
        data = content
    return _assemble(attributes, data)


def _header_texts(headers: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for name, raw in headers:
        try:
            texts[name.lower()] = raw.decode("utf-8")
        except (UnicodeDecodeError, AttributeError):
            raise UndecodableError("a header is not UTF-8 text") from None
    return texts


def _structured(envelope: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    data = envelope.get("data")
    if not isinstance(data, dict):
        raise UndecodableError("structured mode without an object under 'data'")
    attributes = {name: value for name, value in envelope.items() if name != "data" and isinstance(value, str)}
    return attributes, data


def _assemble(attributes: Mapping[str, str], data: Mapping[str, Any]) -> CloudEvent[Event]:
    missing = [name for name in ("id", "source", "type", "specversion") if not attributes.get(name)]
    if missing:
        raise UndecodableError(f"attributes missing: {', '.join(missing)}")
    if any(len(attributes[name]) > MAX_NAME for name in ("id", "source")):
        raise UndecodableError(f"id or source is longer than {MAX_NAME} characters")
    if attributes["specversion"] != "1.0":
        raise UndecodableError("specversion is not 1.0")
    model = _MODELS.get(attributes["type"])
    if model is None:
        stem, _, major = attributes["type"].rpartition(".v")
        if stem in _STEMS:
            raise UndecodableError(f"type {stem} has no major {major[:10]!r} here")
        raise UndecodableError("the type is unknown")
    try:
        event = model.model_validate(data)
    except ValidationError as error:
        places = "; ".join(
            f"{_place(e['loc'])}: {e['msg']}" for e in error.errors(include_input=False, include_url=False)[:5]
        )
        raise UndecodableError(f"{attributes['type']} does not fit its schema: {places}") from None
    if attributes.get("subject") not in (None, "", event.key):
        raise UndecodableError("the subject is not what the data is about")
    return CloudEvent(
        id=attributes["id"],
        source=attributes["source"],
        time=_instant(attributes.get("time")),
        data=event,
        traceparent=_trace(attributes.get("traceparent", "")),
    )


def _trace(text: str) -> str | None:
    """What the sender gave as its trace, if it is one; a broken one is no reason to refuse the event."""
    return text if _TRACEPARENT.fullmatch(text) else None


def _place(location: tuple[str | int, ...]) -> str:
    # Names below `personal` may be the sender's own words, so only the part that the contract names is repeated.
    known = location[: location.index("personal") + 1] if "personal" in location else location
    return ".".join(str(step) for step in known)


def _instant(text: str | None) -> datetime:
    if not text:
        return datetime.now(UTC)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise UndecodableError("time is not an RFC 3339 instant") from None
    if instant.tzinfo is None:
        raise UndecodableError("time has no zone")
    return instant.astimezone(UTC)
