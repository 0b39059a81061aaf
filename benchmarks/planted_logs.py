"""Generated logs: agents that talk to many users, with breakers planted; usage by the simulator.

A breaker is what an application does to a request before it is sent, so that a provider's prompt
cache cannot hit. What is reported for each request is what the provider's rules make of all that
were sent before, so that a log without a breaker shows no miss at all.
"""

# Breakers all take the same, and their names say what they do.
# ruff: noqa: ARG001, D103

from __future__ import annotations

import copy
import json
import random
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import merge
from operator import itemgetter
from typing import Any

from contextkit.analysis.recorded import Recorded
from contextkit.caching.blocks import Block, Sent, blocks_of
from contextkit.caching.consecutive import rules_in_use
from contextkit.caching.lenient import tolerant
from contextkit.caching.simulator import Simulator
from contextkit.profiles import profile_for
from contextkit.tokens import TokenCounter, counter_for
from contextkit.usage import Usage

Request = dict[str, Any]

WORDS = """the parcel that was sent by the shop on a day of rain and came back from the house where
nobody opened while the dog of a neighbour said more than the note which the driver had left for us
naïve café lists of rows with numbers a price for every town and no answer before noon
""".split()  # noqa: SIM905 - read as words
NAMES = ("Ann", "Bo", "Cem", "Dora", "Eve", "Finn", "Gus", "Hana", "Ida", "Jon", "Kim", "Lea")


def system(content: Any) -> dict[str, Any]:
    """A system message."""
    return {"role": "system", "content": content}


def user(content: Any) -> dict[str, Any]:
    """A user message."""
    return {"role": "user", "content": content}


def answer(content: str) -> dict[str, Any]:
    """A reply."""
    return {"role": "assistant", "content": content}


