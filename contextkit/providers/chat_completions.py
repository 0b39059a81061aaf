"""The call itself: `chat.completions.create` of an official client, plain and streaming.

The client's own retries are the only ones, and its errors come through as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from contextkit.errors import ReplyError
from contextkit.providers.streaming import StreamedMessage, as_data, usage_of
from contextkit.usage import Usage


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request.

    Attributes:
        message: the assistant message.
        usage: what the provider reported; None where it did not.
        finish_reason: why the reply ended; None where the provider does not say.
    """

    message: dict[str, Any]
    usage: Usage | None
    finish_reason: str | None


def complete(client: Any, request: Mapping[str, Any]) -> Answer:
    """Send a request and wait for the whole answer.

    Raises:
        ReplyError: when the answer holds no message.
    """
    completion = as_data(client.chat.completions.create(**request))
    choices = completion.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    said = choice.get("message") if isinstance(choice, Mapping) else None
    if not said or not isinstance(said, Mapping) or not isinstance(choice, Mapping):
        raise ReplyError("the provider answered without a message: send again")
    message = {"role": "assistant", **said}
    message["role"] = message["role"] or "assistant"
    return Answer(message, usage_of(completion.get("usage")), choice.get("finish_reason"))


def stream(client: Any, request: Mapping[str, Any]) -> ChunkStream:
    """Send a request and give its chunks as they come.

    Usage is asked for unless the request says otherwise; the chunk that brings only the usage is
    then kept back, so that the chunks are those that were asked for.
    """
    given = request.get("stream_options") or {}
    asked = "include_usage" in given
    options = given if asked else {**given, "include_usage": True}
    chunks = client.chat.completions.create(
        **{**request, "stream": True, "stream_options": options}
    )
    if not isinstance(chunks, Iterable):
        raise ReplyError(f"the provider answered with {type(chunks).__name__}, no stream of chunks")
    return ChunkStream(chunks, hide_usage=not asked)


class ChunkStream:
    """The chunks of one stream, unchanged; what they add up to is kept beside them.

    Attributes:
        reply: the message so far.
        last_text: the text that the chunk given last has added.
    """

    def __init__(self, chunks: Any, *, hide_usage: bool) -> None:
        self.reply = StreamedMessage()
        self.last_text = ""
        self._chunks = chunks
        self._hide_usage = hide_usage

    def __iter__(self) -> Iterator[Any]:
        for chunk in self._chunks:
            self.last_text = self.reply.add(chunk)
            if not (self._hide_usage and self.reply.only_usage):
                yield chunk

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back; what has not come yet is not waited for."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()

    @property
    def answer(self) -> Answer:
        """The whole answer, once every chunk has come.

        Raises:
            ReplyError: when the stream ended without saying why, as one does that was cut off.
        """
        if self.reply.finish_reason is None:
            raise ReplyError(
                "the stream ended without a finish reason, so it was cut off: send again",
                partial=self.reply.text,
            )
        return Answer(self.reply.message, self.reply.usage, self.reply.finish_reason)
