"""Requests that ask for a cache: markers, content blocks, headers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import AsyncOpenAI, OpenAI

import contextkit as ck
from contextkit.caching.blocks import Sent
from contextkit.caching.past import ledger_of
from contextkit.caching.prefix import canonical_blocks, diff
from contextkit.caching.simulator import Simulator
from contextkit.errors import (
    InputError,
    ProfileError,
)
from contextkit.grammar import violations
from contextkit.messages import canonical_json
from contextkit.profiles import known_profiles, profile_for
from contextkit.testing import assert_prefix_stable
from tests.conversations import Messages, conversations
from tests.scripted_provider import ScriptedProvider
from tests.support import (
    SCOPE,
    Characters,
    answer,
    builder,
    call,
    result,
    system,
    tool,
    user,
)
from tests.test_promises import replay
from tests.wrapping import ask, bare

MARKER = {"type": "ephemeral"}
PROMPT = system("You look things up. " * 250)  # 1,250 tokens: above the minimum
DOCUMENTS = [user("The manual: " + "turn left. " * 100), answer("Read it.")]


def explicit(limit: int = 6_000, **options: Any) -> ck.ContextBuilder:
    return builder(limit, **{"cache": "explicit", **options})


def marked(request: dict[str, Any], key: str = "cache_control") -> list[tuple[int, int]]:
    """Message and part of every marker in a request."""
    return [
        (number, place)
        for number, message in enumerate(request["messages"])
        if isinstance(message["content"], list)
        for place, part in enumerate(message["content"])
        if key in part
    ]


def names(context: ck.Context) -> list[str]:
    return [point.name for point in context.points]


def grow(
    made: ck.ContextBuilder, turns: int, *, results: int = 0, words: int = 150
) -> Iterator[ck.Context]:
    """A conversation that grows; each turn calls so many tools at once."""
    history = ck.History([PROMPT], scope=SCOPE)
    for turn in range(turns):
        history.append(f"question {turn} " * words)
        if results:
            yield made.build(history)
            ids = [f"{turn} {number}" for number in range(results)]
            history.append(call(*ids))
            history.extend(result(identifier, "row " * 20) for identifier in ids)
        yield made.build(history)
        history.append(answer("an answer " * 20))


def summarizer(request: Any) -> str:
    return "It was about rivers. " * 5


SUMMARIES: dict[str, Any] = {"compaction": [ck.SummarizeOldest(summarizer)]}


# -- markers ---------------------------------------------------------------------------------


def test_the_ordinary_points_of_a_growing_conversation() -> None:
    contexts = list(grow(explicit(**SUMMARIES), 24))

    assert names(contexts[0]) == ["system", "newest"]
    assert names(contexts[1]) == ["system", "last request", "newest"]
    cuts = [number for number, context in enumerate(contexts) if context.edits]
    assert len(cuts) >= 2
    for number, context in enumerate(contexts[cuts[0] :], cuts[0]):
        assert names(context) == ["system", "summaries", "last request", "newest"], number
    for context in contexts:
        assert marked(context.request()) == [
            (point.message, 0) for point in context.points
        ]  # every message has one part
        for point in context.points:
            block = context.blocks[point.block]
            assert (block.point, block.role) == (True, point.role)
            assert point.tokens == sum(b.tokens for b in context.blocks[: point.block + 1])
        assert sum(block.point for block in context.blocks) == len(context.points)
    assert_prefix_stable((context.request() for context in contexts), len(cuts))


@pytest.mark.parametrize("results", [0, 3, 45])
def test_a_provider_reads_what_the_plan_expects(results: int) -> None:
    made = explicit(20_000, **SUMMARIES)
    rules = made.profile.cache("explicit")
    assert rules is not None
    provider = Simulator(rules)
    before: ck.Context | None = None
    foretold: dict[int, int | None] = {}
    moved = reads = 0
    reported = ck.Usage()
    for second, context in enumerate(grow(made, 16, results=results)):
        usage = provider.send(Sent(context.blocks, at=float(second)))
        foretold[context.decision.point] = context.forecast.cache_read_tokens
        if before is not None:
            context.view.history.report(before.decision.point, reported)
        reported = usage
        held = {} if before is None else {b.key: n for n, b in enumerate(before.blocks)}
        last = before.points[-1] if before else None
        if before is None or last is None:
            assert usage.cache_read_tokens == 0
        elif context.edits:
            moved += 1
            # What both have up to a point of both: the system block, and summaries that stay.
            stays = [p for p in context.points if p.block in held.values()]
            assert usage.cache_read_tokens >= next(p.tokens for p in stays if p.name == "system")
        else:
            reads += 1
            assert usage.cache_read_tokens == last.tokens == context.forecast.cache_read_tokens
            assert usage.cache_write_tokens == context.forecast.cache_write_tokens
        assert usage.cache_write_tokens == context.points[-1].tokens - (
            usage.cache_read_tokens or 0
        )
        before = context
    assert before is not None
    rows = ledger_of(before.view.history, {"qwen-plus": made.counter}).rows
    assert {row.point: row.forecast for row in rows} == {
        point: read for point, read in foretold.items() if point != before.decision.point
    }
    assert reads >= 12
    assert moved or results < 45


def test_more_blocks_than_a_provider_looks_back_over() -> None:
    first, second, *_ = grow(explicit(20_000), 1, results=45)

    assert names(first) == ["system", "newest"]
    assert names(second) == ["system", "last request", "spare", "newest"]
    assert second.points[3].block - second.points[2].block == 18


def test_nothing_is_marked_below_the_minimum() -> None:
    context = explicit().build([system(), user("Hello")])

    assert context.points == ()
    assert marked(context.request()) == []
    assert context.messages[1]["content"] == [{"type": "text", "text": "Hello"}]  # kept for later
    assert f"none, {context.tokens} tokens are fewer than 1,024" in str(context.report)


def test_only_what_can_carry_a_marker_gets_one() -> None:
    made = explicit()
    partial = answer("Once upon", partial=True)
    empty = [PROMPT, user("q " * 500), call("a"), result("a", "")]
    ends: list[tuple[Messages, int]] = [
        ([PROMPT, user("q " * 500), partial], 1),  # is to be continued: it will change
        (empty, 1),  # neither empty text nor calls without text
        ([PROMPT, user([*user_parts("q " * 500), image()])], 1),
        ([PROMPT, user("q " * 500), user([*user_parts("q"), *user_parts("")])], 2),
    ]
    for messages, last in ends:
        context = made.build(messages)
        assert context.points[-1].message == last
        request = context.request()
        assert request["messages"][0]["content"][0]["cache_control"] == MARKER
        assert len(marked(request)) == len(context.points) == 2
        assert all(
            request["messages"][n]["content"][p].get("text", "x") for n, p in marked(request)
        )
    assert made.build(empty).messages[2:] == empty[2:]


def user_parts(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text}]


def image() -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": "https://e.x/a.png"}}


def test_a_request_shares_nothing_with_the_log() -> None:
    messages = [PROMPT, user([*user_parts("q " * 500), image()])]
    context = explicit().build(messages)
    before = canonical_json(context.request())

    request = context.request()
    request["messages"][1]["content"][1]["cache_control"]["type"] = "changed"
    request["messages"][1]["content"][0]["text"] = "changed"

    assert canonical_json(context.request()) == before
    assert "cache_control" not in canonical_json(context.view.messages)
    rules = profile_for("qwen-plus").cache("explicit")
    assert rules is not None
    assert rules.marked() == {"cache_control": MARKER}


WITH_POINTS = [
    (profile, rules)
    for profile in known_profiles().values()
    for rules in profile.caches
    if rules.points
]
KINDS = {rules.name: (profile, rules) for profile, rules in WITH_POINTS}


@settings(max_examples=60)
@given(
    conversations(),
    st.sampled_from(sorted(KINDS)),
    st.sampled_from([250, 900]),
    st.sampled_from([[], DOCUMENTS[:1]]),
    st.sampled_from([0, 30, 200]),
)
def test_any_conversation_with_any_cache(
    messages: Messages, kind: str, limit: int, documents: Messages, minimum: int
) -> None:
    """Never too many markers, none too early; and without them the same as without a cache."""
    profile, rules = KINDS[kind]
    rules = replace(rules, minimum=minimum)
    profile = replace(profile, caches=(rules,), window=100_000, reserve=100)
    options: dict[str, Any] = {
        "profile": profile,
        "counter": Characters(),
        "limit": limit + 300,
        "documents": documents,
    }

    def compaction() -> list[Any]:  # one that two had in common would count the failures of both
        return [ck.ClearToolResults(keep_last=1), ck.SummarizeOldest(summarizer, share=60)]

    made = ck.ContextBuilder("m", cache=rules.mode, compaction=compaction(), **options)
    plain = ck.ContextBuilder("m", compaction=compaction(), **options)
    other = ck.History()
    without = replay(plain, messages, other)
    before: list[str] = []
    history = ck.History()
    history.id = other.id  # the delimiters of summaries are made of it
    for context in replay(made, messages, history):
        request = context.request()
        expected = next(without)
        assert canonical_blocks(request) == canonical_blocks(expected.request())
        assert context.tokens == expected.tokens
        assert context.view.messages == expected.view.messages
        assert history.prefix_hash() == other.prefix_hash()
        counted = made.counter.fixed() + sum(map(made.counter.message, request["messages"]))
        assert counted == context.tokens == sum(block.tokens for block in context.blocks)
        assert context.tokens <= context.limit
        assert not violations(request["messages"])

        places = marked(request, next(iter(rules.marker)))
        assert len(places) == len(context.points) <= rules.points
        for point in context.points:
            assert point.tokens >= minimum
            assert point.role in rules.carriers
        for message in request["messages"]:
            carried = message["role"] in rules.carriers
            assert not carried or isinstance(message["content"], list) or not message["content"]
        if not any(edit.kind in {"drop", "summary", "clear"} for edit in context.edits):
            assert canonical_blocks(request)[: len(before)] == before
        before = canonical_blocks(request)
    assert next(without, None) is None


def test_explicit_blocks_stay_blocks() -> None:
    history = ck.History([PROMPT, user("Hello")])
    first = explicit().build(history).request()
    history.append(answer("Hi."))
    history.append("And now?")

    context = builder(6_000).build(history)

    messages = context.messages
    assert [type(message["content"]) for message in messages] == [list] * 4
    assert marked(context.request()) == []
    assert diff(first, context.request()).kind == "extension"
    assert any("another kind of cache" in warning for warning in context.report.warnings)
    history.append(answer("Hm."))
    history.append("Well?")
    context = builder(6_000).build(history)
    assert [type(message["content"]) for message in context.messages] == [list] * 6
    assert not context.report.warnings
    loaded = ck.History.loads(history.dumps())
    loaded.append(answer("Hm."))
    loaded.append("Well?")
    assert type(builder(6_000).build(loaded).messages[7]["content"]) is list


def test_a_switch_to_explicit_is_said_once() -> None:
    history = ck.History([PROMPT, user("Hello")])
    builder(6_000).build(history)
    history.extend([answer("Hi."), user("And now?")])

    warnings = explicit().build(history).report.warnings
    history.extend([answer("Hi."), user("And now?")])

    assert any("text is sent as content blocks from now on" in warning for warning in warnings)
    assert not explicit().build(history).report.warnings


def test_a_decided_request_is_the_same_again() -> None:
    history = ck.History([PROMPT, user("Hello " * 200)])
    made = explicit()
    first = made.build(history)

    again = made.build(history)
    other = builder(6_000).build(history)

    assert again.request() == first.request() == other.request()
    assert again.points == first.points
    assert made.preview([PROMPT, user("Hello " * 200)]).request() == first.request()
    rebuilt = ck.fold(history).request()
    assert canonical_blocks(rebuilt) == canonical_blocks(first.request())
    assert rebuilt["messages"][0]["content"] == [{"type": "text", "text": PROMPT["content"]}]


def test_a_summarizer_reads_what_the_conversation_wrote() -> None:
    asked: list[dict[str, Any]] = []

    def listening(request: dict[str, Any]) -> str:
        asked.append(request)
        return "About rivers."

    compaction = [ck.SummarizeOldest(listening)]
    made = explicit(8_000, compaction=compaction, documents=DOCUMENTS, tools=[tool("look")])
    contexts = []
    for context in grow(made, 14):
        contexts.append(context)
        if asked:
            break
    before = contexts[-2].request()
    length = len(asked[0]["messages"]) - 1  # the instruction
    assert length > 5
    assert asked[0]["tools"] == before["tools"]
    for message, live in zip(asked[0]["messages"][:length], before["messages"], strict=False):
        assert canonical_blocks({"messages": [message]}) == canonical_blocks({"messages": [live]})
        assert type(message["content"]) is type(live["content"])
    written = {point.message for context in contexts[:-1] for point in context.points}
    places = [number for number, _ in marked(asked[0])]
    assert len(places) == 2
    assert set(places) <= written
    assert max(places) > length - 4


# -- what OpenAI has ---------------------------------------------------------------------------


def test_openai_places_a_point_itself_and_we_the_others() -> None:
    made = builder(20_000, model="gpt-5.6", cache="implicit", documents=DOCUMENTS)
    first, *_, last = grow(made, 3, results=2, words=300)

    assert names(first) == ["system", "documents"]
    request = first.request()
    assert request["messages"][0]["content"][0]["prompt_cache_breakpoint"] == {"mode": "explicit"}
    assert marked(request, "prompt_cache_breakpoint") == [(0, 0), (1, 0)]  # not on an answer
    assert type(request["messages"][2]["content"]) is str
    assert "prompt_cache_options" not in request
    assert names(last) == ["system", "documents", "last request"]
    assert last.forecast.cache_read_tokens == last.points[-1].tokens
    assert last.cache == profile_for("gpt-5.6").cache("implicit")


def test_a_varying_first_message_still_reads_the_system_block() -> None:
    """What GPT-5.6 does not without a marker: 0 % of a shared prompt is read."""
    rules = profile_for("gpt-5.6").cache("implicit")
    assert rules is not None

    def read(**options: Any) -> list[int | None]:
        made = builder(20_000, model="gpt-5.6", **options)
        provider = Simulator(rules)
        return [
            provider.send(
                Sent(made.build([PROMPT, user(f"{n} " * 1_500)]).blocks, at=60.0 * n)
            ).cache_read_tokens
            for n in range(3)
        ]

    marks = read(cache="implicit")
    assert marks == [0, *[marks[1]] * 2]
    assert marks[1]
    assert marks[1] > 1_024


def test_it_is_said_where_a_marker_is_missing() -> None:
    def said(**options: Any) -> bool:
        report = builder(20_000, **options).build([PROMPT, user("Hi")]).report
        return any("cache='implicit' puts one" in text for text in report.warnings)

    assert said(model="gpt-5.6")
    assert not said(model="gpt-5.6", cache="implicit")
    assert not said(model="gpt-4o")
    assert not said(model="qwen-plus")


def test_openai_explicit_mode_is_asked_for() -> None:
    context = builder(20_000, model="gpt-5.6", cache="explicit").build([PROMPT, user("Hi")])

    request = context.request()
    assert request["prompt_cache_options"] == {"mode": "explicit"}
    assert names(context) == ["system", "newest"]


# -- the caller's own ----------------------------------------------------------------------------


def own(text: str, **more: Any) -> dict[str, Any]:
    return user([{"type": "text", "text": text, "cache_control": MARKER}], **more)


def test_markers_of_the_caller_are_kept_and_count() -> None:
    messages = [PROMPT]
    for number in range(3):
        messages += [own(f"question {number} " * 100), answer("yes")]
    messages.append(user("and now?"))

    context = explicit().build(messages)

    assert len(marked(context.request())) == 4
    assert names(context).count("own") == 3
    assert any("3 tools and content blocks" in text for text in context.report.warnings)
    without = builder(6_000).build(messages)
    assert without.messages == messages
    assert not without.report.warnings


def test_too_many_markers_of_the_caller() -> None:
    messages = [PROMPT, own("a " * 600), answer("b"), *[own("c")] * 4]

    context = explicit().build(messages)  # Qwen takes the last four
    assert len(marked(context.request())) == 5
    assert any("only the last 4 count" in text for text in context.report.warnings)

    history = ck.History(messages)
    before = history.dumps()
    with pytest.raises(InputError, match="refuses a request with more than 4"):
        explicit(model="claude-opus-4-5").build(history)  # Anthropic
    with pytest.raises(InputError, match="refuses a request with more than 4"):
        explicit(model="claude-opus-4-5").preview(history)
    assert history.dumps() == before
    history = ck.History([*messages[:-1], answer("so"), user("And now? " * 500)])
    with pytest.raises(InputError, match="refuses a request with more than 4"):
        explicit(model="claude-opus-4-5", documents=[own("d")]).build(history)
    tight = explicit(2_450, model="claude-opus-4-5", documents=[own("d")])
    assert len(marked(tight.build(history).request())) <= 4  # the others were cut


def test_markers_on_tools_count_where_the_provider_takes_them() -> None:
    tools = [{**tool(name), "cache_control": MARKER} for name in "ab"]
    messages = [PROMPT, user("Hi"), answer("Yes?"), user("Go on.")]

    claude = explicit(model="claude-opus-4-5", tools=tools).build(messages)
    qwen = explicit(tools=tools).build(messages)  # takes none there: they count for nothing

    def ours(context: ck.Context) -> int:
        return len(marked(context.request()))

    assert json.dumps(claude.request()).count("cache_control") == 2 + ours(claude) <= 4
    assert any("2 tools and content blocks" in text for text in claude.report.warnings)
    assert ours(qwen) == ours(explicit().build(messages))
    many = [{**tool(name), "cache_control": MARKER} for name in "abcde"]
    refused = explicit(model="claude-opus-4-5", tools=many)
    with pytest.raises(InputError, match="5 tools and content blocks"):
        refused.build(messages)


def test_a_marker_beside_the_content_is_pointed_out() -> None:
    context = explicit().build([PROMPT, user("Hi", cache_control=MARKER)])

    assert context.messages[1]["cache_control"] == MARKER
    assert any("messages[1] does nothing" in text for text in context.report.warnings)


# -- the choice of a cache -----------------------------------------------------------------------


def test_a_cache_that_a_model_does_not_have() -> None:
    with pytest.raises(ProfileError, match="no explicit cache"):
        builder(model="qwen-max", cache="explicit")
    with pytest.raises(ProfileError, match="no implicit cache"):
        builder(model="generic", cache="implicit")
    for wrong in ("Explicit", True, 4, ["explicit"], "resource"):
        with pytest.raises(InputError, match="cache"):
            builder(cache=wrong)
    with pytest.raises(InputError, match="cache"):
        ck.wrap(OpenAI(api_key="none"), cache="all")
    ck.wrap(OpenAI(api_key="none"), cache="explicit")  # whether a model has it shows later


def test_nothing_is_asked_for_by_default() -> None:
    context = builder(6_000).build([PROMPT, user("Hello " * 200)])

    assert context.request() == {"model": "qwen-plus", "messages": context.view.messages}
    assert context.cache == profile_for("qwen-plus").cache("implicit")
    assert "cache points" not in str(context.report)
    assert context.report.to_json()["cache"] is None
    settings = context.view.history.current_settings()
    assert settings is not None
    assert not settings.data.keys() & {"cache", "block_roles", "documents"}


def test_auto_takes_the_cheapest() -> None:
    messages = [PROMPT, user("Hello " * 200)]

    assert len(marked(builder(6_000, cache="auto").build(messages).request())) == 2
    assert marked(builder(6_000, cache="auto", model="qwen-max").build(messages).request()) == []
    assert builder(600, cache="auto", model="generic").build([user("Hi")]).cache is None


def test_a_schedule_takes_the_prices_of_the_cache_that_is_asked_for() -> None:
    budget = ck.Budget(6_000, target=2_000)
    usual, asked = builder(budget=budget), builder(budget=budget, cache="explicit")

    assert (usual.schedule.read, usual.schedule.write) == (0.2, 1.0)
    assert (asked.schedule.read, asked.schedule.write) == (0.1, 1.25)


def test_the_cache_stands_in_settings_and_report() -> None:
    context = explicit().build([PROMPT, user("Hello " * 200)])

    held = context.view.history.current_settings()
    assert held is not None
    assert held.data["cache"] == {"mode": "explicit", "rules": "qwen explicit"}
    report = context.report
    assert report.to_json()["cache"] == held.data["cache"]
    assert [point["name"] for point in report.to_json()["points"]] == ["system", "newest"]
    system_end, newest = context.points
    assert (
        f"cache points: system {system_end.tokens:,}, newest {newest.tokens:,}\n" in f"{report}\n"
    )
    json.dumps(report.to_json())


def test_a_session_has_its_header() -> None:
    context = builder(6_000, cache="session").build([PROMPT, user("Hi")])

    assert context.request()["extra_headers"] == {"x-dashscope-session-cache": "enable"}
    assert marked(context.request()) == []
    assert any("responses API only" in text for text in context.report.warnings)


# -- on the wire -----------------------------------------------------------------------------


def test_a_wrapped_client_sends_the_markers(provider: ScriptedProvider) -> None:
    client = ck.wrap(bare(provider), limit=6_000, cache="explicit", documents=DOCUMENTS)
    messages: Messages = [PROMPT]
    for turn in range(3):
        messages.append(user(f"question {turn} " * 80))
        reply = ask(client, messages, "qwen-plus").choices[0].message
        messages.append(answer(reply.content))

    assert [len(marked(request)) for request in provider.requests] == [3, 4, 4]
    assert_prefix_stable(provider.requests)
    for request in provider.requests:
        assert [message["role"] for message in request["messages"][:4]] == [
            *["system", "user", "assistant", "user"]
        ]
    with pytest.raises(ProfileError, match="no explicit cache"):
        ask(client, messages[:-1], "qwen-max")


def test_a_chat_sends_the_markers(provider: ScriptedProvider) -> None:
    chatting = ck.Chat(
        bare(provider),
        model="qwen-plus",
        system=PROMPT,
        limit=6_000,
        cache="explicit",
        documents=DOCUMENTS,
    )
    talk = chatting.conversation(SCOPE)
    for turn in range(2):
        talk.send(f"question {turn} " * 80)
    list(talk.stream("and now?"))
    assert talk.context is not None

    assert [len(marked(request)) for request in provider.requests] == [3, 4, 4]
    assert provider.requests[-1]["messages"] == talk.context.messages
    assert_prefix_stable(provider.requests)


def test_an_async_chat_sends_the_markers(provider: ScriptedProvider) -> None:
    async def hold() -> None:
        client = AsyncOpenAI(base_url=provider.base_url, api_key="none", max_retries=0)
        chatting = ck.AsyncChat(
            client, model="qwen-plus", system=PROMPT, limit=6_000, cache="explicit"
        )
        async with chatting:
            talk = await chatting.conversation(SCOPE)
            for turn in range(2):
                await talk.send(f"question {turn} " * 80)
        await client.close()

    asyncio.run(hold())
    assert [len(marked(request)) for request in provider.requests] == [2, 3]
    assert_prefix_stable(provider.requests)


def test_the_caches_of_all_profiles_can_be_asked_for() -> None:
    for profile, rules in WITH_POINTS:
        made = ck.ContextBuilder(
            "m", profile=profile, cache=rules.mode, counter=Characters(), limit=5_000
        )
        context = made.build([system("You look. " * 1_700), user("Hi " * 100)])
        key = next(iter(rules.marker))
        assert 1 <= len(marked(context.request(), key)) <= rules.points, profile.name