def tool(name: str, **schema: Any) -> dict[str, Any]:
    """A tool."""
    parameters = {"type": "object", "properties": {}, **schema}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def text(draw: random.Random, size: int) -> str:
    """So many characters of words, about."""
    return " ".join(draw.choices(WORDS, k=max(1, size // 5)))


def rules(seed: int, size: int = 12_000) -> str:
    """A system prompt of many lines."""
    draw = random.Random(seed)
    lines = (f"{n}. {text(draw, 100)}." for n in range(size // 108))
    return "Answer by these rules.\n" + "\n".join(lines)


def tools() -> list[dict[str, Any]]:
    properties = {"day": {"type": "string"}, "city": {"type": "string"}}
    return [tool(name, properties=copy.deepcopy(properties)) for name in ("find", "look", "order")]


def clean(request: Request, n: int, talk: Talk) -> None:
    """Nothing is changed."""


@dataclass
class Talk:
    """A conversation of an application.

    Attributes:
        number: makes it unlike others.
        turns: user messages.
        app: makes the system prompt: those of one application share it.
        model: that is asked.
        change: what the application does to each request before it is sent: the breaker.
        gap: seconds between two requests.
        start: when the first is sent.
        system: the text of the system prompt.
        steps: of tools in each turn.
        tools: whether the requests have any.
        named: whether the log has an id for it.
        lively: whether requests are sent twice, replies asked for again, and questions edited.
        size: characters of a tool result.
        rules: characters of the system prompt.
        keep: what a breaker keeps of it.
    """

    number: int
    turns: int = 6
    app: int = 1
    model: str = "qwen-plus"
    change: Callable[[Request, int, Talk], Any] = clean
    gap: float = 30.0
    start: float = 0.0
    system: str | None = None
    steps: int = 1
    tools: bool = True
    named: bool = True
    lively: bool = False
    size: int = 900
    rules: int = 12_000
    keep: dict[str, Any] = field(default_factory=dict)

    def requests(self) -> Iterable[tuple[float, float, Request]]:
        """Time, seconds that it took, and the request."""
        draw = random.Random(f"talk {self.number}")
        first = rules(self.app, self.rules) if self.system is None else self.system
        held: list[dict[str, Any]] = [system(first)]
        at, n = self.start, 0
        luck = random.Random(f"luck {self.number}" if self.lively else "")
        for turn in range(self.turns):
            held.append(user(f"Question {turn} of {self.number}: {text(draw, 300)}"))
            for step in range(self.steps + 1):
                if step:
                    mark = f"call_{self.number}_{turn}_{step}"
                    arguments = json.dumps({"day": "today", "city": draw.choice(WORDS)})
                    function = {"name": "look", "arguments": arguments}
                    made = [{"id": mark, "type": "function", "function": function}]
                    held.append({"role": "assistant", "content": None, "tool_calls": made})
                    body = f"Rows of {mark}: {text(draw, self.size)}"
                    held.append({"role": "tool", "tool_call_id": mark, "content": body})
                request: Request = {"model": self.model, "messages": copy.deepcopy(held)}
                if self.tools:
                    request["tools"] = tools()
                took = 2.0 + draw.random()
                changed = self.change(request, n, self)
                for copied in changed if isinstance(changed, list) else [request]:
                    yield at, took, copied
                if self.lively and luck.random() < 0.06:  # once more: the answer did not come
                    yield at + took + 1.0, took, copy.deepcopy(request)
                if self.lively and not step and luck.random() < 0.1:  # edited, and answered first
                    other = copy.deepcopy(request)
                    other["messages"][-1]["content"] = f"Or so, {n}: {text(luck, 300)}"
                    at += self.gap
                    yield at, took, other
                at += self.keep.pop("gap", self.gap) * (0.8 + 0.4 * draw.random())
                n += 1
            held.append(answer(f"Answer {turn} of {self.number}: {text(draw, 300)}"))
            if self.lively and turn > 2 and luck.random() < 0.1:  # back to an earlier question
                starts = [place for place, one in enumerate(held) if one["role"] == "user"]
                del held[starts[-2] :]


def log(
    talks: Iterable[Talk],
    *,
    counter: TokenCounter | None = None,
    misses: float = 0.0,
    seed: int = 1,
) -> Iterator[Recorded]:
    """The requests of all conversations by time, with the usage that their providers report.

    Args:
        talks: the conversations.
        counter: of text; by default the vocabulary of each model.
        misses: the share of requests of which a provider finds nothing, though it is there.
        seed: of those.
    """
    draw = random.Random(seed)
    simulators: dict[Any, Simulator] = {}
    sizes: dict[str, int] = {}
    sent = merge(*map(_placed, talks), key=itemgetter(0, 1, 2))
    for line, (at, _, _, took, request, talk) in enumerate(sent):
        profile = profile_for(request["model"])
        counting = counter_for(profile, counter)
        tokens = []
        for message in request["messages"]:
            text = counting.name + json.dumps(message)
            if text not in sizes:
                sizes[text] = counting.message(message)
            tokens.append(sizes[text])
        if len(sizes) > 50_000:
            sizes.clear()
        blocks = blocks_of(request, counting, tokens=tokens)
        found = rules_in_use(profile, blocks)
        if found is None:
            raise ValueError(request["model"])
        simulator = simulators.setdefault(
            (request["model"], found.name), Simulator(tolerant(found), capacity=20_000_000)
        )
        # What else is a part of the prefix, for these models.
        salt = Block(str(request.get("reasoning_effort")), 0, "tools")
        usage = simulator.send(Sent((salt, *blocks), at=at, begun=took, ended=took))
        if misses and draw.random() < misses:
            usage = Usage(input_tokens=usage.input_tokens, cache_read_tokens=0)
        named = f"talk {talk.number}" if talk.named else None
        yield Recorded(f"log.jsonl:{line + 1}", request, usage, at, took, named)


def _placed(talk: Talk) -> Iterator[tuple[float, int, int, float, Request, Talk]]:
    for number, (at, took, request) in enumerate(talk.requests()):
        yield at, talk.number, number, took, request, talk


def to_json(recorded: Recorded) -> dict[str, Any]:
    """A record as an application would log it."""
    usage = recorded.usage or Usage()
    details: dict[str, Any] = {"cached_tokens": usage.cache_read_tokens}
    if usage.cache_write_tokens is not None:
        details["cache_write_tokens"] = usage.cache_write_tokens
    reported = {"prompt_tokens": usage.input_tokens, "prompt_tokens_details": details}
    return {
        "timestamp": recorded.at,
        "duration": recorded.took,
        "conversation_id": recorded.conversation,
        "request": recorded.request,
        "response": {"usage": reported},
    }


# -- breakers: what an application does to a request ------------------------------------------


def _system(request: Request, before: str = "", behind: str = "") -> None:
    first = request["messages"][0]
    first["content"] = f"{before}{first['content']}{behind}"


def clock(request: Request, n: int, talk: Talk) -> None:
    """The present time at the top of the system prompt."""
    minutes = int(talk.start // 60) + n
    _system(request, f"It is 2026-11-22 {8 + minutes // 60 % 12:02}:{minutes % 60:02}.\n")


def date(request: Request, n: int, talk: Talk) -> None:
    """The date behind the rules: the history moves with it."""
    _system(request, behind=f"\nCurrent date and time: 2026-11-22T12:{n % 60:02}:00Z")


def request_id(request: Request, n: int, talk: Talk) -> None:
    draw = random.Random(f"{talk.number} {n}")
    _system(request, f"Request {draw.getrandbits(128):032x} of the service.\n")


def session_id(request: Request, n: int, talk: Talk) -> None:
    draw = random.Random(f"{talk.number}")
    _system(request, f"Session ID: {draw.getrandbits(128):032x}\n")


def user_name(request: Request, n: int, talk: Talk) -> None:
    name = NAMES[talk.number % len(NAMES)]
    _system(request, f"You are talking to {name}, who likes {WORDS[talk.number % 40]}.\n")


def passages(request: Request, n: int, talk: Talk) -> None:
    draw = random.Random(f"{talk.number} {n}")
    found = "\n".join(f"[{k}] {text(draw, 200)}" for k in range(2 + draw.randrange(3)))
    _system(request, behind=f"\n\nRetrieved passages:\n{found}")


def summary(request: Request, n: int, talk: Talk) -> None:
    draw = random.Random(f"{talk.number} {n // 3}")
    if n >= 3:
        said = "The user wants " + text(draw, 400)
        _system(request, behind=f"\n\nSummary of the conversation so far: {said}")


def tools_order(request: Request, n: int, talk: Talk) -> None:
    random.Random(n).shuffle(request["tools"])
    if n % 2:
        request["tools"].reverse()


def tool_added(request: Request, n: int, talk: Talk) -> None:
    if n >= 4:
        request["tools"].append(tool("pay"))


def tool_removed(request: Request, n: int, talk: Talk) -> None:
    if n >= 5:
        del request["tools"][0]


def tool_changed(request: Request, n: int, talk: Talk) -> None:
    request["tools"][0]["function"]["description"] = f"Finds {['a', 'many', 'all'][n % 3]} rows."


def tool_keys(request: Request, n: int, talk: Talk) -> None:
    if n % 2:
        schema = request["tools"][0]["function"]["parameters"]
        schema["properties"] = dict(reversed(schema["properties"].items()))


def call_keys(request: Request, n: int, talk: Talk) -> None:
    for message in request["messages"]:
        for made in message.get("tool_calls", ()):
            if n % 2:
                inner = made["function"]["arguments"].strip("{}").split(", ")
                made["function"]["arguments"] = "{" + ", ".join(reversed(inner)) + "}"


def whitespace(request: Request, n: int, talk: Talk) -> None:
    if n % 2:
        for message in request["messages"][1:-1]:
            if message["role"] == "user":
                message["content"] += " "


def unicode(request: Request, n: int, talk: Talk) -> None:
    if n % 2:
        for message in request["messages"][1:-1]:
            if message["role"] == "user":
                message["content"] = unicodedata.normalize("NFD", message["content"] + " café")
    else:
        for message in request["messages"][1:-1]:
            if message["role"] == "user":
                message["content"] += " café"


def slide(request: Request, n: int, talk: Talk) -> None:
    """The newest four turns."""
    starts = [at for at, one in enumerate(request["messages"]) if one["role"] == "user"]
    if len(starts) > 4:
        del request["messages"][1 : starts[-4]]


def deep_cut(request: Request, n: int, talk: Talk) -> None:
    """At the fifth turn, and at the ninth, all but the newest two turns go."""
    starts = [at for at, one in enumerate(request["messages"]) if one["role"] == "user"]
    kept = (len(starts) - 1) // 4 * 4 - 1
    if kept > 0:
        del request["messages"][1 : starts[kept]]


def summarized(request: Request, n: int, talk: Talk) -> None:
    """No breaker: now and then, four turns at once are replaced by a summary."""
    starts = [at for at, one in enumerate(request["messages"]) if one["role"] == "user"]
    gone = (len(starts) - 3) // 4 * 4
    if gone > 0:
        said = text(random.Random(f"{gone} {talk.number}"), 600)
        request["messages"][1 : starts[gone]] = [user(f"Summary up to turn {gone}: {said}")]


def small_talk(request: Request, n: int, talk: Talk) -> None:
    """No breaker: conversations that have many short messages in common."""
    for at, one in enumerate(request["messages"]):
        if one["role"] == "user":
            one["content"] = ("yes", "ok", "go on", "Hi")[at * talk.number % 4]
        elif one.get("content") and one["role"] == "assistant":
            one["content"] = ("Done.", "Ok?", "Hello! How can I help?")[at * talk.number % 3]


def old_message(request: Request, n: int, talk: Talk) -> None:
    if n >= 5:
        request["messages"][1]["content"] = "Corrected: something else was meant, and it is said so"


def moving_block(request: Request, n: int, talk: Talk) -> None:
    places = [at for at, one in enumerate(request["messages"]) if one["role"] == "user"]
    said = f"What is known of the user by now: {text(random.Random(len(places)), 200)}"
    request["messages"].insert(places[-1], {"role": "system", "content": said})


def inserted(request: Request, n: int, talk: Talk) -> None:
    if n >= 4:
        request["messages"].insert(1, user("Notes of the team: " + text(random.Random(1), 300)))


def cleared(request: Request, n: int, talk: Talk) -> None:
    results = [one for one in request["messages"] if one["role"] == "tool"]
    for one in results[:-2]:
        one["content"] = "[cleared]"


def reasoning(request: Request, n: int, talk: Talk) -> None:
    """That of a turn is sent while it lasts, and then left out."""
    messages = request["messages"]
    last = max(at for at, one in enumerate(messages) if one["role"] == "user")
    for one in messages[last:]:
        if one["role"] == "assistant":
            one["reasoning_content"] = "I think that " + text(random.Random(talk.number), 300)


def image(request: Request, n: int, talk: Talk) -> None:
    url = f"https://example.com/cat.png?signature={n}"
    first = request["messages"][1]
    first["content"] = [
        {"type": "text", "text": first["content"]},
        {"type": "image_url", "image_url": {"url": url}},
    ]


def model(request: Request, n: int, talk: Talk) -> None:
    if n >= 5:
        request["model"] = "qwen-max"


def pause(request: Request, n: int, talk: Talk) -> None:
    marked(request, n, talk)
    if n in (3, 6, 8):
        talk.keep["gap"] = 2_000.0


def response_format(request: Request, n: int, talk: Talk) -> None:
    if n >= 5:
        schema = {"name": "x", "schema": {"type": "object"}}
        request["response_format"] = {"type": "json_schema", "json_schema": schema}


def marked(request: Request, n: int, talk: Talk) -> None:
    """Cache points as they should be: on the system prompt, and on the newest messages."""
    _mark(request, 0, -1, *(at for at in _ends(request)[-2:]))


def marked_system(request: Request, n: int, talk: Talk) -> None:
    _mark(request, 0)


def marked_wandering(request: Request, n: int, talk: Talk) -> None:
    """Now at the newest message, now at the system prompt alone."""
    _mark(request, 0, *((-1,) if n % 2 == 0 else ()))


def many_blocks(request: Request, n: int, talk: Talk) -> None:
    """Each turn brings more blocks than are searched."""
    rows = [{"type": "text", "text": f"row {n} {k} " * 20} for k in range(24)]
    for at, one in enumerate(request["messages"]):
        if one["role"] == "user":
            more = [{"type": "text", "text": f"row {at} {k} " * 20} for k in range(len(rows))]
            one["content"] = [{"type": "text", "text": one["content"]}, *more]
    _mark(request, 0, -1)


def fan_out(request: Request, n: int, talk: Talk) -> list[Request] | None:
    """Six requests at once, about one long document that none has sent before."""
    if n:
        return []
    document = text(random.Random(f"document {talk.number}"), 20_000)
    asked = []
    for k in range(6):
        one = copy.deepcopy(request)
        one["messages"][1:] = [user(document), user(f"Part {k}: what does it say?")]
        asked.append(one)
    return asked


def _ends(request: Request) -> list[int]:
    return [at for at, one in enumerate(request["messages"]) if one["role"] in ("user", "tool")]


def _mark(request: Request, *numbers: int) -> None:
    for number in numbers:
        message = request["messages"][number]
        content = message.get("content")
        if not content:
            continue
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        parts[-1] = {**parts[-1], "cache_control": {"type": "ephemeral"}}
        message["content"] = parts
