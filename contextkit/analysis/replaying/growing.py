"""Growing: transcripts that are the beginning of another one, as the requests of one conversation.

A log of requests has each with the whole list so far. Of those, only the longest is the
conversation; each of them held by itself would count its beginning again and again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from contextkit.analysis.problems import Problem
from contextkit.analysis.transcripts import Transcript
from contextkit.caching.prefix import canonical_blocks
from contextkit.messages import SYSTEM_ROLES

WAITING = 1_000
"""Conversations of a stream that wait for a longer one."""

_KEPT = ("role", "content", "tool_calls", "function_call", "tool_call_id", "name")


@dataclass(slots=True)
class Taken:
    """What was found to be of one conversation.

    Attributes:
        beginnings: transcripts that are the beginning of another one, and left out for it.
        same: transcripts that are the same as another one, message for message; they are held.
    """

    beginnings: int = 0
    same: int = 0


def longest(
    given: Iterable[Transcript | Problem], taken: Taken, waiting: int | None = None
) -> Iterator[Transcript | Problem]:
    """The transcripts that are not the beginning of another one, and problems, in their order.

    Compared is what was said, from the system prompt on. Those that begin alike and go on in
    different ways all stay, and so do those that are the same to the last message. Of what is left
    out, and of what is held, hashes are kept; so a log takes the memory of its conversations, not
    of its requests.

    Args:
        given: in any order.
        taken: is told what was found.
        waiting: transcripts that are held back at most; None for all, up to the end.
    """
    held: dict[int, tuple[Transcript | Problem, bytes | None]] = {}
    ends: dict[bytes, list[int]] = {}  # what is held, by the hash of all its messages
    begun: set[bytes] = set()  # the hashes of all that something held begins with
    for number, one in enumerate(given):
        hashes = [] if isinstance(one, Problem) else _hashes(one)
        if hashes and hashes[-1] in begun:
            taken.beginnings += 1
            continue
        for beginning in hashes[:-1]:
            begun.add(beginning)
            for shorter in ends.pop(beginning, ()):
                del held[shorter]
                taken.beginnings += 1
        held[number] = one, hashes[-1] if hashes else None
        if hashes:
            ends.setdefault(hashes[-1], []).append(number)
        if waiting is not None and len(held) > waiting:
            yield _released(held, ends, taken)
    while held:
        yield _released(held, ends, taken)


def _released(
    held: dict[int, tuple[Transcript | Problem, bytes | None]],
    ends: dict[bytes, list[int]],
    taken: Taken,
) -> Transcript | Problem:
    """What has waited longest."""
    number = next(iter(held))
    one, end = held.pop(number)
    if end is not None:
        ends[end].remove(number)
        taken.same += bool(ends[end])
        if not ends[end]:
            del ends[end]
    return one


def _hashes(transcript: Transcript) -> list[bytes]:
    """Hashes of all that it begins with, from its first message behind the system prompt on."""
    found: list[bytes] = []
    so_far = b""
    try:
        for text in canonical_blocks({"messages": [_said(one) for one in transcript.messages]}):
            so_far = blake2b(so_far + text.encode(), digest_size=16).digest()
            found.append(so_far)
        leading = 0
        while leading < len(found) and transcript.messages[leading]["role"] in SYSTEM_ROLES:
            leading += 1
    except Exception:  # noqa: BLE001 - whoever makes a Transcript puts anything in it
        return []
    return found[leading:]


def _said(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message without what a reply has when it comes and not when it is sent back."""
    said = {key: message[key] for key in _KEPT if message.get(key) not in (None, "", [])}
    content = said.get("content")
    if isinstance(content, list) and len(content) == 1 and content[0].get("type") == "text":
        content = content[0]["text"]
    if isinstance(content, str):
        said["content"] = content.strip()
    if isinstance(calls := said.get("tool_calls"), list):
        said["tool_calls"] = [
            {key: value for key, value in call.items() if key != "index"} for call in calls
        ]
    return said
