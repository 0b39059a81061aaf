"""The prefix stabilizer: canonical tools, the hash, and where and why a prefix moved."""

from __future__ import annotations

import copy
import json
import os
import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextkit.caching.prefix import PrefixStabilizer, canonical_blocks, canonical_tools, diff
from contextkit.errors import InputError
from contextkit.testing import assert_prefix_stable


def tool(name="search", *, needed=("query",), **properties):
    properties = properties or {"query": {"type": "string"}, "limit": {"type": "integer"}}
    parameters = {"type": "object", "properties": properties, "required": list(needed)}
    return {
        "type": "function",
        "function": {"name": name, "description": f"Does {name}.", "parameters": parameters},
    }


def user(text, **more):
    return {"role": "user", "content": text, **more}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def call(arguments, identifier="c1"):
    function = {"name": "search", "arguments": arguments}
    return assistant(
        None, tool_calls=[{"id": identifier, "type": "function", "function": function}]
    )


SYSTEM = {"role": "system", "content": "You are terse."}
TALK = [SYSTEM, user("one"), assistant("1"), user("two"), assistant("2"), user("three")]


def request(messages, tools=()):
    return {"model": "m", "messages": messages, "tools": list(tools)}


def moved(earlier, later, **expected):
    found = diff(earlier, later)
    assert found.kind == "moved"
    for name, value in expected.items():
        if name == "cause":
            assert value in found.cause
        else:
            assert getattr(found, name) == value, found
    assert "\n" not in str(found)
    return found


def text(value):
    return json.dumps(value, ensure_ascii=False)


# Tools


def test_tools_are_sorted_by_name_and_their_own_keys_have_one_order():
    shuffled = {
        "function": {
            "strict": True,
            "parameters": {"type": "object", "properties": {}},
            "x_note": 1,
            "name": "b",
            "description": "B",
        },
        "a_note": 2,
        "type": "function",
    }
    first, second = canonical_tools([shuffled, tool("a")])
    assert (first["function"]["name"], second["function"]["name"]) == ("a", "b")
    assert list(second) == ["type", "function", "a_note"]
    assert list(second["function"]) == ["name", "description", "strict", "parameters", "x_note"]


def test_only_required_is_sorted_within_a_schema():
    schema = {
        "unit": {"enum": ["z", "a"], "default": {"required": ["z", "a"]}},
        "place": {"oneOf": [{"type": "string"}, {"required": ["y", "x"], "type": "object"}]},
        "required": {"type": "array", "items": {"anyOf": [{"const": "b"}, {"const": "a"}]}},
        "default": {"type": "object", "required": ["d", "c"]},
    }
    made = canonical_tools([tool(needed=("unit", "place"), **schema)])[0]
    parameters = made["function"]["parameters"]
    assert parameters["required"] == ["place", "unit"]
    properties = parameters["properties"]
    assert list(properties) == ["unit", "place", "required", "default"]
    assert properties["unit"] == schema["unit"]  # an enum keeps its order, a default is data
    assert properties["place"]["oneOf"][1]["required"] == ["x", "y"]
    assert properties["required"] == schema["required"]
    assert properties["default"]["required"] == ["c", "d"]  # a property may be called that


def test_first_seen_bytes_and_places_win():
    seen = canonical_tools([tool("b"), tool("d")])
    reordered = tool("b", limit={"type": "integer"}, query={"type": "string"})
    later = canonical_tools([tool("d"), tool("c"), tool("a"), reordered], seen)
    names = [entry["function"]["name"] for entry in later]
    assert names == ["b", "d", "a", "c"]  # what came late stands behind, in order of name
    assert text(later[:2]) == text(seen)


def test_a_changed_definition_takes_its_place_and_a_removed_tool_leaves():
    seen = canonical_tools([tool("a"), tool("b"), tool("c")])
    changed = tool("b", query={"type": "string"}, limit={"enum": [1, 2]})
    later = canonical_tools([tool("c"), changed], seen)
    assert [entry["function"]["name"] for entry in later] == ["b", "c"]
    assert later[0]["function"]["parameters"]["properties"]["limit"] == {"enum": [1, 2]}
    enum_turned = tool("b", query={"type": "string"}, limit={"enum": [2, 1]})
    again = canonical_tools([tool("c"), enum_turned], later)
    assert again[0]["function"]["parameters"]["properties"]["limit"] == {"enum": [2, 1]}


