"""Joining: several conversations as one long session, where one alone outgrows no limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from contextkit.analysis.problems import Problem
from contextkit.analysis.reading.questions import Question
from contextkit.analysis.transcripts import Transcript
from contextkit.messages import SYSTEM_ROLES


def joined(
    transcripts: Iterable[Transcript | Problem], count: int
) -> Iterator[Transcript | Problem]:
    """So many conversations in a row as one; problems as they come."""
    held: list[Transcript] = []
    for one in transcripts:
        if isinstance(one, Problem) or count <= 1:
            yield one
            continue
        held.append(one)
        if len(held) == count:
            yield session(held)
            held = []
    if held:
        yield session(held)


def session(transcripts: list[Transcript]) -> Transcript:
    """Conversations as one, under the system prompt of the first and with the tools of all.

    Ids of tool calls get the number of their conversation. Times are kept where all have them and
    they never run backwards.
    """
    messages: list[dict[str, Any]] = []
    tools: dict[str, dict[str, Any]] = {}
    times: list[float] = []
    questions: list[Question] = []
    timed = all(len(one.times) == len(one.messages) for one in transcripts)
    for number, one in enumerate(transcripts):
        for tool in one.tools:
            tools.setdefault(repr(tool.get("function", tool).get("name")), tool)
        places: dict[int, int] = {}
        for place, message in enumerate(one.messages):
            if message.get("role") in SYSTEM_ROLES and number:
                continue
            places[place] = len(messages)
            messages.append(_renamed(message, number))
            if timed:
                times.append(one.times[place])
        questions += [
            replace(asked, evidence=tuple(places[n] for n in asked.evidence if n in places))
            for asked in one.questions
        ]
    if times != sorted(times):
        times = []
    first, last = transcripts[0].source, transcripts[-1].source
    source = first if first == last else f"{first} to {last}"
    return Transcript(source, messages, list(tools.values()), tuple(times), tuple(questions))


def _renamed(message: dict[str, Any], number: int) -> dict[str, Any]:
    own = dict(message)
    if own.get("tool_calls"):
        own["tool_calls"] = [
            {**call, "id": f"{call.get('id')}.{number}"} for call in own["tool_calls"]
        ]
    if isinstance(own.get("tool_call_id"), str):
        own["tool_call_id"] = f"{own['tool_call_id']}.{number}"
    return own
