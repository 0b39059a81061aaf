"""The process that a library runs in: jobs come as lines of JSON, and answers go back as lines.

Run by `process`, with the interpreter of the library's environment.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, TextIO

from benchmarks.build_time import conversation
from benchmarks.peers.conversing import converse
from benchmarks.peers.libraries import Peer, peer
from benchmarks.peers.library import Library, Message, Setting, request_counter
from contextkit.errors import BudgetExceeded

Answer = dict[str, Any]


def setting_of(job: dict[str, Any], *, remember: bool) -> Setting:
    """What the job asks the library for."""
    return Setting(
        model=job["model"],
        limit=job["limit"],
        window=job["window"],
        system=job.get("system"),
        tools=job.get("tools") or [],
        counter=_counter(job["model"], remember=remember),
        summary=job.get("summary", 200),
        target=job.get("target"),
        cache=job.get("cache"),
    )


_COUNTERS: dict[tuple[str, bool], Any] = {}


def _counter(model: str, *, remember: bool) -> Any:
    if (model, remember) not in _COUNTERS:
        _COUNTERS[model, remember] = request_counter(model, remember=remember)
    return _COUNTERS[model, remember]


async def requests(chosen: Peer, job: dict[str, Any]) -> Answer:
    """The requests of a conversation: each behind as many messages as `points` says.

    A message that stands in the conversation goes back as its number.
    """
    messages = job["messages"]
    setting = setting_of(job, remember=True)
    library = chosen.library(setting)
    names = Names(messages, setting.system)
    found: list[Answer] = []
    failed = ""  # a library that could not take a message has not got it
    taken = 0
    for point in job["points"]:
        for message in messages[taken:point]:
            try:
                await library.append(library.take(message))
            except Exception as error:  # noqa: BLE001 - whatever a library raises is a figure
                failed = _said(error)
        taken = point
        setting.calls.clear()
        found.append({"error": failed} if failed else await _request(library, names))
        found[-1]["calls"] = [[names.of(asked), text] for asked, text in setting.calls]
    return {"requests": found}


async def _request(library: Library, names: Names) -> Answer:
    try:
        return {"messages": names.of(library.give(await library.build()))}
    except BudgetExceeded as error:
        return {"exceeded": error.needed}
    except Exception as error:  # noqa: BLE001 - whatever a library raises is a figure
        return {"error": _said(error)}


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]


class Names:
    """Gives messages of a conversation their numbers; the system message is -1."""

    def __init__(self, messages: list[Message], system: Message | None) -> None:
        self.numbers: dict[str, list[int]] = {}
        if system:
            self.numbers[bare(system)] = [-1]
        for number, message in enumerate(messages):
            self.numbers.setdefault(bare(message), []).append(number)

    def of(self, built: list[Message]) -> list[int | Message]:
        """Numbers in rising order, as far as they go; a message that is none of them as it is."""
        found: list[int | Message] = []
        last = -2
        for message in built:
            numbers = self.numbers.get(bare(message))
            if numbers is None:
                found.append(message)
                continue
            number = next((one for one in numbers if one > last), numbers[-1])
            found.append(number)
            last = number
        return found


def bare(message: Message) -> str:
    """A message as a provider sees it: what is empty plays no part."""
    said = {key: value for key, value in message.items() if value not in (None, "", [])}
    return json.dumps(said, sort_keys=True, ensure_ascii=False)


async def turns(chosen: Peer, job: dict[str, Any]) -> list[float]:
    """CPU milliseconds of each turn behind a long history, told as they come.

    A turn appends the reply and the next user message, and builds; the first build, of all that
    came before, is not among them.
    """
    setting = setting_of(job, remember=False)
    library = chosen.library(setting)
    taken = [library.take(message) for message in conversation(job["length"], job["seed"])[1:]]
    pairs = list(_pairs(library, job))
    for own in taken:
        await library.append(own)
    _tell({"filled": True})
    await library.build()
    _tell({"built": True})
    gc.collect()
    spent: list[float] = []
    ends = time.process_time() + job["seconds"]
    for reply, question in pairs:
        begun = time.process_time_ns()
        await library.append(reply)
        await library.append(question)
        await library.build()
        spent.append((time.process_time_ns() - begun) / 1e6)
        if time.process_time() > ends and len(spent) >= 3:
            break
        if len(spent) < 4:
            _tell({"turn": len(spent)})
    return spent


def _pairs(library: Library, job: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    more = conversation(2 * job["turns"] + 1, job["seed"] + 1)[1:]
    roles = {message["role"]: [] for message in more}
    for message in more:
        roles[message["role"]].append(message)
    for reply, question in zip(roles["assistant"], roles["user"], strict=True):
        yield library.take(reply), library.take(question)


async def answer(chosen: Peer, job: dict[str, Any]) -> Answer:
    """Do a job."""
    match job["do"]:
        case "requests":
            return await requests(chosen, job)
        case "turns":
            return {"milliseconds": await turns(chosen, job)}
        case "converse":
            return await converse(chosen, job, setting_of(job, remember=True))
        case "version":
            return {"version": version(chosen.package) if chosen.package else ""}
    raise ValueError(job["do"])


_answers: TextIO


def _tell(told: Answer) -> None:
    _answers.write(json.dumps(told) + "\n")
    _answers.flush()


async def main(name: str) -> None:
    """Do the jobs that come in."""
    chosen = peer(name)
    for line in sys.stdin:
        try:
            done = await answer(chosen, json.loads(line))
        except Exception as error:  # noqa: BLE001 - the parent says which job it was
            done = {"failed": _said(error)}
        _tell({"done": done})


if __name__ == "__main__":
    # What libraries print goes to stderr; stdout is for answers alone.
    _answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    asyncio.run(main(sys.argv[1]))
