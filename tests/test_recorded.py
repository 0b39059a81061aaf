"""Recorded: requests are found in logs of every common shape, with what stands beside them."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contextkit.analysis.problems import Problem
from contextkit.analysis.reading.times import seconds_of
from contextkit.analysis.recorded import Recorded, as_recorded, read_recorded
from contextkit.errors import InputError
from contextkit.messages import text_of
from contextkit.usage import Usage
from tests.test_transcripts import JSON

AT = 1_767_225_600.0  # 2026-01-01T00:00:00Z
ASK = [{"role": "user", "content": "Hi"}]
REPLY = {"role": "assistant", "content": "Yo"}
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
REQUEST = {"model": "m", "messages": ASK, "tools": TOOLS, "temperature": 0.5}
USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 5,
    "prompt_tokens_details": {"cached_tokens": 64},
}
COMPLETION = {
    "id": "x",
    "object": "chat.completion",
    "created": int(AT) + 9,
    "model": "m-2026",
    "choices": [{"index": 0, "message": REPLY}],
    "usage": USAGE,
}
WHOLE = Usage(input_tokens=100, cache_read_tokens=64, output_tokens=5)

# By name: a record, and what is found: time, duration, conversation.
SHAPES: dict[str, tuple[Any, float | None, float | None, str | None]] = {
    "request and response": (
        {
            "request": REQUEST,
            "response": COMPLETION,
            "sent_at": "2026-01-01T00:00:00Z",
            "latency_ms": 1_500,
            "session_id": "s",
        },
        AT,
        1.5,
        "s",
    ),
    "all at the top": (
        {
            **REQUEST,
            "usage": USAGE,
            "completion": REPLY,
            "ts": AT * 1e3,
            "metadata": {"chat_id": 7},
        },
        AT,
        None,
        "7",
    ),
    "kwargs and a completion": (
        {"kwargs": REQUEST, "completion": COMPLETION, "time": AT, "took": 1.5},
        AT,
        1.5,
        None,
    ),
    "only the reply has a time": ({"request": REQUEST, "response": COMPLETION}, AT + 9, None, None),
    "text of JSON": (
        {
            "request": json.dumps(REQUEST),
            "response": json.dumps(COMPLETION),
            "timestamp": "2026-01-01 01:00:00+01:00",
            "trace": {"thread_id": "t"},
        },
        AT,
        None,
        "t",
    ),
    "req and resp": (
        {
            "ts": AT,
            "session": "s",
            "req": {**REQUEST, "metadata": {"x": "y"}},
            "resp": {"status": 200, "latency_ms": 1500, "body": COMPLETION},
        },
        AT,
        1.5,
        "s",
    ),
    "HTTP": (
        {
            "request": {"method": "POST", "body": REQUEST, "metadata": {"conversation_id": "c"}},
            "response": {"status": 200, "body": COMPLETION},
            "started_at": "2026-01-01T00:00:00",
            "ended_at": "2026-01-01T00:00:02.500",
        },
        AT,
        2.5,
        "c",
    ),
    "a structured log": (
        {
            "level": "info",
            "timestamp": "2026-01-01T00:00:00Z",
            "event": {"request": REQUEST, "response": COMPLETION, "duration_s": 3},
        },
        AT,
        3.0,
        None,
    ),
    "a whole batch line": (
        {"custom_id": "1", "body": REQUEST, "response": {"status_code": 200, "body": COMPLETION}},
        AT + 9,
        None,
        None,
    ),
    "LiteLLM": (
        {
            "id": "x",
            "trace_id": "t",
            "call_type": "acompletion",
            "startTime": AT,
            "endTime": AT + 1.5,
            "completionStartTime": AT + 1,
            "response_time": 1.0,
            "model": "m",
            "messages": ASK,
            "response": COMPLETION,
            "model_parameters": {"tools": TOOLS, "temperature": 0.5},
            "prompt_tokens": 100,
            "completion_tokens": 5,
        },
        AT,
        1.5,
        None,
    ),
    "Langfuse": (
        {
            "id": "x",
            "traceId": "t",
            "type": "GENERATION",
            "startTime": "2026-01-01T00:00:00.000Z",
            "endTime": "2026-01-01T00:00:01.500Z",
            "model": "m",
            "input": {"messages": ASK, "tools": TOOLS},
            "output": REPLY,
            "usage": {"input": 36, "output": 5, "total": 105, "unit": "TOKENS"},
            "usageDetails": {"input": 36, "input_cached_tokens": 64, "output": 5, "total": 105},
            "sessionId": "s",
        },
        AT,
        1.5,
        "s",
    ),
    "Helicone": (
        {
            "request_id": "x",
            "request_created_at": "2026-01-01T00:00:00.000Z",
            "response_created_at": "2026-01-01T00:00:01.500Z",
            "delay_ms": 1_400,
            "request_body": REQUEST,
            "response_body": {key: COMPLETION[key] for key in ("choices", "created")},
            "request_properties": {"Helicone-Session-Id": "s"},
            "prompt_tokens": 100,
            "prompt_cache_read_tokens": 64,
            "completion_tokens": 5,
        },
        AT,
        1.5,
        "s",
    ),
    "LangSmith": (
        {
            "run_type": "llm",
            "session_id": "project",
            "start_time": "2026-01-01T00:00:00",
            "end_time": "2026-01-01T00:00:01.500000",
            "inputs": {"messages": [[{"type": "human", "data": {"content": "Hi"}}]]},
            "outputs": {
                "generations": [
                    [
                        {
                            "message": {
                                "lc": 1,
                                "type": "constructor",
                                "id": ["langchain", "schema", "messages", "AIMessage"],
                                "kwargs": {"content": "Yo"},
                            }
                        }
                    ]
                ],
                "llm_output": {"token_usage": USAGE},
            },
            "extra": {"invocation_params": {}, "metadata": {"thread_id": "t"}},
        },
        AT,
        1.5,
        "t",
    ),
    "Anthropic": (
        {
            "request": {"model": "m", "messages": ASK, "max_tokens": 9},
            "response": {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "text", "text": "Yo"}],
                "usage": {"input_tokens": 36, "cache_read_input_tokens": 64, "output_tokens": 5},
            },
            "created_at": AT,
        },
        AT,
        None,
        None,
    ),
    "Responses": (
        {
            "request": {"model": "m", "input": "Hi"},
            "response": {
                "object": "response",
                "created_at": AT + 9,
                "output": [
                    {"type": "reasoning", "summary": []},
                    {
                        "type": "message",
                        "role": "assistant",
                        "content": [{"type": "output_text", "text": "Yo"}],
                    },
                ],
                "usage": {
                    "input_tokens": 100,
                    "input_tokens_details": {"cached_tokens": 64},
                    "output_tokens": 5,
                },
            },
            "requested_at": AT * 1e9,
        },
        AT,
        None,
        None,
    ),
    "chunks of a stream": (
        {
            "request": REQUEST,
            "reply": "Yo",
            "response": [{"choices": [{"delta": {"content": "Yo"}}]}, {"usage": USAGE}],
            "at": str(AT),
            "elapsed": 1_500,
        },
        AT,
        1.5,
        None,
    ),
}


def read(path: Path) -> tuple[list[Recorded], list[Problem]]:
    found = list(read_recorded([path]))
    problems = [one for one in found if isinstance(one, Problem)]
    return [one for one in found if isinstance(one, Recorded)], problems


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_read(shape: str, tmp_path: Path) -> None:
    record, at, took, conversation = SHAPES[shape]
    (tmp_path / "log.jsonl").write_text("\n" + json.dumps(record) + "\n")
    (tmp_path / "log.json").write_text(json.dumps({"data": [record]}))

    (found,), problems = read(tmp_path / "log.jsonl")
    (again,), _ = read(tmp_path / "log.json")

    assert found.source == f"{tmp_path}/log.jsonl:2"
    assert found.request["messages"] == ASK
    assert found.usage == WHOLE
    assert found.at == pytest.approx(at) if at is not None else found.at is None
    assert found.took == pytest.approx(took) if took is not None else found.took is None
    assert found.conversation == conversation
    assert found.reply is not None
    assert (found.reply["role"], text_of(found.reply)) == ("assistant", "Yo")
    assert not found.reply.keys() & {"usage", "model", "stop_reason"}
    assert problems == []
    assert again.usage == WHOLE
    if shape != "LangSmith":
        assert found.request["model"] == "m"
    if "tools" in json.dumps(record):
        assert found.request["tools"] == TOOLS


def test_fields_of_a_log_are_no_parameters_of_its_request(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(SHAPES["all at the top"][0]))

    (found,), _ = read(tmp_path / "a.jsonl")

    assert found.request == REQUEST


def test_the_parameters_of_a_request_of_its_own_are_kept(tmp_path: Path) -> None:
    request = {**REQUEST, "some_new_option": True}
    (tmp_path / "a.jsonl").write_text(json.dumps({"request": request}))

    (found,), _ = read(tmp_path / "a.jsonl")

    assert found.request == request
    assert (found.usage, found.at, found.took, found.reply) == (None, None, None, None)


BATCH_IN = [
    {"custom_id": str(n), "method": "POST", "url": "/v1/chat/completions", "body": REQUEST}
    for n in range(3)
]
BATCH_OUT = [
    {"id": "b", "custom_id": str(n), "response": {"status_code": 200, "body": COMPLETION}}
    for n in (1, 0, 9)
]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_two_files_of_a_batch_are_joined(order: tuple[int, int], tmp_path: Path) -> None:
    paths = [tmp_path / "in.jsonl", tmp_path / "out.jsonl"]
    for path, rows in zip(paths, (BATCH_IN, BATCH_OUT), strict=True):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    found = list(read_recorded([paths[n] for n in order]))

    records = [one for one in found if isinstance(one, Recorded)]
    by_line = {one.source[-1]: one for one in records}
    assert by_line.keys() == {"1", "2", "3"}
    assert all("in.jsonl" in one.source for one in records)
    assert by_line["1"].usage == by_line["2"].usage == WHOLE
    assert by_line["2"].reply == REPLY
    assert by_line["3"].usage is None
    problems = [one for one in found if isinstance(one, Problem)]
    assert [(one.source, one.line) for one in problems] == [(str(paths[1]), 3)]
    assert "a reply of a batch without its request" in problems[0].reason


def test_broken_lines_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    good = json.dumps({"request": REQUEST})
    rows = [good, "{broken", '{"a": 1}', good, '{"role": "user", "content": "x"}', good[:20]]
    (tmp_path / "a.jsonl").write_text("\n".join(rows))

    found, problems = read(tmp_path / "a.jsonl")

    assert [one.source[-2:] for one in found] == [":1", ":4"]
    assert [one.line for one in problems] == [2, 3, 5, 6]
    assert [one.kind for one in problems] == ["not read"] * 4
    assert "is a message by itself" in problems[2].reason


def test_what_has_no_counterpart_is_counted_once_for_a_file(tmp_path: Path) -> None:
    thinking = {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}]}
    row = {"request": {"system": "s", "messages": [*ASK, thinking, *ASK]}}
    rows = [{"request": REQUEST}, *[row] * 30]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))

    found, problems = read(tmp_path / "a.jsonl")

    assert len(found) == 31
    reason = "from here on, no counterpart for 30 thinking blocks"
    assert problems == [Problem(str(tmp_path / "a.jsonl"), reason, 2, "not carried over")]


def test_a_log_of_contextkit_is_no_log_of_requests(tmp_path: Path) -> None:
    import contextkit as ck

    ck.History(ASK).dump(tmp_path / "a.jsonl")

    (problem,) = read_recorded([tmp_path / "a.jsonl"])

    assert isinstance(problem, Problem)
    assert "contextkit.explain" in problem.reason
    assert problem.line == 1


def test_a_log_is_read_in_little_memory(tmp_path: Path) -> None:
    row = json.dumps({"request": {"messages": [{"role": "user", "content": "x" * 20_000}]}}) + "\n"
    with (tmp_path / "a.jsonl").open("w") as file:
        for _ in range(400):
            file.write(row)

    tracemalloc.start()
    count = sum(1 for _ in read_recorded([tmp_path / "a.jsonl"]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 400
    assert peak < 40 * len(row)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (AT, AT),
        (int(AT), AT),
        (AT * 1e3, AT),
        (int(AT) * 10**6, AT),
        (int(AT) * 10**9, AT),
        (f"{AT:.0f}", AT),
        ("2026-01-01T00:00:00Z", AT),
        ("2026-01-01T00:00:00", AT),
        ("2026-01-01 02:00:00.000000+02:00", AT),
        ("2026-01-01 00:00:00,500", AT + 0.5),
        ("20260101T000000Z", AT),
        (1.5, None),
        (True, None),
        ("soon", None),
        ("", None),
        (float("nan"), None),
        ("inf", None),
        (10**400, None),
        (None, None),
        ([AT], None),
        ("9999-12-31T23:59:59-23:00", 253_402_383_599.0),
    ],
)
def test_times_of_every_unit(given: Any, seconds: float | None) -> None:
    found = seconds_of(given)

    assert found == (None if seconds is None else pytest.approx(seconds, abs=1e-3))


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input": 36, "output": 5, "total": 105, "input_cached_tokens": 64}, (100, 64, 5)),
        ({"input": 100, "output": 5, "total": 105, "cache_read_input_tokens": 64}, (100, 64, 5)),
        ({"input": 36, "output": 5, "cache_read_input_tokens": 64}, (100, 64, 5)),
        ({"input": 100, "output": 5}, (100, None, 5)),
    ],
)
def test_langfuse_counts_what_was_read_beside_the_input(
    usage: dict[str, int], expected: tuple[int | None, ...]
) -> None:
    found = as_recorded({"input": ASK, "usageDetails": usage}).usage

    assert found is not None
    assert (found.input_tokens, found.cache_read_tokens, found.output_tokens) == expected


def test_usage_of_langchain() -> None:
    usage = {
        "input_tokens": 100,
        "output_tokens": 5,
        "input_token_details": {"cache_read": 64, "cache_creation": 8},
    }
    found = as_recorded({"messages": ASK, "response": {"usage_metadata": usage}}).usage

    assert found == Usage(
        input_tokens=100, cache_read_tokens=64, cache_write_tokens=8, output_tokens=5
    )


def test_a_conversation_in_a_field_is_no_id() -> None:
    long = as_recorded({"messages": ASK, "conversation": "User: Hi\nBot: Yo", "thread": {"id": 4}})

    assert long.conversation == "4"
    assert as_recorded({"request": {**REQUEST, "prompt_cache_key": "k"}}).conversation is None


def test_what_is_given_in_python() -> None:
    record = as_recorded({"request": REQUEST}, 4)

    assert record.source == "record 4"
    assert as_recorded(record) is record
    with pytest.raises(InputError, match="record 5: holds no messages"):
        as_recorded({"a": 1}, 5)


@given(value=JSON, key=st.sampled_from(["request", "response", "usage", "messages", "input"]))
@settings(max_examples=200, deadline=None)
def test_any_json_gives_records_or_problems(
    value: Any, key: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    rows = [value, {key: value, "messages": ASK}, {key: value, "request": REQUEST}]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))

    found, problems = read(path)

    assert found or problems
