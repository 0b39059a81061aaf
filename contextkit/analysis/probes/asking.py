"""Asking a provider about its cache: fresh prefixes, within a number of tokens that is not passed.

A prefix is made of words drawn at random, so that neither an earlier run nor anybody else has left
it in a cache. Words are short and frequent: nearly each is one token of any vocabulary, so that a
length can be aimed at; what counts is always the length that the provider reports.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from contextkit.errors import ReplyError
from contextkit.messages import text_of
from contextkit.providers.chat_completions import complete, stream
from contextkit.usage import Usage

Message = dict[str, Any]

_WORDS = """
able about above across after again age ago air all along also always among and animal answer
area arm art autumn away back bad bag ball bank base bed before begin behind below best big bird
black blood blue board boat body book both bottom box boy bread bring brother brown build
business buy call car care carry case cat cause center change child city class clear close cold
color come common cook cool corner cost count country course cover cross cry cut dark day deep
desk direct dog door down draw dream dress drink drive dry early earth east easy eat edge egg
eight end enough even evening eye face fact fall family far farm fast father feel field fight
fill find fine finger fire first fish five floor flower fly follow food foot force form four
free fresh friend front fruit full game garden girl give glass gold good grass great green
ground group grow half hall hand happy hard hat head hear heart heat heavy help high hill hold
home horse hot hour house ice idea inside iron island job just keep key kind king kitchen know
lady lake land large last late laugh law lead leaf learn leave left leg lesson letter life light
line lion list little long look lost lot love low lunch main map mark market matter meal mean
meat meet middle milk mind minute money month moon morning mother mountain mouth move music name
near neck new next nice night nine north nose note number ocean office oil old once one open
""".split()  # noqa: SIM905 - read as words, not as a list of 250 literals


class Spent(Exception):
    """The next request could pass the number of tokens that was allowed; it was not sent."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one request showed.

    Attributes:
        tokens: of the input.
        read, written: those read from the cache, and written to it.
        output: tokens of the reply.
        text: of the reply.
        at: when it was sent, by the clock.
        refused: what the provider said where it did not take the request; empty where it did.
    """

    tokens: int = 0
    read: int = 0
    written: int = 0
    output: int = 0
    text: str = ""
    at: float = 0.0
    refused: str = ""


class Asker:
    """Sends requests and keeps count.

    Args:
        client: with `chat.completions.create`; its retries are the only ones.
        model: the model's name.
        budget: tokens of input and output that all requests together may have.
        options: further parameters of each request.
        reply: the parameter that bounds a reply.
        clock: seconds.
        sleep: waits for seconds.
        seed: of the prefixes; None draws others in every run.

    Attributes:
        spent: tokens so far, of input and output.
        requests: sent so far.
        usages: what was reported for each.
        reported: whether any request had a number of tokens read, if only 0.
    """

    def __init__(
        self,
        client: Any,
        model: str,
        *,
        budget: int,
        options: Mapping[str, Any],
        reply: str,
        clock: Callable[[], float],
        sleep: Callable[[float], object],
        seed: int | None = None,
    ) -> None:
        self.client = client
        self.model = model
        self.budget = budget
        self.options = options
        self.reply = reply
        self.clock = clock
        self.sleep = sleep
        self.spent = 0
        self.requests = 0
        self.usages: list[Usage] = []
        self.reported = False
        self._per_word = 1.5  # until it was measured
        self._frame = 60.0
        # Not for secrets: two runs must differ, and a test must be able to repeat one.
        self._random = random.Random(seed)  # noqa: S311

    def words(self, count: int) -> str:
        """So many words that nobody has sent in this order before."""
        return " ".join(self._random.choices(_WORDS, k=max(1, count)))

    def changed(self, text: str, tokens: float) -> str:
        """The words of a text in another order, with or without so many tokens of them."""
        words = text.split()
        self._random.shuffle(words)
        more = round(tokens / self._per_word) or (tokens > 0) - (tokens < 0)
        if more > 0:
            words += self.words(more).split()
        return " ".join(words[: max(1, len(words) + min(more, 0))])

    def words_for(self, tokens: float) -> int:
        """How many words make a prompt of so many tokens, if it has one message."""
        return max(1, round((tokens - self._frame) / self._per_word))

    def tokens_of(self, words: int) -> float:
        """How many tokens so many words take, without a frame."""
        return words * self._per_word

    def calibrate(self) -> int:
        """Measure what a word and a frame take; tokens read of a prompt never sent before."""
        few, many = 20, 140
        sizes = {}
        read = 0
        for count in (few, many):
            seen = self.ask([{"role": "user", "content": self.words(count)}])
            sizes[count] = seen.tokens
            read = max(read, seen.read)
        if sizes[few] and sizes[many] > sizes[few]:
            self._per_word = (sizes[many] - sizes[few]) / (many - few)
            self._frame = sizes[few] - few * self._per_word
        return read

    def ask(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        reply: int = 1,
    ) -> Seen:
        """Send a request, and give what it showed.

        Raises:
            Spent: when it could pass the budget; nothing was sent.
            Exception: the client's own errors, but for a request that was refused as wrong.
        """
        request = self._request(messages, tools, reply)
        at = self.clock()
        try:
            answer = complete(self.client, request)
        except ReplyError:
            raise
        except Exception as error:  # whatever client it is, a refusal has its status
            if getattr(error, "status_code", None) not in (400, 422):
                raise
            self.requests += 1
            return Seen(at=at, refused=str(error) or "refused")
        likely = self._likely(messages, tools, reply)
        return self._seen(answer.usage, text_of(answer.message), at, messages, likely=likely)

    def overtake(self, messages: Sequence[Mapping[str, Any]], *, reply: int) -> tuple[Seen, Seen]:
        """The same request twice, the second sent while the reply to the first still comes."""
        request = self._request(messages, (), reply)
        coming = ceil(self._likely(messages, (), reply))
        if self.spent + 2 * coming > self.budget:
            raise Spent
        at = self.clock()
        self.spent += coming  # what the second may not spend; it stays spent if the stream breaks
        with stream(self.client, request) as chunks:
            second = None
            for _ in chunks:
                if second is None and chunks.last_text:
                    second = self.ask(messages)
            answer = chunks.answer
        self.spent -= coming
        text = chunks.reply.text
        return self._seen(answer.usage, text, at, messages, likely=coming), second or Seen()

    def _request(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], reply: int
    ) -> dict[str, Any]:
        if self.spent + self._likely(messages, tools, reply) > self.budget:
            raise Spent
        request = {"model": self.model, "messages": list(messages), self.reply: reply}
        if tools:
            request["tools"] = list(tools)
        return {**request, **self.options}

    def _likely(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], reply: int
    ) -> float:
        """The most tokens that a request and its reply may have."""
        words = len(f"{messages} {tools or ''}".split())
        return 1.1 * words * self._per_word + self._frame + 20 * len(messages) + reply

    def _seen(
        self,
        usage: Usage | None,
        text: str,
        at: float,
        messages: Sequence[Mapping[str, Any]],
        *,
        likely: float,
    ) -> Seen:
        usage = usage or Usage()
        self.requests += 1
        self.usages.append(usage)
        self.reported = self.reported or usage.cache_read_tokens is not None
        seen = Seen(
            usage.input_tokens or 0,
            usage.cache_read_tokens or 0,
            usage.cache_write_tokens or 0,
            usage.output_tokens or 0,
            text,
            at,
        )
        # Where nothing was reported, or less than a token a word, what it may have been counts.
        said = sum(len(text_of(message).split()) for message in messages)
        believed = seen.tokens >= said and seen.output >= len(text.split())
        self.spent += seen.tokens + seen.output if believed else ceil(likely)
        return seen
