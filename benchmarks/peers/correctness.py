"""What is wrong with the requests of each library, over families of conversations and limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import contextkit as ck
from benchmarks.peers.cases import families
from benchmarks.peers.costs import leading, window
from benchmarks.peers.library import Message, Remembering
from benchmarks.peers.process import Failed, Process, TookTooLong
from contextkit.analysis.policies import Setting
from contextkit.analysis.transcripts import Transcript
from contextkit.tokens import RequestCounter, counter_for

MODEL = "gpt-5"
SHARES = (0.12, 0.2, 0.35, 0.5, 0.75)
"""Limits, by what the whole conversation takes."""
PATIENCE = 120.0

FAULTS = ("over", "orphan result", "orphan call", "no system", "no user", "raised")
"""What a request that could be right may have wrong."""


@dataclass(frozen=True)
class Case:
    """One conversation under one limit."""

    family: str
    transcript: Transcript
    limit: int


def cases(counter: RequestCounter, *, seeds: int = 3) -> list[Case]:
    """All of them."""
    found = []
    for number, (family, messages, tools) in enumerate(families(seeds)):
        fixed = counter.fixed(tools)
        whole = sum(map(counter.message, messages))
        transcript = Transcript(f"{family} {number}", messages, tools)
        found += [Case(family, transcript, fixed + round(share * whole)) for share in SHARES]
    return found


def points(messages: Sequence[Message]) -> list[int]:
    """How many messages there are at each request: before an answer, and at the end."""
    ends = [
        number
        for number, message in enumerate([*messages, {"role": "assistant"}])
        if message["role"] == "assistant"
    ]
    return [end for end in ends if end and messages[end - 1]["role"] != "assistant"]


def must_stay(messages: Sequence[Message], end: int) -> set[int]:
    """What no request may lack: system messages, the newest user message, the newest step."""
    said = range(end)
    kept = {n for n in said if messages[n]["role"] in ("system", "developer")}
    users = [n for n in said if messages[n]["role"] == "user"]
    kept |= set(users[-1:])
    step = end
    while step and messages[step - 1]["role"] == "tool":
        step -= 1
    if step < end:
        kept |= set(range(step - 1, end))
    return kept


def judged(
    messages: Sequence[Message],
    end: int,
    answer: dict[str, Any],
    case: Case,
    counter: RequestCounter,
) -> Counter[str]:
    """What is to be said of one request.

    `impossible` where what must stay is larger than the limit: then it is right to raise before
    anything is sent, and wrong to send something else silently.
    """
    found: Counter[str] = Counter()
    fixed = counter.fixed(case.transcript.tools)
    needed = fixed + sum(counter.message(messages[n]) for n in must_stay(messages, end))
    sent = _sent(messages, answer)
    if needed > case.limit:
        found["impossible"] = 1
        found["impossible, refused"] = int("exceeded" in answer)
        found["impossible, sent"] = int(sent is not None)
        found["impossible, raised otherwise"] = int("error" in answer)
        return found
    found["possible"] = 1
    if sent is None:
        found["raised"] = 1
        return found
    tokens = fixed + sum(map(counter.message, sent))
    if tokens > case.limit:
        found["over"] = 1
        found["over by"] = tokens - case.limit
    results, calls = orphans(sent)
    found["orphan result"], found["orphan call"] = int(results > 0), int(calls > 0)
    system, _ = leading(messages)
    texts = {(message["role"], str(message.get("content"))) for message in sent}
    if system and ("system", system["content"]) not in texts:
        # Two system messages may have been made one.
        found["no system"] = int(not _stands_in(system, sent))
    users = [message for message in messages[:end] if message["role"] == "user"]
    if users and ("user", users[-1]["content"]) not in texts:
        found["no user"] = 1
    notes = [one for one in messages[1:end] if one["role"] == "system"]
    found["note lost"] = int(any(not _stands_in(note, sent) for note in notes))
    found["altered"] = int(_altered(answer))
    found["wrong"] = int(any(found[fault] for fault in FAULTS))
    return found


def _stands_in(system: Message, sent: Iterable[Message]) -> bool:
    return any(
        message["role"] in ("system", "developer")
        and system["content"] in str(message.get("content"))
        for message in sent
    )


def _sent(messages: Sequence[Message], answer: dict[str, Any]) -> list[Message] | None:
    if "messages" not in answer:
        return None
    system, rest = leading(messages)
    return [
        one if isinstance(one, dict) else (system if one < 0 and system else rest[one])
        for one in answer["messages"]
    ]


def _altered(answer: dict[str, Any]) -> bool:
    """Whether something stands in it that nobody said; summaries (of users) left out."""
    return any(
        isinstance(one, dict) and (one["role"] != "user" or not answer.get("summarizes"))
        for one in answer["messages"]
    )


def orphans(messages: Iterable[Message]) -> tuple[int, int]:
    """Results without a call right before them, and calls without a result right behind them."""
    waiting: set[str] = set()
    results = calls = 0
    for message in messages:
        if message["role"] == "tool":
            identifier = message.get("tool_call_id", "")
            results += identifier not in waiting
            waiting.discard(identifier)
            continue
        calls += len(waiting)
        waiting = {one["id"] for one in message.get("tool_calls") or ()}
    return results, calls + len(waiting)


def measure(
    processes: Sequence[Process],
    *,
    seeds: int = 3,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Counts for each library: over all, and by family."""
    profile = ck.profile_for(MODEL)
    counter = counter_for(profile, Remembering(MODEL))
    asked = cases(counter, seeds=seeds)
    rows = []
    for process in processes:
        say(f"correctness: {process.peer.name}")
        row: dict[str, Any] = {"name": process.peer.name}
        total: Counter[str] = Counter()
        largest = 0
        families_: dict[str, Counter[str]] = {}
        raised: Counter[str] = Counter()
        for case in asked:
            try:
                answers = _answers(process, case, counter)
            except (Failed, TookTooLong) as error:
                raised[str(error)[:120]] += 1
                continue
            messages = case.transcript.messages
            for end, answer in zip(points(messages), answers, strict=True):
                answer["summarizes"] = process.peer.cuts == "summarizes"
                found = judged(messages, end, answer, case, counter)
                largest = max(largest, found.pop("over by", 0))
                total += found
                families_.setdefault(case.family, Counter()).update(found)
                if "error" in answer:
                    raised[answer["error"].partition(":")[0]] += 1
        row |= {"counts": dict(total), "largest overrun": largest, "errors": dict(raised)}
        row["families"] = {name: dict(found) for name, found in families_.items()}
        rows.append(row)
    return {"cases": len(asked), "model": MODEL, "rows": rows}


def _answers(process: Process, case: Case, counter: RequestCounter) -> list[dict[str, Any]]:
    system, rest = leading(case.transcript.messages)
    setting = Setting(counter.profile, "", counter, case.limit, case.limit // 2)
    job = {
        "do": "requests",
        "model": MODEL,
        "limit": case.limit,
        "window": window(case.transcript, setting),
        "system": system,
        "messages": rest,
        "points": [end - (system is not None) for end in points(case.transcript.messages)],
        "tools": case.transcript.tools,
        # A summary that alone would be over the limit is nobody's fault.
        "summary": min(200, max(20, case.limit // 10)),
    }
    found: list[dict[str, Any]] = process.ask(job, PATIENCE)["requests"]
    return found
