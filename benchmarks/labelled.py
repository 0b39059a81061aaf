"""Labelled dialogues: long ones with questions, and the turns that hold the answer to each.

A data folder may hold JSON files, each a list of `{id, turns, questions}`; a turn has `id`,
`session`, `date`, `speaker`, `text`, a question `question`, `evidence` (ids of turns), `category`,
perhaps `answer`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contextkit.retrieval.passages import Passage
from contextkit.vocabularies import load_vocabulary

SAMPLE = Path(__file__).parent / "samples" / "dialogues.json"
ADVERSARIAL = 5
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
ROLES = ("user", "assistant")
MESSAGE = 4
"""Tokens that a turn takes beside its text, as in chat requests."""


@dataclass(frozen=True)
class Question:
    """A question with the numbers of the passages that hold its answer; it may be empty."""

    text: str
    evidence: tuple[int, ...]
    category: int
    answer: str = ""


@dataclass(frozen=True)
class Dialogue:
    """A dialogue as passages, what the date of each session takes, and its questions."""

    name: str
    passages: list[Passage]
    headings: dict[int, int]
    questions: list[Question]

    @property
    def speakers(self) -> list[str]:
        """Who takes part, in the order in which they speak."""
        return list(dict.fromkeys(passage.speaker for passage in self.passages))


def dialogues(folder: Path | None) -> list[Dialogue]:
    """Those of a folder; the sample where there is none."""
    files = sorted(folder.glob("*.json")) if folder else [SAMPLE]
    found = [
        _dialogue(one)
        for data in (json.loads(path.read_text(encoding="utf-8")) for path in files)
        if isinstance(data, list)
        for one in data
        if isinstance(one, dict) and {"turns", "questions"} <= one.keys()
    ]
    if not found:
        raise SystemExit(f"no labelled dialogues in {folder}")
    return found


def tokens(text: str) -> int:
    """How many of cl100k_base."""
    return len(load_vocabulary("cl100k_base").encoding.encode_ordinary(text))


def _dialogue(data: dict[str, Any]) -> Dialogue:
    passages = [
        Passage(
            turn["text"],
            speaker=turn["speaker"],
            role=turn["speaker"] if turn["speaker"] in ROLES else "user",
            tokens=tokens(f"{turn['speaker']}: {turn['text']}") + MESSAGE,
            date=turn.get("date", ""),
            session=turn.get("session", 0),
        )
        for turn in data["turns"]
    ]
    numbers = {turn["id"]: number for number, turn in enumerate(data["turns"])}
    questions = [
        Question(one["question"], evidence, one.get("category", 4), str(one.get("answer") or ""))
        for one in data["questions"]
        if (evidence := tuple(numbers[name] for name in one["evidence"] if name in numbers))
    ]
    headings = {passage.session: tokens(passage.date) for passage in passages if passage.date}
    return Dialogue(str(data["id"]), passages, headings, questions)
