"""Asked along the way: long labelled dialogues as logs of a chat, their questions asked in between.

The first to speak is the user, the other one the assistant, each under their name, with times of
the session's date. A question is a message of the user, and what is labelled as its answer is the
assistant's; it is asked once, behind a message of the assistant after its last evidence.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from benchmarks.labelled import ADVERSARIAL, Dialogue, Question
from contextkit.analysis.policies import points_of
from contextkit.analysis.replaying.charged import TOOK, Moment
from contextkit.analysis.transcripts import Transcript
from contextkit.messages import text_of

SYSTEM = "You take part in a long conversation. Answer questions from what was said in it."
NO_ANSWER = "I do not know."
STEP = 20.0
"""Seconds between two messages of a session."""

DAY = 86_400.0
FORMS = ("%I:%M %p on %d %B, %Y", "%d %B, %Y", "%Y-%m-%d %H:%M", "%Y-%m-%d")

Places = Literal["along", "end"]
"""Where questions are asked: anywhere after their evidence, as likely here as there; or all of them
behind the whole dialogue."""

_BLOCK = re.compile(r'<data name="[^"\n]+" mark="([0-9a-f]{8})">\n(.*?)\n</data \1>', re.DOTALL)


@dataclass(frozen=True)
class Log:
    """A dialogue with its questions, message by message.

    Attributes:
        transcript: messages and their times.
        evidence: the texts that hold the answer to a question, by the number of messages at which
            its request is made.
    """

    transcript: Transcript
    evidence: Mapping[int, tuple[str, ...]]

    @property
    def points(self) -> list[int]:
        """How many messages each request answers."""
        return points_of(self.transcript)

    @property
    def moments(self) -> list[Moment]:
        """When each request is sent."""
        return [Moment(self.transcript.times[point - 1], TOOK) for point in self.points]


def log_of(dialogue: Dialogue, seed: int, places: Places = "along", most: int | None = None) -> Log:
    """The log of a dialogue.

    Args:
        dialogue: the turns and questions; adversarial ones have no answer, and are left out.
        seed: for where the questions are asked.
        places: what is chosen from.
        most: questions, the first ones; all where None.
    """
    user = dialogue.passages[0].speaker
    roles = ["user" if one.speaker == user else "assistant" for one in dialogue.passages]
    last = len(roles) - 1
    open_places = [
        number
        for number, role in enumerate(roles)
        if number == last or (role == "assistant" and roles[number + 1] == "user")
    ]
    asked: dict[int, list[Question]] = {}
    draw = random.Random(f"{seed} {dialogue.name}")
    questions = [one for one in dialogue.questions if one.category != ADVERSARIAL][:most]
    for question in questions:
        after = [place for place in open_places if place >= max(question.evidence)]
        place = last if places == "end" else draw.choice(after)
        asked.setdefault(place, []).append(question)
    if places == "end":
        draw.shuffle(asked[last])
    messages: list[dict[str, Any]] = [{"role": "system", "content": SYSTEM}]
    times = [0.0]
    evidence: dict[int, tuple[str, ...]] = {}
    time = 0.0
    for number, passage in enumerate(dialogue.passages):
        before = dialogue.passages[number - 1] if number else None
        if before is None or before.session != passage.session:
            time = _begin(passage.date, time)
        named = {} if passage.speaker == roles[number] else {"name": _name(passage.speaker)}
        messages.append({"role": roles[number], **named, "content": passage.text})
        times.append(time := time + STEP)
        for question in asked.get(number, ()):
            messages.append({"role": "user", "content": question.text})
            evidence[len(messages)] = tuple(dialogue.passages[n].text for n in question.evidence)
            messages.append({"role": "assistant", "content": question.answer or NO_ANSWER})
            times += [time + STEP, time := time + 2 * STEP]
    times[0] = times[1]
    return Log(Transcript(dialogue.name, messages, times=tuple(times)), evidence)


def texts_in(sent: Iterable[Mapping[str, Any]]) -> set[str]:
    """The texts that a request shows whole: its messages, and each passage in their blocks."""
    texts: set[str] = set()
    for message in sent:
        text = text_of(message)
        found = _BLOCK.search(text)
        texts.add((text[: found.start()] if found else text).strip())
        for mark, body in _BLOCK.findall(text):
            texts.update(one.strip() for one in re.split(rf"\n?\[{mark} [^\]\n]*\]\n", body))
    return texts


def share_of(evidence: Sequence[str], texts: set[str]) -> float:
    """The share of some evidence that is among texts."""
    return sum(text.strip() in texts for text in evidence) / len(evidence)


def _begin(date: str, before: float) -> float:
    """When a session begins: at its date, but a day after the one before where that is later."""
    for form in FORMS:
        with suppress(ValueError):
            at = datetime.strptime(date, form).replace(tzinfo=UTC).timestamp()
            return max(at, before + DAY / 4)
    return before + DAY


def _name(speaker: str) -> str:
    return re.sub(r"[^\w-]", "_", speaker)
