"""llama.cpp's slot rule: what the server will read from its cache."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contextkit.caching.common_prefix import common_prefix
from tests.slots import foretold, held

ids = st.lists(st.integers(0, 3), max_size=40)


@given(ids, ids)
def test_common_prefix_agrees_with_counting_one_by_one(first: list[int], second: list[int]) -> None:
    expected = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        expected += 1
    assert common_prefix(first, tuple(second)) == expected


@given(ids.filter(bool), ids)
def test_at_least_one_token_of_the_prompt_is_always_evaluated(
    prompt: list[int], more: list[int]
) -> None:
    assert foretold(held([*prompt, *more]), prompt) == len(prompt) - 1


def test_an_empty_slot_and_an_empty_prompt_give_nothing() -> None:
    assert foretold(held([]), [1, 2]) == 0
    assert foretold(held([1, 2]), []) == 0


def test_a_reply_that_ended_by_length_lacks_its_last_token() -> None:
    assert foretold(held([1, 2], [7, 8, 9], completion_tokens=3), [1, 2, 7, 8, 9, 0]) == 4


def test_a_reply_that_ended_by_itself_is_held_whole() -> None:
    # The fourth token was the end-of-turn token: sampled, never fed back.
    assert foretold(held([1, 2], [7, 8, 9], completion_tokens=4), [1, 2, 7, 8, 9, 0]) == 5


def test_an_aborted_reply_counts_what_arrived_but_the_last_token() -> None:
    assert foretold(held([1, 2], [7, 8, 9]), [1, 2, 7, 8, 9, 0]) == 4
    assert foretold(held([1, 2], []), [1, 2, 0]) == 2
    assert foretold(held([1, 2], [], completion_tokens=1), [1, 2, 0]) == 2


@given(ids.filter(bool), ids.filter(bool), ids.filter(bool))
def test_a_reply_sent_back_is_read_from_the_cache(
    prompt: list[int], reply: list[int], question: list[int]
) -> None:
    end = 99
    slot = held(prompt, reply, completion_tokens=len(reply) + 1)
    assert foretold(slot, [*prompt, *reply, end, *question]) == len(prompt) + len(reply)


def test_a_changed_first_token_loses_everything_and_a_long_prompt_is_no_burden() -> None:
    slot = held(range(8_000))
    assert foretold(slot, [-1, *range(1, 8_000)]) == 0
    assert foretold(slot, [*range(5_000), -1, *range(5_001, 9_000)]) == 5_000