@given(st.permutations(["a", "b", "c", "d"]), st.randoms(use_true_random=False))
def test_any_order_of_the_same_tools_gives_the_same_bytes(names, rng: random.Random):
    def shuffled(value):
        if isinstance(value, dict):
            items = list(value.items())
            rng.shuffle(items)
            return {key: shuffled(item) for key, item in items}
        return value

    seen = canonical_tools([tool(name) for name in "abcd"])
    given_tools = [shuffled(tool(name)) for name in names]
    assert text(canonical_tools(given_tools, seen)) == text(seen)
    assert text(canonical_tools(seen)) == text(seen)


def test_tools_of_other_shapes_keep_their_name():
    flat = {"parameters": {}, "name": "a", "type": "function"}
    custom = {"custom": {"format": {"type": "text"}, "name": "b"}, "type": "custom"}
    assert list(canonical_tools([custom, flat])[0]) == ["type", "name", "parameters"]
    assert list(canonical_tools([custom])[0]["custom"]) == ["name", "format"]


def test_tools_that_come_in_are_not_changed_and_not_shared():
    given_tools = [tool("b", needed=("query", "limit")), tool("a")]
    before = copy.deepcopy(given_tools)
    made = canonical_tools(given_tools)
    made[0]["function"]["parameters"]["properties"]["query"]["type"] = "number"
    assert given_tools == before


@pytest.mark.parametrize(
    ("tools", "place"),
    [
        ([tool("a"), tool("a")], "tools[1]"),
        ([{"type": "function", "function": {}}], "tools[0].function.name"),
        ([{"type": "function", "function": {"name": ""}}], "tools[0].function.name"),
        (["search"], "tools[0]"),
        ([tool(q={"default": float("nan")})], "tools[0].function.parameters.properties.q.default"),
        ([tool(q={"enum": {1, 2}})], "tools[0].function.parameters.properties.q.enum"),
        ([tool(q={1: "x"})], "tools[0].function.parameters.properties.q"),
        ([tool("\ud800")], "tools[0].function.name"),
    ],
)
def test_bad_tools_are_refused_with_their_place(tools, place):
    with pytest.raises(InputError) as caught:
        canonical_tools(tools)
    assert caught.value.place == place


def test_a_tool_that_holds_itself_is_refused():
    endless: dict = {"type": "object"}
    endless["properties"] = {"child": endless}
    with pytest.raises(InputError, match="nested"):
        canonical_tools([tool(child=endless)])


# The hash


def test_the_hash_is_pinned():
    """It is stored with conversations: if this changes, HASH_VERSION has to."""
    found = PrefixStabilizer(system="You are terse.", tools=[tool("b"), tool("a")])
    assert found.hash == "p1:c1acc163fb9f40a388e98b9d21ac2b6f"


def test_the_hash_is_the_same_in_another_process_and_under_another_hash_seed():
    code = (
        "from contextkit.caching.prefix import PrefixStabilizer\n"
        "print(PrefixStabilizer('é', [{'type': 'function', 'function': {'name': 'f', 'z': 1,"
        " 'parameters': {'required': ['b', 'a']}, 'y': 2}}]).hash)"
    )
    hashes = set()
    for seed in ("0", "1", "77"):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        made = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        hashes.add(made.stdout)
    assert len(hashes) == 1


def test_the_hash_follows_the_bytes_and_nothing_else():
    system = [{"type": "text", "text": "You are terse."}]
    marked = [{**system[0], "cache_control": {"type": "ephemeral"}}]
    plain = PrefixStabilizer("You are terse.", [tool("a"), tool("b")])
    assert plain == PrefixStabilizer(system, [tool("b"), tool("a")])
    assert plain == PrefixStabilizer(marked, [tool("b"), tool("a")])
    assert plain != PrefixStabilizer("You are terse. ", [tool("a"), tool("b")])
    assert plain != PrefixStabilizer("You are terse.", [tool("a")])
    turned = tool("a", limit={"type": "integer"}, query={"type": "string"})
    assert plain != PrefixStabilizer("You are terse.", [turned, tool("b")])
    assert len({plain, PrefixStabilizer(system, [tool("b"), tool("a")])}) == 1
    assert PrefixStabilizer().hash != PrefixStabilizer("").hash


