"""What is put into a prompt from outside: placeholders, summaries, retrieved passages."""

# ruff: noqa: RUF001 - colons as they are written

from __future__ import annotations

import re
from collections.abc import Iterator

from contextkit.caching.moments import says_example, says_now

_PLACEHOLDER = re.compile(
    r"\{\{-?\s*(?P<double>[A-Za-z_][\w.]{0,48}(?:\(\))?)\s*(?:\|[^{}\n]{0,48})?-?\}\}"
    r"|\$\{(?P<shell>[A-Za-z_][\w.]{0,48}(?:\(\))?)\}"
    r"|\{(?P<single>[A-Za-z_][\w.]{0,48}(?:\(\))?)(?:![rsa])?(?::[^{}\n]{0,48})?\}"
    r"|%\((?P<percent>[A-Za-z_]\w{0,48})\)s"
    r"|<%=?\s*(?P<erb>[A-Za-z_][\w.]{0,48})\s*%>|<<\s*(?P<angle>[A-Za-z_][\w.]{0,48})\s*>>"
    r"|\[\[\s*(?P<square>[A-Za-z_][\w.]{0,48})\s*\]\]|\[(?P<capital>[A-Z]+(?:[_ ][A-Z]+)+)\](?!\()"
    r"|%(?P<windows>[A-Z]+(?:_[A-Z]+)*)%|\$(?P<unix>[A-Z]+(?:_[A-Z]+)*)\b"
)
_VOLATILE_NAME = re.compile(
    r"(?:(?:current|todays?|now|present|local|system)_?(?:date|time|datetime|timestamp|day|weekday"
    r"|dt|iso|utc|str|string|formatted)*(?:_?(?:date|time|utc|iso|str|string))*|today|now|utcnow"
    r"|(?:date|time)(?:time)?_?(?:now|today|utc)|strftime|time_?stamp|nonce|uuid4?|random_?id"
    r"|(?:session|request|trace|correlation|conversation|thread|chat|message|run|user|visitor|customer)"
    r"_?(?:id|uuid|key))"
    r"(?:\(\))?",
    re.IGNORECASE,
)
_TIME_NAME = re.compile(r"(?:the_)?(?:date|time|datetime|date_?time|day|weekday|ts)", re.IGNORECASE)

_SUMMARY = re.compile(
    r"^[ \t#*_>-]*(?:(?:(?:here|this|below) is )?(?:the |a )?(?:running |previous |earlier )?"
    r"summary of (?:the |our |this |your )?"
    r"(?:previous |earlier |prior |past )?(?:conversation|chat|dialogue|discussion|messages|turns"
    r"|history)(?: so far)?|(?:conversation|summary)(?: history)? so far"
    r"|(?:previous |earlier |prior |running )?(?:conversation|chat) (?:summary|history)(?: so far)?"
    r"|previous(?:ly)? (?:conversation|in this conversation)"
    r"|(?:zusammenfassung|bisheriger verlauf) (?:des|der)(?: bisherigen)? \w+"
    r"|(?:以下是)?(?:此前|之前|先前)?(?:的)?对话(?:摘要|总结))[*_]*\s*[:：][*_]*",
    re.IGNORECASE | re.MULTILINE,
)
_RETRIEVED = re.compile(
    r"^[ \t#*_>-]*(?:(?:relevant|retrieved|recalled|long[- ]term|user) memor(?:y|ies)"
    r"|retrieved (?:documents?|passages?|chunks?|context|information|knowledge|results?)"
    r"|(?:memories|facts) (?:about|of) (?:the |this )?user|what (?:you|we) know"
    r" about (?:the|this) user"
    r"|[^\n]{0,40}\bfollowing (?:pieces of (?:retrieved )?context|retrieved \w{1,20})[^:\n]{0,80}"
    r"|(?:web )?search results|(?:检索到的|相关)(?:文档|记忆|内容|片段))(?: \([^()\n]{1,40}\))?"
    r"[*_]*\s*[:：][*_]*",
    re.IGNORECASE | re.MULTILINE,
)
_BLOCK = re.compile(
    r"<(?P<tag>(?P<summary>conversation[_-](?:summary|history)|chat[_-](?:summary|history)"
    r"|summary[_-]of[_-]conversation)|(?P<found>retrieved[_-]\w{1,20}|search[_-]results"
    r"|(?:relevant[_-]|user[_-]|recalled[_-])?memor(?:y|ies))"
    r"|context|documents|passages|knowledge)(?: [^<>\n]{0,80})?>",
    re.IGNORECASE,
)
# Headings that say nothing by themselves, but do so where it is known that the text changes.
_HEADINGS = (
    (
        "summary",
        re.compile(r"^#{1,6} [^:\n]{0,40}\bsummary\b[^:\n]{0,40}$", re.IGNORECASE | re.MULTILINE),
    ),
    ("summary", re.compile(r"<(?:\w{1,20}[_-])?summary>", re.IGNORECASE)),
    (
        "passages",
        re.compile(
            r"^#{1,6} (?![^\n]*\b(?:user|customer|account)\b)[^:\n]{0,40}\b(?:context|documents"
            r"|passages|knowledge|excerpts|snippets|sources|search results|memories)\b[^:\n]{0,40}$"
            r"|\bfollowing (?:pieces of )?(?:context|documents|passages|excerpts|sources)\b"
            r"|<(?:context|documents|passages|knowledge)(?: [^<>\n]{0,80})?>",
            re.IGNORECASE | re.MULTILINE,
        ),
    ),
)
_SCORE = re.compile(
    r"\b(?:score|similarity|relevance|distance|rank)\"?\s?[:=]\s?\"?-?[01]?\.\d+"
    r"|\bchunk[_ -]?(?:id|no|index)?\"?\s?[:=#]\s?\"?\w+",
    re.IGNORECASE,
)
_NOTHING = re.compile(
    r"\s*(?:\W{0,8}(?:<[^<>\n]{1,160}>|\{[^\n]{0,160}\}|\[(?!\d+\])[^\[\]\n]{1,160}\]|\.\.\.|…|none|empty|n/a)"
    r"|\W*\Z|</|\W*(?:when|if|always|never|do|don't|only|will|is|are|must|should|may|can|write|cite|use"
    r"|answer|keep|give|include|put|read|treat|list|quote|show|summari[sz]e|comes?|given)\b)",
    re.IGNORECASE,
)


