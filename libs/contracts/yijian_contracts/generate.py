"""Writes what is generated from the contracts: JSON Schemas, the AsyncAPI document, and docs/events.md.

    python -m yijian_contracts.generate docs

A test compares what stands in docs with what this writes, so a change of a contract is always seen.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from yijian_contracts.events import (
    EVENTS,
    Event,
    TaskAnswered,
    TaskCancelled,
    TaskReceived,
    TaskRequested,
    TaskUnprocessable,
)
from yijian_contracts.topics import Topic, topics

TO_DEPARTMENTS: tuple[type[Event], ...] = (TaskRequested, TaskCancelled)
FROM_DEPARTMENTS: tuple[type[Event], ...] = (TaskReceived, TaskAnswered, TaskUnprocessable)

INTRODUCTION = """# Events

Generated from `libs/contracts` by `make contracts`; do not edit. The machine's form is
[asyncapi.json](contracts/asyncapi.json), each event's schema stands in [contracts/schemas](contracts/schemas).

Every record is a CloudEvent 1.0. We write binary mode: the attributes are the headers `ce_specversion`, `ce_id`,
`ce_source`, `ce_type`, `ce_subject`, `ce_time` and `content-type: application/json`, the value is the data. Structured
mode (`content-type: application/cloudevents+json`) is read as well. `traceparent` is W3C Trace Context.

- The key and the subject are the id of what the event is about, mostly the application. An identity number is never a
  key, a subject or a header.
- The id of an event is derived from what it is about: the same event sent again has the same id.
- Personal data stands under `personal` and nowhere else.
- Unknown fields are ignored. An unknown type, or an unknown major of a known type, becomes a dead letter.
- Topics keep records for 8 days. They are neither compacted nor transactional, so offsets have no gaps.
"""


def events_of(topic: Topic) -> tuple[type[Event], ...]:
    """The events that travel on a topic."""
    if topic.name.endswith(".tasks"):
        return TO_DEPARTMENTS
    if topic.name.endswith(".results"):
        return FROM_DEPARTMENTS
    return tuple(event for event in EVENTS if topic.name == event.TOPIC)


def schema_of(event: type[Event]) -> dict[str, Any]:
    """The JSON Schema 2020-12 of an event's data."""
    schema = event.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:{event.full_type()}", **schema}


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.0 document: topics are channels, events are messages, operations are those of approval."""
    channels = {
        topic.name: {
            "address": topic.name,
            "description": topic.description,
            "messages": {e.__name__: {"$ref": f"#/components/messages/{e.__name__}"} for e in events_of(topic)},
            "x-writer": topic.writer,
            "x-readers": list(topic.readers),
            "bindings": {
                "kafka": {"partitions": topic.partitions, "topicConfiguration": {"retention.ms": topic.retention_ms}}
            },
        }
        for topic in topics()
    }
    operations = {
        f"{'send' if topic.writer == 'approval' else 'receive'}.{topic.name}": {
            "action": "send" if topic.writer == "approval" else "receive",
            "channel": {"$ref": f"#/channels/{topic.name}"},
        }
        for topic in topics()
        if "approval" in (topic.writer, *topic.readers)
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Yijian events",
            "version": "1.0.0",
            "description": "What the services and the departments say to each other; operations are approval's.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": {event.__name__: _message(event) for event in EVENTS}},
    }


def _message(event: type[Event]) -> dict[str, Any]:
    return {
        "name": event.full_type(),
        "title": event.__name__,
        "summary": _first_line(event),
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "required": ["ce_specversion", "ce_id", "ce_source", "ce_type"],
            "properties": {
                "ce_specversion": {"const": "1.0"},
                "ce_id": {"type": "string"},
                "ce_source": {"type": "string"},
                "ce_type": {"const": event.full_type()},
                "ce_subject": {"type": "string"},
                "ce_time": {"type": "string", "format": "date-time"},
            },
        },
        "payload": {"$ref": f"schemas/{event.full_type()}.json"},
        "bindings": {"kafka": {"key": {"type": "string"}}},
    }


def _first_line(event: type[Event]) -> str:
    return (event.__doc__ or "").strip().split("\n")[0]


def events_page() -> str:
    """docs/events.md."""
    return "\n".join((INTRODUCTION, "## Topics\n", *_topic_table(), "", "## Events", *_event_sections())) + "\n"


def _topic_table() -> Iterator[str]:
    yield "| topic | writer | readers | personal data | events |"
    yield "|---|---|---|---|---|"
    for topic in topics():
        names = ", ".join(event.__name__ for event in events_of(topic))
        personal = "yes" if topic.personal else "no"
        yield f"| `{topic.name}` | {topic.writer} | {', '.join(topic.readers)} | {personal} | {names} |"


def _event_sections() -> Iterator[str]:
    for event in EVENTS:
        yield f"\n### {event.__name__}\n"
        yield f"`{event.full_type()}`\n"
        yield " ".join((event.__doc__ or "").split()) + "\n"
        yield "| field | type | required |"
        yield "|---|---|---|"
        schema = schema_of(event)
        for name, part in schema["properties"].items():
            required = "yes" if name in schema.get("required", ()) else ""
            yield f"| `{name}` | {_type(part)} | {required} |"


def _type(part: dict[str, Any]) -> str:
    if "$ref" in part:
        return str(part["$ref"]).rpartition("/")[2]
    if "anyOf" in part:
        return " or ".join(_type(option) for option in part["anyOf"])
    if part.get("type") == "array":
        return f"list of {_type(part['items'])}" if "items" in part else "list"
    return str(part.get("format") or part.get("const") or part.get("type", "any"))


def write(folder: Path) -> None:
    """Write everything generated below `folder`, and remove schemas of events that are no more."""
    schemas = folder / "contracts" / "schemas"
    schemas.mkdir(parents=True, exist_ok=True)
    for stale in schemas.glob("*.json"):
        stale.unlink()
    for event in EVENTS:
        _write_json(schemas / f"{event.full_type()}.json", schema_of(event))
    _write_json(folder / "contracts" / "asyncapi.json", asyncapi())
    (folder / "events.md").write_text(events_page(), encoding="utf-8")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
