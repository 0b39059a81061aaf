"""Transcripts: every common layout comes back as it was written, and what is broken is named."""

import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import contextkit as ck
from contextkit.analysis.problems import Problem
from contextkit.analysis.transcripts import Transcript, as_transcript, read_transcripts
from contextkit.errors import InputError
from tests.conversations import conversations

TALK = [
    {"role": "system", "content": "Be terse."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Yo"},
]
OTHER = [{"role": "user", "content": "Other"}]
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]


def lines(*values: Any) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


LAYOUTS = {
    "a list of messages": (json.dumps(TALK), [TALK]),
    "a list, a message on each line": (
        "[\n" + ",\n".join(json.dumps(message) for message in TALK) + "\n]\n",
        [TALK],
    ),
    "indented": (json.dumps({"messages": TALK, "tools": TOOLS}, indent=2), [TALK]),
    "with other keys": (json.dumps({"id": "a", "model": "m", "messages": TALK}), [TALK]),
    "in a request": (json.dumps({"request": {"messages": TALK}}), [TALK]),
    "in a body": (json.dumps({"custom_id": "1", "body": {"messages": TALK}}), [TALK]),
    "messages as text": (json.dumps({"messages": json.dumps(TALK)}), [TALK]),
    "a list of dicts": (json.dumps([{"messages": TALK}, {"messages": OTHER}]), [TALK, OTHER]),
    "a list of lists": (json.dumps([TALK, OTHER]), [TALK, OTHER]),
    "an export": (json.dumps({"data": [{"messages": TALK}, {"messages": OTHER}]}), [TALK, OTHER]),
    "conversations on lines": (lines({"messages": TALK}, {"messages": OTHER}), [TALK, OTHER]),
    "lists on lines": (lines(TALK, OTHER), [TALK, OTHER]),
    "messages on lines": (lines(*TALK), [TALK]),
    "messages on lines between empty ones": ("\n\n".join(lines(*TALK).split("\n")), [TALK]),
    "lines ended by CR LF": (lines({"messages": TALK}, OTHER).replace("\n", "\r\n"), [TALK, OTHER]),
    "a byte order mark": ("\ufeff" + lines({"messages": TALK}), [TALK]),
    "an empty line first": ("\n" + lines(OTHER, OTHER), [OTHER, OTHER]),
    "with its reply": (
        json.dumps(
            {"request": {"messages": OTHER}, "response": {"choices": [{"message": TALK[2]}]}}
        ),
        [[*OTHER, TALK[2]]],
    ),
    "a preference": (
        json.dumps({"input": {"messages": OTHER}, "preferred_output": [TALK[2]]}),
        [[*OTHER, TALK[2]]],
    ),
}


def read(path: Path, **more: Any) -> tuple[list[Transcript], list[Problem]]:
    found = list(read_transcripts([path], **more))
    problems = [one for one in found if isinstance(one, Problem)]
    return [one for one in found if isinstance(one, Transcript)], problems


