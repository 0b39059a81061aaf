"""What a question's wording tells: whose messages it asks about; and standing requests.

The patterns are English and Chinese; in other languages there is no such preference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from contextkit.retrieval.terms import terms

_OF_ASSISTANT = re.compile(
    r"\b(?:(?:did|have|had|were|do) you|you (?:\w+ )?(?:recommend|suggest|advis|propos|mention|"
    r"explain|describ|list|tell|told|say|said|gave|wrote|provid|show|recall)\w*|"
    r"your (?:\w+ )?(?:advice|answer|suggestion|recommendation|explanation|example|list|repl)\w*)\b"
    r"|[你您](?:[之以]前|刚才|上次|曾经?)?(?:说|推荐|建议|告诉|提到|给|列|写|讲|解释)",
    re.IGNORECASE,
)
_OF_USER = re.compile(r"\b(?:i|i'm|i've|i'd|me|my|mine|myself|we|our|us)\b|我", re.IGNORECASE)

_STANDING = re.compile(
    r"(?:please |also |and |so )?(?:always|never|from now on|going forward|in (?:the )?future)\b"
    r"|以后|从现在(?:起|开始)|请?(?:始终|总是|永远)",
    re.IGNORECASE,
)
_STANDING_ANYWHERE = re.compile(
    r"\b(?:when(?:ever)? i ask|every time i ask|i(?:'d| would)? prefer)\b|每当我问|我更?喜欢你",
    re.IGNORECASE,
)
_BEGINNING = 400
"""Characters of a message that are looked at for a standing request."""


def role_asked(question: str) -> str | None:
    """Whose messages a question is about in a chat with an assistant; None where it does not say.

    The assistant's for "what did you recommend", the user's for "I", "my", "me".
    """
    question = question[-2_000:]
    if _OF_ASSISTANT.search(question):
        return "assistant"
    return "user" if _OF_USER.search(question) else None


def participant_asked(question: str, participants: Iterable[str]) -> str | None:
    """The one participant whom a question names, by the whole name or a part of it; else None."""
    said = {term.key for term in terms(question, "english")}
    parts: Mapping[str, set[str]] = {
        name: {term.key for term in terms(name, "english")} for name in participants
    }
    named = [name for name, keys in parts.items() if keys & said]
    if len(named) > 1:  # those with a name in common are told apart by the rest of it
        named = [name for name in named if parts[name] <= said] or named
    return named[0] if len(named) == 1 else None


def is_standing(text: str) -> bool:
    """Whether a message asks for something from then on: "always …", "when I ask …"."""
    text = text[:_BEGINNING].lstrip()
    return bool(_STANDING.match(text) or _STANDING_ANYWHERE.search(text))
