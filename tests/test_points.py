"""Cache points: the best staircase, what a plan makes of it, and which cache is the cheapest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextkit.caching.blocks import REPLY, Block, Sent
from contextkit.caching.points import (
    DOCUMENTS_STAY,
    EXPECTED_READS,
    Outlook,
    best_points,
    cheapest_cache,
    cut_probability,
    plan_points,
    survival,
)
from contextkit.caching.simulator import Simulator
from contextkit.errors import InputError
from contextkit.profiles import CacheRules, Lifetime, known_profiles, profile_for

MARKER = {"cache_control": {"type": "ephemeral"}}
ROLES = ("system", "user", "assistant", "tool")
EXPLICIT = CacheRules(
    name="explicit",
    mode="explicit",
    match="points",
    read=0.1,
    lifetimes=(Lifetime("5m", 300, 1.25),),
    minimum=1024,
    lookback=20,
    points=4,
    marker=MARKER,
    carriers=ROLES,
)


def expected(tokens: Sequence[int], shared: Sequence[float], points: Sequence[int]) -> float:
    """Tokens that the next request is expected to read."""
    ends = [0, *(tokens[point] for point in points)]
    return sum((b - a) * shared[p] for a, b, p in zip(ends, ends[1:], points, strict=False))


@st.composite
def instances(draw: st.DrawFn) -> tuple[list[int], list[float], int, int, frozenset[int]]:
    sizes = draw(st.lists(st.sampled_from([0, 1, 50, 300, 2_000, 9_000]), min_size=1, max_size=9))
    shares = st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]) | st.floats(0, 1)
    shared = sorted((draw(shares) for _ in sizes), reverse=True)
    most = draw(st.integers(1, 4))
    given_ones = draw(st.frozensets(st.integers(0, len(sizes) - 1), max_size=most))
    minimum = draw(st.sampled_from([0, 60, 1_024]))
    return list(accumulate(sizes)), shared, most, minimum, given_ones


@given(instances())
def test_the_best_points_are_those_of_brute_force(
    instance: tuple[list[int], list[float], int, int, frozenset[int]],
) -> None:
    tokens, shared, most, minimum, held = instance

    found = best_points(tokens, shared, most, minimum, held)

    reaching = {point for point in held if tokens[point] >= minimum}
    room = most - (len(held) - len(reaching))
    fit = [point for point in range(len(tokens)) if tokens[point] >= minimum]
    best = max(
        expected(tokens, shared, points)
        for number in range(room + 1)
        for points in combinations(fit, number)
        if reaching <= set(points)
    )
    assert expected(tokens, shared, found) == pytest.approx(best)
    assert len(found) <= room
    assert reaching <= set(found) <= set(fit)
    assert list(found) == sorted(set(found))


def test_the_reference_example() -> None:
    """Tools, system, documents, a session, and 40 blocks of history: shares of what is attainable.

    The figures are those of an independent programme for the same example, 2026-11.
    """
    sizes = [6_000, 3_000, 8_000, 2_000, *[700] * 40]
    shared = [0.98, 0.95, 0.60, 0.45]
    for _ in range(38):
        shared.append(shared[-1] * 0.995)
    shared += [shared[-1] / 2, shared[-1] / 4]
    tokens = list(accumulate(sizes))
    ceiling = expected(tokens, shared, range(len(sizes)))

    shares = [
        round(expected(tokens, shared, best_points(tokens, shared, most)) / ceiling, 2)
        for most in (1, 2, 3, 4, 6)
    ]

    assert round(ceiling, -2) == 25_500
    assert shares == [0.67, 0.87, 0.94, 0.96, 0.98]


def test_points_that_bring_nothing_are_not_placed() -> None:
    assert best_points([], [], 4) == ()
    assert best_points([100, 200], [0.0, 0.0], 4) == ()
    assert best_points([100, 200, 300], [0.5, 0.5, 0.5], 4) == (2,)
    assert best_points([100, 200, 300], [0.9, 0.5, 0.5], 4, minimum=200) == (2,)
    assert best_points([100, 200], [1.0, 0.5], 4, minimum=201) == ()
    assert best_points([100, 200], [1.0, 0.5], 0) == ()


def conversation(
    *counts: tuple[str, int, int], tools: int = 300
) -> tuple[tuple[Block, ...], dict[str, int]]:
    """Blocks by part, number and tokens each; and the blocks up to the end of each part."""
    blocks = [Block("tools", tools, "tools")] if tools else []
    ends = {}
    for part, number, tokens in counts:
        role = {"documents": "user", "standing": "user", "previous": "user"}.get(part, part)
        role = "tool" if part == "new" else role
        blocks += [Block((part, n), tokens, role) for n in range(number)]
        ends[part] = len(blocks)
    return (*blocks, Block(REPLY, 14, REPLY)), ends


def outlook(blocks: Sequence[Block], ends: dict[str, int], cut: float = 0.1) -> Outlook:
    system = ends["system"]
    documents = ends.get("documents", system)
    standing = ends.get("standing", documents)
    return Outlook(
        system=system,
        documents=documents,
        standing=standing,
        previous=ends.get("previous", 0),
        stable=len(blocks) - 1,
        cut=cut,
        fit=frozenset(n for n, block in enumerate(blocks) if block.role not in ("tools", REPLY)),
    )


def plan(
    *counts: tuple[str, int, int],
    rules: CacheRules = EXPLICIT,
    cut: float = 0.1,
    tools: int = 300,
) -> tuple[list[str], tuple[int, ...], dict[str, int]]:
    """What ends at each planned point; the points; and the ends of all parts."""
    blocks, ends = conversation(*counts, tools=tools)
    points = plan_points(blocks, rules, outlook(blocks, ends, cut))
    names = {end - 1: part for part, end in ends.items()}
    return [names.get(point, "between") for point in points], points, ends


USUAL = (("system", 2, 1_500), ("standing", 1, 400), ("previous", 9, 200), ("new", 3, 100))


def test_the_ordinary_points_come_out_of_the_programme() -> None:
    assert plan(*USUAL)[0] == ["system", "standing", "previous", "new"]
    blocks, ends = conversation(*USUAL)
    shared = survival(len(blocks), outlook(blocks, ends))
    upto = list(accumulate(block.tokens for block in blocks))

    # Without any rule of a provider, and with fewer points those that are worth least go first.
    assert best_points(upto, shared, 9) == tuple(end - 1 for end in ends.values())
    assert [len(best_points(upto, shared, most)) for most in (1, 2, 3)] == [1, 2, 3]
    assert set(best_points(upto, shared, 2)) == {ends["system"] - 1, ends["new"] - 1}


def test_documents_have_a_point_of_their_own() -> None:
    parts = (("system", 1, 1_500), ("documents", 3, 900), ("previous", 9, 200), ("new", 2, 50))

    assert plan(*parts)[0] == ["system", "documents", "previous", "new"]


def test_where_a_cut_is_near_what_it_leaves_is_marked_first() -> None:
    two = replace(EXPLICIT, points=2)
    parts = (("system", 1, 1_500), ("standing", 2, 900), ("previous", 9, 200), ("new", 2, 50))

    assert plan(*parts, rules=two, cut=0.01)[0] == ["previous", "new"]
    assert plan(*parts, rules=two, cut=0.9)[0] == ["system", "standing"]


def test_survival_never_rises() -> None:
    blocks, ends = conversation(*USUAL)
    for cut in (0.01, 0.3, 0.9):
        shared = survival(len(blocks), outlook(blocks, ends, cut))
        assert shared == sorted(shared, reverse=True)
        assert (len(shared), shared[0], shared[-1]) == (len(blocks), 1.0, 0.0)
    assert survival(3, Outlook(1, 2, 2, 0, 3, 0.5, frozenset()))[1] == DOCUMENTS_STAY


def test_spare_points_stand_within_sight_where_a_turn_added_much() -> None:
    names, points, ends = plan(("system", 1, 1_500), ("previous", 5, 200), ("new", 60, 30))

    assert names == ["system", "previous", "between", "new"]
    assert points[-1] - points[-2] == 18
    names, points, ends = plan(("system", 1, 1_500), ("previous", 5, 200), ("new", 18, 30))
    assert names == ["system", "previous", "new"]  # it is within sight
    many = replace(EXPLICIT, points=12)
    names, points, ends = plan(
        ("system", 1, 1_500), ("previous", 5, 200), ("new", 60, 30), rules=many
    )
    tail = [point for point in points if point >= ends["previous"] - 1]
    assert all(later - earlier <= 18 for earlier, later in pairwise(tail))
    assert len(tail) == 5
    nowhere = replace(EXPLICIT, lookback=None)
    assert plan(("system", 1, 1_500), ("previous", 5, 200), ("new", 60, 30), rules=nowhere)[0] == [
        *["system", "previous", "new"]
    ]


def test_the_last_request_is_marked_where_nothing_looks_back_to_it() -> None:
    """Although its point would be worth less than each of the others."""
    parts = (
        *(("system", 1, 9_000), ("documents", 1, 9_000), ("standing", 1, 9_000)),
        *(("previous", 5, 20), ("new", 19, 900)),
    )

    assert plan(*parts)[0][-2:] == ["previous", "new"]
    near = (*parts[:-1], ("new", 18, 900))
    assert "previous" not in plan(*near)[0]
    only_marked = replace(EXPLICIT, lookback_of="messages")
    assert "previous" in plan(*near, rules=only_marked)[0]


def test_nothing_is_marked_below_the_minimum() -> None:
    assert plan(("system", 1, 500), ("new", 1, 223))[1] == ()
    assert plan(("system", 1, 500), ("new", 1, 224))[0] == ["new"]
    assert plan(("system", 1, 724), ("new", 1, 9))[0] == ["system", "new"]


def test_nothing_volatile_stands_under_a_point() -> None:
    blocks, ends = conversation(*USUAL)
    known = outlook(blocks, ends)

    changing = replace(known, stable=ends["new"] - 1)
    assert max(plan_points(blocks, EXPLICIT, changing)) == ends["new"] - 2
    long, at = conversation(("system", 1, 1_500), ("previous", 5, 200), ("new", 60, 30))
    newest = at["new"] - 30
    *_, spare, last = plan_points(long, EXPLICIT, replace(outlook(long, at), stable=newest))
    assert (spare, last) == (newest - 19, newest - 1)
    empty = replace(known, fit=known.fit - {ends["new"] - 1})
    assert max(plan_points(blocks, EXPLICIT, empty)) == ends["new"] - 2


def test_only_roles_that_may_carry_a_marker_get_one() -> None:
    users = replace(EXPLICIT, carriers=("user",))
    tools = replace(EXPLICIT, carriers=("tools", "user"))  # not in chat completions

    for rules in (users, tools):
        assert plan(*USUAL, rules=rules)[0] == ["standing", "previous"]


def test_a_point_that_the_provider_places_is_not_placed_again() -> None:
    automatic = replace(EXPLICIT, automatic=True, points=3)
    assert plan(*USUAL, rules=automatic)[0] == ["system", "standing", "previous"]
    one = replace(automatic, points=1)
    assert plan(*USUAL, rules=one)[0] == ["system"]
    late = (*USUAL, ("developer", 1, 50))  # at which the provider places none
    both = replace(automatic, carriers=(*ROLES, "developer"))
    assert plan(*late, rules=both)[0] == ["system", "previous", "developer"]


def test_points_of_the_caller_count() -> None:
    blocks, ends = conversation(*USUAL)
    known = outlook(blocks, ends)

    def planned(*own: int) -> tuple[int, ...]:
        marked = [replace(block, point=n in own) for n, block in enumerate(blocks)]
        return plan_points(marked, EXPLICIT, known)

    usual = tuple(end - 1 for end in ends.values())
    assert planned() == usual
    assert planned(usual[0]) == usual[1:]
    assert planned(usual[0], 5, 6) == (usual[3],)
    assert planned(3, 4, 5, 6) == planned(3, 4, 5, 6, 7) == ()
    assert len(planned(1)) == 3  # also one that is too early to be written


@given(st.data())
def test_there_are_never_too_many_points(data: st.DataObject) -> None:
    parts = ["system", "documents", "standing", "previous", "new"]
    counts = [
        (part, data.draw(st.integers(0 if part != "system" else 1, 45)), tokens)
        for part in parts
        for tokens in [data.draw(st.sampled_from([1, 40, 900]))]
    ]
    blocks, ends = conversation(*counts)
    marked = data.draw(st.frozensets(st.integers(1, len(blocks) - 1), max_size=6))
    blocks = tuple(replace(block, point=n in marked) for n, block in enumerate(blocks))
    rules = data.draw(
        st.sampled_from(
            [rules for profile in known_profiles().values() for rules in profile.caches]
        )
    )

    points = plan_points(blocks, rules, outlook(blocks, ends))

    upto = list(accumulate(block.tokens for block in blocks))
    assert not points or len(points) + len(marked) <= rules.points
    assert not set(points) & marked
    for point in points:
        assert upto[point] >= rules.minimum
        assert blocks[point].role in rules.carriers


def test_expected_reads_are_what_a_provider_reads() -> None:
    """The plan against every other choice of so many points, by the simulator of the cache.

    The next request shares so much as often as the plan thinks, and has a point wherever it could.
    """
    parts = (("system", 2, 700), ("standing", 1, 500), ("previous", 3, 90), ("new", 2, 250))
    blocks, ends = conversation(*parts, tools=0)
    known = outlook(blocks, ends, cut=0.3)
    shared = survival(len(blocks), known)
    every = replace(EXPLICIT, lookback=None, points=99, overflow="last")

    def read_after(points: Sequence[int]) -> float:
        total = 0.0
        for length in range(len(blocks)):
            ending = shared[length] if length < len(blocks) else 0.0
            weight = (shared[length - 1] if length else 1.0) - ending
            cache = Simulator(every)
            sent = [replace(block, point=n in points) for n, block in enumerate(blocks)]
            cache.send(Sent(tuple(sent)))
            other = [replace(block, point=True) for block in blocks[:length]]
            usage = cache.send(Sent((*other, Block("other", 10, "user")), at=1.0))
            total += weight * (usage.cache_read_tokens or 0)
        return total

    fit = range(len(blocks) - 1)
    for most in (1, 2, 3, 4):
        best = max(
            read_after(points) for number in range(most + 1) for points in combinations(fit, number)
        )
        planned = plan_points(blocks, replace(every, points=most), known)
        assert read_after(planned) == pytest.approx(best)
        assert len(planned) <= most


def test_the_cheapest_cache_follows_from_the_expected_reads() -> None:
    """1.25 + 0.1 k < 1 + k (0.2 p + 1 - p), so k > 0.25 / (0.9 - 0.8 p)."""
    qwen = profile_for("qwen-plus")

    def mode(reads: float, hits: float = 1.0) -> str | None:
        rules = cheapest_cache(qwen, reads=reads, hits=hits)
        return rules.mode if rules else None

    for hits, enough in ((1.0, 3), (0.9, 2), (0.8, 1), (0.5, 1)):
        assert [mode(reads, hits) for reads in (enough - 1, enough)] == ["implicit", "explicit"]
    assert mode(EXPECTED_READS) == "explicit"
    assert cheapest_cache(profile_for("generic")) is None
    assert cheapest_cache(profile_for("qwen-max")) == profile_for("qwen-max").cache("implicit")
    assert cheapest_cache(profile_for("gpt-5.6")) == profile_for("gpt-5.6").cache("implicit")


def test_a_cache_of_unknown_price_is_the_last_choice() -> None:
    known = replace(EXPLICIT, read=0.9)
    profile = replace(profile_for("qwen-max"), caches=(replace(EXPLICIT, read=None), known))

    assert cheapest_cache(profile) == known
    responses = replace(EXPLICIT, read=0.01, api="responses")
    session = replace(EXPLICIT, read=0.01, mode="session")
    assert cheapest_cache(replace(profile, caches=(responses, session, known))) == known


@pytest.mark.parametrize(("reads", "hits"), [(-1, 1.0), (3, 1.5), (3, -0.1), (float("nan"), 1.0)])
def test_reads_and_hits_that_cannot_be(reads: float, hits: float) -> None:
    with pytest.raises(InputError, match="cheapest_cache"):
        cheapest_cache(profile_for("qwen-plus"), reads=reads, hits=hits)


def test_a_cut_is_as_near_as_the_limit() -> None:
    assert cut_probability(1_000, 100) == pytest.approx(0.1)
    assert cut_probability(100, 1_000) == cut_probability(0, 100) == 0.9
    assert cut_probability(10**9, 1) == cut_probability(100, 0) == 0.01
