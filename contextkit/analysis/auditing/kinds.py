"""Kinds: what may cost a log its cache hits, and for each the change that mends it."""

from __future__ import annotations

_TAIL = "behind the newest user message"
_ONCE = "Send messages with the bytes that they were first sent with"
_SAME = "Keep messages as text or as the objects that were sent, and do not serialise them again"

ADVICE = {
    "tools order": "Send the tools in one order, by name, in every request",
    "tools set": (
        "Send every tool from the first request on, and say with tool_choice which may be called"
    ),
    "tools json": "Write the definitions of the tools with their keys in one order",
    "tools bytes": "Write the definitions of the tools with the same bytes in every request",
    "tools time": f"Take the clock out of the tools, and put it {_TAIL}",
    "tools id": "Take generated ids out of the definitions of the tools",
    "tools counter": "Take the number that changes out of the definitions of the tools",
    "tools definition": "Render the tools once for a conversation; keep what changes out of them",
    "system time": f"Move the clock out of the system prompt, {_TAIL}",
    "system id": f"Take the generated id out of the system prompt, or move it {_TAIL}",
    "system counter": f"Move the number that changes out of the system prompt, {_TAIL}",
    "system passages": (
        "Move retrieved passages out of the system prompt, into the user message that asks for them"
    ),
    "system summary": (
        "Move the summary out of the system prompt, into the history in place of what it covers"
    ),
    "system bytes": (
        "Render the system prompt with the same white space and Unicode form in every request"
    ),
    "system json": "Write JSON in the system prompt with its keys in one order",
    "system user": "Move what is said of one user behind what all system prompts share",
    "system image": "Send the images of the system prompt with the same bytes in every request",
    "system rewritten": (
        f"Render the system prompt once for a conversation; what changes goes {_TAIL}"
    ),
    "history time": "Render the time of a message once, when it is first sent",
    "history id": "Keep generated ids in messages as they were first sent",
    "history call id": "Send tool calls with the ids that they were first sent with",
    "history counter": "Keep numbers in messages as they were first sent",
    "history bytes": f"{_ONCE}: white space and Unicode form changed",
    "history json": _SAME,
    "history reasoning": (
        "Decide once, when a reply arrives, whether its reasoning is sent back, and keep to it"
    ),
    "history image": "Send images with the URL or the bytes that they were first sent with",
    "history inserted": f"Put what is added to a conversation {_TAIL}, not before the history",
    "history moving": (
        "Leave what was put before the newest message where it stood, or put it behind that message"
    ),
    "history newest": "Keep a message as it was first sent; put what is not kept in one behind it",
    "history rewritten": f"{_ONCE}: put corrections behind them",
    "history removed": "Cut the history seldom and deep instead of a little often",
    "history replaced": "Replace old messages by a summary seldom, and many at once",
    "history slides": "Cut the history seldom and deep instead of sliding a window every turn",
    "history cleared": "Clear tool results seldom and many at once, or before they are first sent",
    "model": "Keep to one model for a conversation, or switch where the history is short",
    "settings": "Keep the settings that are part of the prompt the same for a conversation",
    "template": "Send reasoning only where the template keeps it, or count with its loss",
    "not yet visible": "Wait for the first response before requests with the same prefix are sent",
    "expired": "Ask for a longer lifetime, or cut the history when a conversation comes back late",
    "minimum": "Make what requests share longer than the minimum, or do not count on a cache",
    "no point": "Set cache points: at the end of the system prompt and of the newest message",
    "few points": "Set a cache point at the end of the newest message besides the other ones",
    "point moved": "Leave a cache point where the request before had its last one",
    "shared point": "Set a cache point at the end of what several requests begin with",
    "look-back": "Set a cache point in between where many blocks are added in one go",
    "reply": "Keep the text of replies as it was generated",
    "provider": "Nothing in the requests: the provider did not keep what it could have",
}
"""What to change, by the kind of what is lost."""

SETTLED_LATER = frozenset({"history removed", "history replaced", "history cleared"})
"""Kinds that are a fault where they come often, and planned where they come seldom."""

NEEDS_SEVERAL = {
    "not yet visible": 3,
    "system user": 3,
    "minimum": 3,
    "shared point": 3,
    "provider": 3,
}
"""Kinds that say nothing when seen once: the least requests."""

PLANNED = {
    "history removed": "messages were left out",
    "history replaced": "messages were replaced by fewer, such as a summary",
    "history cleared": "tool results were cleared or shortened",
}
"""What planned cuts did."""

ROUTING = "; send {} with an id of the conversation, so that it stays on one machine"
