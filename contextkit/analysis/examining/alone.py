"""Alone: summarizers at a share of the tokens of what they summarize, without a builder.

The newest text of as many tokens stands beside them.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from traceback import extract_tb
from typing import Any

from contextkit.analysis.examining.measured import Measured, Paper, Share
from contextkit.analysis.policies import NoRequest, Setting, points_of
from contextkit.analysis.transcripts import Transcript
from contextkit.errors import SummaryRejected
from contextkit.history import History
from contextkit.messages import SYSTEM_ROLES, copy_json
from contextkit.strategies.summarization import INSTRUCTION
from contextkit.summarizing.checking import checked, text_share
from contextkit.summarizing.extractive import ExtractiveSummarizer
from contextkit.summarizing.frame import HEADING
from contextkit.summarizing.kept import said, said_by
from contextkit.summarizing.request import Summarizer, SummaryRequest, Written
from contextkit.view import fold

Messages = Sequence[Mapping[str, Any]]
Writing = Callable[["Task"], str]


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be summarized.

    Attributes:
        paper: the conversation up to its end.
        span: the messages, as they came.
        share: tokens of the text at most.
        setting: whose counter counts.
        passed: the summary that passed the check, as soon as there is one.
    """

    paper: Paper
    span: Messages
    share: int
    setting: Setting
    passed: list[str] = field(default_factory=list)

    def count(self, text: str) -> int:
        """Tokens of a text."""
        return self.setting.counter.counter.count(text)


@dataclass(frozen=True, slots=True)
class Way:
    """A way to put a text in the place of messages.

    Attributes:
        name: in tables.
        write: gives the text.
        beside: stands there to compare with.
        copied: what it gives is the messages' own text, and no summary.
    """

    name: str
    write: Writing
    beside: bool = False
    copied: bool = False


def ways(summarizer: Summarizer | None) -> list[Way]:
    """What is compared: a summarizer with the check behind it and alone, and the newest text."""
    if summarizer is None:
        summarizer = ExtractiveSummarizer()
        name = "extractive"
    else:
        name = getattr(summarizer, "__name__", "") or type(summarizer).__name__
    return [
        Way(name, lambda task: _checked(task, summarizer)),
        Way(f"{name}, its block alone", _block, beside=True),
        Way(f"{name}, text alone", lambda task: _text(task, summarizer, task.share), beside=True),
        Way("newest", _newest, beside=True, copied=True),
        Way("all", _everything, beside=True, copied=True),
    ]


def task_of(transcript: Transcript, setting: Setting, share: float) -> Task | None:
    """The finished part of a conversation; None where there is none.

    It is what a strategy may cover before the last reply. Of a conversation with questions it is
    all of it: they are asked behind its end.
    """
    messages = transcript.messages
    if transcript.questions:
        paper = Paper(transcript, len(messages))
        span = [one for one in messages if one.get("role") not in SYSTEM_ROLES]
    else:
        points = points_of(transcript)
        if not points:
            return None
        paper = Paper(transcript, points[-1])
        free = fold(History(messages[: points[-1]])).free_numbers
        span = [messages[number] for number in sorted(free)]
    tokens = setting.counter.counter.count(said(span)) if span else 0
    most = int(share * tokens)
    return Task(paper, span, most, setting) if most else None


def written(way: Way, task: Task) -> Measured:
    """What one way keeps of a conversation.

    Raises:
        Exception: whatever a summarizer raises.
    """
    refused = 0
    try:
        text = way.write(task)
    except SummaryRejected:
        text, refused = "", 1
    shown = [{"role": "user", "content": text}]
    found = task.paper.measured(task.span, shown)
    if refused:
        found.failures["summary refused"] = refused
    found.whole = Share()  # what is behind the span is in none of these texts
    found.span = Share(task.count(text), task.count(said(task.span)))
    found.sums.requests = 1
    found.sums.tokens = found.span.kept
    if not way.copied and text:
        found.texts = 1
        found.stated = task.paper.stated(text)
    return found


def _text(task: Task, summarizer: Summarizer, share: int) -> str:
    """What a summarizer writes in so many tokens."""
    head = [one for one in task.paper.messages if one.get("role") in SYSTEM_ROLES]
    told = {"role": "user", "content": INSTRUCTION}
    messages = copy_json([*head, *task.span, told])
    request = SummaryRequest(
        {"model": task.setting.profile.name, "messages": messages},
        span=task.span,
        share=max(1, share),
        count=task.count,
    )
    try:
        result = summarizer(request)
        if inspect.isawaitable(result):
            with ThreadPoolExecutor(1) as pool:  # a loop may run in this thread: a notebook's does
                result = pool.submit(asyncio.run, _awaited(result)).result()
    except SummaryRejected:
        raise
    except Exception as error:
        raise NoRequest(f"raised {_where(error)}", place="summarizer") from error
    text: Any = result.text if isinstance(result, Written) else result
    if not isinstance(text, str):
        raise NoRequest(f"gave no text but {type(text).__name__}", place="summarizer")
    return text


def _where(error: Exception) -> str:
    """Of what kind an error is, and where it was raised; its text may be of the conversation."""
    kind = type(error).__name__
    frames = extract_tb(error.__traceback__)
    return f"{kind} in {Path(frames[-1].filename).name}, line {frames[-1].lineno}"


async def _awaited(result: Any) -> Any:
    return await result


def _checked(task: Task, summarizer: Summarizer) -> str:
    """The same with what it lost, as a build has it."""
    text = _text(task, summarizer, text_share(task.span, task.share, task.count))
    whole = checked(text, task.span, share=task.share, count=task.count, known=task.paper.messages)
    task.passed.append(whole.text)
    return whole.text


def _block(task: Task) -> str:
    """What the check added to the summary; empty where nothing was lost."""
    text = task.passed[0] if task.passed else ""  # of the way before: it is not asked twice
    return text.rpartition(f"\n\n{HEADING}\n")[2] if HEADING in text else ""


def _newest(task: Task) -> str:
    """The end of the text, whole messages as far as they fit, and the end of the one before."""
    held: list[str] = []
    left = task.share
    for message in reversed(task.span):
        text = said_by(message)
        tokens = task.count(f"{text}\n\n")
        if tokens > left:
            held.append(_end(text, left, task.count))
            break
        held.append(text)
        left -= tokens
    return "\n\n".join(filter(None, reversed(held)))


def _end(text: str, most: int, count: Callable[[str], int]) -> str:
    """The longest end of a text, from a space on, within so many tokens."""
    low, high = 0, len(text)  # the end from `high` on fits
    while low < high:
        middle = (low + high) // 2
        if count(text[middle:]) <= most:
            high = middle
        else:
            low = middle + 1
    end = text[high:]
    if not high or text[high - 1].isspace():
        return end
    return end.partition(" ")[2]


def _everything(task: Task) -> str:
    return said(task.span)