def test_a_stabilizer_is_frozen_and_keeps_its_own_copy():
    parts = [{"type": "text", "text": "a"}]
    tools = [tool("a")]
    made = PrefixStabilizer(parts, tools)
    parts[0]["text"] = "b"
    tools[0]["function"]["description"] = "changed"
    assert made.system == [{"type": "text", "text": "a"}]
    assert made.tools == (tool("a"),)
    with pytest.raises(AttributeError):
        made.system = "b"
    assert "terse" not in repr(PrefixStabilizer("You are terse."))


@pytest.mark.parametrize("system", [7, b"bytes", {"role": "system"}, ["\ud800"], [float("inf")]])
def test_a_system_message_that_cannot_be_sent_is_refused(system):
    with pytest.raises(InputError, match=r"^system"):
        PrefixStabilizer(system)


# diff


def test_the_same_request_is_identical_and_a_longer_one_an_extension():
    assert diff(request(TALK), request(copy.deepcopy(TALK))).kind == "identical"
    later = request([*TALK, assistant("3"), user("four")])
    found = PrefixStabilizer.diff(request(TALK), later)
    assert (found.kind, str(found)) == ("extension", "prefix extension")
    assert diff({"messages": []}, {"messages": TALK}).kind == "extension"


def test_what_providers_do_not_render_moves_nothing():
    marker = {"cache_control": {"type": "ephemeral"}}
    breakpoint_ = {"prompt_cache_breakpoint": {"mode": "explicit"}}
    earlier = request([SYSTEM, user("one"), assistant("1", refusal=None), user("two")], [tool("a")])
    later = request(
        [
            {"content": [{"text": "You are terse.", "type": "text", **marker}], "role": "system"},
            user([{"type": "text", "text": "one"}]),
            {"content": "1", "role": "assistant", **breakpoint_},
            user([{"type": "text", "text": "two", **breakpoint_}], name=None),
        ],
        [{**tool("a"), **marker}],
    )
    assert diff(earlier, later).kind == "identical"
    assert diff(later, earlier).kind == "identical"


def test_a_property_called_like_a_marker_is_no_marker():
    earlier = request(TALK, [tool("a", cache_control={"type": "string"})])
    later = request(TALK, [tool("a", cache_control={"type": "number"})])
    moved(earlier, later, level="tools")


def test_a_clock_in_the_system_message():
    earlier = request([{"role": "system", "content": "Be terse. It is 12:01:07."}, user("a")])
    later = request([{"role": "system", "content": "Be terse. It is 12:01:09."}, user("a")])
    found = moved(earlier, later, level="system", message=0, role="system", cause="timestamp")
    assert "12:01:07" in found.earlier
    assert "12:01:09" in found.later
    assert canonical_blocks(earlier)[0][found.position :].startswith("7.")
    assert str(found).startswith("prefix moved at messages[0] (system): earlier '")
    assert str(found).endswith("; is a timestamp in the prompt?")


@pytest.mark.parametrize(
    ("before", "after", "cause"),
    [
        ("now 2026-11-21T12:01:07.123Z.", "now 2026-11-21T12:01:07.391Z.", "timestamp"),
        ("Today is 2026-11-21.", "Today is 2026-11-22.", "timestamp"),
        ("Today is Saturday.", "Today is Sunday.", "timestamp"),
        ("Since Nov 9, 2026.", "Since Nov 10, 2026.", "timestamp"),
        ("at 9:59 PM", "at 10:01 PM", "timestamp"),
        ("epoch 1795312746", "epoch 1795312999", "timestamp"),
        (
            "id 7f3c1c9e-5a3b-4f6e-9c52-6f2f5e0b1a11",
            "id 7f3c1c9e-1111-4f6e-9c52-6f2f5e0b1a11",
            "uuid or id",
        ),
        ("req_8Jk2mPq9Zx1 asks", "req_8Jk2nnnnZx1 asks", "uuid or id"),
        ("You have 17 messages.", "You have 19 messages.", "counter"),
        ("caf\u00e9 open", "cafe\u0301 open", "Unicode form"),
        ("a  b\r\nc", "a b\nc", "whitespace"),
        ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}', "key order changed"),
        ('{"a": 1, "b": "\u00e9"}', '{"a":1,"b":"\\u00e9"}', "whitespace"),
        ("Monday money", "Monday month", "content rewritten"),
        ("A result.", "A result. And more.", "appended"),
        ("A long result.", "A long", "cut off"),
        ("Cats purr.", "Dogs bark.", "content rewritten"),
    ],
)
def test_the_likely_cause_of_a_changed_text(before, after, cause):
    for role in ("system", "user", "tool"):
        earlier = {"messages": [{"role": role, "content": before}, user("x")]}
        later = {"messages": [{"role": role, "content": after}, user("x")]}
        moved(earlier, later, message=0, cause=cause)
    parts = [
        {"messages": [user([{"type": "text", "text": words}, {"type": "text", "text": "x"}])]}
        for words in (before, after)
    ]
    moved(*parts, message=0, cause=cause)


