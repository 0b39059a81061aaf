"""The simulator of prompt caches: its properties, and a reference without any data structure."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contextkit.caching.blocks import REPLY, Block, Sent, token_blocks
from contextkit.caching.simulator import Simulator
from contextkit.errors import InputError
from contextkit.profiles import CacheRules, Lifetime
from tests.cache_reference import Reference

TOKENS = [16, 60, 128, 300]
MARKERS = {"marker": {"cache_control": {}}, "carriers": ("user",)}


def lead(one, other):
    """Blocks 0 and 1, and 2 and 3, begin alike, some more than others."""
    return 10 + one.key + other.key if one.key // 2 == other.key // 2 else 0


blocks = st.builds(
    lambda key, ends, lifetime, point: Block(key, TOKENS[key], "user", ends, point, lifetime),
    st.sampled_from([0, 0, 0, 1, 2, 3]),
    st.sampled_from([True, True, False]),
    st.sampled_from(["", "", "5m", "1h"]),
    st.booleans(),
)
responses = st.sampled_from([(0, 0), (0, 0), (2, 2), (2, 5), (0, 200), (400, 400)])
pauses = st.sampled_from([0, 1, 3, 100, 150, 250, 299, 300, 301, 3600])


@st.composite
def traffic(draw):
    """Requests of several conversations in the order of their times, some of which overlap."""
    at, sent, kept = 0, [], [()]
    for _ in range(draw(st.integers(3, 12))):
        at += draw(pauses)
        begun, ended = draw(responses)
        earlier = draw(st.sampled_from(kept))
        more = draw(st.lists(blocks, min_size=not earlier, max_size=3))
        request = (*earlier[: draw(st.integers(0, len(earlier)))], *more) or earlier
        if draw(st.booleans()):  # the same blocks, marked at other places
            request = tuple(replace(block, point=draw(st.booleans())) for block in request)
        reply = tuple(draw(st.lists(blocks, max_size=2)))
        kept += [request, (*request, *reply)]
        opening = draw(st.sampled_from([(), (Block(REPLY, 4, REPLY),)]))
        sent.append(Sent((*request, *opening), at, begun, ended, reply))
    return sent


common = {
    "read": st.just(0.1),
    "minimum": st.sampled_from([0, 100, 300]),
    "renewed_by": st.sampled_from(["hit", "nothing"]),
    "timed_from": st.sampled_from(["sent", "ends"]),
    "visible": st.sampled_from(["begins", "ends"]),
}
SHORT, LONG = Lifetime("5m", 300, 1.25), Lifetime("1h", 3600, 2.0)
ttl = st.sampled_from([(Lifetime(),), (SHORT,)])
block_rules = st.builds(
    CacheRules,
    name=st.just("blocks"),
    mode=st.just("implicit"),
    match=st.just("blocks"),
    block=st.sampled_from([1, 16, 128]),
    lifetimes=ttl,
    **common,
)
with_replies = st.builds(
    lambda rules, rest: replace(rules, replies=True, rest=rest, lifetimes=(Lifetime(),)),
    block_rules,
    st.integers(0, 1),
)
unit_rules = st.builds(
    CacheRules,
    name=st.just("units"),
    mode=st.just("implicit"),
    match=st.just("units"),
    replies=st.booleans(),
    **common,
)
point_rules = st.builds(
    CacheRules,
    name=st.just("points"),
    mode=st.just("explicit"),
    match=st.just("points"),
    points=st.sampled_from([1, 2, 4]),
    marker=st.just(MARKERS["marker"]),
    carriers=st.just(MARKERS["carriers"]),
    automatic=st.booleans(),
    lookback=st.sampled_from([None, 1, 2, 3]),
    lookback_of=st.sampled_from(["blocks", "messages"]),
    looked_up=st.sampled_from([None, 1, 3]),
    looked_up_first=st.integers(0, 2),
    lifetimes=st.sampled_from([(SHORT, LONG), (LONG, SHORT)]),
    **common,
)
kinds = {"blocks": block_rules, "replies": with_replies, "units": unit_rules, "points": point_rules}
any_rules = st.one_of(*kinds.values())
every_kind = pytest.mark.parametrize("kind", kinds)


@every_kind
@settings(max_examples=2 * settings().max_examples)
@given(st.data(), traffic())
def test_it_reads_and_writes_what_the_reference_does(kind, data, requests):
    rules = data.draw(kinds[kind])
    shared = data.draw(st.sampled_from([None, lead])) if rules.match == "blocks" else None
    simulator, reference = Simulator(rules, shared=shared), Reference(rules, shared)

    assert [simulator.send(sent) for sent in requests] == list(map(reference.send, requests))


@given(block_rules, traffic(), st.integers(50, 900))
def test_it_drops_what_the_reference_does_where_there_is_no_room(rules, requests, capacity):
    rules = replace(rules, lifetimes=(Lifetime(),), minimum=0, block=1)
    simulator, reference = Simulator(rules, capacity=capacity), Reference(rules, None, capacity)

    assert [simulator.send(sent) for sent in requests] == list(map(reference.send, requests))


@given(any_rules, traffic())
def test_a_peek_tells_what_will_be_reported_and_changes_nothing(rules, requests):
    peeking, sending = Simulator(rules), Simulator(rules)
    for sent in requests:
        foretold = [peeking.peek(sent) for sent in requests]
        assert foretold[requests.index(sent)] == peeking.send(sent) == sending.send(sent)


@given(any_rules, traffic())
def test_what_is_read_and_written_is_part_of_the_input(rules, requests):
    simulator = Simulator(rules)
    for usage in map(simulator.send, requests):
        assert 0 <= usage.cache_read_tokens + (usage.cache_write_tokens or 0) <= usage.input_tokens
        if rules.match == "points":
            assert usage.cache_write_tokens == sum(usage.cache_writes.values())
        else:
            assert usage.cache_write_tokens is usage.cache_writes is None


@given(any_rules, traffic(), st.integers(0, 300))
def test_a_request_repeated_within_the_lifetime_reads_all_that_it_may(rules, requests, after):
    rules = replace(rules, renewed_by="hit")
    simulator = Simulator(rules)
    for sent in requests:
        simulator.send(sent)
    last = replace(requests[-1], reply=())
    usage = simulator.send(last)

    start = last.at if rules.timed_from == "sent" else last.at + last.ended
    again = replace(last, at=max(start + after, last.at + last.ended))
    if again.at > start + 300:
        return  # its response took longer than its entry lived
    read = simulator.send(again).cache_read_tokens

    if rules.match == "points":
        assert read == usage.cache_read_tokens + usage.cache_write_tokens
    else:
        whole = sum(block.tokens for block in last.blocks if block.role != REPLY)
        most = min(whole, last.tokens - rules.rest) // rules.block * rules.block
        assert read == (most if most >= rules.minimum else 0)


@given(st.one_of(block_rules, with_replies, point_rules), traffic(), st.integers(2, 9))
def test_with_longer_lifetimes_never_less_is_read(rules, requests, times):
    rules = replace(rules, renewed_by="hit")
    longer = tuple(
        replace(one, seconds=one.seconds and one.seconds * times) for one in rules.lifetimes
    )
    short, long = Simulator(rules), Simulator(replace(rules, lifetimes=longer))
    for request in requests:
        # Of two lifetimes what expired may be written again with the longer one, and win.
        blocks = tuple(replace(block, lifetime="") for block in request.blocks)
        sent = replace(request, blocks=blocks)
        assert short.send(sent).cache_read_tokens <= long.send(sent).cache_read_tokens


# Room


def conversation(number, blocks):
    return Sent(token_blocks(range(number * 1_000, number * 1_000 + blocks)))


def engine(**more):
    rules = CacheRules(
        name="engine", mode="implicit", match="blocks", replies=True, rest=1, visible="begins"
    )
    return Simulator(rules, **more)


def test_the_least_recently_used_is_dropped_from_its_end_when_there_is_no_room():
    simulator = engine(capacity=250)
    for number in (1, 2, 1, 3):
        simulator.send(conversation(number, 100))

    def read(number):
        return simulator.peek(conversation(number, 100)).cache_read_tokens

    assert [read(1), read(2), read(3)] == [99, 50, 99]
    simulator.send(conversation(4, 250))
    assert [read(1), read(2), read(3)] == [0, 0, 0]
    assert simulator.peek(conversation(4, 250)).cache_read_tokens == 249


def test_a_prompt_that_is_larger_than_all_room_is_held_as_far_as_it_goes():
    simulator = engine(capacity=60)
    simulator.send(conversation(1, 100))

    assert simulator.peek(conversation(1, 100)).cache_read_tokens == 60


def test_an_entry_at_a_point_is_dropped_whole():
    rules = CacheRules(
        name="points", mode="explicit", match="points", points=1, **MARKERS, visible="begins"
    )
    simulator = Simulator(rules, capacity=270)
    requests = [(Block(n, 60, "user"), Block("end", 40, "user", point=True)) for n in range(3)]
    for request in requests:
        simulator.send(Sent(request))

    read = [simulator.peek(Sent(request)).cache_read_tokens for request in requests]

    assert read == [0, 100, 100]
    assert simulator.peek(Sent((Block(0, 60, "user", point=True),))).cache_read_tokens == 0


def test_what_has_expired_takes_no_room():
    rules = CacheRules(name="ttl", mode="implicit", match="blocks", lifetimes=(SHORT,))
    simulator = Simulator(rules)
    for number in range(1_000):
        simulator.send(Sent(tuple(Block((number, n), 10) for n in range(20)), at=10 * number))

    assert len(simulator._cache.tree) <= 31


@pytest.mark.parametrize("settings", [{"slots": 0}, {"capacity": 0}])
def test_less_than_one_slot_or_token_is_refused(settings):
    with pytest.raises(InputError, match="1 at least, not 0"):
        engine(**settings)


def test_of_many_that_part_at_one_place_the_newest_are_compared_with_a_new_one():
    """So that the time of a request does not grow with the number of conversations."""
    asked = []

    def shared(one, other):
        asked.append(other.key)
        return other.tokens if other.key == 97 else 1

    rules = CacheRules(name="many", mode="implicit", match="blocks")
    simulator = Simulator(rules, shared=shared)
    for key in range(100):
        simulator.send(Sent((Block("system", 50), Block(key, 20))))
    asked.clear()

    read = simulator.peek(Sent((Block("system", 50), Block("new", 20)))).cache_read_tokens

    assert read == 70
    assert asked == [*range(99, 67, -1)]


def test_the_last_token_of_a_reply_is_held_once_a_longer_reply_went_over_it():
    simulator = engine()
    prompt, shorter, longer = (token_blocks(range(n)) for n in (10, 15, 20))
    for reply, held in ((shorter, 14), (longer, 19)):
        simulator.send(Sent(prompt, reply=reply[10:]))
        asked = Sent((*longer, *token_blocks([99])))
        assert simulator.peek(asked).cache_read_tokens == held


def test_what_is_computed_anew_because_its_beginning_expired_is_written_anew():
    rules = CacheRules(
        name="strict", mode="implicit", match="blocks", renewed_by="nothing", lifetimes=(SHORT,)
    )
    simulator = Simulator(rules)
    one, two = Block("one", 50), Block("two", 50)
    simulator.send(Sent((one,), at=0))
    simulator.send(Sent((one, two), at=200))

    read = [
        simulator.send(Sent((one, two), at=at)).cache_read_tokens for at in (250, 301, 550, 602)
    ]

    assert read == [100, 0, 100, 0]


@pytest.mark.parametrize("match", ["blocks", "units"])
def test_a_prompt_can_be_read_once_the_response_begins_and_its_reply_once_it_ends(match):
    rules = CacheRules(name="both", mode="implicit", match=match, replies=True, visible="begins")
    simulator = Simulator(rules)
    prompt, reply, more = Block("prompt", 50), Block("reply", 20), Block("more", 5)
    simulator.send(Sent((prompt,), at=0, begun=2, ended=10, reply=(reply,)))

    asked = [Sent((prompt, reply, more), at=at) for at in (1, 2, 9, 10)]

    assert [simulator.peek(sent).cache_read_tokens for sent in asked] == [0, 50, 50, 70]
