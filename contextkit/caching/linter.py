"""The linter: what in a prompt or a request keeps a provider's prompt cache from hitting.

A provider reads tools, then the system message, then the history, and reads from its cache what it
has seen up to the first byte that differs. So what changes by itself must stand at the end. From
one render the linter reports what was rendered for this moment or this caller; from several, what
differs. The measured cases behind the rules: one line with the time in the system prompt, 91 % to
0 % hits; one ISO timestamp, 92.8 % to 17.2 %; unsorted tools, 9-17 % until sorted; memories in the
system prompt, up to ten times the price (reports of 2025 and 2026).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from contextkit.caching.histories import Conversations
from contextkit.caching.identifiers import Lines, generated_ids
from contextkit.caching.insertions import insertions, placeholders
from contextkit.caching.moments import present_moments
from contextkit.caching.prefix import PrefixStabilizer, printable
from contextkit.caching.renders import (
    Change,
    Render,
    changed_system,
    changed_tools,
)
from contextkit.errors import InputError
from contextkit.rendering import MARKERS

__all__ = ["RULES", "Finding", "lint"]

_TAIL = "Put it behind the newest user message: contextkit.Volatile does."
_CANONICAL = (
    "Send tools in one form and order: contextkit.caching.tools.canonical_tools, or a builder."
)

RULES = {
    "time-in-prefix": (
        "the present date or time: with it everything behind it changes, and is read anew",
        _TAIL,
    ),
    "id-in-prefix": (
        "an id made for this request, session or user: no other one shares the cache behind it",
        "Leave it out, or put it behind the newest user message.",
    ),
    "placeholder-in-prefix": (
        "a placeholder for a value that changes: once filled in, all behind it is read anew",
        _TAIL,
    ),
    "summary-in-prefix": (
        "a summary in the system prompt: each new one changes the prefix of the whole history",
        "Keep it in the history, in place of what it covers: contextkit.SummarizeOldest does.",
    ),
    "passages-in-prefix": (
        "retrieved text in the system prompt: with each question the whole history is read anew",
        "Put passages into the user message that asked for them: contextkit.Retrieve does.",
    ),
    "system-changed": (
        "",
        (
            "Render it once for a conversation; what changes goes behind the newest user message: "
            "contextkit.Volatile does."
        ),
    ),
    "tools-reordered": ("", _CANONICAL),
    "properties-reordered": ("", _CANONICAL),
    "tool-changed": (
        "",
        "Render tools once for a conversation; keep values that change out of them.",
    ),
    "tool-added": (
        "",
        "Send every tool from the first request on, and say which may be called with tool_choice.",
    ),
    "tool-removed": ("", "Keep sending it, and say which may be called with tool_choice."),
    "history-changed": ("", "Send messages with the bytes that they were first sent with."),
    "slides-every-turn": (
        "",
        "Cut seldom and deep instead of a little every turn: contextkit.ContextBuilder does.",
    ),
}
"""Why each rule matters, where that is always the same, and what to do."""

_LONGEST = 60  # characters of a finding's text

_VALUE_KEYS = frozenset({"examples", "example"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that breaks a prompt cache, or will.

    Attributes:
        rule: its name, a key of `RULES`.
        place: `system, line 3, character 17`, `tools[2] search.description`, `messages[4] (user)`.
        text: what stands there, escaped for terminals; of a difference, both texts.
        why: why it matters.
        advice: what to do.
        render: in which of the renders, counted from 0.
    """

    rule: str
    place: str
    text: str
    why: str
    advice: str
    render: int = 0

    def __str__(self) -> str:
        return f"{self.place}: {self.text} ({self.rule}): {self.why}. {self.advice}"

    def to_json(self) -> dict[str, Any]:
        """As JSON data."""
        return asdict(self)


def lint(*renders: object, clock: datetime | None = None) -> tuple[Finding, ...]:
    """What in one prompt keeps a prompt cache from hitting.

    Each render is a system prompt (a string), a list of messages, a list of tools, a request (a
    dict with `messages`, perhaps with `tools` and `system`) or a `PrefixStabilizer`. Several are
    renders of the same thing, in the order in which they were made: what differs between one and
    the next in system prompt and tools is a finding; histories are compared where they belong to
    the same conversation. The last prompt and the last tools are also looked at by themselves.

    One render does not prove that something changes: dates are taken for the present one by what
    stands before them and by `clock`, the time of rendering, now if not given. What is rendered
    differently every time is found for certain in two renders.

    Raises:
        InputError: a render is none of these, or holds what is not JSON.
    """
    clock = clock or datetime.now(UTC)
    if clock.tzinfo is None:
        clock = clock.replace(tzinfo=UTC)
    read = [as_render(given, f"renders[{number}]") for number, given in enumerate(renders)]
    changes: list[tuple[int, Change]] = []
    conversations = Conversations()
    prompt = tools = None  # the newest render that has one
    for number, render in enumerate(read):
        if render.tools is not None:
            if tools is not None and _comparable(read[tools], render):
                changes += ((number, change) for change in changed_tools(read[tools], render))
            tools = number
        if render.messages is not None:
            if prompt is not None:
                changes += ((number, change) for change in changed_system(read[prompt], render))
            prompt = number
            conversations.add(render, number)
    changes += conversations.changes()
    found = list(_differences(changes))
    known = {_line(finding) for finding in found}
    alone: list[Finding] = []
    if tools is not None:
        alone += _alone(_tool_texts(read[tools].tools or ()), _volatile, clock, tools)
    if prompt is not None:
        alone += _alone(read[prompt].system_texts, _in_system, clock, prompt)
    # A line that differs is reported as that, with both its texts.
    found += (finding for finding in alone if _line(finding) not in known)
    return tuple(found)


