"""Generated conversations: chats, agent loops, parallel, late and lost calls, pins, odd content."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Messages = list[dict[str, Any]]

WORDS = st.sampled_from(
    [
        "order 66",
        "東京の天気は",
        "🙂🙂",
        "{'a': 1}",
        "<|im_start|>",
        "naïve café",
        "\n\n",
        "ok " * 9,
    ]
)
texts = st.lists(WORDS, min_size=1, max_size=6).map(" ".join) | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30
)


@st.composite
def user_messages(draw: st.DrawFn) -> dict[str, Any]:
    """A user message: text, one text part, or text with an image."""
    text = draw(texts)
    form = draw(st.sampled_from(["text", "text", "text", "part", "image"]))
    if form == "text":
        named = {"name": "ann"} if draw(st.booleans()) else {}
        return {"role": "user", "content": text, **named}
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if form == "image":
        parts.append({"type": "image_url", "image_url": {"url": "https://e.x/a.png"}})
    return {"content": parts, "role": "user"}


@st.composite
def steps(draw: st.DrawFn, number: int) -> tuple[Messages, Messages]:
    """A step with tool calls, and results that come later than they should."""
    count = draw(st.integers(1, 3))
    ids = [f"call_{number if draw(st.booleans()) else 0}_{i}" for i in range(count)]
    call: dict[str, Any] = {
        "role": "assistant",
        "content": draw(st.sampled_from([None, "", "let me see"])),
        "tool_calls": [
            {
                "id": identifier,
                "type": "function",
                "function": {
                    "name": "look",
                    "arguments": draw(st.sampled_from(['{"a": 1}', "{a"])),
                },
            }
            for identifier in ids
        ],
    }
    if draw(st.booleans()):
        call["reasoning_content"] = "thinking"
    results: Messages = [
        {
            "role": "tool",
            "tool_call_id": identifier,
            "content": draw(texts) * draw(st.integers(1, 6)),
        }
        for identifier in draw(st.permutations(ids))
    ]
    fate = draw(st.sampled_from(["whole"] * 8 + ["lost", "late"]))
    if fate == "lost":
        return [call, *results[1:]], []
    if fate == "late":
        return [call, *results[1:]], results[:1]
    return [call, *results], []


@st.composite
def conversations(draw: st.DrawFn) -> Messages:
    """A whole conversation that ends where a request could be built."""
    messages: Messages = []
    if draw(st.booleans()):
        messages.append({"role": "system", "content": "You are terse. " + draw(texts)})
    number = 0
    for _ in range(draw(st.integers(1, 7))):
        messages.append(draw(user_messages()))
        late: Messages = []
        for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2, 6]))):
            if draw(st.integers(0, 9)) == 0:
                role = draw(st.sampled_from(["system", "developer"]))
                messages.append({"role": role, "content": "note " + draw(texts)})
            step, behind = draw(steps(number))
            number += 1
            messages += step
            if behind:
                late = behind
                break
        if late:
            messages += [draw(user_messages()), *late]
        elif messages[-1]["role"] != "tool" or draw(st.booleans()):
            reply: dict[str, Any] = {"role": "assistant", "content": draw(texts)}
            if draw(st.integers(0, 3)) == 0:
                reply["reasoning_content"] = "thinking aloud"
            if draw(st.integers(0, 12)) == 0:
                reply["content"] = None
            messages.append(reply)
    if messages[-1]["role"] == "assistant" or draw(st.booleans()):
        messages.append(draw(user_messages()))
    return messages


def points(messages: Messages) -> list[int]:
    """Where a caller would build: before each assistant message, and at the end."""
    return [n for n in range(1, len(messages)) if messages[n]["role"] == "assistant"] + [
        len(messages)
    ]