@pytest.mark.parametrize("name", ["talk.json", "talk.jsonl", "talk.log"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read(layout: str, name: str, tmp_path: Path) -> None:
    text, expected = LAYOUTS[layout]
    (tmp_path / name).write_text(text, "utf-8", newline="")
    if layout == "indented" and name == "talk.jsonl":
        assert text.startswith("{\n")  # what such a file begins with is no line of its own

    found, problems = read(tmp_path / name)

    assert [one.messages for one in found] == expected
    assert problems == []


def test_a_transcript_is_named_by_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n" + lines(TALK, OTHER))
    (tmp_path / "b.json").write_text(json.dumps([{"messages": TALK}, {"messages": OTHER}]))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.json").write_text(json.dumps(TALK))
    (tmp_path / "sub" / "d.NDJSON").write_text(lines(*TALK))

    found, problems = read(tmp_path)

    names = [one.source.removeprefix(f"{tmp_path}/") for one in found]
    assert names == [
        "a.jsonl:2",
        "a.jsonl:3",
        "b.json[0]",
        "b.json[1]",
        "sub/c.json",
        "sub/d.NDJSON",
    ]
    assert problems == []


def test_tools_of_a_conversation_come_before_those_given(tmp_path: Path) -> None:
    text = lines({"messages": TALK, "tools": TOOLS}, TALK, {"messages": TALK, "tools": "[]"})
    (tmp_path / "a.jsonl").write_text(text)
    given_tools = [{"type": "function", "function": {"name": "other"}}]

    found, _ = read(tmp_path / "a.jsonl", tools=given_tools)

    assert [one.tools for one in found] == [TOOLS, given_tools, given_tools]
    with pytest.raises(InputError, match="tools: is a list of tools"):
        list(read_transcripts([], tools="look"))  # type: ignore[arg-type]


def test_times_are_read_where_every_message_has_one(tmp_path: Path) -> None:
    stamped = [{**one, "timestamp": f"2026-01-01T00:0{n}:00Z"} for n, one in enumerate(TALK)]
    own_clock = [{**one, "ts": 20 * n} for n, one in enumerate(TALK)]
    backwards = [{**one, "ts": 20 - n} for n, one in enumerate(TALK)]
    (tmp_path / "a.jsonl").write_text(lines(stamped, own_clock, backwards, [stamped[0], TALK[1]]))

    found, _ = read(tmp_path / "a.jsonl")

    start = 1_767_225_600.0
    assert [one.times for one in found] == [
        (start, start + 60, start + 120),
        (0.0, 20.0, 40.0),
        (),
        (),
    ]
    assert found[0].messages == stamped


def test_a_log_of_contextkit_is_read_with_its_tools_and_times(tmp_path: Path) -> None:
    history = ck.History(TALK[:2])
    ck.ContextBuilder("qwen-plus", limit=1_000, tools=TOOLS).build(history)
    history.append(TALK[2])
    history.report(2, ck.Usage(input_tokens=9), time=1_800_000_000.0)
    history.append("More")
    history.dump(tmp_path / "log.jsonl")
    (tmp_path / "cut.jsonl").write_text(history.dumps()[:-40])
    (tmp_path / "changed.jsonl").write_text(history.dumps().replace('"Yo"', '"No"'))

    (whole,), none = read(tmp_path / "log.jsonl")
    nothing, (cut,) = read(tmp_path / "cut.jsonl")
    nothing_either, (changed,) = read(tmp_path / "changed.jsonl")

    assert whole.messages == [*TALK, {"role": "user", "content": "More"}]
    assert whole.tools[0]["function"]["name"] == "look"
    assert whole.times == (1_800_000_000.0,) * 4
    assert none == nothing == nothing_either == []
    last = len(history.dumps().splitlines())
    said = [n for n, line in enumerate(history.dumps().splitlines(), 1) if '"Yo"' in line]
    assert cut.line == last
    assert changed.line == said[0]
    assert "not what was written" in changed.reason


# -- what cannot be read -------------------------------------------------------------------

BAD = {
    "half a line": (lines(OTHER) + '{"messages": [{"ro', 2, "the file ends in this line"),
    "a broken line": ('{"messages"\n' + lines(OTHER), 1, "is not JSON at character 12"),
    "not UTF-8": (lines(OTHER).encode() + b'{"a": "\xff"}\n', 2, "not UTF-8 at byte 7"),
    "NaN": (lines(OTHER) + '{"messages": NaN}\n', 2, "NaN is no number of JSON"),
    "infinite": (lines(OTHER) + '{"a": 1e999}\n', 2, "the number 1e999 is too large"),
    "digits": (lines(OTHER) + '{"a": ' + "1" * 5_000 + "}\n", 2, "4300"),
    "nested": (lines(OTHER) + "[" * 100_000 + "\n", 2, "nested too deep"),
    "a key twice": (lines(OTHER) + '{"a": 1, "a": 2}\n', 2, "the key 'a' stands twice"),
    "a number": (lines(OTHER) + "17\n", 2, "is a number, no conversation"),
    "another object": (lines(OTHER, {"a": 1}), 2, "looked for were `messages`, `input`"),
    "no message": (lines(OTHER, {"messages": []}), 2, "holds no message"),
    "an unknown role": (
        lines(OTHER, [{"role": "user", "content": "Hi"}, {"role": "robot", "content": "x"}]),
        2,
        "messages[1].role: unknown role 'robot'",
    ),
    "a list of ids": (
        lines(OTHER, [*TALK, {"role": "tool", "content": "x", "tool_call_ids": ["a"]}]),
        2,
        "messages[3].tool_call_id: a tool message needs the id",
    ),
    "a lone surrogate": (
        lines(OTHER) + '[{"role": "user", "content": "\\ud800"}]\n',
        2,
        "messages[0].content: holds a lone surrogate",
    ),
    "a tool that no request could send": (
        lines(OTHER, {"messages": TALK, "tools": [{"type": "\ud800"}]}),
        2,
        "request.tools[0].type: holds a lone surrogate",
    ),
    "Gemini": (lines(OTHER, {"contents": [{"parts": []}]}), 2, "Gemini's form"),
    "no object among messages": (lines(OTHER, [*TALK, "x"]), 2, "messages[3]: is no object"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_broken_is_named_and_the_rest_goes_on(case: str, tmp_path: Path) -> None:
    text, line, reason = BAD[case]
    data = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "a.jsonl").write_bytes(data)

    found, problems = read(tmp_path / "a.jsonl")

    assert [one.messages for one in found] == [OTHER]
    assert [(one.line, one.kind) for one in problems] == [(line, "not read")]
    assert reason in problems[0].reason
    assert ("the file ends" in problems[0].reason) == (case == "half a line")
    assert problems[0].source == str(tmp_path / "a.jsonl")


WHOLE = {
    "empty.json": (b"", None, "is empty"),
    "blank.jsonl": (b"\n \n", None, "is empty"),
    "bom.json": (b"\xef\xbb\xbf", None, "is empty"),
    "gz.jsonl": (gzip.compress(b"{}"), None, "gzip: decompress"),
    "zip.json": (b"PK\x03\x04....", None, "zip archive"),
    "parquet.json": (b"PAR1....", None, "Parquet"),
    "utf16.json": ("[]".encode("utf-16"), None, "is UTF-16"),
    "binary.json": (b"\x7fELF\0\0\0", None, "is binary"),
    "text.json": (b"Dear all,\nhello\n", 1, "is not JSON at character 1"),
    "half.json": (b'[\n{"role": "user", "content": "x"},\n{"role"', 3, "is not JSON"),
    "latin.json": ('{\n"messages": "\xe9"}'.encode("latin-1"), 2, "not UTF-8 at byte 15"),
    "list.json": (b"[]", None, "holds no message"),
    "null.json": (b"null", None, "is null, no conversation"),
    "tools.json": (json.dumps(TOOLS).encode(), None, "is a list of tools"),
    "item.json": (b'[\n[{"role": "user", "content": "x"}],\n17\n]', 3, "item 1: is a number"),
    "message.json": (b'[\n{"role": "user",\n"content": "x"},\n{"role": "x"}]', 4, "messages[1]"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_files_that_hold_no_conversation(name: str, tmp_path: Path) -> None:
    data, line, reason = WHOLE[name]
    (tmp_path / name).write_bytes(data)

    found, (problem,) = read(tmp_path / name)

    assert len(found) == (name == "item.json")
    assert (problem.line, problem.kind) == (line, "not read")
    assert reason in problem.reason


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "old.jsonl.gz").write_bytes(b"x")
    (tmp_path / ".hidden.json").write_text("x")

    missing, folder, nul, *inside = read_transcripts(
        [tmp_path / "missing.json", tmp_path / "empty", "a\0b", tmp_path]
    )

    assert isinstance(missing, Problem)
    assert "No such file" in missing.reason
    assert isinstance(folder, Problem)
    assert "holds no file that ends in .json" in folder.reason
    assert isinstance(nul, Problem)
    sources = [one.source for one in inside]
    assert sources == [str(tmp_path / "old.jsonl.gz"), str(tmp_path)]


def test_a_file_given_by_name_is_read_whatever_its_end(tmp_path: Path) -> None:
    (tmp_path / "talk.jsonl.1").write_text(lines(TALK))

    found, problems = read(tmp_path / "talk.jsonl.1")

    assert [one.messages for one in found] == [TALK]
    assert problems == []


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    class Input:
        buffer = io.BytesIO(lines(TALK, 17).encode())

    monkeypatch.setattr(sys, "stdin", Input)

    talk, problem = read_transcripts("-")

    assert isinstance(talk, Transcript)
    assert talk.source == "standard input:1"
    assert str(problem) == "standard input:2: not read: is a number, no conversation"


def test_of_messages_on_lines_a_hole_leaves_the_conversation_out(tmp_path: Path) -> None:
    hole = lines(TALK[0]) + "{broken\n" + lines(*TALK[1:])
    (tmp_path / "hole.jsonl").write_text(hole)
    (tmp_path / "end.jsonl").write_text(lines(*TALK) + '{"role": "us')
    (tmp_path / "bad.jsonl").write_text("\n" + lines(*TALK, {"role": "robot"}))

    nothing, hole_problems = read(tmp_path / "hole.jsonl")
    (whole,), end_problems = read(tmp_path / "end.jsonl")
    neither, (bad,) = read(tmp_path / "bad.jsonl")

    assert nothing == neither == []
    assert [one.line for one in hole_problems] == [2, 1]
    assert whole.messages == TALK
    assert [one.line for one in end_problems] == [4]
    assert bad.line == 5


def test_the_same_problem_on_each_line_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines(*[{"prompt": n} for n in range(1_000)], TALK))

    (talk,), problems = read(tmp_path / "a.jsonl")

    assert talk.messages == TALK
    assert len(problems) == 21
    assert [one.line for one in problems] == [*range(1, 21), 1_000]
    assert "(980 times more; here the last)" in problems[-1].reason
    assert sum(problem.times for problem in problems) == 1_000


def test_lines_are_read_one_at_a_time(tmp_path: Path) -> None:
    """What stands before a line is given before the line is read."""
    (tmp_path / "a.jsonl").write_text(lines(TALK, OTHER))
    found = read_transcripts([tmp_path / "a.jsonl"])

    assert next(found).source.endswith("a.jsonl:1")  # type: ignore[union-attr]
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write(lines(*[{"messages": TALK}] * 2_000))
    assert sum(1 for _ in found) == 2_001


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([], "transcript 3: holds no message"),
        ({"a": 1}, "transcript 3: holds no messages in a form"),
        ("text", "transcript 3: is a text"),
        ([{"role": "user"}], r"transcript 3: messages\[0\].content"),
        ({"messages": TALK, "tools": [1]}, "transcript 3: tools: is a list of tools"),
    ],
)
def test_what_is_given_in_python_is_a_transcript_or_an_error(given: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        as_transcript(given, 3)


def test_transcripts_in_python() -> None:
    whole = as_transcript({"messages": TALK, "tools": TOOLS}, 2)

    assert whole == Transcript("transcript 2", TALK, TOOLS)
    assert as_transcript(whole) is whole
    assert as_transcript(TALK).messages == TALK


# -- any conversation, any bytes -----------------------------------------------------------


@given(messages=conversations(), layout=st.sampled_from(range(6)), ascii_only=st.booleans())
@settings(max_examples=40, deadline=None)
def test_any_conversation_comes_back_byte_for_byte(
    messages: list[dict[str, Any]],
    layout: int,
    ascii_only: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    def text(value: Any, **more: Any) -> str:
        return json.dumps(value, ensure_ascii=ascii_only, **more)

    written = (
        lambda: text(messages),
        lambda: text({"messages": messages, "tools": TOOLS}, indent=1),
        lambda: text([{"messages": messages}, {"id": 2, "messages": messages}]),
        lambda: "\n".join([text({"request": {"messages": messages}}), text(messages)]),
        lambda: "\n".join(map(text, messages)),
        lambda: text({"messages": text(messages)}),
    )[layout]()
    path = tmp_path_factory.mktemp("any") / ("a.jsonl" if layout in (3, 4) else "a.json")
    path.write_text(written, "utf-8", newline="")

    found, problems = read(path)

    assert problems == []
    assert len(found) == (2 if layout in (2, 3) else 1)
    for one in found:
        assert json.dumps(one.messages) == json.dumps(messages)
        ck.History(one.messages)


SEEDS = [lines(TALK).encode(), lines(*TALK).encode(), json.dumps([TALK], indent=1).encode()]


@given(
    data=st.binary(max_size=200)
    | st.builds(
        lambda seed, at, new, cut: seed[: at % len(seed)] + new + seed[at % len(seed) + cut :],
        st.sampled_from(SEEDS),
        st.integers(0, 400),
        st.binary(max_size=4),
        st.integers(0, 9),
    ),
    name=st.sampled_from(["a.json", "a.jsonl", "a"]),
)
@settings(max_examples=150, deadline=None)
def test_any_bytes_give_transcripts_or_problems(
    data: bytes, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data)

    found, problems = read(path)

    assert found or problems
    for one in found:
        ck.History(one.messages)
    for problem in problems:
        assert problem.line is None or 1 <= problem.line <= data.count(b"\n") + 1


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["user", "tool", "human", "function_call", "tool_use", "text", "1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("messages", "role", "content", "type", "data", "from", "value", "input"),
                    *("tools", "system", "tool_calls", "id", "name", "kwargs", "lc", "source"),
                    *("text", "args", "arguments", "function", "function_call", "body", "parts"),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(value=JSON)
@settings(max_examples=200, deadline=None)
def test_any_json_gives_transcripts_or_problems(
    value: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(value))

    found, problems = read(path)

    assert found or problems
    for one in found:
        ck.History(one.messages)
