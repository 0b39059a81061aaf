"""The example backend under load: 50 users at once, and a kill -9 in the middle.

Every message carries a mark that nobody else's has, so that whatever crosses from one conversation
into another is seen: in what the provider was sent, in what a user hears, and in the log.
"""

from __future__ import annotations

import asyncio
import json
import signal
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2

from tests.backend import KEY, MARK, Backend, Echo, Heard, User, marked, token_of

USERS, TURNS = 50, 20


async def hold(user: User, number: int, turns: range) -> list[Heard]:
    """One user's conversation; each message is sent when the one before is answered."""
    return [await user.say(marked(number, turn)) for turn in turns]


def check_requests(provider: Echo, cuts: dict[int, list[int]]) -> None:
    """No request holds anything of another user, nor lacks what was not cut.

    `cuts` has the turns of each user whose request had edits.
    """
    for request in provider.requests:
        found = MARK.findall(json.dumps(request))
        assert len({canary for canary, _ in found}) == 1, "a message in another's context"
        said = [
            int(MARK.search(message["content"])[2])
            for message in request["messages"]
            if message["role"] == "user"
        ]
        number, newest = int(found[0][0].removeprefix("canary-"), 16), said[-1]
        assert said == list(range(said[0], newest + 1))
        assert (said[0] > 1) == any(turn <= newest for turn in cuts[number])
        heard = [int(turn) for _, turn in found]
        assert sorted(heard) == sorted([*said, *said[:-1]]), "each answered, but the newest"


async def check_log(user: User, number: int, turns: int) -> None:
    """The log is whole turns, in order, all of them."""
    expected = [
        text
        for turn in range(1, turns + 1)
        for text in (
            marked(number, turn),
            f"heard canary-{number:04x} turn {turn} and nothing else",
        )
    ]
    assert await user.messages() == expected


def test_fifty_users_at_once(tmp_path: Path, capsys) -> None:
    async def talk(backend: Backend) -> None:
        async with backend.client() as client:
            everybody = [User(client, token_of(number)) for number in range(USERS)]
            start = time.perf_counter()
            heard = await asyncio.gather(
                *(hold(user, n, range(1, TURNS + 1)) for n, user in enumerate(everybody))
            )
            seconds.append(time.perf_counter() - start)
            everything.extend(heard)
            for number, user in enumerate(everybody):
                await check_log(user, number, TURNS)

    seconds: list[float] = []
    everything: list[list[Heard]] = []
    with Echo() as provider, Backend(tmp_path, provider, USERS, CHAT_LIMIT="900") as backend:
        before = backend.resident
        asyncio.run(talk(backend))
        after = backend.resident
        requests = provider.requests[:]
        bare = asyncio.run(ask_bare(provider, requests))

    assert Counter(turn.status for one in everything for turn in one) == {200: USERS * TURNS}
    for number, one in enumerate(everything):
        for turn, heard in enumerate(one, start=1):
            assert heard.text == f"heard canary-{number:04x} turn {turn} and nothing else"
            assert heard.events == ["delta"] * (len(heard.events) - 1) + ["done"]
    provider.requests = requests
    assert len(requests) == USERS * TURNS  # none was tried again
    cuts = {
        number: [turn for turn, heard in enumerate(one, start=1) if heard.last["edits"]]
        for number, one in enumerate(everything)
    }
    assert all(cuts.values())  # long enough that every conversation was cut
    check_requests(provider, cuts)
    log = backend.log.read_text()
    assert "canary" not in log
    assert KEY not in log

    first = sorted(heard.first_event for one in everything for heard in one)
    with capsys.disabled():
        print(  # noqa: T201 - figures for whoever runs it; nothing depends on them
            f"\n{USERS} users x {TURNS} turns: {USERS * TURNS / seconds[0]:.0f} turns/s;"
            f" first event p50 {quantile(first, 50):.0f} ms, p99 {quantile(first, 99):.0f} ms;"
            f" bare provider {quantile(bare, 50):.0f} and {quantile(bare, 99):.0f} ms;"
            f" memory {before:.0f} -> {after:.0f} MB"
        )


def quantile(seconds: list[float], percent: int) -> float:
    """In milliseconds."""
    return 1000 * statistics.quantiles(seconds, n=100)[percent - 1]


async def ask_bare(provider: Echo, requests: list[dict[str, Any]]) -> list[float]:
    """The same requests to the provider itself, as many at once: seconds to the first event."""

    async def ask(some: list[dict[str, Any]]) -> None:
        for request in some:
            start = time.perf_counter()
            async with client.stream("POST", "/chat/completions", json=request) as answer:
                lines = answer.aiter_lines()
                await anext(lines)
                seconds.append(time.perf_counter() - start)
                async for _ in lines:
                    pass

    seconds: list[float] = []
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(base_url=provider.base_url, timeout=60, limits=limits) as client:
        await asyncio.gather(*(ask(requests[at::USERS]) for at in range(USERS)))
    return seconds


def test_kill_minus_nine_in_the_middle(tmp_path: Path) -> None:
    """What was acknowledged is there, nothing is there by half, and everybody goes on."""
    done: Counter[int] = Counter()

    async def talk_until_killed(user: User, number: int, backend: Backend) -> None:
        try:
            for turn in range(1, TURNS + 1):
                async for kind, _ in user.events(marked(number, turn)):
                    assert kind in ("status", "delta", "done")
                    done[number] += kind == "done"
                if done.total() > USERS * TURNS // 2 and backend.process.poll() is None:
                    backend.kill()
        except httpx2.TransportError:
            return  # killed

    async def first(backend: Backend) -> None:
        async with backend.client() as client:
            everybody = [User(client, token_of(number)) for number in range(USERS)]
            await asyncio.gather(
                *(talk_until_killed(user, n, backend) for n, user in enumerate(everybody))
            )

    async def go_on(user: User, number: int) -> None:
        kept = len(await user.messages()) // 2
        await check_log(user, number, kept)
        # One more than was acknowledged: written, but killed before the user heard of it.
        assert kept - done[number] in (0, 1)
        heard = await hold(user, number, range(kept + 1, TURNS + 1))
        assert {turn.status for turn in heard} <= {200}
        await check_log(user, number, TURNS)

    async def second(backend: Backend) -> None:
        async with backend.client() as client:
            everybody = [User(client, token_of(number)) for number in range(USERS)]
            await asyncio.gather(*(go_on(user, n) for n, user in enumerate(everybody)))

    with Echo() as provider:
        with Backend(tmp_path, provider, USERS) as backend:
            asyncio.run(first(backend))
            assert backend.process.returncode == -signal.SIGKILL
        assert USERS * TURNS // 2 < done.total() < USERS * TURNS
        with Backend(tmp_path, provider, USERS) as backend:
            asyncio.run(second(backend))
    check_requests(provider, {number: [] for number in range(USERS)})
