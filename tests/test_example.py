"""The example backend, over real HTTP: a server process, users, and a provider that echoes marks.

Many users at once, and a kill -9, are in test_example_load.py.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import HTTPException

from examples.fastapi_chat.conversations import Queues
from tests.backend import KEY, ROOT, Backend, Echo, Heard, User, marked, token_of
from tests.scripted_provider import Failure
from tests.support import SCOPE


@pytest.fixture(scope="module")
def provider() -> Iterator[Echo]:
    with Echo() as provider:
        yield provider


@pytest.fixture(scope="module")
def backend(provider: Echo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with Backend(tmp_path_factory.mktemp("backend"), provider, CHAT_LIMIT="2000") as backend:
        yield backend


@asynccontextmanager
async def users(backend: Backend, conversation: str) -> AsyncIterator[list[User]]:
    """The users of a backend, all of whom mean a conversation of the same name."""
    async with backend.client() as client:
        yield [User(client, token_of(number), conversation) for number in range(3)]


def sent(provider: Echo, since: int) -> list[list[str]]:
    """What users and model said, of each request that came to the provider."""
    return [
        [message["content"] for message in request["messages"] if message["role"] != "system"]
        for request in provider.requests[since:]
    ]


# -- whose it is ---------------------------------------------------------------------------------


def test_anothers_conversation_is_out_of_reach(backend: Backend, provider: Echo) -> None:
    async def talk() -> None:
        async with users(backend, "secret-plans") as (ann, bob, colleague):
            await ann.say(marked(1, 1))
            for other in (bob, colleague):  # of another tenant, of the same
                since = len(provider.requests)
                assert (await other.get()).status_code == 404
                assert (await other.get("/report")).status_code == 404
                assert (await other.say(marked(2, 1))).status == 200
                assert sent(provider, since) == [[marked(2, 1)]]
                assert await other.messages() == [
                    marked(2, 1),
                    "heard canary-0002 turn 1 and nothing else",
                ]
            assert len(await ann.messages()) == 2

    asyncio.run(talk())


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer wrong", f"Basic {token_of(0)}", f"Bearer {token_of(0)}x", "Bearer \xe9"],
)
def test_without_a_token_nothing_is_told(backend: Backend, provider: Echo, header: str) -> None:
    async def ask() -> list[httpx2.Response]:
        headers = {"Authorization": header.encode("latin-1")} if header else {}
        async with backend.client() as client:
            return [
                await client.get("/conversations/first", headers=headers),
                await client.get("/conversations/first/report", headers=headers),
                await client.post(
                    "/conversations/first/messages", headers=headers, json={"content": "Hello"}
                ),
                await client.get("/conversations/not%20a%20name", headers=headers),
            ]

    since = len(provider.requests)
    answers = asyncio.run(ask())

    assert [answer.status_code for answer in answers] == [401] * 4
    assert all(answer.headers["WWW-Authenticate"].startswith("Bearer") for answer in answers)
    assert len(provider.requests) == since


def test_what_cannot_be_taken_is_refused_before_anything_is_kept(
    backend: Backend, provider: Echo
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(65):
            yield b" " * 1_000
        yield b'{"content": "Hello"}'

    async def talk() -> None:
        async with users(backend, "refused") as (user, *_):
            refused = {
                "no JSON": (await user.post(content=b"{"), 422),
                "empty": (await user.post(json={"content": ""}), 422),
                "a number": (await user.post(json={"content": 1}), 422),
                "a user in the body": (await user.post(json={"content": "a", "user": "b"}), 422),
                "half a character": (await user.post(content=b'{"content": "\\ud800"}'), 422),
                "an odd name": (await user.post("a b", json={"content": "a"}), 422),
                "a long name": (await user.post("a" * 65, json={"content": "a"}), 422),
                "too many bytes": (await user.post(json={"content": "a" * 64_000}), 413),
                "too many tokens": (await user.post(json={"content": "word " * 3_000}), 413),
                "too many, in chunks": (await user.post(content=chunks()), 413),
            }
            for what, (answer, status) in refused.items():
                assert answer.status_code == status, (what, answer.text)
                assert "word word" not in answer.text
            assert (await user.get()).status_code == 404

    since = len(provider.requests)
    asyncio.run(talk())
    assert len(provider.requests) == since


# -- what goes wrong -----------------------------------------------------------------------------


def test_a_provider_that_fails_is_a_status_and_nothing_is_kept(
    backend: Backend, provider: Echo
) -> None:
    quoting = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}}).encode()
    busy = [Failure(status=429)] * 3  # the client tries again twice

    async def talk() -> None:
        async with users(backend, "failing") as (user, *_):
            for failures, status in (([Failure(401, body=quoting)], 502), (busy, 503)):
                provider.failures.extend(failures)
                answer = await user.post(json={"content": "a secret"})
                assert answer.status_code == status
                assert KEY not in answer.text
            assert (await user.get()).status_code == 404
            assert (await user.say("Hello")).text == "heard Hello"
            assert await user.messages() == ["Hello", "heard Hello"]

    asyncio.run(talk())
    log = backend.log.read_text()
    assert "AuthenticationError: 502" in log
    assert KEY not in log
    assert "a secret" not in log


@pytest.mark.parametrize("tidy", [False, True])
def test_a_stream_that_breaks_off_ends_with_an_error_and_nothing_is_kept(
    backend: Backend, provider: Echo, tidy: bool
) -> None:
    async def talk() -> None:
        async with users(backend, f"broken-{tidy}") as (user, *_):
            provider.failures.append(Failure(cut_after=2, tidy=tidy))
            heard = await user.say("Hello")
            assert heard.status == 200
            assert heard.events == ["delta", "error"]
            assert heard.last["status"] == 502
            assert (await user.get()).status_code == 404
            assert (await user.say("Hello again")).events[-1] == "done"
            assert await user.messages() == ["Hello again", "heard Hello again"]

    asyncio.run(talk())


@pytest.fixture
def held(provider: Echo) -> Iterator[Callable[[], None]]:
    """Streams are held behind their first word; the call lets them go on."""
    going = threading.Event()

    def wait(number: int) -> None:
        if number == 2:
            going.wait(60)

    provider.before_event = wait
    yield going.set
    going.set()
    provider.before_event = lambda number: None


def test_nothing_is_kept_of_a_reply_that_its_user_left(
    backend: Backend, provider: Echo, held: Callable[[], None]
) -> None:
    async def talk() -> None:
        async with users(backend, "left") as (user, *_):
            events = user.events("Tell me a long story")
            assert [(await anext(events))[0] for _ in range(2)] == ["status", "delta"]
            await events.aclose()
            provider.before_event = lambda number: None
            since = len(provider.requests)
            # The provider still holds the first reply, so only its being given up lets this pass.
            assert (await user.say("Hello")).events[-1] == "done"
            assert sent(provider, since) == [["Hello"]]
            held()
            assert await user.messages() == ["Hello", "heard Hello"]

    asyncio.run(talk())


def test_two_messages_at_once_are_answered_one_after_the_other(
    backend: Backend, provider: Echo, held: Callable[[], None]
) -> None:
    async def talk() -> None:
        async with users(backend, "at-once") as (user, other, _):
            first = user.events("one")
            assert [(await anext(first))[0] for _ in range(2)] == ["status", "delta"]
            second = asyncio.create_task(user.say("two"))
            provider.before_event = lambda number: None
            assert (await other.say("Hello")).events[-1] == "done"  # others do not wait
            assert not second.done()
            held()
            assert [kind async for kind, _ in first][-1] == "done"
            assert (await second).text == "heard two"
            assert await user.messages() == ["one", "heard one", "two", "heard two"]

    since = len(provider.requests)
    asyncio.run(talk())
    assert sent(provider, since) == [["one"], ["Hello"], ["one", "heard one", "two"]]


def test_a_queue_that_is_too_slow_refuses_and_leaves_nothing_behind() -> None:
    async def refused(queues: Queues) -> int:
        try:
            async with queues.turn(SCOPE):
                pytest.fail("two at once")
        except HTTPException as error:
            return error.status_code

    async def queue() -> None:
        queues = Queues(patience=0.01)
        async with queues.turn(SCOPE):
            assert await asyncio.create_task(refused(queues)) == 409  # as a request has
        async with queues.turn(SCOPE):
            assert len(queues._locks) == 1
        gc.collect()
        assert len(queues._locks) == 0

    asyncio.run(queue())


def test_of_two_processes_that_answer_at_once_the_store_refuses_one(
    backend: Backend, provider: Echo, held: Callable[[], None]
) -> None:
    async def talk(other_process: Backend) -> None:
        async with (
            users(backend, "two-processes") as (here, *_),
            users(other_process, "two-processes") as (there, *_),
        ):
            slow = here.events("here")
            assert [(await anext(slow))[0] for _ in range(2)] == ["status", "delta"]
            provider.before_event = lambda number: None
            assert (await there.say("there")).events[-1] == "done"
            held()
            ends = [(kind, data["status"]) async for kind, data in slow if kind != "delta"]
            assert ends == [("error", 409)]
            assert await here.messages() == ["there", "heard there"]
            assert (await here.say("here")).events[-1] == "done"

    store = Path(backend.environment["CHAT_STORE"])
    with Backend(store.parent, provider) as other_process:
        asyncio.run(talk(other_process))


def test_a_server_that_is_told_to_stop_finishes_its_replies(
    tmp_path: Path, provider: Echo, held: Callable[[], None]
) -> None:
    async def talk(backend: Backend) -> None:
        async with users(backend, "stopped") as (user, *_):
            events = user.events("Hello")
            assert [(await anext(events))[0] for _ in range(2)] == ["status", "delta"]
            backend.process.terminate()
            await asyncio.to_thread(backend.wait_for, "(Shutting down)")
            held()
            assert [kind async for kind, _ in events][-1] == "done"

    async def read(backend: Backend) -> None:
        async with users(backend, "stopped") as (user, *_):
            assert await user.messages() == ["Hello", "heard Hello"]

    with Backend(tmp_path, provider) as backend:
        asyncio.run(talk(backend))
        assert backend.process.wait(60) == -signal.SIGTERM
        assert "shutdown complete" in backend.log.read_text()
    with Backend(tmp_path, provider) as backend:
        asyncio.run(read(backend))


# -- the rest ------------------------------------------------------------------------------------


def test_the_report_is_that_of_the_last_request(backend: Backend) -> None:
    async def talk() -> dict[str, Any]:
        async with users(backend, "report") as (user, *_):
            heard = [await user.say(marked(1, turn)) for turn in range(1, 31)]
            answer = await user.get("/report")
            assert len(await user.messages()) == 60
            return {**answer.json(), "done": heard[-1].last}

    report = asyncio.run(talk())

    assert report["point"] == 60  # with the system prompt
    assert report["tokens"]["total"] == report["done"]["predicted_tokens"] <= 2_000
    assert report["usage"]["input_tokens"] == report["done"]["prompt_tokens"]
    assert {message["fate"] for message in report["messages"]} == {"kept", "dropped"}


def test_the_page_needs_nothing_from_elsewhere(backend: Backend) -> None:
    page = httpx2.get(backend.address, trust_env=False)

    assert page.headers["content-type"].startswith("text/html")
    assert not re.search(r"https?:|innerHTML|insertAdjacentHTML|document\.write", page.text)
    assert httpx2.get(f"{backend.address}/health", trust_env=False).json()["status"] == "ok"


def test_a_model_without_its_key_is_refused_at_the_start() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "examples.fastapi_chat", "--port", "0"],
        cwd=ROOT,
        env={**os.environ, "CHAT_MODEL": "gpt-4o"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 2
    assert "OPENAI_API_KEY" in ran.stderr


def test_the_embedded_model_and_the_commands_of_the_readme(tmp_path: Path) -> None:
    text = (ROOT / "examples/fastapi_chat/README.md").read_text("utf-8")
    commands = "".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL))

    async def tell(user: User) -> list[Heard]:
        return [await user.say(text) for text in ("Hello!", "And then?")]

    async def talk(backend: Backend) -> list[list[Heard]]:
        async with backend.client() as client:
            tokens = ("demo-token-of-ann", "demo-token-of-bob")
            return await asyncio.gather(*(tell(User(client, token)) for token in tokens))

    with Backend(tmp_path, None, CHAT_USERS="", CHAT_REPLY="8") as backend:
        for first, second in asyncio.run(talk(backend)):
            assert (first.status, second.status) == (200, 200)
            assert (first.events[-1], second.events[-1]) == ("done", "done")
            assert first.last["prompt_tokens"] == first.last["predicted_tokens"]
            assert second.last["prompt_tokens"] == second.last["predicted_tokens"]
            assert second.last["cached_tokens"] >= first.last["prompt_tokens"] - 1
        ran = subprocess.run(
            ["/bin/sh", "-ec", commands.replace("http://127.0.0.1:8000", backend.address)],
            capture_output=True,
            text=True,
            check=True,
        )

    assert commands.count("curl") == 4
    stream, log, report, nothing = re.fullmatch(
        r"(.*\n\n)({.*})({.*})({.*})", ran.stdout, re.DOTALL
    ).groups()
    deltas = re.findall(r"^event: delta\ndata: (.*)$", stream, re.MULTILINE)
    *_, question, answer = json.loads(log)["messages"]
    assert question["content"] == "Name a river in Europe."
    assert answer["content"] == "".join(json.loads(delta)["text"] for delta in deltas)
    assert json.loads(report)["point"] == 6
    assert json.loads(nothing)
