"""Importers: what other formats hold comes back in OpenAI form; what cannot is counted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

import contextkit as ck
from contextkit.analysis.problems import Problem
from contextkit.analysis.transcripts import Transcript, as_transcript, read_transcripts
from contextkit.errors import InputError
from tests.conversations import conversations

Messages = list[dict[str, Any]]


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def said(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def system(content: Any) -> dict[str, Any]:
    return {"role": "system", "content": content}


def call(
    identifier: str, arguments: str = '{"city": "Köln"}', name: str = "look"
) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"id": identifier, "type": "function", "function": function}


def result(identifier: str, content: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": identifier, "content": content}


def lc(name: str, **kwargs: Any) -> dict[str, Any]:
    path = ["langchain", "schema", "messages", name]
    return {"lc": 1, "type": "constructor", "id": path, "kwargs": kwargs}


ARGUMENTS = {"city": "Köln"}
SCHEMA = {"type": "object", "properties": {}}
MARKER = {"type": "ephemeral"}
PNG = "data:image/png;base64,QUJD"
TOOL = {
    "type": "function",
    "function": {"name": "look", "description": "Looks", "parameters": SCHEMA},
}
LANGCHAIN_CALL = {"name": "look", "args": ARGUMENTS, "id": "c1", "type": "tool_call"}

# By name: what is read, the messages and tools that come of it, and what is said to be missing.
FORMATS: dict[str, tuple[Any, Messages, list[Any], str]] = {
    "LangChain, messages_to_dict": (
        [
            {"type": "system", "data": {"content": "Be terse.", "type": "system"}},
            {"type": "human", "data": {"content": "Hi", "name": "ann", "type": "human"}},
            {
                "type": "ai",
                "data": {
                    "content": "",
                    "additional_kwargs": {},
                    "tool_calls": [LANGCHAIN_CALL],
                    "invalid_tool_calls": [],
                },
            },
            {"type": "tool", "data": {"content": "rain", "tool_call_id": "c1", "name": "look"}},
            {"type": "ai", "data": {"content": "It rains.", "tool_calls": []}},
        ],
        [
            system("Be terse."),
            {**user("Hi"), "name": "ann"},
            said(None, tool_calls=[call("c1")]),
            result("c1", "rain"),
            said("It rains."),
        ],
        [],
        "",
    ),
    "LangChain, dumpd, as the provider wrote the call": (
        {
            "lc": 1,
            "type": "constructor",
            "id": ["langchain", "prompts", "chat", "ChatPromptValue"],
            "kwargs": {
                "messages": [
                    lc("SystemMessage", content="Be terse.", type="system"),
                    lc("HumanMessage", content=[{"type": "text", "text": "Hi"}, "there"]),
                    lc(
                        "AIMessageChunk",
                        content="Look:",
                        additional_kwargs={"tool_calls": [call("c1", '{"city":"Köln"}')]},
                        tool_calls=[LANGCHAIN_CALL],
                    ),
                    lc("ToolMessage", content="rain", tool_call_id="c1", status="error"),
                    lc("ChatMessage", content="x", role="user"),
                ]
            },
        },
        [
            system("Be terse."),
            user([{"type": "text", "text": "Hi"}, {"type": "text", "text": "there"}]),
            said("Look:", tool_calls=[call("c1", '{"city":"Köln"}')]),
            result("c1", "rain"),
            user("x"),
        ],
        [],
        "1 error flag of a tool result",
    ),
    "LangChain, the state of a graph, blocks of Anthropic in it": (
        {
            "values": {
                "messages": [
                    {"type": "human", "content": "Hi", "additional_kwargs": {}, "id": "1"},
                    {
                        "type": "ai",
                        "content": [
                            {"type": "thinking", "thinking": "hm", "signature": "x"},
                            {"type": "text", "text": "Look:"},
                            {"type": "tool_use", "id": "c1", "name": "look", "input": ARGUMENTS},
                        ],
                        "tool_calls": [LANGCHAIN_CALL],
                        "invalid_tool_calls": [
                            {"id": "c2", "name": "look", "args": "{a", "error": "no JSON"},
                            {"id": None, "name": None, "args": "{a", "error": "no JSON"},
                        ],
                    },
                    {"type": "tool", "content": "rain", "tool_call_id": "c1"},
                    {"type": "tool", "content": "", "tool_call_id": "c2"},
                    {
                        "type": "human",
                        "content": [
                            {"type": "image", "base64": "QUJD", "mime_type": "image/png"},
                            {"type": "image_url", "image_url": {"url": PNG}},
                            {"type": "video", "url": "x"},
                        ],
                    },
                ]
            }
        },
        [
            user("Hi"),
            said("Look:", tool_calls=[call("c1"), call("c2", "{a")]),
            result("c1", "rain"),
            result("c2", ""),
            user([{"type": "image_url", "image_url": {"url": PNG}}] * 2),
        ],
        [],
        "1 broken tool call, 1 thinking block, 1 video part",
    ),
    "Responses, a request": (
        {
            "model": "gpt-5",
            "instructions": "Be terse.",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
                {"type": "reasoning", "id": "r1", "summary": []},
                {
                    "type": "message",
                    "id": "m1",
                    "role": "assistant",
                    "status": "completed",
                    "content": [{"type": "output_text", "text": "Look:", "annotations": []}],
                },
                {
                    "type": "function_call",
                    "call_id": "c1",
                    "name": "look",
                    "arguments": '{"city":"Köln"}',
                    "id": "fc",
                },
                {"type": "function_call", "call_id": "c2", "name": "look", "arguments": "{a"},
                {"type": "function_call_output", "call_id": "c1", "output": "rain"},
                {
                    "type": "function_call_output",
                    "call_id": "c2",
                    "output": [{"type": "input_text", "text": "sun"}],
                },
                {"type": "web_search_call", "id": "w", "status": "completed"},
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "And?"},
                        {"type": "input_image", "image_url": PNG, "detail": "low"},
                        {"type": "input_image", "file_id": "f"},
                    ],
                },
            ],
            "tools": [
                {
                    "type": "function",
                    "name": "look",
                    "description": "Looks",
                    "parameters": SCHEMA,
                },
                {"type": "web_search"},
            ],
        },
        [
            system("Be terse."),
            user("Hi"),
            said("Look:", tool_calls=[call("c1", '{"city":"Köln"}'), call("c2", "{a")]),
            result("c1", "rain"),
            result("c2", "sun"),
            user(
                [
                    {"type": "text", "text": "And?"},
                    {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
                ]
            ),
        ],
        [TOOL],
        "1 input_image part, 1 reasoning item, 1 tool of the provider, 1 web_search_call item",
    ),
    "Agents SDK, to_input_list": (
        [
            {"role": "user", "content": "Hi"},
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "rain"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "run", "input": "ls"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "a"},
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "It rains.", "annotations": []}],
            },
        ],
        [
            user("Hi"),
            said(None, tool_calls=[call("c1", "{}")]),
            result("c1", "rain"),
            said(
                None,
                tool_calls=[
                    {"id": "c2", "type": "custom", "custom": {"name": "run", "input": "ls"}}
                ],
            ),
            result("c2", "a"),
            said("It rains."),
        ],
        [],
        "",
    ),
    "Responses, text and what the provider keeps": (
        {"model": "gpt-5", "input": "Hi", "previous_response_id": "r"},
        [user("Hi")],
        [],
        "1 part of the conversation that the provider keeps",
    ),
    "Anthropic": (
        {
            "model": "claude",
            "max_tokens": 9,
            "system": [{"type": "text", "text": "Be terse.", "cache_control": MARKER}],
            "messages": [
                user("Hi"),
                said(
                    [
                        {"type": "thinking", "thinking": "hm", "signature": "x"},
                        {"type": "text", "text": "Look:"},
                        {"type": "tool_use", "id": "c1", "name": "look", "input": ARGUMENTS},
                        {
                            "type": "tool_use",
                            "id": "c2",
                            "name": "look",
                            "input": {},
                            "cache_control": MARKER,
                        },
                    ]
                ),
                user(
                    [
                        {
                            "type": "tool_result",
                            "tool_use_id": "c1",
                            "content": "rain",
                            "cache_control": MARKER,
                        },
                        {
                            "type": "tool_result",
                            "tool_use_id": "c2",
                            "is_error": True,
                            "content": [{"type": "text", "text": "sun"}],
                        },
                        {"type": "text", "text": "And?", "cache_control": MARKER},
                        {
                            "type": "image",
                            "source": {
                                "type": "base64",
                                "media_type": "image/png",
                                "data": "QUJD",
                            },
                        },
                    ]
                ),
                said([{"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "ok"}]),
                user([{"type": "tool_result", "tool_use_id": "c3"}]),
            ],
            "tools": [
                {
                    "name": "look",
                    "description": "Looks",
                    "input_schema": SCHEMA,
                    "cache_control": MARKER,
                },
                {"type": "web_search_20250305", "name": "web_search"},
            ],
        },
        [
            system([{"type": "text", "text": "Be terse.", "cache_control": MARKER}]),
            user("Hi"),
            said("Look:", tool_calls=[call("c1"), call("c2", "{}")]),
            result("c1", [{"type": "text", "text": "rain", "cache_control": MARKER}]),
            result("c2", "sun"),
            user(
                [
                    {"type": "text", "text": "And?", "cache_control": MARKER},
                    {"type": "image_url", "image_url": {"url": PNG}},
                ]
            ),
            said("ok"),
            result("c3", ""),
        ],
        [{**TOOL, "cache_control": MARKER}],
        (
            "1 cache point on a tool call, 1 error flag of a tool result, 2 thinking blocks, "
            "1 tool of the provider"
        ),
    ),
    "Anthropic without anything but a system text": (
        {"system": "Be terse.", "messages": [user("Hi"), said("Yo")]},
        [system("Be terse."), user("Hi"), said("Yo")],
        [],
        "",
    ),
    "ShareGPT": (
        {
            "conversations": [
                {"from": "human", "value": "Hi"},
                {
                    "from": "function_call",
                    "value": '{"name": "look", "arguments": {"city": "Köln"}}',
                },
                {"from": "observation", "value": "rain"},
                {"from": "gpt", "value": "It rains."},
                {"from": "tool", "value": "late"},
                {"from": "function_call", "value": "look!"},
            ],
            "system": "Be terse.",
            "tools": json.dumps([TOOL["function"]]),
        },
        [
            system("Be terse."),
            user("Hi"),
            said(None, tool_calls=[call("call_1")]),
            result("call_1", "rain"),
            said("It rains."),
            user("late"),
            said("look!"),
        ],
        [TOOL],
        "1 function call that is not JSON, 1 role of a tool result without a call",
    ),
    "ShareGPT, other spellings": (
        [{"conversations": [{"role": "human", "content": "Hi"}, {"role": "gpt", "content": "Y"}]}],
        [user("Hi"), said("Y")],
        [],
        "",
    ),
    "ShareGPT, parallel calls": (
        [
            {"from": "system", "value": "Be terse."},
            {"from": "user", "value": "Hi"},
            {
                "from": "function_call",
                "value": '[{"name": "a", "arguments": "{}"}, {"name": "b"}]',
            },
            {"from": "observation", "value": "1"},
            {"from": "observation", "value": "2"},
        ],
        [
            system("Be terse."),
            user("Hi"),
            said(None, tool_calls=[call("call_1", "{}", "a"), call("call_2", "{}", "b")]),
            result("call_1", "1"),
            result("call_2", "2"),
        ],
        [],
        "",
    ),
    "OpenAI functions": (
        {
            "messages": [
                user("Hi"),
                said(None, function_call={"name": "look", "arguments": '{"city": "Köln"}'}),
                {"role": "function", "name": "look", "content": "rain"},
                said("It rains."),
            ],
            "functions": [TOOL["function"]],
        },
        [
            user("Hi"),
            said(None, tool_calls=[call("call_1")]),
            result("call_1", "rain"),
            said("It rains."),
        ],
        [TOOL],
        "",
    ),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_told_by_its_shape(name: str, tmp_path: Path) -> None:
    value, messages, tools, missing = FORMATS[name]
    (tmp_path / "a.jsonl").write_text(json.dumps(value) + "\n")

    talk, *problems = read_transcripts([tmp_path / "a.jsonl"])

    assert isinstance(talk, Transcript)
    assert talk.messages == messages
    assert talk.tools == tools
    ck.History(talk.messages)
    reason = f"no counterpart for {missing}"
    expected = [Problem(str(tmp_path / "a.jsonl"), reason, 1, "not carried over")]
    assert problems == (expected if missing else [])


@pytest.mark.parametrize("name", [name for name in FORMATS if isinstance(FORMATS[name][0], list)])
def test_messages_of_a_format_may_stand_on_lines_of_their_own(name: str, tmp_path: Path) -> None:
    value, messages, *_ = FORMATS[name]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(item) + "\n" for item in value))

    talk, *_ = read_transcripts([tmp_path / "a.jsonl"])

    assert isinstance(talk, Transcript)
    assert talk.messages == messages


def test_what_was_given_is_not_changed() -> None:
    for value, *_ in FORMATS.values():
        before = json.dumps(value)
        as_transcript(
            value[0] if isinstance(value, list) and "conversations" in value[0] else value
        )
        assert json.dumps(value) == before


def test_a_message_that_the_import_could_not_make_is_a_problem(tmp_path: Path) -> None:
    anthropic = [user("Hi"), said([{"type": "tool_use", "name": "look", "input": {}}])]
    (tmp_path / "a.json").write_text(json.dumps({"system": "s", "messages": anthropic}))

    (problem,) = read_transcripts([tmp_path / "a.json"])

    assert isinstance(problem, Problem)
    assert "messages[2].tool_calls[0].id: a tool call needs an id" in problem.reason


def test_arguments_without_end_are_an_error() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    use = {"type": "tool_use", "id": "c1", "name": "look", "input": deep}

    with pytest.raises(InputError, match="arguments: is nested too deep"):
        as_transcript([user("Hi"), said([use])])
    while deep:  # taken apart by hand: to free it at once would nest as deep
        deep = deep["a"]


# -- there and back ------------------------------------------------------------------------


def to_langchain(messages: Messages) -> Any:
    kinds = {"user": "human", "assistant": "ai", "developer": "system"}
    found = []
    for one in messages:
        data = {"content": one["content"] if one["content"] is not None else ""}
        if one["role"] == "developer":
            data["additional_kwargs"] = {"__openai_role__": "developer"}
        if calls := one.get("tool_calls"):
            data["additional_kwargs"] = {"tool_calls": calls}
        if "tool_call_id" in one:
            data["tool_call_id"] = one["tool_call_id"]
        found.append({"type": kinds.get(one["role"], one["role"]), "data": data})
    return found


def to_responses(messages: Messages) -> Any:
    items: list[Any] = []
    for one in messages:
        content = one["content"]
        if one["role"] == "tool":
            output = {"call_id": one["tool_call_id"], "output": content}
            items.append({"type": "function_call_output", **output})
            continue
        if isinstance(content, list):
            content = [
                {"type": "input_text", "text": part["text"]}
                if part["type"] == "text"
                else {"type": "input_image", "image_url": part["image_url"]["url"]}
                for part in content
            ]
        if content or not one.get("tool_calls"):
            items.append({"role": one["role"], "content": content})
        items += [
            {"type": "function_call", "call_id": made["id"], **made["function"]}
            for made in one.get("tool_calls") or ()
        ]
    return {"model": "m", "input": items}


def to_anthropic(messages: Messages) -> Any:
    found: Messages = []
    for one in messages:
        content = one["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
        blocks = [
            {"type": "image", "source": {"type": "url", "url": part["image_url"]["url"]}}
            if part["type"] == "image_url"
            else part
            for part in blocks
        ]
        if one["role"] == "tool":
            blocks = [
                {"type": "tool_result", "tool_use_id": one["tool_call_id"], "content": blocks}
            ]
            if found and found[-1]["content"][-1].get("type") == "tool_result":
                found[-1]["content"] += blocks
                continue
        for made in one.get("tool_calls") or ():
            arguments = {"raw": made["function"]["arguments"]}
            use = {"type": "tool_use", "id": made["id"], "name": made["function"]["name"]}
            blocks = [*blocks, {**use, "input": arguments}]
        role = "user" if one["role"] == "tool" else one["role"]
        found.append({"role": role, "content": blocks or [{"type": "text", "text": ""}]})
    return {"messages": found, "tools": [{"name": "look", "input_schema": {}}]}


def essence(messages: Messages, *, raw: bool = False) -> Any:
    """Roles, texts, images, calls and results, whatever form they have."""
    found = []
    for one in messages:
        content = one["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
        shown = [part.get("text", part.get("image_url", {}).get("url")) for part in parts]
        calls = [
            (
                made["id"],
                made["function"]["name"],
                json.dumps({"raw": made["function"]["arguments"]})
                if raw
                else made["function"]["arguments"],
            )
            for made in one.get("tool_calls") or ()
        ]
        text = [part for part in shown if part]
        found.append((one["role"], text, calls, one.get("tool_call_id")))
    return found


def flat(found: Any) -> list[Any]:
    """What was said, called and answered, in order."""
    events: list[Any] = []
    for role, text, calls, identifier in found:
        if text or role != "assistant":
            events.append((role, text, identifier))
        events += calls
    return events


@pytest.mark.parametrize("write", [to_langchain, to_responses, to_anthropic])
@given(messages=conversations())
@settings(max_examples=40, deadline=None)
def test_there_and_back_nothing_that_has_a_counterpart_is_lost(
    write: Callable[[Messages], Any], messages: Messages
) -> None:
    raw = write is to_anthropic  # keeps arguments as data

    back = as_transcript(write(messages)).messages

    if write is to_responses:  # has no bounds between the messages of an assistant
        assert flat(essence(back)) == flat(essence(messages))
    else:
        assert essence(back) == essence(messages, raw=raw)
