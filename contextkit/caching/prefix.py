"""PrefixStabilizer: frozen tools and system bytes, their hash, and where a prefix moved.

A provider reads a request in cache order: tools, then messages. What it has cached is good up to
the first byte that differs, so request N+1 should begin with the whole of request N.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal

from contextkit.caching.causes import cause_in_messages, cause_in_tools
from contextkit.caching.common_prefix import common_prefix
from contextkit.caching.tools import canonical_tools, json_copy, ordered_keys
from contextkit.errors import InputError
from contextkit.messages import SYSTEM_ROLES, canonical_json, normal_form
from contextkit.rendering import MARKERS

if TYPE_CHECKING:
    from contextkit.caching.linter import Finding

__all__ = ["PrefixDiff", "PrefixStabilizer", "canonical_blocks", "canonical_tools", "diff"]

Kind = Literal["identical", "extension", "moved"]
Level = Literal["tools", "system", "messages"]

HASH_VERSION = "p1"
"""Changes whenever the canonical form does, so that two hashes are never confused."""

_EXCERPT = 40


@dataclass(frozen=True, slots=True, init=False)
class PrefixStabilizer:
    """The part of every request that is frozen for a conversation: tools and system message.

    Two are equal if their hashes are.

    Attributes:
        system: content of the system message (text or parts), or None; a private copy.
        tools: the tools in canonical form (`canonical_tools`).
        hash: names the bytes of both; the same in every process, and on every machine.

    `system` and `tools` are shared, so read them and never write to them.
    """

    system: str | list[dict[str, Any]] | None = field(compare=False, repr=False)
    tools: tuple[dict[str, Any], ...] = field(compare=False, repr=False)
    hash: str

    def __init__(
        self,
        system: str | Sequence[Mapping[str, Any]] | None = None,
        tools: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        """Copy both, bring the tools into canonical form, and hash them.

        Raises:
            InputError: what was given is not JSON, or the tools cannot be told apart by name.
        """
        if not (system is None or isinstance(system, str | list | tuple)):
            raise InputError(
                f"is a string or a list of parts, not {type(system).__name__}", place="system"
            )
        content = json_copy(system, "system")
        canonical = canonical_tools(tools)
        messages = [] if content is None else [{"role": "system", "content": content}]
        blocks = canonical_blocks({"tools": canonical, "messages": messages})
        digest = blake2b(canonical_json(blocks).encode(), digest_size=16).hexdigest()
        object.__setattr__(self, "system", content)
        object.__setattr__(self, "tools", canonical)
        object.__setattr__(self, "hash", f"{HASH_VERSION}:{digest}")

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What in system and tools will break a prompt cache, as far as one render shows it.

        Dates count as the present one by the clock of this moment; `contextkit.caching.linter.lint`
        takes another clock, and several renders.
        """
        from contextkit.caching.linter import lint

        return lint(self)

    @staticmethod
    def diff(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> PrefixDiff:
        """Where the later request leaves the prefix of the earlier one: see `diff`."""
        return diff(earlier, later)


@dataclass(frozen=True, slots=True)
class PrefixDiff:
    """How a request stands to the one before it.

    Attributes:
        kind: `identical`; `extension`, it begins with the whole of the earlier one; or `moved`.
        level: what moved: `tools`, `system` (the leading system messages) or `messages`.
        message: number of the first message that differs, as counted in the request.
        role: its role.
        position: characters into that block (`canonical_blocks`) up to the first difference.
        earlier: some 40 characters around that position before, empty where nothing was.
        later: the same now.
        cause: the likely cause, in words.
    """

    kind: Kind
    level: Level | None = None
    message: int | None = None
    role: str = ""
    position: int | None = None
    earlier: str = ""
    later: str = ""
    cause: str = ""

    def __str__(self) -> str:
        if self.kind != "moved":
            return f"prefix {self.kind}"
        where = "tools" if self.message is None else f"messages[{self.message}] ({self.role})"
        before = f"'{self.earlier}'" if self.earlier else "nothing"
        now = f"'{self.later}'" if self.later else "nothing"
        return f"prefix moved at {where}: earlier {before} later {now}; {self.cause}"


def diff(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> PrefixDiff:
    """Whether `later` begins with the whole of `earlier`; if not, where it moved and probably why.

    Both are requests: dicts with `messages` and perhaps `tools`. Cache markers, nulls and the
    order of a message's keys play no part, and a string equals one text part. The order of keys
    does count within a tool's schema and within the arguments of a tool call, where providers
    render it. A later request that is shorter has moved at the message where it ends.
    """
    given: tuple[tuple[str, Any], ...] = (("earlier", earlier), ("later", later))
    for place, request in given:
        if not isinstance(request, Mapping) or "messages" not in request:
            raise InputError("is a request: a dict with `messages`", place=place)
    old_tools, old = canonical_tool_blocks(earlier), _message_blocks(earlier)
    new_tools, new = canonical_tool_blocks(later), _message_blocks(later)
    if old_tools != new_tools:
        at, position, before, now = _first_difference(old_tools, new_tools)
        cause = printable(cause_in_tools(old_tools, new_tools, at))
        return PrefixDiff("moved", "tools", None, "", position, before, now, cause)
    if new[: len(old)] == old:
        return PrefixDiff("identical" if len(new) == len(old) else "extension")
    at, position, before, now = _first_difference(old, new)
    roles = [json.loads(blocks[at])["role"] for blocks in (new, old) if at < len(blocks)]
    leading = any(_leading_system(request) > at for request in (earlier, later))
    return PrefixDiff(
        "moved",
        "system" if leading else "messages",
        at,
        printable(roles[0]),
        position,
        before,
        now,
        printable(cause_in_messages(old, new, at)),
    )


def canonical_blocks(request: Mapping[str, Any]) -> list[str]:
    """The request as a list of texts in cache order: one for each tool, one for each message.

    Raises:
        InputError: `messages` or `tools` is no list of dicts, or holds what is not JSON.
    """
    return canonical_tool_blocks(request) + _message_blocks(request)


def canonical_tool_blocks(request: Mapping[str, Any]) -> list[str]:
    """The tools of a request as texts, in their order."""
    blocks = []
    for place, tool in placed_dicts(request, "tools"):
        bare = {
            key: _bare(value) if key in ("function", "custom") else value
            for key, value in _bare(tool).items()
        }
        blocks.append(_text(ordered_keys(bare), place))
    return blocks


def _message_blocks(request: Mapping[str, Any]) -> list[str]:
    blocks = []
    for place, message in placed_dicts(request, "messages"):
        if not isinstance(message.get("role"), str):
            raise InputError("a message needs a role", place=place)
        bare = _bare(message)
        if isinstance(bare.get("content"), list | tuple):
            bare["content"] = [_bare(part) for part in bare["content"]]
        try:
            blocks.append(normal_form(bare))
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(f"is not JSON: {error}", place=place) from error
    return blocks


def _text(value: Any, place: str) -> str:
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {error}", place=place) from error


def placed_dicts(request: Mapping[str, Any], key: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The dicts of a list in a request, each with its place.

    Raises:
        InputError: it is no list of dicts.
    """
    items = request.get(key) or ()
    if isinstance(items, str | Mapping) or not isinstance(items, Iterable):
        raise InputError(f"is a list of dicts, not {type(items).__name__}", place=key)
    placed = [(f"{key}[{position}]", item) for position, item in enumerate(items)]
    for place, item in placed:
        if not isinstance(item, Mapping):
            raise InputError(f"is a dict, not {type(item).__name__}", place=place)
    return placed


def _bare(value: Any) -> Any:
    """A dict without cache markers and nulls, on its own level only: below is the user's data."""
    if not isinstance(value, Mapping):
        return value
    return {key: item for key, item in value.items() if key not in MARKERS and item is not None}


def _leading_system(request: Mapping[str, Any]) -> int:
    messages = request.get("messages") or ()
    count = 0
    for message in messages:
        if message["role"] not in SYSTEM_ROLES:
            break
        count += 1
    return count


def _first_difference(old: list[str], new: list[str]) -> tuple[int, int, str, str]:
    """Number of the block, characters into it, and the excerpts of both."""
    at = common_prefix(old, new)
    before = old[at] if at < len(old) else ""
    now = new[at] if at < len(new) else ""
    position = common_prefix(before, now)
    return at, position, excerpt(before, position), excerpt(now, position)


def excerpt(text: str, position: int) -> str:
    """Some 40 characters around a position, escaped."""
    start = max(0, min(position - _EXCERPT // 2, len(text) - _EXCERPT))
    end = start + _EXCERPT
    shown = printable(text[start:end])
    return ("…" if start else "") + shown + ("…" if end < len(text) else "")


def printable(text: str) -> str:
    """The text with everything escaped that a terminal would act on, or would break a line."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
