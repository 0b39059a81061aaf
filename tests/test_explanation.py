"""explain: the right cause for every way to break a cache, and none where nothing is broken."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

import contextkit as ck
from contextkit.caching.blocks import Sent
from contextkit.caching.consecutive import Asked
from contextkit.caching.explanation import Explanation
from contextkit.caching.simulator import Simulator
from contextkit.errors import InputError
from contextkit.profiles import profile_for
from contextkit.tokens import counter_for
from tests.support import Characters, answer, call, result, system, tool, user

RULES = "Answer by the rules of the house, and name the rule. " * 400  # 5,300 tokens
FORMAT = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png?signature=1"}}


def tools() -> list[dict[str, Any]]:
    properties = {"day": {"type": "string"}, "city": {"type": "string"}}
    return [tool("look_up", properties=properties), tool("order")]


def request(model: str = "qwen-plus", **more: Any) -> dict[str, Any]:
    """The first of two requests: long instructions, a tool loop, some turns."""
    messages = [
        system(RULES),
        *[user("What about rule 1?"), call("c1"), result("c1", "row " * 300)],
        *[answer("It holds. " * 40), user([{"type": "text", "text": "And this?"}, IMAGE])],
        *[answer("It is a cat. " * 40), user("And rule 2?")],
    ]
    return {"model": model, "messages": messages, "tools": tools(), **more}


def following(before: dict[str, Any], *more: dict[str, Any]) -> dict[str, Any]:
    """The request after it, which goes on from all of it."""
    now = copy.deepcopy(before)
    now["messages"] += more or (answer("It does not."), user("Why?"))
    return now


@dataclass
class Breaker:
    """One way to lose what is in the cache.

    Attributes:
        cause: the one to be named.
        read: messages that are read all the same, with the tools before them.
        changes: what is changed in the later request.
        before: what the earlier one has of its own.
        told: what else is known.
        says: what stands in the explanation.
    """

    cause: str
    changes: Any = lambda now: None
    model: str = "qwen-plus"
    read: int = 0
    before: Any = lambda request: None
    told: dict[str, Any] = field(default_factory=dict)
    says: str = ""
    level: str | None = None
    message: int | None = None


def in_system(text: str) -> Any:
    def change(request: dict[str, Any]) -> None:
        request["messages"][0]["content"] = text + RULES

    return change


def put(**parameters: Any) -> Any:
    return lambda request: request.update(copy.deepcopy(parameters))


def edit(number: int, **fields: Any) -> Any:
    return lambda request: request["messages"][number].update(copy.deepcopy(fields))


def drop(first: int, last: int) -> Any:
    def change(request: dict[str, Any]) -> None:
        del request["messages"][first:last]

    return change


def marked(*numbers: int) -> Any:
    """Cache points on some messages."""

    def change(request: dict[str, Any]) -> None:
        for number in numbers:
            message = request["messages"][number]
            part = {"type": "text", "text": message["content"]}
            message["content"] = [{**part, "cache_control": {"type": "ephemeral"}}]

    return change


def unmarked(request: dict[str, Any]) -> None:
    for message in request["messages"]:
        if isinstance(message["content"], list) and "cache_control" in message["content"][0]:
            message["content"] = message["content"][0]["text"]


def moving_point(request: dict[str, Any]) -> None:
    unmarked(request)
    marked(0, -1)(request)


def long_loop(request: dict[str, Any]) -> None:
    unmarked(request)
    for n in range(12):
        request["messages"][-1:-1] = [call(f"l{n}"), result(f"l{n}", "row")]
    marked(-1)(request)


def reordered(request: dict[str, Any]) -> None:
    function = request["tools"][0]["function"]
    schema = function["parameters"]
    schema["properties"] = dict(reversed(schema["properties"].items()))


def rules_of(length: int) -> Any:
    return edit(0, content=RULES[:length])


def without_tools(request: dict[str, Any]) -> None:
    del request["tools"]
    del request["messages"][1:-1]
    edit(0, content=RULES[:2_000])(request)


BREAKERS = {
    "clock": Breaker(
        "prefix moved",
        in_system("It is 2026-11-22 09:31. "),
        before=in_system("It is 2026-11-22 09:30. "),
        says="timestamp",
        level="system",
        message=0,
    ),
    "generated id": Breaker(
        "prefix moved",
        in_system("Session 7f0c1c52-93ab-4a0e-9d52-0c1b1b6d2f11. "),
        before=in_system("Session 1b2f8a10-aa41-4d5e-8f60-5f9b3ce0a3d2. "),
        says="id changed",
        level="system",
        message=0,
    ),
    "white space": Breaker(
        "prefix moved",
        edit(0, content=RULES.replace(". ", ".  ", 1)),
        says="whitespace",
        level="system",
        message=0,
    ),
    "sliding window": Breaker(
        "prefix moved", drop(1, 5), read=1, says="removed", level="messages", message=1
    ),
    "passages spliced in": Breaker(
        "prefix moved",
        lambda request: request["messages"].insert(1, user("Passages: …")),
        read=1,
        says="inserted",
        level="messages",
        message=1,
    ),
    "tool result cleared": Breaker(
        "prefix moved", edit(3, content="[cleared]"), read=3, level="messages", message=3
    ),
    "signed url": Breaker(
        "prefix moved",
        edit(
            5,
            content=[
                {"type": "text", "text": "And this?"},
                {**IMAGE, "image_url": {"url": "https://example.com/cat.png?signature=2"}},
            ],
        ),
        read=5,
        says="signed URL",
        level="messages",
        message=5,
    ),
    "serialised again": Breaker(
        "prefix moved",
        edit(3, content='{"b": 1, "a": 2}' + " " * 1_200),
        before=edit(3, content='{"a": 2, "b": 1}' + " " * 1_200),
        read=3,
        says="serialised again",
        level="messages",
        message=3,
    ),
    "tools in another order": Breaker(
        "tools changed", lambda request: request["tools"].reverse(), says="order", level="tools"
    ),
    "late tool": Breaker(
        "tools changed",
        lambda request: request["tools"].append(tool("pay")),
        says="added: 'pay'",
        level="tools",
    ),
    "keys of a schema": Breaker(
        "tools changed", reordered, says="key order changed", level="tools"
    ),
    "another model": Breaker("model changed", put(model="qwen-max"), says="qwen-plus became"),
    "response format": Breaker("settings changed", put(response_format=FORMAT), "gpt-5"),
    "parallel calls": Breaker("settings changed", put(parallel_tool_calls=False), "gpt-5"),
    "effort": Breaker("settings changed", put(reasoning_effort="high"), "gpt-5"),
    "verbosity": Breaker("settings changed", put(extra_body={"verbosity": "low"}), "gpt-5"),
    "routing": Breaker(
        "settings changed", put(prompt_cache_key="b"), "gpt-5", before=put(prompt_cache_key="a")
    ),
    "tool choice": Breaker(
        "settings changed",
        lambda request: (moving_point(request), put(tool_choice="none")(request)),
        "claude-sonnet-4-5",
        read=1,
        before=moving_point,
        says="tool_choice",
    ),
    "unlisted setting": Breaker(
        "settings changed", put(extra_body={"enable_thinking": False}), says="enable_thinking"
    ),
    "expired": Breaker(
        "expired",
        moving_point,
        before=moving_point,
        told={"elapsed": 900.0},
        says="900 s",
    ),
    "two at once": Breaker(
        "not yet visible",
        moving_point,
        before=moving_point,
        told={"elapsed": 1.0, "took": 8.0},
        says="sent 1 s after",
    ),
    "short": Breaker("below the minimum", before=without_tools, says="1,024"),
    "no points at all": Breaker("point missing", model="claude-sonnet-4-5", says="no cache point"),
    "point on the system only": Breaker(
        "point missing",
        marked(0),
        "claude-sonnet-4-5",
        read=1,
        before=marked(0),
        says="behind the last cache point",
    ),
    "long loop": Breaker("look-back exceeded", long_loop, before=marked(0, -1), says="20"),
    "template": Breaker(
        "dropped by the template",
        model="qwen3-max",
        before=lambda request: request["messages"].extend(
            [call("r", reasoning_content="because " * 200), result("r", "row " * 300)]
        ),
        read=8,
        says="finished turn",
    ),
    "other tokens": Breaker(
        "reply tokenised otherwise",
        model="smollm2",
        read=8,
        told={"previous_usage": {"completion_tokens": 700}},
        says="of 700 on",
    ),
    "template of an engine": Breaker(
        "dropped by the template",
        read=8,
        told={
            "profile": replace(profile_for("vllm"), drops_reasoning=True),
            "previous_usage": {
                "completion_tokens": 900,
                "completion_tokens_details": {"reasoning_tokens": 300},
            },
        },
        says="reasoning of the reply",
    ),
    "evicted": Breaker("not kept by the provider", says="promises nothing"),
    "gateway": Breaker(
        "not kept by the provider", moving_point, before=moving_point, says="gateway"
    ),
}


def both(breaker: Breaker) -> tuple[dict[str, Any], dict[str, Any]]:
    before = request(breaker.model)
    breaker.before(before)
    now = following(before, answer("It does not. " * 200), user("Why?"))
    breaker.changes(now)
    return before, now


def tokens(request: dict[str, Any], messages: int | None = None) -> int:
    """Tokens of tools and the first messages; of all of them by default."""
    counter = counter_for(profile_for(request["model"]), Characters())
    asked = Asked.of({**request, "messages": request["messages"][:messages]}, counter)
    return sum(block.tokens for block in asked.held)


def explained(breaker: Breaker, read: int, **told: Any) -> Explanation:
    before, now = both(breaker)
    given = copy.deepcopy((before, now))
    details = {"cached_tokens": read}
    usage = {"prompt_tokens": tokens(now) + 5, "prompt_tokens_details": details}
    found = ck.explain(before, now, usage, counter=Characters(), **{**told, **breaker.told})
    assert (before, now) == given, "the caller's requests stay as they were"
    return found


@pytest.mark.parametrize("elapsed", [None, 10.0])
@pytest.mark.parametrize("name", BREAKERS)
def test_the_cause_is_named(name: str, elapsed: float | None) -> None:
    """Whether the time between the requests is known or not: it is short, and at fault nowhere."""
    breaker = BREAKERS[name]
    read = tokens(both(breaker)[0], breaker.read) if breaker.read else 0
    found = explained(breaker, read, elapsed=elapsed)

    assert found.cause == breaker.cause, str(found)
    assert breaker.says in found.source
    assert (found.level, found.message) == (breaker.level, breaker.message)
    assert (found.position is not None) == (breaker.cause == "prefix moved")
    assert found.tokens is not None
    assert found.tokens > 150
    assert found.cause in str(found)
    json.dumps(found.to_json())


@pytest.mark.parametrize("name", ["short", "no points at all", "late tool", "clock"])
def test_what_was_never_there_has_not_expired(name: str) -> None:
    breaker = BREAKERS[name]

    assert explained(breaker, 0, elapsed=90_000.0).cause == breaker.cause


def test_a_point_of_a_longer_lifetime_has_not_expired() -> None:
    """Every point has the lifetime that its marker asks for, not the default one."""
    before = request("claude-sonnet-4-5")
    moving_point(before)
    for number in (0, -1):
        before["messages"][number]["content"][0]["cache_control"]["ttl"] = "1h"
    now = following(before)
    now["messages"][-1]["content"] = [
        {"type": "text", "text": "Why?", "cache_control": {"type": "ephemeral"}}
    ]
    details = {"cached_tokens": 0, "cache_creation_input_tokens": tokens(now)}
    usage = {"prompt_tokens": tokens(now) + 5, "prompt_tokens_details": details}
    causes = [
        ck.explain(before, now, usage, elapsed, counter=Characters()).cause
        for elapsed in (900.0, 4_000.0)
    ]

    assert causes == ["not kept by the provider", "expired"]


@pytest.mark.parametrize("name", BREAKERS)
def test_where_all_is_read_there_is_no_cause(name: str) -> None:
    """Not even where something was changed: what is not missed needs no cause."""
    breaker = BREAKERS[name]
    before, _ = both(breaker)
    replied = breaker.model == "smollm2" or "profile" in breaker.told
    found = explained(breaker, tokens(before) + (700 if replied else 0))

    assert (found.cause, found.tokens) == (None, 0)


@pytest.mark.parametrize("model", ["qwen-plus", "gpt-4o", "gpt-5", "gpt-5.6", "smollm2", "vllm"])
def test_on_an_untouched_run_nothing_is_missed(model: str) -> None:
    """Simulated: with replies cached or not, points placed by the provider or none."""
    profile = profile_for(model)
    rules, counter = profile.cache(), counter_for(profile, Characters())
    assert rules is not None
    simulator, before, spent = Simulator(rules), None, None
    now = request(model)
    for n in range(12):
        asked = Asked.of(now, counter)
        usage = simulator.send(Sent(asked.blocks, at=10.0 * n))
        if not rules.replies or before is None:  # whose tokens this simulation does not know
            found = ck.explain(before, now, usage, 10.0, counter=Characters(), previous_usage=spent)
            assert found.cause is None, f"request {n}: {found}"
        before, now, spent = now, following(now, answer("No. " * 9), user(f"Why {n}?")), usage


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "qwen-plus"])
def test_on_an_untouched_run_with_points_nothing_is_missed(model: str) -> None:
    profile = profile_for(model)
    counter = counter_for(profile, Characters())
    simulator, before = Simulator(profile.cache("explicit")), None
    now = request(model)
    moving_point(now)
    for n in range(12):
        usage = simulator.send(Sent(Asked.of(now, counter).blocks, at=10.0 * n))
        found = ck.explain(before, now, usage, 10.0, counter=Characters())
        assert found.cause is None, f"request {n}: {found}"
        before, now = now, following(now, answer("No. " * 9), user(f"Why {n}?"))
        moving_point(now)


def test_units_behind_a_long_system_block_are_lost_to_what_moved() -> None:
    """No request ended at the system block, so that no unit ends there: nothing can be read."""
    rules = system("Rules. " * 4_000)
    before, now = (
        {"model": "deepseek-v4-flash", "messages": [rules, *turns]}
        for turns in (
            [user("one " * 400), answer("so " * 400), user("two")],
            [user("two"), answer("ja " * 20), user("three " * 50)],
        )
    )
    usage = {"prompt_tokens": tokens(now) + 5, "prompt_tokens_details": {"cached_tokens": 0}}
    found = ck.explain(before, now, usage, counter=Characters())

    assert (found.cause, found.message) == ("prefix moved", 1)


@pytest.mark.parametrize("model", ["gpt-5.6", "deepseek-v4-flash"])
def test_what_an_older_request_left_is_no_fault_of_the_provider(model: str) -> None:
    """The newest message is edited: what is read then is what the request before both wrote."""
    counter = counter_for(profile_for(model), Characters())
    start = [system("Rules " * 800), user("one " * 100)]
    went_on = [*start, answer("yes " * 800)]
    first, before, now = (
        {"model": model, "messages": messages}
        for messages in (start, [*went_on, user("two " * 100)], [*went_on, user("two, edited")])
    )
    simulator = Simulator(profile_for(model).cache())
    for n, sent in enumerate((first, before, now)):
        usage = simulator.send(Sent(Asked.of(sent, counter).blocks, at=10.0 * n))
    found = ck.explain(before, now, usage, 10.0, counter=Characters())

    assert usage.cache_read_tokens
    assert (found.cause, found.level, found.message) == ("prefix moved", "messages", 3)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"model": "qwen-max"}, "model changed"),
        ({"tools": tools()[:1]}, "tools changed"),
        ({"messages": [system(f"{RULES} Today is Monday.")]}, "prefix moved"),
    ],
    ids=["model", "tools", "prefix"],
)
def test_what_was_left_before_a_change_there_and_back_is_no_fault_of_the_provider(
    change: dict[str, Any], cause: str
) -> None:
    """What is read after the change back is what the request before both had left."""
    counter = counter_for(profile_for("qwen-plus"), Characters())
    first = request()
    longer = following(first, answer("It does not. " * 200), user("Why?"))
    between = {**longer, **change}
    between["messages"] = [*change.get("messages", longer["messages"][:1]), *longer["messages"][1:]]
    now = following(longer)
    simulators = {name: Simulator(profile_for(name).cache()) for name in ("qwen-plus", "qwen-max")}
    for n, sent in enumerate((first, between, now)):
        simulator = simulators[sent["model"]]
        usage = simulator.send(Sent(Asked.of(sent, counter).blocks, at=10.0 * n))
    found = ck.explain(between, now, usage, 10.0, counter=Characters())

    assert usage.cache_read_tokens
    assert found.cause == cause


@pytest.mark.parametrize("words", range(10, 130, 10))
def test_a_short_message_that_moved_is_not_laid_to_the_provider(words: int) -> None:
    """The provider reads a block less than was counted, as its tokens begin elsewhere."""
    counter = counter_for(profile_for("qwen-plus"), Characters())
    before = following(request(), answer("It does not."), user("seven " * words))
    now = copy.deepcopy(before)
    now["messages"][-1] = user("eight " * words)
    simulator = Simulator(profile_for("qwen-plus").cache())
    for n, sent in enumerate((before, now)):
        usage = simulator.send(Sent(Asked.of(sent, counter).blocks, at=10.0 * n))
    less = replace(usage, cache_read_tokens=(usage.cache_read_tokens or 0) - 128)
    found = ck.explain(before, now, less, 10.0, counter=Characters())

    assert found.cause in (None, "prefix moved")


def test_a_moved_prefix_is_no_excuse_for_what_stood_before_it() -> None:
    before = request("claude-sonnet-4-5")
    moving_point(before)
    now = following(before)
    edit(3, content="[cleared]")(now)
    moving_point(now)
    details = {"cached_tokens": 0, "cache_creation_input_tokens": tokens(now)}
    usage = {"prompt_tokens": tokens(now) + 5, "prompt_tokens_details": details}
    found = ck.explain(before, now, usage, 10.0, counter=Characters())

    assert found.cause == "not kept by the provider"


def test_a_miss_costs_what_it_would_not_have_cost() -> None:
    before = request("gpt-4o")
    now = following(before)
    size = tokens(now) + 3
    usage = {"prompt_tokens": size, "prompt_tokens_details": {"cached_tokens": 0}}
    found = ck.explain(before, now, usage, counter=Characters())

    assert found.tokens is not None
    assert found.tokens % 128 == 0
    assert size - 400 < found.tokens < size
    assert found.cost is not None
    assert found.cost.input == pytest.approx(found.tokens * 0.5)
    assert found.cost.money == pytest.approx(found.tokens * 0.5 * 2.5e-6)


def test_what_was_not_reported_is_not_explained() -> None:
    before = request()
    for usage in (None, {}, {"prompt_tokens": 9_000}):
        found = ck.explain(before, following(before), usage)
        assert (found.cause, found.tokens) == (None, None)
    reported = {"prompt_tokens": 9_000, "prompt_tokens_details": {"cached_tokens": 0}}
    assert ck.explain(None, before, reported).cause is None


def test_a_model_without_a_profile_is_explained_by_its_requests() -> None:
    before = request("house-model")
    now = following(before)
    in_system("It is 09:31. ")(now)
    usage = {"prompt_tokens": 9_000, "prompt_tokens_details": {"cached_tokens": 0}}
    found = ck.explain(before, now, usage)

    assert (found.cause, found.level, found.cost) == ("prefix moved", "system", None)


def test_contexts_are_requests_too() -> None:
    made = ck.ContextBuilder("qwen-plus", limit=20_000, counter=Characters())
    history = ck.History(system=RULES)
    contexts = []
    for text in ("one", "two"):
        history.append(text)
        contexts.append(made.build(history))
        history.append(answer("so"))
    usage = {"prompt_tokens": contexts[1].tokens, "prompt_tokens_details": {"cached_tokens": 0}}

    assert ck.explain(*contexts, usage).cause == "not kept by the provider"
    dicts = [context.request() for context in contexts]
    assert ck.explain(*dicts, usage, counter=Characters()) == ck.explain(*contexts, usage)
    assert ck.explain(contexts[1], contexts[1], usage, profile=profile_for("qwen-plus")).cause


def test_what_is_no_request_is_refused() -> None:
    usage = {"prompt_tokens": 9_000, "prompt_tokens_details": {"cached_tokens": 0}}
    for wrong in ({"model": "gpt-4o"}, "text", {"model": "gpt-4o", "messages": "text"}):
        with pytest.raises(InputError):
            ck.explain(wrong, request(), usage)
        with pytest.raises(InputError):
            ck.explain(request(), wrong, usage)


def test_one_token_is_a_miss_where_tokens_are_exact() -> None:
    before = {"model": "smollm2", "messages": [user("Hello")]}
    now = following(before, answer("Good morning to you."), user("Why?"))
    counter = counter_for(profile_for("smollm2"))
    prompt = sum(block.tokens for block in Asked.of(before, counter).blocks)
    size = sum(block.tokens for block in Asked.of(now, counter).blocks)
    spent = {"completion_tokens": 6}  # five, and the end
    for missing, cause in ((0, None), (1, "reply tokenised otherwise")):
        details = {"cached_tokens": prompt + 5 - missing}
        usage = {"prompt_tokens": size, "prompt_tokens_details": details}
        found = ck.explain(before, now, usage, previous_usage=spent)
        assert (found.cause, found.tokens) == (cause, missing)