def test_a_history_that_was_cut_and_one_that_slides():
    later = [SYSTEM, *TALK[3:], assistant("3"), user("four")]
    found = moved(request(TALK), request(later), level="messages", message=1, role="user")
    assert found.cause == "message removed: 2 messages left out (history was cut)"
    moved(request(TALK), request(TALK[1:]), level="system", message=0, cause="message removed")


def test_a_shorter_request_moved_where_it_ends():
    found = moved(request(TALK), request(TALK[:4]), message=4, role="assistant", position=0)
    assert found.cause == "message removed: 2 messages at the end (history was cut)"
    assert found.later == ""
    assert "later nothing" in str(found)


def test_an_inserted_message_and_a_summary():
    extra = user("Known facts: …")
    inserted = [SYSTEM, extra, *TALK[1:]]
    moved(request(TALK), request(inserted), message=1, cause="message inserted: 1 message")
    second = [SYSTEM, {"role": "system", "content": "More."}, *TALK[1:]]
    moved(request(TALK), request(second), level="system", message=1, cause="message inserted")
    summarised = [SYSTEM, extra, *TALK[3:]]
    cause = "2 messages replaced by 1 message (compaction?)"
    moved(request(TALK), request(summarised), message=1, cause=cause)


def test_a_changed_system_message_is_named_even_where_the_history_was_cut_too():
    later = [{"role": "system", "content": "You are terse. 2026-11-22"}, *TALK[3:]]
    earlier = [{"role": "system", "content": "You are terse. 2026-11-21"}, *TALK[1:]]
    moved(request(earlier), request(later), level="system", message=0, cause="timestamp")


def test_changed_fields_of_a_message():
    def pair(before, after, cause):
        moved(
            request([SYSTEM, before, user("x")]),
            request([SYSTEM, after, user("x")]),
            level="messages",
            message=1,
            cause=cause,
        )

    pair(user("a"), assistant("a"), "role changed: user became assistant")
    pair(assistant("a", reasoning_content="r"), assistant("a"), "reasoning_content was removed")
    pair(call('{"a":1,"b":2}'), call('{"b":2,"a":1}'), "key order changed in the arguments")
    pair(call('{"a":1}'), call('{"a": 1}'), "whitespace")
    pair(call('{"a":1}'), call('{"a":"x"}'), "content rewritten: arguments")
    pair(call("{}", "c1"), call("{}", "c2"), "uuid or id changed: the id of a tool call")
    pair(user("a"), user([{"type": "text", "text": "a"}] * 2), "content of another form")
    pair(user("a", name="x"), user("a", name="y"), "name changed")
    image = {"type": "image_url", "image_url": {"url": "https://h/a?sig=1"}}
    signed = {"type": "image_url", "image_url": {"url": "https://h/a?sig=2"}}
    pair(user([image]), user([signed]), "image_url changed")


