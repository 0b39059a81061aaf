"""Clamping: JSON stays JSON, what is kept is kept byte by byte, and nothing exceeds its tokens."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import contextkit as ck
from contextkit.strategies.clamping import clamped, marker_of
from contextkit.strategies.json_text import ShortJSON, even_share
from tests.support import Characters, builder, call, kinds, result, user

MARKER = re.compile(r"\[[\d,]+ (characters?|items?|keys?|image|file) of message 2 left out\]")
LEAST = 60
"""Characters that a marker may take, with what stands around it."""

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
    | st.sampled_from(["\\" * 50, '"' * 40, "\U0001f600" * 40, "\\u0041" * 20, "a\\" * 30])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=12)
        | st.dictionaries(st.text(max_size=9), inner, max_size=9)
        | st.text('ab \\"\n\u00e9\U0001f600', min_size=60, max_size=300)
    ),
    max_leaves=60,
)
layouts = st.sampled_from(
    [
        {},
        {"indent": 2},
        {"separators": (",", ":")},
        {"ensure_ascii": False},
        {"indent": 1, "ensure_ascii": False},
    ]
)


def short(content: Any, characters: int) -> Any:
    """Content clamped to so many characters, each of them a token."""

    def fits(shown: Any) -> bool:
        return len(shown if isinstance(shown, str) else json.dumps(shown)) <= characters

    return clamped(content, 2, 8 * characters, fits)


def pairs(text: str) -> Any:
    """JSON with numbers as they are written, and keys that stand twice."""
    return json.loads(text, object_pairs_hook=tuple, parse_int=str, parse_float=str)


def leaves(value: Any) -> list[str]:
    """Every scalar of parsed JSON, in order, but markers."""
    if isinstance(value, tuple):
        return [leaf for key, item in value for leaf in leaves(item) if not MARKER.search(key)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    if isinstance(value, str) and MARKER.search(value):
        return []
    return [repr(value)]


def is_part(few: list[str], many: list[str]) -> bool:
    rest = iter(many)
    return all(leaf in rest for leaf in few)


@given(values, layouts, st.integers(LEAST, 600))
def test_json_stays_json_and_never_exceeds_its_size(value: Any, layout: Any, most: int) -> None:
    text = json.dumps([value, value], **layout)
    shown = short(text, most)

    assert len(shown) <= most
    kept = json.loads(shown)
    if len(text) > most:
        assert MARKER.search(shown)
        assert isinstance(kept, list | str)
    assert is_part(leaves(pairs(shown)), leaves(pairs(text)))


@given(st.dictionaries(st.text(max_size=5), values, min_size=1, max_size=5), st.integers(300, 900))
def test_the_keys_of_an_object_stay_in_their_order(value: Any, most: int) -> None:
    text = json.dumps(value, ensure_ascii=False)
    kept = json.loads(short(text, most))

    if len(value) * 70 + sum(map(len, map(json.dumps, value))) < most:
        assert list(kept) == list(value)


ROWS = [{"id": n, "price": f"{n}.10", "note": "as it is"} for n in range(500)]


def test_a_long_array_loses_its_middle() -> None:
    text = json.dumps(ROWS)
    kept = json.loads(short(text, 1_000))
    middle = next(place for place, row in enumerate(kept) if isinstance(row, str))

    assert kept[:middle] == ROWS[:middle]
    assert kept[middle + 1 :] == ROWS[middle + 1 - len(kept) :]
    assert middle > len(kept) - middle - 1 > 0
    assert kept[middle] == f"[{500 - len(kept) + 1} items of message 2 left out]"
    assert len(short(text, 1_000)) > 900


def test_few_large_items_are_each_shortened() -> None:
    pages = [{"url": f"https://e.x/{n}", "text": f"start {n} " + "x" * 9_000} for n in range(5)]
    kept = json.loads(short(json.dumps(pages), 4_000))

    assert [page["url"] for page in kept] == [page["url"] for page in pages]
    assert all(page["text"].startswith(f"start {n} xx") for n, page in enumerate(kept))


def test_what_is_nested_deepest_goes_first() -> None:
    deep: Any = "core"
    for level in range(60):
        deep = {"level": level, "next": deep}
    kept = json.loads(short(json.dumps({"status": "ok", "tree": deep, "count": 3}), 400))

    assert kept["status"] == "ok"
    assert kept["count"] == 3
    assert kept["tree"]["level"] == 59
    assert "core" not in json.dumps(kept)


@pytest.mark.parametrize(
    "value",
    [
        [{"id": "first", "text": "x" * 900}, {"id": "second"}, {"id": "third"}],
        [{"id": "first"}, {"id": "second"}, {"id": "third", "text": "x" * 900}],
        [{f"name {n}": {f"name {n}": {"in": {"in": "x" * 900}}}} for n in range(6)],
        {"a": "x" * 90, "b": ["y" * 50, "z" * 70, "w" * 20], "c": [[["v" * 300]]], "d": None},
        [[n] * 9 for n in range(9)],
        ["x" * 60, "y" * 60, 1, 2],
        [{f"{letter * 300}{n}": n for n in range(6)} for letter in "abcde"],
        [{"text": "x" * 500}, *range(30)],
        {"text": "x" * 120, **{f"n{n}": n for n in range(9)}},
    ],
)
def test_nothing_stands_twice_and_no_marker_counts_nothing(value: Any) -> None:
    text = json.dumps(value)
    whole = ShortJSON.of(text, 10_000, marker_of(2))
    assert whole is not None
    for room in range(len(text)):
        shown = whole.shortened(room)
        assert is_part(leaves(pairs(shown)), leaves(pairs(text)))
        assert "[0 " not in shown


def test_a_long_object_loses_keys_of_its_middle() -> None:
    kept = json.loads(short(json.dumps({f"key {n}": n for n in range(3_000)}), 500))
    said = [key for key in kept if MARKER.fullmatch(key)]

    assert len(said) == 1
    assert next(iter(kept)) == "key 0"
    assert list(kept)[-1] == "key 2999"


@pytest.mark.parametrize(
    "kept",
    [
        '{"a": 1.0, "a": 1, "b": 100000000000000000000000000000000001, "c": 1E+2, "d": -0.0',
        '{"z":"\\u00e9\\/\\ud83d\\ude00","a" : [ ],"m":{ }',
        '{\n\t"z": true,\r\n\t"a": null',
    ],
)
def test_what_is_kept_are_the_bytes_of_the_original(kept: str) -> None:
    shown = short(f'{kept}, "long": "{"x" * 5_000}", "last": 0.10}}', 400)

    json.loads(shown)
    assert shown.startswith(f'{kept}, "long": "xxx')
    assert shown.endswith('xxx", "last": 0.10}')


@pytest.mark.parametrize("unit", ["\\u00e9", "\\ud83d\\ude00", "\\\\", '\\"', "\\n", "\\\\u0041"])
def test_no_escape_is_cut_in_two(unit: str) -> None:
    for size in range(120, 180):
        shown = json.loads(short(json.dumps("")[:1] + unit * 500 + '"', size))
        whole = json.loads(f'"{unit}"')
        head, tail = MARKER.sub("|", shown).split("|", 1)[0], shown.rpartition("] ")[2]
        assert set(head.strip()) | set(tail.strip()) <= set(whole)
        shown.encode()


@pytest.mark.parametrize(
    "text",
    [
        "[NaN, " + "1, " * 900 + "1]",
        '{"a": ' + "1" * 3_000,
        '{"a": 1}\n{"b": 2}\n' * 300,
        "[" * 5_000 + "]" * 5_000,
        "7" * 3_000,
        "plain words " * 300,
    ],
)
def test_what_is_no_json_is_clamped_as_text(text: str) -> None:
    shown = short(text, 300)

    assert 200 < len(shown) <= 300
    assert shown.startswith(text[:20])
    assert shown.endswith(text[-20:])
    assert re.search(r"\n\[[\d,]+ characters of message 2 left out\]\n", shown)


def test_where_the_smallest_json_is_too_large_it_is_text() -> None:
    text = json.dumps({"a": list(range(1_000))})

    assert json.loads(short(text, 70))
    assert short(text, 37) == f"[{len(text):,} characters of message 2 left out]"
    assert short(text, 5) == short(text, 37)  # a marker stands in any case


def test_parts_stay_parts_and_the_small_ones_whole() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://e.x/a.png"}}
    content = [
        {"type": "text", "text": "a small one"},
        {"type": "text", "text": json.dumps(ROWS), "cache_control": {"type": "ephemeral"}},
        image,
    ]
    shown = short(content, 2_000)

    assert shown[0] == content[0]
    assert shown[1].keys() == content[1].keys()
    assert json.loads(shown[1]["text"])[0] == ROWS[0]
    assert shown[2] == image
    assert content[1]["text"] == json.dumps(ROWS)


def test_media_that_alone_are_too_large_are_named() -> None:
    data = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 900}}
    shown = short([{"type": "text", "text": "see"}, data], 200)

    assert shown == [
        {"type": "text", "text": "see"},
        {"type": "text", "text": "[1 image of message 2 left out]"},
    ]


@given(values, st.integers(26, 200))
def test_no_message_exceeds_its_tokens(value: Any, most: int) -> None:
    text = json.dumps([value] * 30)
    history = ck.History([user("x"), call("a"), result("a", text)])
    context = builder(100_000, arrival=[ck.ClampToolResults(most)]).build(history)

    shown = context.view.groups[-1].entries[-1]
    assert shown.tokens <= most
    if most >= 40:
        json.loads(shown.data["content"])


@given(st.lists(st.integers(0, 50), max_size=12), st.integers(-5, 300))
def test_an_even_share_uses_the_room(sizes: list[int], room: int) -> None:
    share = even_share(sizes, room)

    assert sum(min(size, share) for size in sizes) <= max(0, room)
    if sizes and 0 < room < sum(sizes):
        assert sum(min(size, share + 1) for size in sizes) > room


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([{"id": n, "text": "word " * 12} for n in range(60_000)]),
        json.dumps({"data": {"rows": list(range(1_000_000))}}),
        json.dumps({"page": "lorem ipsum " * 500_000}),
        "line of a log\n" * 400_000,
    ],
    ids=["rows", "numbers", "string", "text"],
)
def test_megabytes_are_counted_once_and_clamped_in_a_few_tries(text: str) -> None:
    counter = Characters()
    history = ck.History([user("x"), call("a"), result("a", text)])
    context = builder(100_000, counter=counter, arrival=[ck.ClampToolResults(500)]).build(history)
    shown = context.messages[-1]["content"]

    assert kinds(context) == ["clamp"]
    assert counter.calls < 150
    assert 1_500 < len(shown) < 2_000
    if text[0] in "[{":
        json.loads(shown)


def test_what_is_nested_too_deep_is_clamped_as_text() -> None:
    text = "[" * 900 + '"' + "x" * 5_000 + '"' + "]" * 900

    shown = short(text, 500)

    assert len(shown) <= 500
    assert "left out" in shown
    assert json.loads(short("[" * 90 + '"' + "x" * 5_000 + '"' + "]" * 90, 500))
