"""The likely cause of a moved prefix, in words, from the blocks of two requests."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

from contextkit.caching.common_prefix import common_prefix
from contextkit.caching.identifiers import UUID
from contextkit.messages import SYSTEM_ROLES

_MONTH = (
    "Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    "|Sep(?:tember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?"
)
_TIMESTAMP = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?Z|[+-]\d{2}:?\d{2})?)?"
    r"|\d{4}年\d{1,2}月(?:\d{1,2}[日号])?|\d{1,2}月\d{1,2}[日号]|\d{1,2}[时時点點]\d{1,2}分(?:\d{1,2}秒)?"
    r"|\d{4}/\d{2}/\d{2}|\d{1,2}[./]\d{1,2}[./]\d{4}"
    r"|\b\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[AaPp]\.?[Mm])?"
    r"|\b1\d{9}(?:\.\d+|\d{3}|\d{6}|\d{9})?\b"
    r"|\b(?:(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b"
    rf"|\b(?:{_MONTH}) \d{{1,4}}(?:,? \d{{4}})?|\b\d{{1,2}}\.? (?:{_MONTH})\b(?: \d{{4}})?"
)
# An id is a long run of letters and digits that has both, perhaps behind a short prefix.
_ID = re.compile(r"\b(?:[A-Za-z]+[_-])*(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{8,}\b")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")

# The first that covers the first difference in both texts names the cause.
_VOLATILE = (
    (UUID, "uuid or id changed: is a generated id in the prompt?"),
    (_TIMESTAMP, "is a timestamp in the prompt?"),
    (_ID, "uuid or id changed: is a generated id in the prompt?"),
)


def cause_in_tools(old: list[str], new: list[str], at: int) -> str:
    """Why the tools differ, the first time at block `at`."""
    before = {tool_name(block): block for block in old}
    after = {tool_name(block): block for block in new}
    removed = [repr(name) for name in before if name not in after]
    added = [repr(name) for name in after if name not in before]
    if removed or added:
        said = [
            f"tool {word}: {', '.join(names)}"
            for word, names in (("removed", removed), ("added", added))
            if names
        ]
        return "; ".join(said)
    if sorted(old) == sorted(new):
        return "tool order changed"
    if at >= min(len(old), len(new)) or tool_name(old[at]) != tool_name(new[at]):
        return "tool order changed, and a tool definition too"
    one, other = old[at], new[at]
    definition, changed = json.loads(one), json.loads(other)
    detail = _volatile(one, other)
    if same_but_for_order(definition, changed):
        detail = "key order changed: properties reordered"
    elif same_but_for_order(_sets_sorted(definition), _sets_sorted(changed)):
        detail = "order of 'required' or 'enum' changed"
    elif not detail:
        function, now = (_inner(tool) for tool in (definition, changed))
        keys = {**function, **now}
        detail = ", ".join(
            key for key in keys if not same_but_for_order(function.get(key), now.get(key))
        )
    return f"tool definition changed: {tool_name(one)!r} ({detail})"


def same_but_for_order(one: object, other: object) -> bool:
    """Whether two values are the same JSON but for the order of keys; 1, 1.0 and true are not."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def cause_in_messages(old: list[str], new: list[str], at: int) -> str:
    """Why the messages differ, the first time at block `at`."""
    if at >= len(new):
        return f"message removed: {_messages(len(old) - at)} at the end (history was cut)"
    before, now = json.loads(old[at]), json.loads(new[at])
    gone, fresh = realigned(old, new, at)
    # A system message that changed is one, even where the history behind it was cut as well.
    rewritten = gone and fresh and before["role"] == now["role"] and before["role"] in SYSTEM_ROLES
    if gone != fresh and not rewritten:
        return _cause_in_order(gone, fresh)
    if before["role"] != now["role"]:
        return f"role changed: {before['role']} became {now['role']}"
    for key in ("content", "reasoning_content", "tool_calls", "tool_call_id"):
        if before.get(key) != now.get(key):
            return _cause_in_field(key, before.get(key), now.get(key))
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    return f"content rewritten: {', '.join(keys)} changed"


def _cause_in_order(gone: int, fresh: int) -> str:
    if not fresh:
        return f"message removed: {_messages(gone)} left out (history was cut)"
    if not gone:
        return f"message inserted: {_messages(fresh)} before this one"
    return f"content rewritten: {_messages(gone)} replaced by {_messages(fresh)} (compaction?)"


def realigned(old: list[str], new: list[str], at: int) -> tuple[int, int]:
    """How many old and new blocks stand before both go on alike; (1, 1) where they never do."""
    places: dict[str, int] = {}
    for place in range(len(old) - 1, at - 1, -1):
        places[old[place]] = place
    for place in range(at, len(new)):
        if new[place] in places:
            return places[new[place]] - at, place - at
    return 1, 1


