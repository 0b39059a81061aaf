"""What the chunks of a chat-completions stream add up to: one message, its usage, its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contextkit.errors import InputError, ReplyError
from contextkit.messages import copy_json
from contextkit.usage import Usage


class StreamedMessage:
    """The assistant message of a stream, as far as it has come; of its first choice.

    Text, reasoning and unknown text fields are concatenated, tool calls put together by their
    index, unknown lists extended; of anything else the last value stands.

    Attributes:
        finish_reason: why the reply ended; None before, and where the provider does not say.
        usage: what the provider reported; None where it did not.
        only_usage: whether the last chunk brought the usage and nothing else.

    Example:
        >>> from contextkit.providers.streaming import StreamedMessage
        >>> reply = StreamedMessage()
        >>> for word in ("Good ", "morning"):
        ...     _ = reply.add({"choices": [{"index": 0, "delta": {"content": word}}]})
        >>> reply.message
        {'role': 'assistant', 'content': 'Good morning'}
    """

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self.usage: Usage | None = None
        self.only_usage = False
        self._role = ""
        self._pieces: dict[str, list[str]] = {}
        self._fields: dict[str, Any] = {}  # in the order in which they first came
        self._calls: list[dict[str, Any]] = []
        self._places: dict[Any, int] = {}  # where the call of an index stands

    def add(self, chunk: Any) -> str:
        """Take in one chunk, an SDK object or a dict, and give the text that it adds.

        Raises:
            ReplyError: when it has not the form of a chunk; with the text so far.
        """
        try:
            return self._take(as_data(chunk))
        except (AttributeError, TypeError, ValueError, ReplyError) as error:
            raise ReplyError(
                f"a chunk of the stream has not the form of one: {error}", partial=self.text
            ) from error

    def _take(self, data: Mapping[str, Any]) -> str:
        if data.get("usage") is not None:
            self.usage = usage_of(data["usage"])
        self.only_usage = not data.get("choices") and data.get("usage") is not None
        for choice in data.get("choices") or ():
            if (choice.get("index") or 0) != 0:
                continue
            if choice.get("finish_reason") is not None:
                self.finish_reason = choice["finish_reason"]
            return self._add(choice.get("delta") or {})
        return ""

    @property
    def text(self) -> str:
        """The text so far."""
        return _joined(self._pieces.get("content", ()))

    @property
    def message(self) -> dict[str, Any]:
        """The message so far, in the form that a reply without streaming has."""
        message: dict[str, Any] = {"role": self._role or "assistant", "content": self.text}
        if self._calls and not message["content"]:
            message["content"] = None
        for field, value in self._fields.items():
            message[field] = _joined(self._pieces[field]) if value is None else copy_json(value)
        if self._calls:
            message["tool_calls"] = [_whole(call) for call in self._calls]
        return message

    def _add(self, delta: Mapping[str, Any]) -> str:
        for field, value in delta.items():
            if value is None:
                continue
            if field == "role":
                self._role = self._role or value
            elif field == "tool_calls":
                for position, call in enumerate(value):
                    self._add_call(position, call)
            elif isinstance(value, str):
                self._pieces.setdefault(field, []).append(value)
                if field != "content":
                    self._fields[field] = None  # its text is in the pieces
            elif isinstance(value, list) and isinstance(self._fields.get(field), list):
                self._fields[field] = [*self._fields[field], *value]
            else:
                self._fields[field] = value
        text = delta.get("content")
        return text if isinstance(text, str) else ""

    def _add_call(self, position: int, delta: Mapping[str, Any]) -> None:
        index = delta.get("index")
        key = position if index is None else index
        place = self._places.get(key)
        identifier = delta.get("id")
        # Some providers give every parallel call the same index: a new id is a new call.
        if place is None or (identifier and self._calls[place].get("id", identifier) != identifier):
            place = self._places[key] = len(self._calls)
            self._calls.append({})
        call = self._calls[place]
        for field, value in delta.items():
            if field == "index" or value is None or (value == "" and field in call):
                continue
            if field == "function":
                function = call.setdefault("function", {"name": "", "arguments": []})
                for name, part in value.items():
                    if name == "arguments" and isinstance(part, str):
                        function["arguments"].append(part)
                    elif name == "name" and part and part != function["name"]:
                        function["name"] += part
                    elif name not in ("name", "arguments") and part is not None:
                        function[name] = part
            else:
                call[field] = value


def usage_of(reported: Any) -> Usage | None:
    """The usage that came with a reply; nonsense is none, so that the reply is not lost over it."""
    try:
        return Usage.of(reported)
    except InputError:
        return None


def as_data(value: Any) -> Mapping[str, Any]:
    """What an SDK object (or a dict) holds of what the provider said, as JSON data.

    Raises:
        ReplyError: when it is neither.
    """
    if isinstance(value, Mapping):
        return value
    if not callable(getattr(value, "model_dump", None)):
        raise ReplyError(f"the provider answered with {type(value).__name__}, no JSON object")
    # What a provider adds of its own need not fit the SDK's types: no warning about that.
    data: Mapping[str, Any] = value.model_dump(mode="json", exclude_unset=True, warnings=False)
    return data


def _whole(call: dict[str, Any]) -> dict[str, Any]:
    whole: dict[str, Any] = copy_json(call)
    function = whole.get("function")
    if function is not None:
        function["arguments"] = _joined(function["arguments"])
    return whole


def _joined(pieces: list[str] | tuple[str, ...]) -> str:
    """The pieces as one text. A character that was cut in two by a chunk is whole again."""
    text = "".join(pieces)
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
