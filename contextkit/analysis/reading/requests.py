"""Requests: where in a record of any shape a request stands, and its messages, checked."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from contextkit.analysis.reading.files import Piece
from contextkit.analysis.reading.importers import LISTS, is_message, openai_form
from contextkit.analysis.reading.importers.parts import mappings
from contextkit.analysis.reading.strict_json import parse
from contextkit.errors import InputError
from contextkit.messages import Message

WITHIN = (
    *("request", "req", "body", "request_body", "kwargs", "payload", "params", "json", "data"),
    *("input", "inputs", "values", "prompt", "prompt_messages", "chat_history", "history"),
    *("event", "standard_logging_object", "proxy_server_request"),
)
"""Keys under which records hold a request, its messages, or what holds one."""

BESIDE = ("model_parameters", "modelParameters", "optional_params", "invocation_params", "extra")
"""Keys under which logs hold the parameters of a request whose messages stand elsewhere."""

PARAMETERS = frozenset(
    {
        *("model", "messages", "tools", "tool_choice", "parallel_tool_calls", "response_format"),
        *(
            "temperature",
            "top_p",
            "top_k",
            "min_p",
            "n",
            "seed",
            "stop",
            "stream",
            "stream_options",
        ),
        *("max_tokens", "max_completion_tokens", "max_output_tokens", "frequency_penalty"),
        *("presence_penalty", "repetition_penalty", "logit_bias", "logprobs", "top_logprobs"),
        *("reasoning_effort", "reasoning", "thinking", "thinking_budget", "enable_thinking"),
        *("enable_search", "search_options", "web_search_options", "verbosity", "text"),
        *("modalities", "audio", "prediction", "service_tier", "store", "safety_identifier"),
        *("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "cache_control"),
        *("cache_salt", "cache_prompt", "id_slot", "chat_template_kwargs", "guided_json"),
        *("extra_body", "extra_headers", "user"),
    }
)
"""What is taken for a parameter where it stands among the fields of a log."""

_LOGGED = ("usage", "response", "resp", "completion", "output", "timestamp", "latency")
_OF_A_MESSAGE = ("messages", "role", "content", "name", "tool_calls", "tool_call_id")
_DEEPEST = 4

Around = tuple[Mapping[str, Any], ...]


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


def find_request(record: Any) -> Request:
    """The request of a record, in OpenAI form and checked: the outermost object with messages.

    Raises:
        InputError: there is none, or it holds what no request could.
    """
    found = _place(record)
    if found is None:
        raise InputError(_what(unpacked(record)))
    return _checked(*found)


def _place(record: Any) -> tuple[Mapping[str, Any], Around] | None:
    """What holds the messages of a record, and the objects around it; None where nothing does."""
    left: deque[tuple[Any, Around]] = deque([(record, ())])
    while left:
        value, around = left.popleft()
        value = unpacked(value)
        if _are_messages(value):
            return {"messages": value}, around
        if not isinstance(value, Mapping):
            continue
        if holds_messages(value):
            return value, around
        if len(around) < _DEEPEST:
            left.extend((value[key], (value, *around)) for key in WITHIN if key in value)
    return None


def unpacked(value: Any) -> Any:
    """A value that was logged as JSON text, read; any other as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return parse(value)
        except ValueError:
            return value
    return value


def holds_messages(value: Mapping[str, Any]) -> bool:
    """Whether an object is a request, or a conversation, by its shape."""
    if any(_are_messages(unpacked(value.get(key))) for key in LISTS):
        return True
    prompt = value.get("input")  # of the Responses API; many records have another `input`
    return (
        isinstance(prompt, str)
        and isinstance(value.get("model"), str)
        and not isinstance(unpacked(prompt), Mapping)
    )


def is_line_of_messages(value: Any) -> bool:
    """Whether a line of a file is one message of a conversation."""
    return is_message(value) and not holds_messages(value)