def test_moved_tools():
    def pair(before, after, cause):
        return moved(
            request(TALK, before), request(TALK, after), level="tools", message=None, cause=cause
        )

    turned_round = pair([tool("a"), tool("b")], [tool("b"), tool("a")], "tool order changed")
    assert turned_round.cause == "tool order changed"
    added = pair([tool("a")], [tool("a"), tool("b")], "tool added: 'b'")
    assert (added.position, added.earlier) == (0, "")
    assert str(added).startswith("prefix moved at tools: earlier nothing later '")
    pair([tool("a"), tool("b")], [tool("b")], "tool removed: 'a'")
    turned = tool("a", limit={"type": "integer"}, query={"type": "string"})
    pair([tool("a")], [turned], "tool definition changed: 'a' (key order changed: properties")
    pair([tool("a", needed=("x", "y"))], [tool("a", needed=("y", "x"))], "'required'")
    described = tool("a")
    described["function"]["description"] = "Does it since 2026-11-21."
    tomorrow = tool("a")
    tomorrow["function"]["description"] = "Does it since 2026-11-22."
    pair([described], [tomorrow], "'a' (is a timestamp in the prompt?)")
    pair([tool("a")], [described], "'a' (description)")


def test_the_order_of_keys_outside_a_schema_moves_nothing():
    turned = {"function": dict(reversed(tool("a")["function"].items())), "type": "function"}
    assert diff(request(TALK, [tool("a")]), request(TALK, [turned])).kind == "identical"


def test_a_difference_deep_in_a_long_message_is_found_and_excerpted():
    before, after = "x" * 500_000 + "A" + "y" * 500, "x" * 500_000 + "B" + "y" * 500
    found = moved({"messages": [user(before)]}, {"messages": [user(after)]}, message=0)
    assert canonical_blocks({"messages": [user(before)]})[0][found.position] == "A"
    assert found.earlier == "…" + "x" * 20 + "A" + "y" * 19 + "…"


def test_what_a_terminal_would_act_on_is_escaped():
    before, after = ({"messages": [user(f"\x1b[2J\x9b31m\u2028\u202e{end}")]} for end in "ab")
    found = moved(before, after, message=0)
    assert r"\x9b31m\u2028\u202ea" in found.earlier
    assert str(found).isprintable()
    named = ({"messages": [{"role": f"r\n{end}", "content": ""}]} for end in "ab")
    assert str(moved(*named, message=0)).isprintable()


@pytest.mark.parametrize(
    ("bad", "place"),
    [
        ({"messages": "hello"}, "messages"),
        ({"messages": [user("a"), "b"]}, "messages[1]"),
        ({"messages": [{"content": "a"}]}, "messages[0]"),
        ({"messages": [user([float("nan")])]}, "messages[0]"),
        ({"messages": [user(b"a")]}, "messages[0]"),
        ({"messages": TALK, "tools": [1]}, "tools[0]"),
        ({"messages": TALK, "tools": [{"function": {"name": {1}}}]}, "tools[0]"),
    ],
)
def test_a_request_that_is_none_is_refused_with_its_place(bad, place):
    with pytest.raises(InputError) as caught:
        diff({"messages": TALK}, bad)
    assert caught.value.place == place


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
messages = st.builds(
    lambda role, content, more: {**more, "role": role, "content": content},
    st.sampled_from(["system", "user", "assistant", "tool"]),
    st.text(max_size=12) | json_values,
    st.dictionaries(st.sampled_from(["name", "tool_calls", "tool_call_id"]), json_values),
)
requests = st.builds(
    lambda talk, tools: {"messages": talk, "tools": tools},
    st.lists(messages, max_size=5),
    st.lists(st.dictionaries(st.sampled_from(["type", "function"]), json_values), max_size=2),
)


@given(requests, requests)
def test_diff_agrees_with_the_blocks(earlier, later):
    found = diff(earlier, later)
    old, new = canonical_blocks(earlier), canonical_blocks(later)
    if found.kind == "moved":
        assert found.cause
        assert found.earlier != found.later or found.position
        assert str(found).isprintable()
    else:
        assert new[: len(old)] == old
        assert (found.kind == "identical") == (len(old) == len(new))
    assert diff(earlier, earlier).kind == "identical"


# assert_prefix_stable


def test_stable_requests_pass_and_moved_ones_are_named_with_their_pair():
    growing = [request(TALK[:length]) for length in (2, 4, 6)]
    assert_prefix_stable(growing)
    slid = [*growing, request([SYSTEM, *TALK[3:]])]
    with pytest.raises(
        AssertionError,
        match=r"requests\[2\] and requests\[3\]: prefix moved at "
        r"messages\[1\] \(user\).*history was cut",
    ):
        assert_prefix_stable(slid)
    assert_prefix_stable(slid, moves_allowed=1)
    assert_prefix_stable([])
