"""Generated logs: agents that talk to many users, with breakers planted; usage by the simulator."""

from __future__ import annotations

import copy
import json
import random
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from contextkit.analysis.recorded import Recorded
from contextkit.caching.blocks import Block, Sent, blocks_of
from contextkit.caching.consecutive import rules_in_use, tolerant
from contextkit.caching.simulator import Simulator
from contextkit.profiles import profile_for
from contextkit.tokens import counter_for
from contextkit.usage import Usage
from tests.support import Characters, answer, system, tool, user

Request = dict[str, Any]

WORDS = """the parcel that was sent by the shop on a day of rain and came back from the house where
nobody opened while the dog of a neighbour said more than the note which the driver had left for us
naïve café lists of rows with numbers a price for every town and no answer before noon
""".split()  # noqa: SIM905 - read as words
NAMES = ("Ann", "Bo", "Cem", "Dora", "Eve", "Finn", "Gus", "Hana", "Ida", "Jon", "Kim", "Lea")


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
    """

    number: int
    turns: int = 6
    app: int = 1
    model: str = "qwen-plus"
    change: Callable[[Request, int, Talk], Any] = lambda request, n, talk: None
    gap: float = 30.0
    start: float = 0.0
    system: str | None = None
    steps: int = 1
    tools: bool = True
    fan: int = 0
    named: bool = True
    keep: dict[str, Any] = field(default_factory=dict)

    def requests(self) -> Iterable[tuple[float, float, Request]]:
        """Time, seconds that it took, and the request."""
        draw = random.Random(f"talk {self.number}")
        first = rules(self.app) if self.system is None else self.system
        held: list[dict[str, Any]] = [system(first)]
        at, n = self.start, 0
        for turn in range(self.turns):
            held.append(user(f"Question {turn} of {self.number}: {text(draw, 300)}"))
            for step in range(self.steps + 1):
                if step:
                    mark = f"call_{self.number}_{turn}_{step}"
                    arguments = json.dumps({"day": "today", "city": draw.choice(WORDS)})
                    function = {"name": "look", "arguments": arguments}
                    made = [{"id": mark, "type": "function", "function": function}]
                    held.append({"role": "assistant", "content": None, "tool_calls": made})
                    body = f"Rows of {mark}: {text(draw, 900)}"
                    held.append({"role": "tool", "tool_call_id": mark, "content": body})
                request: Request = {"model": self.model, "messages": copy.deepcopy(held)}
                if self.tools:
                    request["tools"] = tools()
                took = 2.0 + draw.random()
                changed = self.change(request, n, self)
                for copied in changed if isinstance(changed, list) else [request]:
                    yield at, took, copied
                at += self.keep.pop("gap", self.gap) * (0.8 + 0.4 * draw.random())
                n += 1
            held.append(answer(f"Answer {turn} of {self.number}: {text(draw, 300)}"))


def log(talks: Iterable[Talk], *, misses: float = 0.0, seed: int = 1) -> list[Recorded]:
    """The requests of all conversations by time, with the usage that their providers report."""
    sent = [
        (at, talk.number, number, took, request, talk)
        for talk in talks
        for number, (at, took, request) in enumerate(talk.requests())
    ]
    draw = random.Random(seed)
    simulators: dict[Any, Simulator] = {}
    made = []
    for line, (at, _, _, took, request, talk) in enumerate(sorted(sent, key=lambda one: one[:3])):
        profile = profile_for(request["model"])
        blocks = blocks_of(request, counter_for(profile, Characters()))
        found = rules_in_use(profile, blocks)
        assert found is not None
        key = request["model"], found.name
        simulator = simulators.setdefault(key, Simulator(tolerant(found)))
        asked = request.get("response_format"), request.get("reasoning_effort")
        salt = Block(str(asked), 0, "tools")
        usage = simulator.send(Sent((salt, *blocks), at=at, begun=took, ended=took))
        if misses and draw.random() < misses:
            usage = Usage(input_tokens=usage.input_tokens, cache_read_tokens=0)
        named = f"talk {talk.number}" if talk.named else None
        made.append(Recorded(f"log.jsonl:{line + 1}", request, usage, at, took, named))
    return made


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


def again(request: Request, n: int, talk: Talk) -> None:
    """No breaker: see `retried`."""


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
