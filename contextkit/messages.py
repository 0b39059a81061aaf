"""Message: a frozen snapshot of one chat message, verbatim; its normal form and its hash chain.

A message goes out with the bytes that came in: unknown fields, key order, arguments that are not
valid JSON. The *normal form* is only for telling whether two messages mean the same bytes to the
model: it treats absent and null alike, and a string as one text part.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from contextkit.errors import InputError, MessageError

SCHEMA = "contextkit/1"
"""Version of the stored form and of the normal form: part of every prefix hash."""

ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
SYSTEM_ROLES = frozenset({"system", "developer"})

REASONING_FIELDS = ("reasoning_content", "reasoning")
"""Under which providers send the reasoning of a reply."""

LARGEST_INT = 14_000
"""Bits; Python writes no integer of more than 4,300 digits."""

_DEEPEST = 100
"""Levels that a message may be nested."""

_END_OF_TIME = 253_402_300_800
"""The year 10000, in seconds since the epoch: dates of it cannot be written."""

MessageLike = str | Mapping[str, Any] | Any
"""What is accepted as a message: a string (a user message), a dict, an SDK object."""


class Message:
    """One chat message: a private copy of the caller's dict, checked once and never changed.

    Attributes:
        data: the message as it came in. Shared, so read it and never write to it;
            `copy()` gives a dict of one's own.
        role: one of `system`, `developer`, `user`, `assistant`, `tool`.
        pinned: protected from every strategy by the caller's wish.
        size: roughly how many bytes it takes in memory.
        loose: holds numbers or booleans, of which Python takes some for equal that JSON does not.
        time: when it was said, in seconds since the epoch; None where nobody knows. Kept beside
            the message: it is never sent, and no hash and no decision depends on it.
    """

    __slots__ = ("data", "flat", "loose", "pinned", "role", "size", "time")

    def __init__(
        self,
        data: dict[str, Any],
        *,
        flat: bool,
        size: int,
        pinned: bool,
        time: float | None = None,
    ) -> None:
        self.data = data
        self.role: str = data["role"]
        self.flat = flat
        self.loose = not flat and _holds_number(data)
        self.size = size
        self.pinned = pinned
        self.time = time

    @classmethod
    def of(
        cls,
        value: MessageLike,
        *,
        place: str = "message",
        pinned: bool = False,
        time: float | None = None,
    ) -> Message:
        """Check and copy a message.

        Raises:
            MessageError: with the place inside the message of what cannot be stored or sent.
            InputError: when the time is none.
        """
        if time is not None:
            time = checked_time(time, f"{place}, time")
        if isinstance(value, Message):
            time = value.time if time is None else time
            if value.pinned == pinned and value.time == time:
                return value
            return cls(value.data, flat=value.flat, size=value.size, pinned=pinned, time=time)
        data = plain(value, place)
        size = 240
        flat = True
        copied: dict[str, Any] = {}
        for key, item in data.items():
            if not isinstance(key, str):
                raise MessageError(f"keys must be strings, not {key!r}", place=place)
            if not key.isascii():
                _check_text(key, place)
            if type(item) is str:
                if not item.isascii():
                    _check_text(item, f"{place}.{key}")
                size += len(item)
                copied[key] = item
            elif item is None:
                copied[key] = None
            else:
                flat = False
                copied[key], added = _copy_checked(item, f"{place}.{key}")
                size += added
        _check_shape(copied, place)
        return cls(copied, flat=flat, size=size, pinned=pinned, time=time)

    def copy(self) -> dict[str, Any]:
        """A dict that the caller may change."""
        return dict(self.data) if self.flat else copy_json(self.data)

    @property
    def normal(self) -> str:
        """The normal form, as canonical JSON."""
        return normal_form(self.data)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return self.pinned == other.pinned and self.normal == other.normal

    def __hash__(self) -> int:
        return hash(self.normal)

    def __repr__(self) -> str:
        """Role and size only: content does not belong into logs and tracebacks."""
        return f"Message({self.role}, {self.size} bytes{', pinned' if self.pinned else ''})"


def is_time(value: Any) -> bool:
    """Whether a value is seconds since the epoch, up to the end of the year 9999."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value < _END_OF_TIME


def checked_time(time: Any, place: str) -> float:
    """The time, if it is seconds since the epoch.

    Raises:
        InputError: when it is not.
    """
    if not is_time(time):
        milliseconds = isinstance(time, int | float) and _END_OF_TIME <= time < 1e3 * _END_OF_TIME
        hint = "divide milliseconds by 1,000" if milliseconds else "datetime.timestamp() gives them"
        raise InputError(f"is seconds since the epoch, not {time!r:.60}: {hint}", place=place)
    return float(time)