def _cause_in_field(key: str, before: Any, now: Any) -> str:
    if key == "tool_calls":
        return _cause_in_calls(before, now)
    if key == "tool_call_id":
        return "uuid or id changed: the id of the tool call"
    if before is None or now is None:
        return f"content rewritten: {key} was {'added' if before is None else 'removed'}"
    if isinstance(before, str) and isinstance(now, str):
        return cause_in_text(before, now)
    if isinstance(before, list) and isinstance(now, list):
        return _cause_in_parts(before, now)
    return f"content rewritten: {key} of another form"


def _cause_in_parts(before: list[Any], now: list[Any]) -> str:
    for one, other in zip(before, now, strict=False):
        if one == other:
            continue
        kinds = [part.get("type") if isinstance(part, dict) else None for part in (one, other)]
        if kinds == ["text", "text"]:
            return cause_in_text(str(one.get("text")), str(other.get("text")))
        if kinds[0] == kinds[1] and kinds[0] is not None:
            return f"{kinds[0]} changed: encoded again, or a signed URL?"
        return "content rewritten: a part of another type"
    return f"content rewritten: {len(before)} parts became {len(now)}"


def cause_in_text(before: str, now: str) -> str:
    """Why two versions of a text differ."""
    for form in ("NFC", "NFKC"):
        if unicodedata.normalize(form, before) == unicodedata.normalize(form, now):
            return "Unicode form differs: the same text after normalisation"
    if before.split() == now.split():
        return "whitespace differs"
    reordered = _same_json(before, now)
    if reordered:
        return f"{reordered} in JSON text: was it serialised again?"
    return _volatile(before, now) or _length(before, now)


def _length(before: str, now: str) -> str:
    if now.startswith(before):
        return f"content rewritten: {len(now) - len(before):,} characters were appended"
    if before.startswith(now):
        return f"content rewritten: {len(before) - len(now):,} characters were cut off its end"
    return "content rewritten"


def _cause_in_calls(before: Any, now: Any) -> str:
    if not isinstance(before, list) or not isinstance(now, list):
        return f"tool calls {'added' if before is None else 'removed'}: content rewritten"
    if len(before) != len(now):
        return f"content rewritten: {len(before)} tool calls became {len(now)}"
    for one, other in zip(before, now, strict=True):
        if one == other or not (isinstance(one, dict) and isinstance(other, dict)):
            continue
        if one.get("id") != other.get("id"):
            return "uuid or id changed: the id of a tool call"
        arguments, changed = (_inner(call).get("arguments") for call in (one, other))
        if isinstance(arguments, str) and isinstance(changed, str) and arguments != changed:
            reordered = _same_json(arguments, changed)
            if reordered:
                return f"{reordered} in the arguments of a tool call: was it serialised again?"
            return _volatile(arguments, changed) or "content rewritten: arguments of a tool call"
    return "content rewritten: a tool call"


def _same_json(before: str, now: str) -> str:
    """What differs between two texts that are the same JSON; empty where they are not."""
    if before[:1] not in ("{", "[") or now[:1] not in ("{", "["):
        return ""
    try:
        one, other = json.loads(before), json.loads(now)
    except (ValueError, RecursionError):
        return ""
    if one != other:
        return ""
    same_order = json.dumps(one) == json.dumps(other)
    return "whitespace or escapes differ" if same_order else "key order changed"


def _volatile(before: str, now: str) -> str:
    """The cause, if what differs first lies within something that changes by itself."""
    position = common_prefix(before, now)
    # A window is enough, and keeps the search from growing with the text.
    start = max(0, position - 80)
    place = position - start
    one, other = before[start : position + 80], now[start : position + 80]
    for pattern, cause in _VOLATILE:
        if _covered(pattern, one, place) and _covered(pattern, other, place):
            return cause
    if _NUMBER.sub("0", before) == _NUMBER.sub("0", now):
        return "a number changed: is a counter in the prompt?"
    return ""


def _covered(pattern: re.Pattern[str], text: str, place: int) -> bool:
    return any(found.start() <= place < found.end() for found in pattern.finditer(text))


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"


def _inner(tool: dict[str, Any]) -> dict[str, Any]:
    inner = tool.get("function") or tool.get("custom") or tool
    return inner if isinstance(inner, dict) else tool


def tool_name(block: str) -> str:
    """The name of the tool in a block."""
    return str(_inner(json.loads(block)).get("name"))


def _sets_sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sets_sorted(item) for key, item in value.items()}
    if isinstance(value, list):
        items = [_sets_sorted(item) for item in value]
        return sorted(items, key=repr)
    return value
