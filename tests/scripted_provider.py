"""An OpenAI-compatible server on loopback that says what it is told to say.

    with ScriptedProvider(["Hello."]) as provider:
        client = OpenAI(base_url=provider.base_url, api_key="none")

Its token is four characters of canonical JSON, of tools and messages one after the other. It
remembers what it was sent, as a provider's prompt cache does: `cached_tokens` is the longest prefix
that a request shares with any answered request before it. Asked for embeddings it counts words, so
that texts with words in common are near; what goes wrong there is scripted in the same way.
"""

import json
import re
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, Self

CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Failure:
    """How one request goes wrong: an HTTP status, a stream that breaks off, or a wrong body.

    Or nothing comes at all: it is held until the provider's `released` is set, which says with
    `holding` that it has come this far.
    """

    status: int = 200
    cut_after: int | None = None  # events of a stream that arrive before the connection is lost
    tidy: bool = False  # the cut looks like an end, as behind a proxy that lost its upstream
    body: bytes | None = None  # sent as it is, in place of an answer
    torn: bool = False  # the connection is lost in the middle of the body
    held: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


class ScriptedProvider:
    """Answers each request with the next of `replies`, then with "ok 1", "ok 2", and so on.

    A reply is a text or an assistant message. A `Failure` put into `failures` is what happens to
    the next request. `requests` holds every body that came in. `before_event` is called with the
    number of each event of a stream before it is sent: it may wait. `headers` are those of the
    request that the present thread answers.
    """

    def __init__(self, replies: Iterable[str | dict[str, Any]] = ()) -> None:
        self.replies = deque(replies)
        self.failures: deque[Failure] = deque()
        self.requests: list[dict[str, Any]] = []
        self.before_event: Callable[[int], object] = lambda number: None
        self.holding, self.released = threading.Event(), threading.Event()
        self._answered: list[str] = []
        self._heard = threading.local()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.provider = self

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes as `base_url`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of the request that is being answered; their case does not count."""
        return getattr(self._heard, "headers", {})

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def receive(self, request: dict[str, Any]) -> tuple[Failure | None, dict[str, Any]]:
        """Note `request`; return what goes wrong, if anything, and the whole answer to it."""
        with self._lock:
            self.requests.append(request)
            failure = self.failures.popleft() if self.failures else None
            if failure and failure.cut_after is None:
                return failure, {}
            reply = self.reply_to(request)
            message = {"role": "assistant"} | (
                {"content": reply} if isinstance(reply, str) else reply
            )
            usage = self.usage_of(request, message)
            self._answered.append(prompt_of(request))
            return failure, {
                "id": f"chatcmpl-{len(self._answered)}",
                "object": "chat.completion",
                "created": 0,
                "model": request["model"],
                "choices": [
                    {
                        "index": 0,
                        "message": message,
                        "finish_reason": "tool_calls" if message.get("tool_calls") else "stop",
                        "logprobs": None,
                    }
                ],
                "usage": usage,
            }

    def embed(self, request: dict[str, Any]) -> tuple[Failure | None, dict[str, Any]]:
        """The same for a request of embeddings: as many dimensions as it asks for, else 1,024."""
        with self._lock:
            self.requests.append(request)
            failure = self.failures.popleft() if self.failures else None
        dimension = request.get("dimensions", 1_024)
        data = [
            {"object": "embedding", "index": index, "embedding": words_of(text, dimension)}
            for index, text in enumerate(request["input"])
        ]
        usage = dict.fromkeys(("prompt_tokens", "total_tokens"), count("".join(request["input"])))
        return failure, {
            "object": "list",
            "data": data,
            "model": request["model"],
            "usage": usage,
        }

    def reply_to(self, request: dict[str, Any]) -> str | dict[str, Any]:
        """What is answered; subclasses may have something else to say."""
        return self.replies.popleft() if self.replies else f"ok {len(self._answered) + 1}"

    def usage_of(self, request: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
        """What is reported of a request and the reply to it; subclasses may count otherwise."""
        prompt, completion = prompt_of(request), canonical([message])
        shared = max((shared_length(prompt, old) for old in self._answered), default=0)
        tokens, generated = count(prompt), count(completion)
        return {
            "prompt_tokens": tokens,
            "completion_tokens": generated,
            "total_tokens": tokens + generated,
            "prompt_tokens_details": {
                "cached_tokens": min(shared // CHARACTERS_PER_TOKEN, tokens - 1)
            },
        }


def prompt_of(request: dict[str, Any]) -> str:
    """Tools and messages as one text."""
    return canonical([*request.get("tools", ()), *request["messages"]])


def canonical(blocks: Iterable[dict[str, Any]]) -> str:
    """The blocks as text, so that more blocks only make it longer."""
    return "".join(json.dumps(block, sort_keys=True, ensure_ascii=False) for block in blocks)


def shared_length(one: str, other: str) -> int:
    """Characters that two texts have in common from their beginnings."""
    low, high = 0, min(len(one), len(other))
    while low < high:  # by halves, since a slice is compared at once and a character is not
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low


def words_of(text: str, dimension: int) -> list[float]:
    """A vector of how often words stand in a text; of one without words it is the first axis."""
    vector = [0.0] * dimension
    for word in re.findall(r"\w+", text.lower()) or [""]:
        vector[zlib.crc32(word.encode()) % dimension] += 1.0
    return vector


def count(text: str) -> int:
    """Tokens of canonical text, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def events(completion: dict[str, Any], *, include_usage: bool) -> Iterator[dict[str, Any]]:
    """A completion as the chunks of a stream: text by words, tool arguments by eight characters."""
    head = {key: completion[key] for key in ("id", "created", "model")}
    head["object"] = "chat.completion.chunk"
    choice = completion["choices"][0]

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        return {**head, "choices": choices}

    message = choice["message"]
    yield chunk({"role": "assistant", "content": ""})
    for name in ("reasoning_content", "content", "refusal"):
        for word in re.findall(r"\s*\S+\s*|\s+", message.get(name) or ""):
            yield chunk({name: word})
    for index, call in enumerate(message.get("tool_calls") or ()):
        function = {**call["function"], "arguments": ""}
        yield chunk({"tool_calls": [{**call, "index": index, "function": function}]})
        for piece in re.findall(r"(?s).{1,8}", call["function"]["arguments"]):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, choice["finish_reason"])
    if include_usage:
        yield {**head, "choices": [], "usage": completion["usage"]}


