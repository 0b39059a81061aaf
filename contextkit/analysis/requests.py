"""Requests: where in a record of any shape a request stands, and its messages, checked."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from contextkit.analysis.reading import parse
from contextkit.errors import InputError
from contextkit.messages import Message

WITHIN = (
    *("request", "body", "request_body", "kwargs", "payload", "params", "json", "data"),
    *("input", "inputs", "event", "proxy_server_request", "standard_logging_object"),
)
"""Keys under which records hold a request, or what holds one."""

_DEEPEST = 4
_MESSAGES = ("messages", "conversations", "conversation")


@dataclass(frozen=True, slots=True)
class Request:
    """A request in OpenAI form.

    Attributes:
        parameters: of `chat.completions.create`: `messages`, and what else was found.
        lost: how many of what have no counterpart in that form.
    """

    parameters: dict[str, Any]
    lost: Mapping[str, int] = field(default_factory=dict)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Its messages."""
        found: list[dict[str, Any]] = self.parameters["messages"]
        return found

    @property
    def tools(self) -> list[dict[str, Any]]:
        """Its tools."""
        return self.parameters.get("tools") or []


def find_request(record: Any) -> Mapping[str, Any] | None:
    """The request of a record: the outermost object with messages; None where there is none."""
    left = deque([(record, 0)])
    while left:
        value, depth = left.popleft()
        value = unpacked(value)
        if isinstance(value, list) and _are_messages(value):
            return {"messages": value}
        if not isinstance(value, Mapping):
            continue
        if holds_messages(value):
            return value
        if depth < _DEEPEST:
            left.extend((value[key], depth + 1) for key in WITHIN if key in value)
    return None


def unpacked(value: Any) -> Any:
    """A value that was logged as JSON text, read; any other as it is."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return parse(value)
        except ValueError:
            return value
    return value


def holds_messages(value: Mapping[str, Any]) -> bool:
    """Whether an object is a request, or a conversation, by its shape."""
    return any(_are_messages(unpacked(value.get(key))) for key in _MESSAGES)


def _are_messages(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(is_message, value))


def is_message(value: Any) -> bool:
    """Whether a value looks like a message of any format."""
    return isinstance(value, Mapping) and "role" in value


def as_request(given: Mapping[str, Any]) -> Request:
    """A request that was found, in OpenAI form, checked.

    Raises:
        InputError: what no request could hold; the place is said in the message.
    """
    found = {**given, "messages": unpacked(given.get("messages"))}
    check(found["messages"])
    check_tools(found.get("tools"))
    return Request(found)


def check(messages: Iterable[Any]) -> None:
    """That each message can be appended to a `History`.

    Raises:
        MessageError: with the place of the first that cannot.
    """
    for number, message in enumerate(messages):
        Message.of(message, place=f"messages[{number}]")


def check_tools(tools: Any) -> None:
    """That tools are a list of objects.

    Raises:
        InputError: when they are not.
    """
    if tools is not None and not (
        isinstance(tools, list) and all(isinstance(tool, Mapping) for tool in tools)
    ):
        raise InputError("is a list of tools, an object each", place="tools")
