"""Places: where the cache points of a request are written, and where entries are looked for.

A place is the number of blocks that come before it: the prefix of so many blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from contextkit.caching.blocks import Block
from contextkit.errors import InputError
from contextkit.profiles import CacheRules, Lifetime

OPENING = ("tools", "system", "developer")
"""Roles of what stands before the first turn."""


def written_places(blocks: Sequence[Block], rules: CacheRules) -> dict[int, Lifetime]:
    """The places that a request writes, ascending, each with its lifetime.

    Those of the newest `rules.points` markers, and the automatic one, which takes the lifetime that
    its block names, marked or not. A marker counts only on a block whose role may carry one. Where
    too many markers are passed over in silence (`overflow` is `last`), so is a marker that asks for
    a lifetime that the cache does not have.

    Raises:
        InputError: the provider would refuse the request: too many markers, a lifetime that it does
            not have, or one that follows a shorter one where the longest comes first.
    """
    marked = _marked(blocks, rules)
    strict = rules.overflow == "error"
    if strict and len(marked) > rules.points:
        raise InputError(
            f"is cache point {len(marked)}, and {rules.name} takes {rules.points}: the provider "
            "refuses the request",
            place=f"blocks[{marked[-1] - 1}]",
        )
    known = {lifetime.name: lifetime for lifetime in rules.lifetimes} | {"": rules.lifetimes[0]}
    places = {}
    for place in marked[-rules.points :] if rules.points else ():
        name = blocks[place - 1].lifetime
        if name in known:
            places[place] = known[name]
        elif strict:
            raise InputError(
                f"asks for the lifetime {name!r}, and {rules.name} has "
                + (", ".join(one.name for one in rules.lifetimes if one.name) or "one only"),
                place=f"blocks[{place - 1}]",
            )
    if rules.automatic and (place := _automatic(blocks, rules)) and place not in places:
        places[place] = known.get(blocks[place - 1].lifetime, rules.lifetimes[0])
    places = dict(sorted(places.items()))
    if rules.longest_first:
        _check_order(places, rules)
    return places


def looked_up_places(
    blocks: Sequence[Block], rules: CacheRules, written: dict[int, Lifetime]
) -> set[int]:
    """The places at which a request finds an entry that an earlier one wrote."""
    found = set(written)
    if rules.looked_up is not None:
        marked = _marked(blocks, rules)
        found.update(marked[: rules.looked_up_first], marked[-rules.looked_up :])
    if rules.lookback_of == "blocks":
        for place in written:
            found.update(_blocks_before(blocks, place, rules))
    elif rules.automatic and (place := _automatic(blocks, rules)):
        ends = [number for number in range(1, place) if blocks[number - 1].ends]
        found.update(ends if rules.lookback is None else ends[-rules.lookback :])
        found.update(ends[: _opening(blocks)][-1:])
    return found


def _marked(blocks: Sequence[Block], rules: CacheRules) -> list[int]:
    return [
        place for place, block in enumerate(blocks, 1) if block.point and _carries(block, rules)
    ]


def _carries(block: Block, rules: CacheRules) -> bool:
    return not rules.carriers or not block.role or block.role in rules.carriers


def _opening(blocks: Sequence[Block]) -> int:
    """Number of blocks before the first turn."""
    for number, block in enumerate(blocks):
        if block.role not in OPENING:
            return number
    return len(blocks)


def _automatic(blocks: Sequence[Block], rules: CacheRules) -> int:
    """Where the provider places a point by itself: at the newest message that may carry one.

    Instructions behind the first turn do not get one of their own. 0 where there is none.
    """
    opening = _opening(blocks)
    for place in range(len(blocks), 0, -1):
        block = blocks[place - 1]
        late = place > opening and block.role in OPENING
        if block.ends and _carries(block, rules) and not late:
            return place
    return 0


def _blocks_before(blocks: Sequence[Block], place: int, rules: CacheRules) -> range:
    """The places that are searched from a point backwards, its own counted."""
    if rules.lookback is None:
        return range(1, place + 1)
    first, searched = place, 1
    while first > 1:
        both = blocks[first - 1].role, blocks[first - 2].role
        if not (rules.runs_as_one and both == ("tool", "tool")):
            if searched == rules.lookback:
                break
            searched += 1
        first -= 1
    return range(first, place + 1)


def _check_order(places: dict[int, Lifetime], rules: CacheRules) -> None:
    shortest = inf
    for place, lifetime in places.items():
        seconds = inf if lifetime.seconds is None else lifetime.seconds
        if seconds > shortest:
            raise InputError(
                f"asks for {lifetime.name} behind a point of a shorter lifetime: {rules.name} "
                "takes the longer ones first, and the provider refuses the request",
                place=f"blocks[{place - 1}]",
            )
        shortest = seconds
