"""ModelSummarizer: one call of an official client, and the summary in what came back."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

import contextkit as ck
from contextkit.breaker import Breaker
from contextkit.errors import BudgetError, ContextKitError, InputError, SummaryRejected
from contextkit.strategies.base import describe
from contextkit.summarizing.completions import summary_of
from contextkit.summarizing.model import REASONING, ModelSummarizer
from contextkit.summarizing.request import SummaryRequest, Written
from tests.scripted_provider import ScriptedProvider
from tests.support import answer, builder, call, chat, system, tool, user

HIDDEN = "the vault opens with 7731"
PROSE = "Ann wants the report by Friday. Bob agreed, and it goes to Carol"


def asked(model: str = "qwen-plus", share: int = 40, **more: Any) -> SummaryRequest:
    messages = [system(), user("Hello"), answer("Hi."), user("Summarize.")]
    request = {"model": model, "messages": messages, **more}
    return SummaryRequest(request, span=messages[1:3], share=share, count=len)


def completion(message: dict[str, Any], finish: str | None = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion", "model": "m", "choices": [choice], **more}


def client(provider: ScriptedProvider, kind: Any = openai.OpenAI, **options: Any) -> Any:
    return kind(base_url=provider.base_url, api_key="none", **options)


def says(value: Any) -> Any:
    """A client that answers with a value, and keeps what it was sent."""
    sent: list[dict[str, Any]] = []

    def create(**request: Any) -> Any:
        sent.append(request)
        return value

    return SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=create)), s=sent)


def rejected(value: Any) -> SummaryRejected:
    with pytest.raises(SummaryRejected) as caught:
        summary_of(value)
    assert HIDDEN not in str(caught.value)
    return caught.value


def test_it_sends_the_request_as_it_is_with_a_bound(provider: ScriptedProvider) -> None:
    provider.replies.append("They said hello.")
    request = asked(tools=[tool("look")], tool_choice="none")
    before = json.dumps(request)
    with client(provider) as live:
        summarize = ModelSummarizer(live, options={"temperature": 0})
        assert not summarize.is_async
        written = summarize(request)

    assert isinstance(written, Written)
    assert (written.text, written.model) == ("They said hello.", "qwen-plus")
    assert written.usage is not None
    assert written.usage.input_tokens
    assert json.dumps(request) == before
    assert provider.requests == [{**request, "max_tokens": 40, "temperature": 0}]
    for part in ("messages", "tools"):
        assert json.dumps(provider.requests[0][part]) == json.dumps(request[part])


def test_its_input_is_read_from_the_cache(provider: ScriptedProvider) -> None:
    tools = [tool("look")]
    live = [system("Be terse. " * 60), user("Hello " * 90)]
    with client(provider) as official:
        official.chat.completions.create(model="qwen-plus", messages=live, tools=tools)
        told = [*live, answer("ok 1"), user("Summarize.")]
        request = {"model": "qwen-plus", "messages": told, "tools": tools, "tool_choice": "none"}
        written = ModelSummarizer(official)(
            SummaryRequest(request, span=live[1:], share=40, count=len)
        )
    assert isinstance(written, Written)
    assert written.usage is not None
    assert (
        written.usage.cache_read_tokens
        == provider.usage_of({"messages": live, "tools": tools}, answer(""))["prompt_tokens"] - 1
    )


def test_an_async_client_is_awaited(provider: ScriptedProvider) -> None:
    provider.replies.append("They said hello.")

    async def main() -> Written:
        async with client(provider, openai.AsyncOpenAI) as live:
            summarize = ModelSummarizer(live)
            assert summarize.is_async
            return await summarize(asked())

    written = asyncio.run(main())
    assert (written.text, written.model) == ("They said hello.", "qwen-plus")
    assert provider.requests == [{**asked(), "max_tokens": 40}]


def test_a_client_that_does_not_tell_beforehand_is_awaited_all_the_same() -> None:
    async def later() -> Any:
        return completion(answer("They said hello."))

    async def main() -> Written:
        summarize = ModelSummarizer(says(later()))
        assert not summarize.is_async
        return await summarize(asked())

    assert asyncio.run(main()).text == "They said hello."


def test_another_model_is_asked_where_one_is_named() -> None:
    other = says(completion(answer("Short.")))
    written = ModelSummarizer(other, model="qwen-flash")(asked())
    assert isinstance(written, Written)
    assert written.model == other.s[0]["model"] == "qwen-flash"


def test_a_sync_build_refuses_it_and_leaves_nothing_to_be_awaited() -> None:
    async def later() -> Any:
        return completion(answer("They said hello."))

    told = ModelSummarizer(openai.AsyncOpenAI(api_key="none"))
    with pytest.raises(InputError, match="use abuild"):
        builder(compaction=[ck.SummarizeOldest(told)]).build(ck.History(chat(12)))
    compaction = [ck.SummarizeOldest(ModelSummarizer(says(later())))]
    with pytest.raises(InputError, match="use abuild"):
        builder(compaction=compaction).build(ck.History(chat(12)))


@pytest.mark.parametrize(
    ("model", "options", "bound"),
    [
        ("qwen-plus", {}, {"max_tokens": 40}),
        ("a model of one's own", {}, {"max_tokens": 40}),
        ("deepseek-chat", {}, {"max_tokens": 40}),
        ("gpt-4o-mini", {}, {"max_completion_tokens": 40}),
        ("gpt-5-mini", {}, {"max_completion_tokens": 40 + REASONING}),
        ("openai/o4-mini", {}, {"max_completion_tokens": 40 + REASONING}),
        ("ft:gpt-4o:acme::1", {}, {"max_completion_tokens": 40}),
        ("gpt-5", {"max_completion_tokens": 900}, {"max_completion_tokens": 900}),
        ("gpt-5", {"max_tokens": 900}, {"max_tokens": 900}),
        ("qwen-plus", {"max_completion_tokens": 900}, {"max_completion_tokens": 900}),
        (
            "qwen-plus",
            {"max_completion_tokens": None},
            {"max_completion_tokens": None, "max_tokens": 40},
        ),
    ],
)
def test_the_reply_is_bounded_by_the_parameter_that_the_model_knows(
    model: str, options: dict[str, Any], bound: dict[str, Any]
) -> None:
    other = says(completion(answer("Short.")))
    ModelSummarizer(other, options=options, timeout=None)(asked(model))
    assert other.s == [{**asked(model), **bound}]


def test_the_time_out_is_the_clients_unless_one_is_given() -> None:
    seen = []
    for settings in ({}, {"timeout": 5}, {"timeout": None}, {"options": {"timeout": 7}}):
        other = says(completion(answer("Short.")))
        ModelSummarizer(other, **settings)(asked())
        seen.append(other.s[0].get("timeout"))
    assert seen == [60.0, 5, None, 7]


NO_SUMMARY = {
    "no choices": (completion({}) | {"choices": []}, False),
    "choices that are null": (completion({}) | {"choices": None}, False),
    "an error with status 200": ({"error": {"message": HIDDEN, "code": 429}}, False),
    "no message": ({"choices": [{"index": 0, "message": None, "finish_reason": "stop"}]}, False),
    "a choice that is a text": ({"choices": [HIDDEN]}, False),
    "null": (completion({"content": None}), True),
    "nothing": (completion({"content": ""}), True),
    "white space": (completion({"content": " \n\t"}), True),
    "no parts": (completion({"content": []}), True),
    "a number": (completion({"content": 5}), True),
    "a refusal": (completion({"content": None, "refusal": HIDDEN}), False),
    "a refusal beside a text": (completion({"content": HIDDEN, "refusal": HIDDEN}), False),
    "a part that refuses": (completion({"content": [{"type": "refusal", "text": HIDDEN}]}), False),
    "filtered": (completion({"content": HIDDEN}, "content_filter"), False),
    "an upstream that was lost": (completion({"content": HIDDEN}, "error"), False),
    "calls": (completion(call("a"), "tool_calls"), True),
    "calls beside a text": (completion({**call("a"), "content": HIDDEN}, "tool_calls"), True),
    "a call of old": (completion({"content": None, "function_call": {"name": "f"}}), True),
    "reasoning beside nothing": (completion({"content": None, "reasoning_content": HIDDEN}), True),
    "thoughts": (completion({"content": f"<think>{HIDDEN}</think>\n"}), True),
    "thoughts without an end": (completion({"content": f"<think>\n{HIDDEN}"}), True),
    "thoughts that were cut off": (completion({"content": f"<think>\n{HIDDEN}"}, "length"), False),
    "reasoning that was cut off": (
        completion({"content": "", "reasoning": HIDDEN}, "length"),
        False,
    ),
    "a word that goes on": (completion({"content": "so " * 200}, "length"), True),
    "a page": (f"<!doctype html><h1>{HIDDEN}</h1>", False),
    "a stream": (iter([HIDDEN]), False),
    "None": (None, False),
}


@pytest.mark.parametrize("kind", NO_SUMMARY)
def test_what_holds_no_summary_is_rejected_without_its_words(kind: str) -> None:
    value, again = NO_SUMMARY[kind]
    assert rejected(value).again == again
    with pytest.raises(SummaryRejected):
        ModelSummarizer(says(value))(asked())


def test_each_rejection_says_what_it_was() -> None:
    said = {kind: str(rejected(NO_SUMMARY[kind][0])) for kind in NO_SUMMARY if kind != "a stream"}
    assert "refused" in said["a refusal"]
    assert "content filter" in said["filtered"]
    assert "called a tool" in said["calls"]
    assert "answered with str" in said["a page"]
    assert "max_completion_tokens" in said["thoughts that were cut off"]
    assert "less than half" in said["a word that goes on"]


def test_an_official_reply_is_read_like_a_dict(provider: ScriptedProvider) -> None:
    provider.replies += [
        {"content": None, "refusal": HIDDEN},
        call("a"),
        {"content": "<think>hm</think>Short.", "reasoning_content": HIDDEN},
    ]
    with client(provider) as live:
        summarize = ModelSummarizer(live)
        for what in ("refused", "called a tool"):
            with pytest.raises(SummaryRejected, match=what):
                summarize(asked())
        written = summarize(asked())
    assert isinstance(written, Written)
    assert written.text == "Short."


@pytest.mark.parametrize(
    "content",
    [
        "<think>\nhm\n</think>\n\nShort.",
        "<thinking>hm</thinking>Short.",
        "<think></think><think>more</think>\nShort.",
        "hm, let me see.\n</think>\n\nShort.",  # the template has opened it
        [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Short."}],
        "  Short.\n",
    ],
)
def test_reasoning_is_no_part_of_the_summary(content: Any) -> None:
    assert summary_of(completion({"content": content, "reasoning_content": "hm"}))[0] == "Short."


def test_a_tag_within_a_sentence_is_text() -> None:
    text = "The parser stops at </think> where <think> is missing."
    assert summary_of(completion({"content": text}))[0] == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (PROSE, "Ann wants the report by Friday."),  # just short of half: see below
        (f"{PROSE}.", f"{PROSE}."),
        ("- Ann: report\n- Bob: review\n- Ca", "- Ann: report\n- Bob: review"),
        ("One two three. Four five six.\n3.", "One two three. Four five six."),
        ("It costs 3.50 at Ann's. Then it", "It costs 3.50 at Ann's."),
        ('He said "done." And', 'He said "done."'),
        ("安娜要报告。鲍勃同意了", "安娜要报告。"),
        ("रिपोर्ट भेजी गई। फिर", "रिपोर्ट भेजी गई।"),
        ("Is it done? Y", "Is it done?"),
    ],
)
def test_what_was_cut_off_ends_with_its_last_whole_sentence(text: str, kept: str) -> None:
    message = {"content": text}
    if 2 * len(kept) < len(text):
        assert rejected(completion(message, "length")).again
    else:
        assert summary_of(completion(message, "length"))[0] == kept
    assert summary_of(completion(message))[0] == text


@given(st.text(alphabet="ab.\n !?。7", max_size=80))
def test_what_was_cut_off_loses_less_than_half_and_gains_nothing(text: str) -> None:
    try:
        kept, _ = summary_of(completion({"content": text}, "length"))
    except SummaryRejected:
        return
    assert text.strip().startswith(kept)
    assert 2 * len(kept) >= len(text.strip())


def test_usage_that_is_nonsense_costs_no_summary() -> None:
    for usage, known in ((None, None), ("many", None), ({"prompt_tokens": 9}, 9)):
        found = summary_of(completion(answer("Short."), usage=usage))[1]
        assert (found.input_tokens if found else None) == known


def test_it_shows_and_records_no_key() -> None:
    hidden = {"extra_headers": {"Authorization": HIDDEN}}
    summarize = ModelSummarizer(openai.OpenAI(api_key=HIDDEN), model="qwen-flash", options=hidden)
    assert repr(summarize) == "ModelSummarizer(model='qwen-flash', timeout=60.0)"
    assert HIDDEN not in json.dumps(describe(ck.SummarizeOldest(summarize)))
    assert describe(summarize)["model"] == "qwen-flash"
    assert hash(summarize) == hash(
        ModelSummarizer(openai.OpenAI(api_key="other"), model="qwen-flash", options=hidden)
    )


def test_each_has_a_breaker_of_its_own() -> None:
    one, other = ModelSummarizer(says("x")), ModelSummarizer(says("x"))
    assert one.breaker is not other.breaker
    shared = Breaker()
    assert ModelSummarizer(says("x"), breaker=shared).breaker is shared


def test_options_are_as_they_were_when_it_was_made() -> None:
    options = {"temperature": 0}
    other = says(completion(answer("Short.")))
    summarize = ModelSummarizer(other, options=options)
    options["temperature"] = 1
    summarize(asked())
    assert other.s[0]["temperature"] == 0


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"client": None}, "client"),
        ({"client": openai.OpenAI}, "client"),
        ({"client": ck.wrap(openai.OpenAI(api_key="x"))}, "client"),
        ({"client": ck.wrap(openai.AsyncOpenAI(api_key="x"))}, "client"),
        *(({"model": odd}, "model") for odd in ("", 5)),
        *(({"options": odd}, "options") for odd in (None, [1], {5: 6}, "x")),
        *(
            ({"options": {name: 1}}, name)
            for name in ("model", "messages", "tools", "stream", "n", "stream_options")
        ),
        *(({"options": {"max_tokens": odd}}, "max_tokens") for odd in (0, -5, "x", 5.0)),
        *(({"timeout": odd}, "timeout") for odd in (0, -1, "x", float("nan"), True)),
        ({"breaker": None}, "breaker"),
    ],
)
def test_what_cannot_be_is_said_when_it_is_made(settings: dict[str, Any], place: str) -> None:
    with pytest.raises(ContextKitError, match=place) as caught:
        ModelSummarizer(**{"client": says("x"), **settings})
    assert isinstance(caught.value, InputError | BudgetError)