def as_render(given: object, place: str) -> Render:
    """What `lint` takes for one render, read and checked.

    Raises:
        InputError: it is none, or holds what is not JSON.
    """
    if isinstance(given, Render):
        return given
    if isinstance(given, PrefixStabilizer):
        system = [] if given.system is None else [{"role": "system", "content": given.system}]
        return Render(system, given.tools)
    if isinstance(given, str):
        return Render([{"role": "system", "content": given}], None)
    for within in ("body", "request"):  # of a batch file, of a log
        inner = given.get(within) if isinstance(given, Mapping) else None
        if isinstance(inner, Mapping) and "messages" in inner:
            return as_render(inner, place)
    if isinstance(given, Mapping) and ("messages" in given or "tools" in given):
        messages = given.get("messages") or ()
        if given.get("system") and isinstance(messages, list | tuple):  # as Anthropic has it
            messages = [{"role": "system", "content": given["system"]}, *messages]
        render = Render(messages, given.get("tools") or ())
    elif isinstance(given, list | tuple) and given and all(isinstance(i, Mapping) for i in given):
        if any("messages" in item for item in given):
            raise InputError(
                "is a list of requests: give each as a render of its own, lint(*requests)",
                place=place,
            )
        talk = all("role" in item for item in given)
        render = Render(given, None) if talk else Render(None, given)
    else:
        raise InputError(
            "is neither a prompt nor a request: give a string, a list of messages, a list of "
            "tools, or a dict with `messages` and perhaps `tools`",
            place=place,
        )
    try:
        _ = render.tool_blocks, render.message_blocks
    except InputError as error:
        raise InputError(str(error), place=place) from error
    return render


def _differences(changes: Iterable[tuple[int, Change]]) -> Iterator[Finding]:
    """A finding for each difference, once; what came again is counted."""
    first: dict[tuple[str, str], tuple[int, Change]] = {}
    times: dict[tuple[str, str], int] = {}
    for number, change in changes:
        key = change.rule, change.key
        first.setdefault(key, (number, change))
        times[key] = times.get(key, 0) + 1
    for key, (number, change) in first.items():
        rule = "history-changed" if change.rule == "history-cut" else change.rule
        again = f", {times[key]} times" if times[key] > 1 else ""
        advice = RULES[rule][1]
        yield Finding(rule, change.place, change.text, change.cause + again, advice, number)


def _alone(
    texts: Iterable[tuple[str, str]],
    rules: Callable[[Lines, datetime], Iterator[tuple[str, int, int]]],
    clock: datetime,
    number: int,
) -> Iterator[Finding]:
    """What the texts of one render show by themselves."""
    for place, text in texts:
        lines = Lines(text)
        seen = set()
        for rule, start, end in rules(lines, clock):
            shown = printable(text[start : min(end, start + _LONGEST)])
            if (rule, shown) not in seen:  # the same again is said once
                seen.add((rule, shown))
                where = _where(place, lines, start)
                why, advice = RULES[rule]
                shown = f"'{shown}{'…' if end - start > _LONGEST else ''}'"
                yield Finding(rule, where, shown, why, advice, number)


def _comparable(earlier: Render, later: Render) -> bool:
    """Whether their tools can be: a request that has none says nothing of a list of tools."""
    bare = earlier.messages is None or later.messages is None
    return not bare or bool(earlier.tools and later.tools)


def _line(finding: Finding) -> str:
    return finding.place.rpartition(", character")[0]


def _where(place: str, lines: Lines, position: int) -> str:
    line, character = lines.place(position)
    return f"{place}, line {line}, character {character}"


def _in_system(lines: Lines, clock: datetime) -> Iterator[tuple[str, int, int]]:
    yield from _volatile(lines, clock)
    for kind, start, end in insertions(lines.text):
        yield f"{kind}-in-prefix", start, end


def _volatile(lines: Lines, clock: datetime) -> Iterator[tuple[str, int, int]]:
    """Values that change by themselves: rule, start and end."""
    text = lines.text
    for moment in present_moments(text, clock):
        line, _ = lines.place(moment.start)
        if moment.said or moment.exact or not lines.in_example[line - 1]:
            yield "time-in-prefix", moment.start, moment.end
    for start, end in generated_ids(lines, clock):
        yield "id-in-prefix", start, end
    for start, end in placeholders(text):
        yield "placeholder-in-prefix", start, end


def _tool_texts(tools: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Every text in the tools, with its place, but for what a schema gives as examples."""
    for number, tool in enumerate(tools):
        inner = tool.get("function") or tool.get("custom") or tool
        name = inner.get("name") if isinstance(inner, Mapping) else None
        left: list[tuple[str, Any]] = [(f"tools[{number}] {printable(str(name))}", inner)]
        while left:
            place, value = left.pop()
            if isinstance(value, str):
                yield place, value
            elif isinstance(value, int) and value > 10**9:
                yield place, str(value)  # perhaps an epoch
            elif isinstance(value, Mapping):
                left += (
                    (f"{place}.{printable(str(key))}", item)
                    for key, item in reversed(list(value.items()))
                    if key not in _VALUE_KEYS and key not in MARKERS
                )
            elif isinstance(value, list | tuple):
                left += ((f"{place}[{at}]", value[at]) for at in reversed(range(len(value))))