def plain(value: MessageLike, place: str = "message") -> Mapping[str, Any]:
    """The dict form of whatever stands for a message: a string, a mapping, an SDK object."""
    if isinstance(value, str):
        return {"role": "user", "content": value}
    if isinstance(value, Mapping):
        return value
    said: Any = value
    choices = getattr(said, "choices", None)
    if isinstance(choices, list) and choices:
        said = choices[0]  # a whole chat completion: its reply is meant
    if not hasattr(said, "role"):
        said = getattr(said, "message", said)
    dump = getattr(said, "model_dump", None)
    if callable(dump):
        # The SDK's reply holds a null for every field the provider left out; sending those back
        # is refused by some providers, and what was not set was not said.
        dumped = _dumped(dump, place)
        if "role" not in dumped and getattr(said, "role", None):
            dumped = {"role": said.role, **dumped}
        return dumped
    raise MessageError(
        f"a message is a string, a dict or an SDK object, not {type(value).__name__}", place=place
    )


def _dumped(dump: Callable[..., Any], place: str) -> Mapping[str, Any]:
    """What an SDK object holds of what was set."""
    try:
        data = dump(mode="json", exclude_unset=True, warnings=False)
    except Exception as error:
        raise MessageError(f"model_dump() failed: {error!r:.200}", place=place) from error
    if not isinstance(data, Mapping):
        raise MessageError(f"model_dump() gave no dict but {type(data).__name__}", place=place)
    return data


def copy_json(value: Any) -> Any:
    """A deep copy of JSON data (`copy.deepcopy` takes five times as long)."""
    if isinstance(value, dict):
        # Most values are strings: a call for each would take three times as long.
        return {k: v if v.__class__ is str else copy_json(v) for k, v in value.items()}
    if isinstance(value, list):
        return [copy_json(item) for item in value]
    return value


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: one string for one value, in every process."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def normal_form(data: Mapping[str, Any]) -> str:
    """What two messages share that are the same to the model, as canonical JSON.

    Null and absent are alike, at every depth; content of a single plain text part is its text.
    """
    normal = {key: without_nulls(value) for key, value in data.items() if value is not None}
    content = normal.get("content")
    if (
        isinstance(content, list | tuple)
        and len(content) == 1
        and isinstance(content[0], dict)
        and content[0].keys() == {"type", "text"}
        and content[0]["type"] == "text"
    ):
        normal["content"] = content[0]["text"]
    return canonical_json(normal)


def same_message(value: MessageLike, message: Message) -> bool:
    """Whether what a caller sent stands for this message (by normal form)."""
    try:
        return normal_form(plain(value)) == message.normal
    except TypeError:  # SDK objects inside a dict: `"tool_calls": reply.tool_calls`
        pass
    except (MessageError, ValueError, RecursionError):
        return False
    try:
        return Message.of(value).normal == message.normal
    except (MessageError, TypeError, ValueError, RecursionError):
        return False


def chain(previous: bytes, message: Message) -> bytes:
    """The prefix hash h(i) = H(h(i-1), normal form of message i)."""
    digest = blake2b(previous, digest_size=16)
    digest.update(message.normal.encode())
    return digest.digest()


def chain_start(*parts: str) -> bytes:
    """The prefix hash of no messages, h(0), for a schema, a scope and a view."""
    return blake2b(canonical_json([SCHEMA, *parts]).encode(), digest_size=16).digest()


def text_of(data: Mapping[str, Any]) -> str:
    """The text of a message: its string content, or its text parts joined by blank lines."""
    content = data.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        texts = [part.get("text") for part in content if isinstance(part, Mapping)]
        return "\n\n".join(text for text in texts if isinstance(text, str))
    return ""


