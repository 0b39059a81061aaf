"""Conversations to measure on: those of a data folder, or a sample written for the purpose.

The folder (`--data`, or the environment variable CONTEXTKIT_DATA) may hold `tau_airline_dev.jsonl`,
`swe_agent_dev.jsonl` and `locomo_dev.json`: agent trajectories as lines of `{id, messages}`, and
long dialogues as a list of `{turns}`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contextkit.profiles import profile_for
from contextkit.tokens import counter_for

Messages = list[dict[str, Any]]

WORDS = (
    "order", "refund", "invoice", "please", "tomorrow", "train", "window", "because", "almost",
    "nothing", "green", "quiet", "table", "river", "Tuesday", "letter", "seven", "cheap", "ticket",
    "north", "again", "market", "bread", "winter", "people", "small", "answer",
)  # fmt: skip


@dataclass(frozen=True)
class Workload:
    """Sessions of one kind, and the tools that they were held with."""

    name: str
    sessions: list[Messages]
    tools: list[dict[str, Any]] = field(default_factory=list)


def trajectories(folder: Path, name: str) -> list[Messages]:
    """Agent trajectories of a file, as lists of messages; none where the file is not there."""
    path = folder / name
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [[_plain(message) for message in json.loads(line)["messages"]] for line in lines]


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    """A message without what is empty, and with the id of its call under the usual name."""
    kept = {key: value for key, value in message.items() if value not in (None, [])}
    if ids := kept.pop("tool_call_ids", None):
        kept["tool_call_id"] = ids[0]
    return {**kept, "content": message.get("content") or ""}


def dialogues(folder: Path) -> list[Messages]:
    """Long dialogues of two people: the first to speak is the user; each speaks in one message."""
    path = folder / "locomo_dev.json"
    if not path.exists():
        return []
    found = []
    for dialogue in json.loads(path.read_text(encoding="utf-8")):
        messages: Messages = []
        speaking = None
        for turn in dialogue["turns"]:
            if turn["speaker"] == speaking:
                messages[-1]["content"] += "\n" + turn["text"]
                continue
            speaking = turn["speaker"]
            role = "assistant" if len(messages) % 2 else "user"
            messages.append({"role": role, "content": turn["text"]})
        found.append(messages)
    return found


def joined(conversations: Sequence[Messages]) -> Messages:
    """Several conversations as one session under the system prompt of the first."""
    session: Messages = []
    for number, messages in enumerate(conversations):
        for message in messages:
            if message["role"] == "system" and session:
                continue
            own = dict(message)
            if "tool_calls" in own:
                own["tool_calls"] = [
                    {**call, "id": f"{call['id']}.{number}"} for call in own["tool_calls"]
                ]
            if "tool_call_id" in own:
                own["tool_call_id"] = f"{own['tool_call_id']}.{number}"
            session.append(own)
    return session


def long_sessions(
    folder: Path | None, limit: int, *, quick: bool, seed: int = 21
) -> list[Workload]:
    """What is measured on; sessions are joined where one alone does not reach the limit."""
    if folder is None:
        size = 1 if limit <= 8_000 else 3
        count = 1 if quick else 4
        return [
            Workload("written agent", [written_agent(90 * size, seed + n) for n in range(count)]),
            Workload(
                "written dialogue", [written_dialogue(120 * size, seed + n) for n in range(count)]
            ),
        ]
    found = []
    tools = folder / "tau_airline_tools.json"
    if tau := trajectories(folder, "tau_airline_dev.jsonl"):
        sessions = [joined(tau[n : n + 20]) for n in range(0, len(tau), 20)]
        found.append(Workload("tau, 20 joined", sessions))
        if tools.exists():
            schemas = json.loads(tools.read_text(encoding="utf-8"))
            found.append(Workload("tau, 20 joined, tools", sessions, schemas))
    if talks := dialogues(folder):
        whole = limit <= 8_000
        name = "dialogues" if whole else f"dialogues, {len(talks)} joined"
        found.append(Workload(name, talks if whole else [joined(talks)]))
    return found


def reaching(workload: Workload, limit: int) -> dict[str, int]:
    """How many sessions there are, and how many have a request that would outgrow a limit.

    Where none does, nothing is ever cut at the limit, and a benchmark says nothing of it.
    """
    counter = counter_for(profile_for("qwen-plus"))
    around = counter.fixed(workload.tools)
    lengths = [around + sum(map(counter.message, messages)) for messages in workload.sessions]
    return {"sessions": len(lengths), "reaching": sum(length > limit for length in lengths)}


def outgrown(found: Sequence[dict[str, Any]]) -> str:
    """What is to be said of sessions that never reach a limit; nothing where all do.

    Args:
        found: for each workload and limit, their names and what `reaching` gives.
    """
    said = [
        f"{one['workload']} at {one['limit']:,}: {one['sessions'] - one['reaching']} of "
        f"{one['sessions']} sessions never outgrow the limit"
        for one in found
        if one["reaching"] < one["sessions"]
    ]
    return f" Vacuous there: {'; '.join(said)}." if said else ""


def written_dialogue(turns: int, seed: int) -> Messages:
    """A chat of short messages, drawn from a seed."""
    draw = random.Random(seed)
    messages: Messages = [{"role": "system", "content": "You answer questions about orders."}]
    for _ in range(turns):
        messages += [_said(draw, "user", 8, 60), _said(draw, "assistant", 20, 120)]
    return messages


def written_agent(turns: int, seed: int) -> Messages:
    """Tasks of an agent: a request, steps with results of very different sizes, an answer."""
    draw = random.Random(seed)
    messages: Messages = [{"role": "system", "content": "You help with orders. " * 100}]
    for turn in range(turns):
        messages.append(_said(draw, "user", 8, 60))
        for step in range(draw.randrange(4)):
            identifier = f"c{turn}.{step}"
            call = {"name": "look_up", "arguments": json.dumps({"order": draw.randrange(10**6)})}
            messages += [
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [{"id": identifier, "type": "function", "function": call}],
                },
                {
                    "role": "tool",
                    "tool_call_id": identifier,
                    "content": _text(draw, int(draw.lognormvariate(4.5, 1.2)) + 3),
                },
            ]
        messages.append(_said(draw, "assistant", 10, 80))
    return messages


def written_loop(steps: int, seed: int) -> Messages:
    """One task of an agent, and very many steps towards it."""
    draw = random.Random(seed)
    messages: Messages = [{"role": "system", "content": "You mend programs. " * 60}]
    messages.append({"role": "user", "content": "The task: " + _text(draw, 60)})
    for step in range(steps):
        call = {"name": "run", "arguments": json.dumps({"line": draw.randrange(10**6)})}
        messages += [
            {
                "role": "assistant",
                "content": _text(draw, draw.randint(5, 40)),
                "tool_calls": [{"id": f"c{step}", "type": "function", "function": call}],
            },
            {
                "role": "tool",
                "tool_call_id": f"c{step}",
                "content": _text(draw, int(draw.lognormvariate(4.2, 1.0)) + 3),
            },
        ]
    return messages


def _said(draw: random.Random, role: str, least: int, most: int) -> dict[str, Any]:
    return {"role": role, "content": _text(draw, draw.randint(least, most))}


def _text(draw: random.Random, words: int) -> str:
    return " ".join(draw.choice(WORDS) for _ in range(words))
