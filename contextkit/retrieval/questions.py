"""What wording tells: whose messages a question asks about, small talk, standing requests.

The patterns are English and Chinese; in other languages there is no such preference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache

from contextkit.retrieval.terms import terms, terms_of, words_of

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
_COURTESIES = frozenset(
    word
    for line in (
        "agree amazing appreciate awesome bye cheers clear continue cool definitely exactly",
        "excellent fine fun funny glad good goodbye great ha haha happy hello help hmm interesting",
        "keep know later like lol lovely make mean much nice nope perfect right said say see sense",
        "sorry sure talk tell thank thanks thanked that think thx true try understand understood",
        "welcome well wonderful yep",
        "adiós alles beaucoup bitte bonjour ciao dank danke genau gracias grazie gut hallo hola",
        "ja klar merci muchas nein non obrigada obrigado olá oui prima salut schön sí tschüss",
        "vielen",
    )
    for word in line.split()
)
_COURTESIES_IN_QUESTIONS = frozenset(
    word
    for line in ("continue hello mean please right sense sorry sure thank thanks think understand",)
    for word in line.split()
)
"""What a question may have that asks for nothing: "what do you think?"."""
_ASKS = re.compile(
    r"[?\uff1f]|\A\s*(?:did|does|how|was|were|what|when|where|which|whom?|whose|why)\b"
)
_INTERJECTIONS = frozenset(
    word for line in ("hey hi no oh ok okay please really wow yeah yes",) for word in line.split()
)
_SET_PHRASES = re.compile(
    r"\b(?:(?:have an? )?(?:good|great|lovely|nice|wonderful) (?:afternoon|day|evening|idea|job"
    r"|luck|morning|night|one|point|question|time|trip|weekend|work)|happy new year|merry christmas"
    r"|happy (?:birthday|holidays|weekend)|bye for now|(?:see|speak to|talk to) you (?:\w+ )?"
    r"(?:around|later|monday|soon|then|tomorrow|tonight)|(?:speak|talk) (?:again )?"
    r"(?:later|soon|tomorrow)|(?:let['’]s |let us )?move on|take care|of course|my pleasure"  # noqa: RUF001 - as phones write
    r"|no (?:problem|worries)|sounds (?:like a plan|fine|good|great|interesting|lovely|perfect"
    r"|super)|makes sense|never mind|don['’]t worry(?: about (?:it|that))?|a lot|kind of you"  # noqa: RUF001 - as phones write
    r"|enjoy(?: it| yourself| your (?:day|evening|meal|trip|weekend))?|i hope so|let me (?:look|see"
    r"|think)|wait(?: a (?:minute|moment|second))?|what do you mean|same here|go (?:ahead|on)"
    r"|good to (?:hear|know|see)|looking forward to (?:it|that)"
    r"|(?:guten?|schönen?) (?:abend|morgen|nacht|tag)|bis (?:bald|morgen|später)"
    r"|au revoir|bonne (?:journée|nuit|soirée)|hasta luego|buen(?:as|os) (?:días|noches|tardes))\b"
)
"""What is said to greet or to go on, and has words that would be looked for."""

_OF_FORM = re.compile(
    r"(?:please )?(?:(?:can|could|would) you (?:please )?)?(?:(?:do|explain|format|give|make|put|"
    r"rephrase|repeat|rewrite|say|shorten|show|summari[sz]e|translate|write) (?:it|me|that|them|"
    r"this) ?)?(?:(?:again|a|an|as|bit|in|into|little|more|much|one|to) )*(?:again|bullet points|"
    r"chinese|clearer|detail|english|french|german|italian|json|list|longer|markdown|once more|"
    r"other words|paragraph|polite|portuguese|sentence|shorter|simpler|spanish|table)(?: please)?"
    r"|(?:please )?(?:(?:can|could|would|will) you (?:please )?)?(?:carry on|continue|go ahead"
    r"|go on|keep going|tell me more)(?: please)?|what do you mean(?: by (?:it|that|this))?"
    r"|does (?:it|that|this) make (?:any )?sense"
)
"""What asks for the last answer in another form, or for more of it: it is there to be seen."""
_COURTESIES_WITHOUT_SPACES = re.compile(  # possessive: a laugh is as long as one likes
    "(?>谢谢|多谢|感谢|好的?|嗯++|哦++|[你您]好|早上?好?|晚上好|晚安|再见|拜拜|明白|知道|收到|哈++|"
    "不客气|没问题|没事|继续|可以|不错|太棒|对的?|是的?|行|[你您啊呀吧呢了哟嘛吗]|"
    "ありがとう|ございます?|こんにちは|おはよう|はい|了解|です|감사합니다|안녕하세요|네|ขอบคุณ|ครับ|ค่ะ|สวัสดี)++"
)
"""What is said to be polite or to go on, in the words themselves: it asks for nothing."""

_ASKING = (
    "again ask find give hello hey hi know let like look need please recall remember remind say "
    "send show tell thank thanks think want wonder"
)

_DIGITS_OF_A_CHOICE = 2

_MOST_COURTEOUS = 10
"""Words of a message that is looked at for whether it tells anything."""

_NO = re.compile(r"\W*(?:no|nope)\b", re.IGNORECASE)
_ACKNOWLEDGED = re.compile(
    r"\W*(?:(?:ok|okay|yes|sure|all right|alright|thanks|thank you)\W+)?"
    r"(?:i(?:['’]ll|['’]ve| have| will)? )?(?:noted|done|acknowledged|got it|will do|on it|"  # noqa: RUF001 - as phones write
    r"as you (?:say|wish)|(?:bear|keep) (?:it|that|this) in mind|remember (?:it|that|this)|"
    r"(?:it|that)(?: is|'s|’s) (?:so|it|correct|right|true))\W*",  # noqa: RUF001 - as phones write
    re.IGNORECASE,
)
"""What says that something was heard, and nothing of it. An assistant's, mostly."""