class _Server(ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128  # connections that come at once
    provider: ScriptedProvider


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an event is sent when it is written
    server: _Server

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        provider = self.server.provider
        provider._heard.headers = self.headers
        if self.path.endswith("/chat/completions"):
            failure, completion = provider.receive(request)
        elif self.path.endswith("/embeddings"):
            failure, completion = provider.embed(request)
        else:
            self._send(404, {"error": {"message": f"nothing at {self.path}"}})
            return
        if failure and failure.held:
            self.server.provider.holding.set()
            self.server.provider.released.wait()
            self.close_connection = True
        elif failure and failure.body is not None:
            self._send(failure.status, failure.body, failure)
        elif failure and failure.cut_after is None:
            error = {"error": {"message": "as scripted", "code": "scripted"}}
            self._send(failure.status, error, failure)
        elif request.get("stream"):
            self._stream(request, completion, failure)
        elif failure:
            self.close_connection = True  # without a word
        else:
            self._send(200, completion)

    def _send(
        self, status: int, answer: dict[str, Any] | bytes, failure: Failure | None = None
    ) -> None:
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in (headers | dict(failure.headers if failure else {})).items():
            self.send_header(name, value)
        self.end_headers()
        if failure and failure.torn:
            self.close_connection = True
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def _stream(
        self, request: dict[str, Any], completion: dict[str, Any], failure: Failure | None
    ) -> None:
        include_usage = bool((request.get("stream_options") or {}).get("include_usage"))
        lines = [json.dumps(event) for event in events(completion, include_usage=include_usage)]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, line in enumerate([*lines, "[DONE]"][: failure.cut_after if failure else None]):
            self.server.provider.before_event(number)
            self._chunk(f"data: {line}\n\n".encode())
        if failure and not failure.tidy:
            self.close_connection = True  # no closing chunk: the client sees a broken stream
        else:
            self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def log_message(self, *_: object) -> None:
        """Say nothing: the tests read `requests`."""