def placeholders(text: str) -> Iterator[tuple[int, int]]:
    """Where placeholders stand for values that change by themselves: times and ids."""
    for found in _PLACEHOLDER.finditer(text):
        *holders, name = found[str(found.lastgroup)].replace(" ", "_").split(".")
        whole = f"{holders[-1]}_{name}" if holders else name  # `session.id` is a session_id
        before = text[max(0, found.start() - 72) : found.start()]
        volatile = any(map(_VOLATILE_NAME.fullmatch, (name, whole))) or (
            _TIME_NAME.fullmatch(name) and says_now(before)
        )
        # Inside a path or a name of a file it says how those are formed.
        joined = before[-1:] in ("/", "-", "_", ".") or text[found.end() : found.end() + 1] in "/-_"
        if volatile and not says_example(before) and not (joined and found.end() < len(text)):
            yield found.start(), found.end()


def insertions(text: str, *, changed: bool = False) -> Iterator[tuple[str, int, int]]:
    """Summaries and passages that a system prompt carries, not those that it speaks of.

    Each with what it is, and where its heading or tag stands.

    Args:
        text: of the prompt.
        changed: whether it is known that the text changes: what stands behind a heading is then
            carried, however it begins.
    """
    for kind, pattern in ("summary", _SUMMARY), ("passages", _RETRIEVED):
        for found in pattern.finditer(text):
            if changed or not _NOTHING.match(text, found.end(), found.end() + 400):
                yield kind, found.start() + _indent(found[0]), found.end()
    for kind, pattern in _HEADINGS if changed else ():
        for found in pattern.finditer(text):
            yield kind, found.start(), found.end()
    position = 0
    unclosed = set()
    while (tag := _BLOCK.search(text, position)) is not None:
        position = tag.end()
        close = -1 if tag["tag"] in unclosed else text.find(f"</{tag['tag']}", position)
        if close < 0:
            unclosed.add(tag["tag"])
            continue
        inside = text[tag.end() : close]
        position = close
        if not changed and _NOTHING.match(inside[:400]):
            continue
        if tag["summary"]:
            yield "summary", tag.start(), tag.end()
        elif tag["found"] or _SCORE.search(inside):
            yield "passages", tag.start(), tag.end()


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip(" \t#*_>-\n"))
