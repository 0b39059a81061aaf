"""Dialogues of several people: `{"turns": [{"speaker": "Ann", "text": "Hi", "date": "8 May"}]}`.

The form of LoCoMo's dialogues, flattened (https://github.com/snap-research/locomo, 2026-11-22). The
first to speak is the user, the second the assistant, and whoever joins them a user. A message for
each turn, under the speaker's name; a date stands above the first turn that has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from contextkit.analysis.reading.importers.parts import Json, mappings

_LISTS = ("turns", "messages")


def is_item(value: Mapping[str, Any]) -> bool:
    """Whether an object is a turn of that format."""
    return (
        isinstance(value.get("speaker"), str)
        and isinstance(value.get("text"), str)
        and "role" not in value
    )


def reads(given: Mapping[str, Any]) -> bool:
    """Whether a conversation is of that format."""
    return any(any(map(is_item, mappings(given.get(key)))) for key in _LISTS)


def convert(given: Mapping[str, Any], lost: Counter[str]) -> Json:
    """The conversation in OpenAI form."""
    key = next(key for key in _LISTS if any(map(is_item, mappings(given.get(key)))))
    messages: list[Any] = []
    speakers: list[str] = []
    date = None
    for turn in given[key]:
        if not isinstance(turn, Mapping) or not is_item(turn):
            messages.append(turn)
            continue
        speaker, text = turn["speaker"], turn["text"]
        if speaker not in speakers:
            speakers.append(speaker)
        said = turn.get("date")
        if isinstance(said, str) and said and said != date:
            date = said
            text = f"({said})\n{text}"
        if turn.get("image") or turn.get("img_url"):
            lost["image of a turn"] += 1
        role = "assistant" if speakers.index(speaker) == 1 else "user"
        messages.append({"role": role, "name": speaker, "content": text})
    return {**{name: value for name, value in given.items() if name != key}, "messages": messages}
