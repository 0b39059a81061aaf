"""Blocks: a request in cache order; keys are its bytes, tokens add up to the whole."""

import copy
import gc
import json

import pytest

import contextkit as ck
from contextkit.caching import blocks as blocks_module
from contextkit.caching.blocks import REPLY, Block, blocks_of
from contextkit.profiles import profile_for
from contextkit.tokens import counter_for
from tests.support import Characters, answer, builder, call, result, system, tool, user

COUNTER = counter_for(profile_for("qwen-plus"), Characters())


def keys(*messages, **more):
    return [block.key for block in blocks_of({"messages": list(messages), **more}, COUNTER)]


def parts(*texts, **more):
    return [{"type": "text", "text": text, **more} for text in texts]


def test_blocks_stand_in_cache_order_and_add_up() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
    history = ck.History(system="You are terse.")
    history.extend([user([*parts("look", "here"), image]), call("a", "b"), result("a")])
    history.extend([result("b", "x" * 90), answer("A cat."), user("And?")])
    for model in ("qwen-plus", "gpt-4o", "smollm2"):
        made = builder(4_000, model=model, tools=[tool("look")], response_format={"type": "text"})
        context = made.build(history)

        assert sum(block.tokens for block in context.blocks) == context.tokens
        assert [block.role for block in context.blocks] == [
            *["tools", "system", "user", "user", "user", "assistant", "tool", "tool"],
            *["assistant", "user", REPLY],
        ]
        assert [block.ends for block in context.blocks[2:5]] == [False, False, True]
        assert all(block.tokens > 0 for block in context.blocks)
        assert context.blocks is context.blocks
        assert context.blocks == blocks_of(context.request(), context.counter)


def test_a_build_asks_for_no_blocks() -> None:
    context = builder().build([user("Hello")])

    assert not context._kept


def test_blocks_live_no_longer_than_the_conversation_they_are_of() -> None:
    """Lists that begin alike are forks of one another, and the first of them must not keep all."""
    made = builder(4_000, max_bytes=50_000)
    for number in range(200):
        assert made.build([system(), user(f"question {number} " * 20)]).blocks
    gc.collect()

    alive = [one for one in gc.get_objects() if isinstance(one, Block) and one.role == "user"]
    assert len(alive) < 60


def test_blocks_of_a_kept_conversation_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    plain = blocks_module._hash
    monkeypatch.setattr(blocks_module, "_hash", lambda text: (hashed.append(text), plain(text))[1])
    made, history = builder(40_000), ck.History([system()])
    counts = []
    for number in range(30):
        history.append(f"question {number}")
        before = len(hashed)
        assert made.build(history).blocks
        counts.append(len(hashed) - before)
        history = history.fork()  # as a chat does in every turn
        history.append(answer("so"))

    assert max(counts[1:]) <= 3


def test_equal_bytes_have_equal_keys() -> None:
    plain = keys(user("Hello"))

    assert keys(user(parts("Hello"))) == plain
    assert keys({"content": "Hello", "name": None, "role": "user"}) == plain
    assert keys(user(parts("Hello", cache_control={"type": "ephemeral"}))) == plain
    assert keys(user("Hello", cache_control={"type": "ephemeral"})) == plain


def test_different_bytes_have_different_keys() -> None:
    one = keys(user("Hello"))[0]
    others = [
        *[keys(user("Hello "))[0], keys(answer("Hello"))[0], keys(user("Hello", name="Ann"))[0]],
        *keys(user(parts("Hello", "you")))[:2],
        keys(user("you"))[0],
        keys(answer("Hello", tool_calls=call("a")["tool_calls"]))[0],
        keys(answer("Hello", reasoning_content="why"))[0],
    ]

    assert len({one, *others}) == len(others) + 1


def test_tools_are_one_block_with_the_response_format() -> None:
    look, see = tool("look"), tool("see")
    format_ = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}
    seen = [
        keys(user("q"), tools=[look, see])[0],
        keys(user("q"), tools=[see, look])[0],
        keys(user("q"), tools=[look])[0],
        keys(user("q"), tools=[look], response_format=format_)[0],
        keys(user("q"), response_format=format_)[0],
    ]
    reordered = {key: look[key] for key in reversed(look)}

    assert len(set(seen)) == len(seen)
    assert keys(user("q"), tools=[reordered])[0] == seen[2]
    assert len(keys(user("q"))) == 2


def test_the_blocks_of_a_request_begin_the_next_one() -> None:
    history = ck.History(system="You are terse.")
    made = builder(4_000)
    before = ()
    for n in range(4):
        history.append(f"question {n}")
        blocks = made.build(history).blocks
        assert blocks[: len(before)] == before
        before = blocks[:-1]
        history.append(answer(f"answer {n}"))


def test_markers_are_points() -> None:
    marked = parts("one", cache_control={"type": "ephemeral", "ttl": "1h"})
    newer = parts("two", prompt_cache_breakpoint={"mode": "explicit"})
    request = {"messages": [system(marked + parts("rest")), user(newer), user("three")]}
    given = copy.deepcopy(request)
    blocks = blocks_of(request, COUNTER)

    assert [(block.point, block.lifetime) for block in blocks] == [
        *[(True, "1h"), (False, ""), (True, ""), (False, ""), (False, "")]
    ]
    assert request == given
    assert all(json.dumps(block.key) for block in blocks)