_SUBJECT = re.compile(
    r"\b(?:are|can|could|did|do|does|had|has|have|is|might|should|was|were|will|would) "
    r"([^\W\d_]+)\b(?!['’]|,| (?:and|or)\b)",  # noqa: RUF001 - the apostrophe that phones write
    re.IGNORECASE,
)
"""Who stands behind the verb that a question begins with, alone."""

_PART = re.compile(r"[^\W_]+")

_END = 2_000
"""Characters of a message in which a question is looked for, from its end."""

_BEGINNING = 400
"""Characters of a message that are looked at for a standing request."""


def role_asked(question: str) -> str | None:
    """Whose messages a question is about in a chat with an assistant; None where it does not say.

    The assistant's for "what did you recommend", the user's for "I", "my", "me".
    """
    question = question[-_END:]
    if _OF_ASSISTANT.search(question):
        return "assistant"
    return "user" if _OF_USER.search(question) else None


def participant_asked(question: str, participants: Iterable[str]) -> str | None:
    """The one participant whom a question names, by the whole name or a part of it; else None.

    Where it names several, the one who is its subject: "did Jon" in "What did Jon tell Gina?".
    """
    said = {term.key for term in terms(question, "english")}
    parts: Mapping[str, set[str]] = {
        name: {term.key for term in terms(" ".join(_PART.findall(name)), "english")}
        for name in participants
    }
    named = [
        name
        for name, keys in parts.items()
        if (keys & said and not is_handle(name)) or (keys and keys <= said)
    ]
    if len(named) > 1:  # those with a name in common are told apart by the rest of it
        named = [name for name in named if parts[name] <= said] or named
    if len(named) > 1:
        subject = _SUBJECT.search(question[-_END:])
        first = subject[1].lower() if subject else None
        named = [name for name in named if first == (words_of(name.lower()) or [""])[0]]
    return named[0] if len(named) == 1 else None


def is_handle(name: str) -> bool:
    """Whether a name is made of words that may mean something else: `billing_agent`."""
    return name.islower() and not name.isalpha()


def is_small_talk(text: str) -> bool:
    """Whether a message looks for nothing that was said: "thanks!", "ok, go on", "as a table".

    Nor does the number of a choice, which stands alone.
    """
    if len(text) > 200:
        return False
    words = words_of(text.lower())
    if len(words) == 1 and words[0].isdecimal() and len(words[0]) <= _DIGITS_OF_A_CHOICE:
        return True
    if _OF_FORM.fullmatch(" ".join(words)):
        return True
    return _is_courteous(text)


def _is_courteous(text: str) -> bool:
    asks = bool(_ASKS.search(text.lower()))
    # In a question what else is a phrase may be what it is about.
    words = words_of(text.lower() if asks else _SET_PHRASES.sub(" ok ", text.lower()))
    rest = [word for word in words if not _COURTESIES_WITHOUT_SPACES.fullmatch(word)]
    keys = {term.key for term in terms_of(rest, "english")}
    # A question without a word of content ("who was I with?") is no courtesy.
    polite = bool(keys) or len(rest) < len(words) or not _INTERJECTIONS.isdisjoint(rest)
    return not words or (polite and keys <= _courtesy_keys(asks))


def tells_something(text: str, words: list[str]) -> bool:
    """Whether a message is worth showing again: no small talk, "Noted.", "Yes, that is so.".

    A "no" is: what stands beside it is not so.

    Args:
        text: of the message.
        words: its words.
    """
    if len(words) > _MOST_COURTEOUS or _NO.match(text):
        return True
    return not (_ACKNOWLEDGED.fullmatch(text) or _is_courteous(text))


@cache
def asking_keys() -> frozenset[str]:
    """The terms by which something is asked for, and which say nothing of what: "tell me"."""
    return frozenset(term.key for word in _ASKING.split() for term in terms(word, "english"))


@cache
def _courtesy_keys(asks: bool) -> set[str]:
    words = _COURTESIES_IN_QUESTIONS if asks else _COURTESIES
    return {term.key for word in words for term in terms(word, "english")}


def is_standing(text: str) -> bool:
    """Whether a message asks for something from then on: "always …", "when I ask …"."""
    text = text[:_BEGINNING].lstrip()
    return bool(_STANDING.match(text) or _STANDING_ANYWHERE.search(text))
