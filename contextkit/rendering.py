"""Rendering: how the messages of a view become those of a request: documents, blocks, markers.

The view, its token counts and all hashes know nothing of it: they are those of the messages as
they came. A request differs from them by documents behind the system block, by text that is sent
as a content block where it may carry a marker, and by the markers themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contextkit.errors import GrammarError, InputError
from contextkit.grammar import violations
from contextkit.messages import Message, MessageLike, copy_json
from contextkit.profiles import CacheRules
from contextkit.tokens import RequestCounter

MARKERS = frozenset({"cache_control", "prompt_cache_breakpoint"})
"""Keys that tell a provider where to cache; they are no part of what it caches."""

BLOCK_ROLES = "block_roles"
DOCUMENTS = "documents"
CACHE = "cache"
ALTERNATES = "alternates"
"""Under which recorded settings have what a rendering is made of; absent where it is not used."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a request has that its view has not.

    Attributes:
        documents: messages behind the leading system block, in every request. Shared: read only.
        block_roles: roles of the messages whose text is sent as a content block.
        rules: of the cache that was asked for; None where nothing is done for any.
        counts: the tokens of each document, where they were counted.
        marked_tools: markers that came with the tools, where such count.
        alternates: whether messages of one role side by side are sent as one.
    """

    documents: tuple[dict[str, Any], ...] = ()
    block_roles: tuple[str, ...] = ()
    rules: CacheRules | None = None
    counts: tuple[int, ...] = ()
    marked_tools: int = 0
    alternates: bool = False

    @classmethod
    def of(cls, settings: Mapping[str, Any], counter: RequestCounter | None = None) -> Rendering:
        """The rendering of recorded settings; without a counter only what it renders."""
        asked = settings.get(CACHE) or {}
        named = (asked.get("mode"), asked.get("rules"))
        caches = counter.profile.caches if counter is not None else ()
        documents = tuple(settings.get(DOCUMENTS) or ())
        rules = next((rules for rules in caches if (rules.mode, rules.name) == named), None)
        counted = rules is not None and "tools" in rules.carriers
        return cls(
            documents=documents,
            block_roles=tuple(settings.get(BLOCK_ROLES) or ()),
            rules=rules,
            counts=tuple(map(counter.message, documents)) if counter is not None else (),
            marked_tools=tool_markers(settings.get("tools") or ()) if counted else 0,
            alternates=bool(settings.get(ALTERNATES)),
        )

    @property
    def tokens(self) -> int:
        """Tokens of the documents."""
        return sum(self.counts)

    def messages(self, system: int, shown: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The messages of a request without markers; dicts that need no change are shared.

        Args:
            system: how many messages the leading system block has.
            shown: what the view shows.
        """
        messages = self.with_documents(system, shown)
        if not self.block_roles:
            return messages
        return [as_blocks(m) if m["role"] in self.block_roles else m for m in messages]

    def taking_turns(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The messages as they leave: one for each that the user says in a row, where it must be.

        Only messages of the user: an assistant's with tool calls cannot be joined, and what the
        view shows has none side by side but the caller's own. Tokens are counted as if they were
        sent one by one, which is a little more.
        """
        if not self.alternates:
            return messages
        sent: list[dict[str, Any]] = []
        for message in messages:
            if sent and message["role"] == sent[-1]["role"] == "user":
                sent[-1] = _joined(sent[-1], message)
            else:
                sent.append(message)
        return sent

    def with_documents(self, system: int, shown: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The same, with all text as it came."""
        return [*shown[:system], *self.documents, *shown[system:]]


def recorded(
    rules: CacheRules | None, documents: Sequence[dict[str, Any]], *, alternates: bool = False
) -> dict[str, Any]:
    """What settings have to say for a rendering; nothing where nothing is asked for."""
    settings: dict[str, Any] = {ALTERNATES: True} if alternates else {}
    if rules is not None:
        settings[CACHE] = {"mode": rules.mode, "rules": rules.name}
        if rules.marker and rules.points:
            settings[BLOCK_ROLES] = sorted(rules.carriers)
    if documents:
        settings[DOCUMENTS] = list(documents)
    return settings


def checked_documents(documents: Iterable[MessageLike] | None) -> tuple[dict[str, Any], ...]:
    """Documents as messages, copied.

    Raises:
        MessageError: for what is no message.
        GrammarError: when they are not whole: a call without its result, or the reverse.
        InputError: when they are no list.
    """
    if documents is None:
        return ()
    if isinstance(documents, str | bytes | Mapping) or not isinstance(documents, Iterable):
        raise InputError(f"are a list of messages, not {documents!r:.60}", place="documents")
    messages = [
        Message.of(document, place=f"documents[{number}]").data
        for number, document in enumerate(documents)
    ]
    found = violations(messages) if messages else []
    if found:
        raise GrammarError(
            "stand in every request, and no provider takes them: "
            + found[0].replace("messages[", "documents["),
            place="documents",
        )
    if messages and (messages[-1].get("partial") or messages[-1].get("prefix")):
        raise GrammarError("end in a reply that is to be continued", place="documents")
    return tuple(messages)


def as_blocks(message: dict[str, Any]) -> dict[str, Any]:
    """The message with its text as one content block; as it is without text, or with parts.

    Empty text stays as it is: providers refuse an empty block.
    """
    content = message.get("content")
    if not isinstance(content, str) or not content:
        return message
    return {**message, "content": [{"type": "text", "text": content}]}


def _joined(first: dict[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Two messages of one role as one: as text where both are text, else as parts."""
    one, other = first.get("content"), second.get("content")
    if isinstance(one, str) and isinstance(other, str):
        return {**first, **second, "content": f"{one}\n\n{other}"}
    parts = [as_blocks({"content": content})["content"] for content in (one, other) if content]
    return {**first, **second, "content": [part for part_list in parts for part in part_list]}


def carries_marker(part: Any) -> bool:
    """Whether a content part, or a message, has a marker."""
    return isinstance(part, Mapping) and any(part.get(key) is not None for key in MARKERS)


def tool_markers(tools: Iterable[Any]) -> int:
    """How many markers stand on tools, or on the functions in them."""
    return sum(
        carries_marker(place)
        for tool in tools
        if isinstance(tool, Mapping)
        for place in (tool, tool.get("function"))
    )


def can_carry(message: Mapping[str, Any], place: int) -> bool:
    """Whether a content part of a message may be marked: it is there, and no empty text."""
    content = message.get("content")
    if isinstance(content, str):
        return bool(content)
    if not isinstance(content, list) or place >= len(content):
        return False
    return bool(content[place].get("text", True))


def with_marker(message: dict[str, Any], place: int, marker: Mapping[str, Any]) -> dict[str, Any]:
    """The message with a marker on one of its content parts."""
    marked = as_blocks(message)
    parts = list(marked["content"])
    parts[place] = {**parts[place], **copy_json(dict(marker))}
    return {**marked, "content": parts}
