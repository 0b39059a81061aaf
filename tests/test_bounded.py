"""What is kept by key up to a size: what was used longest ago goes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contextkit.retrieval.bounded import Bounded

MOVES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40)), max_size=40)


def evict(sizes: dict[int, int], most: int, least: int) -> None:
    while sum(sizes.values()) > most and len(sizes) > least:
        del sizes[next(iter(sizes))]


@given(MOVES, st.integers(0, 100), st.integers(0, 2))
def test_those_used_last_stay_as_far_as_there_is_room(
    moves: list[tuple[int, int]], most: int, least: int
) -> None:
    bounded: Bounded[list[int]] = Bounded(lambda _: [], most, least=least)
    expected: dict[int, int] = {}
    for key, size in moves:
        held = bounded.of(key)
        bounded.weigh(key, held, size)
        expected[key] = expected.pop(key, 1)
        evict(expected, most, least)
        if key in expected:
            expected[key] = size
            evict(expected, most, least)
        assert list(bounded) == list(expected)
        assert bounded.size == sum(expected.values())
        assert bounded.get(key) is (held if key in expected else None)


def test_what_was_made_and_never_weighed_is_bounded_too() -> None:
    bounded: Bounded[list[int]] = Bounded(lambda _: [], 100, size=10)
    for key in range(50):
        assert bounded.of(key) == []
    assert list(bounded) == list(range(40, 50))
    assert bounded.size == 100


def test_what_was_evicted_weighs_nothing() -> None:
    bounded: Bounded[list[int]] = Bounded(lambda _: [], 10)
    gone = bounded.of("a")
    bounded.weigh("a", gone, 11)
    bounded.weigh("a", gone, 5)
    assert (len(bounded), bounded.size) == (0, 0)
    assert bounded.of("a") is not gone
    bounded.weigh("a", gone, 5)
    assert bounded.size == 1, "that of what was just made"