def _are_messages(value: Any) -> bool:
    """Whether a value is a list of messages, or a list with one such list in it (LangSmith)."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    return isinstance(value, list) and bool(value) and any(map(is_message, value))


def _checked(given: Mapping[str, Any], around: Around) -> Request:
    found = dict(given)
    for key in LISTS:
        held = unpacked(found.get(key))
        if _are_messages(held):
            found[key] = held[0] if isinstance(held[0], list) else held
            break
    for level in (given, *around):
        for beside in (level, *(unpacked(level.get(key)) for key in BESIDE)):
            if isinstance(beside, Mapping):
                missing = (key for key in ("model", "tools") if found.get(key) is None)
                found |= {key: beside[key] for key in missing if beside.get(key) is not None}
    found["tools"] = unpacked(found.get("tools"))
    found, lost = openai_form(found)
    if found.get("tools") is None:
        found.pop("tools", None)
    if not around or any(key in found for key in _LOGGED):  # fields of a log beside its own
        found = {key: value for key, value in found.items() if key in PARAMETERS}
    check(found["messages"])
    check_tools(found.get("tools"))
    # What holds for the texts and the depth of a message holds for the rest of a request.
    rest = {key: value for key, value in found.items() if key not in _OF_A_MESSAGE}
    Message.of({"role": "user", "content": "", **rest}, place="request")
    return Request(found, lost)


def check(messages: Iterable[Any]) -> None:
    """That each message can be appended to a `History`.

    Raises:
        InputError: with the place of the first that cannot.
    """
    for number, message in enumerate(messages):
        place = f"messages[{number}]"
        if not isinstance(message, Mapping):  # `Message` takes a text for a user message
            raise InputError("is no object", place=place)
        Message.of(message, place=place)


def check_tools(tools: Any) -> None:
    """That tools are a list of objects.

    Raises:
        InputError: when they are not.
    """
    if tools is not None and not (
        isinstance(tools, list) and all(isinstance(tool, Mapping) for tool in tools)
    ):
        raise InputError("is a list of tools, an object each", place="tools")


def are_tools(value: Any) -> bool:
    """Whether a value is a list of tools, and no conversation."""
    tools = mappings(value)
    return bool(tools) and all("function" in tool or "input_schema" in tool for tool in tools)


def spread(piece: Piece) -> Iterator[Piece]:
    """The values of a list, or of the list in an object that holds nothing else of use.

    So exports are made: `{"data": [{…}, {…}]}`.
    """
    held = piece.value
    if isinstance(held, Mapping) and _place(held) is None:
        lists = (unpacked(value) for value in held.values())
        held = next((one for one in lists if isinstance(one, list) and any(map(_place, one))), held)
    if held is piece.value and not isinstance(held, list):
        yield piece
        return
    yield from replace(piece, value=held, lines=piece.lines if held is piece.value else ()).items()


def _what(record: Any) -> str:
    """Why a record has no request."""
    if are_tools(record):
        return "is a list of tools: give it as the tools of the conversations"
    if not isinstance(record, Mapping | list):
        return f"is {_KINDS.get(type(record), 'null')}, no conversation"
    if not record or (isinstance(record, Mapping) and record.get("messages") == []):
        return "holds no message"
    if isinstance(record, Mapping):
        if is_message(record):
            return "is a message by itself, and no request"
        for keys, reason in _KNOWN.items():
            if all(key in record for key in keys):
                return reason
    return (
        "holds no messages in a form that is known: looked for were `messages`, `input` or "
        "`conversations`, at the top or within `request`, `body`, …; docs/analysis.md has them all"
    )


_KINDS = {str: "a text", int: "a number", float: "a number", bool: "a truth value"}
_KNOWN = {
    ("messages",): "its `messages` are no list of messages in a form that is known",
    ("contents",): "is in Gemini's form, which is not read",
    ("custom_id", "response"): "is a reply of a batch without its request",
}