def call_ids(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids of the tool calls that an assistant message makes, in order."""
    calls = data.get("tool_calls")
    return tuple(call["id"] for call in calls) if calls else ()


def called(call: Mapping[str, Any]) -> tuple[str, str]:
    """The name of the tool that a tool call names, and its arguments or input as text.

    Of whichever type the call is; what it does not say is empty. Arguments are a string by the
    rules of the API, and stay as they are; some servers send an object, which becomes JSON.
    """
    for kind in ("function", "custom"):
        said = call.get(kind)
        if isinstance(said, Mapping):
            name, given = said.get("name"), said.get("arguments", said.get("input"))
            if given is not None and not isinstance(given, str):
                given = json.dumps(given, ensure_ascii=False)
            return name if isinstance(name, str) else "", given or ""
    return "", ""


def has_reasoning(message: Mapping[str, Any]) -> bool:
    """Whether an assistant message carries a reasoning text."""
    return any(message.get(key) is not None for key in REASONING_FIELDS)


def without_reasoning(message: Mapping[str, Any]) -> dict[str, Any]:
    """The message without its reasoning text."""
    return {key: value for key, value in message.items() if key not in REASONING_FIELDS}


def without_nulls(value: Any) -> Any:
    """JSON data without the keys whose value is null, at every depth."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [without_nulls(item) for item in value]
    return value


def _holds_number(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_number(item) for item in value.values())
    if isinstance(value, list):
        return any(_holds_number(item) for item in value)
    return isinstance(value, int | float)


def _check_text(text: str, place: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise MessageError(
            f"holds a lone surrogate (U+{ord(text[error.start]):04X} at character {error.start:,}),"
            " which cannot be sent as UTF-8. Decode the text with errors='replace' at its source.",
            place=place,
        ) from error


def _copy_checked(value: Any, place: str, depth: int = 0) -> tuple[Any, int]:
    """A deep copy of one JSON value and its size in bytes, or an error with the place."""
    if depth > _DEEPEST:
        raise MessageError(
            f"is nested more than {_DEEPEST} levels deep, or holds itself", place=f"{place:.60}…"
        )
    if isinstance(value, Mapping):
        size = 240
        copied = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise MessageError(f"keys must be strings, not {key!r}", place=place)
            _check_text(key, place)
            copied[key], added = _copy_checked(item, f"{place}.{key}", depth + 1)
            size += added
        return copied, size
    if isinstance(value, list | tuple):
        size = 64
        items = []
        for position, item in enumerate(value):
            copy, added = _copy_checked(item, f"{place}[{position}]", depth + 1)
            items.append(copy)
            size += added
        return items, size
    if callable(getattr(value, "model_dump", None)):
        return _copy_checked(_dumped(value.model_dump, place), place, depth + 1)
    return _checked_scalar(value, place)


def _checked_scalar(value: Any, place: str) -> tuple[Any, int]:
    """A string, number, boolean or null that JSON can hold, and its size in bytes."""
    if isinstance(value, str):
        text = value if type(value) is str else str.__str__(value)  # an enum member: its text
        _check_text(text, place)
        return text, 56 + len(text)
    if value is None or isinstance(value, bool):
        return value, 32
    if isinstance(value, int):
        if value.bit_length() > LARGEST_INT:
            raise MessageError("is an integer of thousands of digits", place=place)
        return int(value), 32
    if isinstance(value, float):
        if not math.isfinite(value):
            raise MessageError(f"{value!r} is not JSON: pass null or a string", place=place)
        return float(value), 32
    hint = "decode it" if isinstance(value, bytes | bytearray) else "make it a string or a number"
    raise MessageError(f"{type(value).__name__} is not JSON: {hint}", place=place)


def _check_shape(data: dict[str, Any], place: str) -> None:
    """The least that every provider asks of a message of its role."""
    role = data.get("role")
    if not isinstance(role, str) or role not in ROLES:
        hint = " (the deprecated form of 'tool')" if role == "function" else ""
        # A word is quoted; anything else may be what the message says, in the wrong place.
        word = (
            f" {role!r}"
            if isinstance(role, str) and role.isidentifier() and len(role) <= 20
            else ""
        )
        what = "there is no role" if role is None else f"unknown role{word}{hint}"
        raise MessageError(f"{what}; known are {', '.join(sorted(ROLES))}", place=f"{place}.role")
    if "name" in data and not isinstance(data["name"], str | None):
        raise MessageError("is a string, or absent", place=f"{place}.name")
    content = data.get("content")
    if type(content) is str:
        pass
    elif content is None:
        if role != "assistant":
            raise MessageError(
                f"a {role} message needs content; for none, pass an empty string",
                place=f"{place}.content",
            )
    elif type(content) is not list:
        raise MessageError(
            f"content is a string or a list of parts, not {type(content).__name__}",
            place=f"{place}.content",
        )
    else:
        if not content and role != "assistant":
            raise MessageError("is an empty list of parts", place=f"{place}.content")
        for position, part in enumerate(content):
            if not isinstance(part, dict) or not isinstance(part.get("type"), str):
                raise MessageError(
                    "a part is a dict with a type", place=f"{place}.content[{position}]"
                )
            if part["type"] == "text" and not isinstance(part.get("text"), str):
                raise MessageError(
                    "a text part needs its text, a string",
                    place=f"{place}.content[{position}].text",
                )
    _check_tool_fields(data, role, place)


def _check_tool_fields(data: dict[str, Any], role: str, place: str) -> None:
    calls = data.get("tool_calls")
    if role == "assistant":
        if calls is not None:
            _check_calls(calls, f"{place}.tool_calls")
    elif calls:
        raise MessageError(
            f"only an assistant message calls tools, not one of role {role}",
            place=f"{place}.tool_calls",
        )
    elif role == "tool" and type(data.get("tool_call_id")) is not str:
        raise MessageError(
            "a tool message needs the id of the call that it answers, a string",
            place=f"{place}.tool_call_id",
        )


def _check_calls(calls: Any, place: str) -> None:
    if type(calls) is not list:
        raise MessageError(f"is a list, not {type(calls).__name__}", place=place)
    seen: set[str] = set()
    for position, call in enumerate(calls):
        here = f"{place}[{position}]"
        if not isinstance(call, dict):
            raise MessageError("a tool call is a dict", place=here)
        identifier = call.get("id")
        if type(identifier) is not str or not identifier:
            raise MessageError(
                "a tool call needs an id, or its result cannot be told from others",
                place=f"{here}.id",
            )
        function = call.get("function")
        if function is not None or call.get("type") in (None, "function"):
            if not isinstance(function, dict):
                raise MessageError("is a dict with name and arguments", place=f"{here}.function")
            if not isinstance(function.get("name"), str):
                raise MessageError("a tool call needs a name", place=f"{here}.function.name")
        if identifier in seen:
            raise MessageError(
                f"id {identifier!r} stands twice: parallel calls need ids of their own",
                place=f"{here}.id",
            )
        seen.add(identifier)
