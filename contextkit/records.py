"""Records: what the log of a conversation consists of, and their JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from math import isfinite
from typing import Any

from contextkit.edits import Decision
from contextkit.errors import InputError
from contextkit.messages import Message, canonical_json
from contextkit.usage import Usage


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings that requests of a view were built with, from `point` on, as JSON data."""

    view: str
    point: int
    data: Mapping[str, Any]
    hash: str = field(init=False, compare=False)
    """Names the settings wherever they were made."""

    def __post_init__(self) -> None:
        digest = blake2b(canonical_json(self.data).encode(), digest_size=8)
        object.__setattr__(self, "hash", digest.hexdigest())


@dataclass(frozen=True, slots=True)
class Reported:
    """What the provider reported for the request that message `number` answered.

    Attributes:
        number: of the message.
        usage: what was reported.
        time: seconds since the epoch when the request was built, where that is known. Forecasts
            read it, and no decision.
    """

    number: int
    usage: Usage
    time: float | None = None


Record = Message | Settings | Decision | Reported


def record_to_json(record: Record) -> dict[str, Any]:
    """One record as JSON data."""
    if isinstance(record, Message):
        line: dict[str, Any] = {"type": "message", "message": record.copy()}
        if record.pinned:
            line["pinned"] = True
        if record.time is not None:
            line["time"] = record.time
        return line
    if isinstance(record, Decision):
        return {"type": "decision", **record.to_json()}
    if isinstance(record, Settings):
        return {
            "type": "settings",
            "view": record.view,
            "point": record.point,
            "settings": dict(record.data),
        }
    line = {"type": "usage", "number": record.number, "usage": record.usage.to_json()}
    if record.time is not None:
        line["time"] = record.time
    return line


def record_from_json(line: Mapping[str, Any]) -> Record:
    """Read what `record_to_json` made.

    Raises:
        InputError: when the type is unknown.
        KeyError, TypeError: when something is missing.
    """
    kind = line.get("type")
    if kind == "message":
        return Message.of(line["message"], pinned=line.get("pinned", False), time=line.get("time"))
    if kind == "decision":
        return Decision.from_json(line)
    if kind == "settings":
        _check_settings(line["view"], line["settings"])
        return Settings(line["view"], line["point"], line["settings"])
    if kind == "usage":
        return Reported(line["number"], Usage(**line["usage"]), _checked_time(line.get("time")))
    raise InputError(f"unknown type of record {kind!r}")


def _checked_time(given: Any) -> float | None:
    """Seconds since the epoch; logs of before they were kept have none."""
    if given is not None and (type(given) not in (int, float) or not isfinite(given)):
        raise InputError(f"the time of a report is {given!r:.60}: seconds since the epoch")
    seconds: float | None = given
    return seconds


def _check_settings(view: Any, data: Any) -> None:
    """That settings can be built with: what is read of them is of its kind."""
    if not isinstance(view, str) or not isinstance(data, Mapping):
        raise InputError("settings are an object, and belong to a view")
    for key in ("tools", "documents"):
        items = data.get(key) or []
        if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
            raise InputError(f"the {key} of settings are a list of objects")
    if not all(isinstance(document.get("role"), str) for document in data.get("documents") or ()):
        raise InputError("the documents of settings are messages with a role")
    roles = data.get("block_roles") or []
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise InputError("the block roles of settings are a list of strings")
    for key, wanted in (("model", str), ("limit", int), ("target", int)):
        if not isinstance(data.get(key), wanted | None):
            raise InputError(f"{key} of settings is {data[key]!r:.60}")
    for key in ("response_format", "cache"):
        if not isinstance(data.get(key), Mapping | None):
            raise InputError(f"the {key.replace('_', ' ')} of settings is an object")
