"""Rejecting: what a summarizer gives in place of a summary: a refusal, an error text, a loop."""

# ruff: noqa: RUF001  (signs of several scripts)

from __future__ import annotations

import json
import re

from contextkit.errors import SummaryRejected
from contextkit.summarizing.refusals import ANNOUNCED, REFUSED
from contextkit.summarizing.wording import content_words, is_loop

_STATUS = (
    "Bad Request|Unauthorized|Payment Required|Forbidden|Not Found|Request Timeout|Conflict|"
    "Too Many Requests|Internal Server Error|Bad Gateway|Service Unavailable|Gateway Time-?out|"
    "Gateway Timeout"
)
# What begins so is an error whatever follows.
_ERROR = re.compile(
    r"Traceback \(most recent call last\)(?=:|\s*$)"
    r"|<!doctype html|<html\b|<\?xml\b[^>]{0,200}>\s*<error|<head\b|<body\b"
    r"|(?:an? )?(?:error|failure|failed|exception|problem)\b[^.:\n]{0,40}\b"
    r"(?:generating|generate|creating|create|producing|produce|writing|write|computing|making|"
    r"summari[sz]ing|summari[sz]e)\b[^.:\n]{0,24}"
    r"\b(?:summary|summaries|response|completion|answer|conversation|messages)\b"
    r"|(?:could not|couldn't|unable to|cannot|failed to) "
    r"(?:generate|create|produce|summari[sz]e|write)\b[^.:\n]{0,24}"
    r"(?:summary|conversation|response|completion|messages)"
    r"|error code: ?[45][0-9]{2}\b(?: ?[-–—:] ?[{\['\"]|\s*$)"
    r"|HTTPS?ConnectionPool\(|Expecting value: line \d+ column \d+"
    r"|this model's maximum context length is"
    r"|the (?:server|model|api|service) had an error (?:while )?processing your request"
    r"|\[object Object\]|<(?:bound method|function|generator|coroutine|async_generator) "
    r"|(?:Chat)?Completion(?:Message|Chunk)?\(",
    re.IGNORECASE,
)
# What is one if there is little else.
_PERHAPS_ERROR = re.compile(
    r"\W{0,4}(?:(?:an? |the )?(?:internal |server |api |network |unknown |unexpected |fatal )?"
    r"(?:error|exception|fehler|erreur|error code|ошибка|errore|erro|错误|錯誤|エラー|오류)\b"
    r"|(?:http(?:/[0-9.]+)? ?(?:status |error )?:? ?)?[45][0-9]{2}:? (?:error:? )?"
    rf"(?:{_STATUS})\b"
    r"|(?:[a-z_][\w.]{0,60}\.)?(?:[a-z]{1,40}(?:error|exception))(?::|\(| \[)"
    rf"|{_STATUS}|rate limit|too many requests|request timed? ?out|connection (?:error|refused|"
    r"reset|timed? ?out|aborted)|time-?out|timed out|context(?:_| )length|context deadline|"
    r"maximum context length|upstream|insufficient|quota|you exceeded|invalid api key|"
    r"incorrect api key|(?:the )?(?:request|read|operation|call) timed? ?out|"
    r"max retries exceeded|(?:the )?(?:stream|connection|socket|response)(?: was| is)? "
    r"(?:closed|ended|interrupted|reset|aborted|broken|dropped)|the (?:server|model) had an error|"
    r"(?:remote end )?closed connection|incomplete (?:chunked )?read|peer closed|broken pipe|"
    r"(?:extra data|unterminated string starting at|expecting property name)[^\n]{0,60}: line \d|"
    r"service (?:is )?(?:temporarily )?unavailable|model (?:is )?"
    r"(?:overloaded|not found|currently loading)|overloaded|"
    r"(?:we(?:'re| are) sorry[,.]? )?something went wrong|"
    r"\[(?:errno|ssl)\b|ssl: |(?:unexpected )?eof\b|the model [`'\"][^\n]{1,80} does not exist|"
    r"'\w+' object (?:is not|has no)|(?:list|string|tuple) index out of range|"
    r"[a-z]+(?:_[a-z]+)*_(?:not_found|exceeded|unavailable|quota|error)\W*$|no response|"
    r"(?:null|none|undefined|nan|n/a|true|false)\W{0,3}$)",
    re.IGNORECASE,
)
_ERRORS = frozenset({"error", "errors", "error_code", "error_msg", "error_message", "detail"})
_ENVELOPE = _ERRORS | frozenset(
    {"message", "code", "type", "status", "status_code", "param", "object", "request_id", "id"}
    | {"title", "success", "timestamp", "path", "instance", "trace_id", "requestId", "created"}
)
_CUT_OBJECT = re.compile(r"[{\[]\s*['\"]errors?['\"]\s*:")
_STATEMENT = re.compile(r"(?<=[.!?。！？])\s+|\n")
_TRACE = re.compile(
    r"\s*(?:File \"|at |Traceback |\^+\s*$|[\w.]{0,80}(?:Error|Exception)\b)|\s{4,}\S"
)
_SHORT = 400
"""Characters of an announcement, or of what a refusal begins with, at most."""
_OTHER_WORDS = 16
"""Words of the messages that a text has behind a refusal or error, if it is a summary after all."""
_FENCE = re.compile(r"\A[\s`*_>#\"'“]{0,12}(?:json\s|html\s|text\s)?[\s\"'“]{0,4}")


def check_answer(text: str, source: str, *, shared: int) -> None:
    """That a text is no refusal, no error and no loop.

    A summary may speak of refusals and errors, and begin with one that it quotes: it says more
    than that, and of the messages.

    Args:
        text: what a summarizer gave.
        source: what the messages say.
        shared: how many facts of the messages it states.

    Raises:
        SummaryRejected: with `again` where another attempt can help.
    """
    bare = text[_FENCE.match(text).end() :]  # type: ignore[union-attr]  # it matches any text
    if REFUSED.match(bare[:_SHORT].lower().replace("’", "'")):
        if shared < 2 and _beside(text, source) < _OTHER_WORDS:
            raise SummaryRejected("the summarizer refused", again=True)
    elif len(bare) <= _SHORT and ANNOUNCED.fullmatch(bare.lower().replace("’", "'")):
        raise SummaryRejected("the summarizer announced a summary and gave none", again=True)
    elif _is_error(bare, source, shared):
        raise SummaryRejected("the summarizer gave an error text", again=True)
    if is_loop(text, source):
        raise SummaryRejected("the summary repeats itself over and over", again=True)


def _is_error(bare: str, source: str, shared: int) -> bool:
    keys = _keys(bare) if bare[:1] in ("{", "[") else set()
    if not keys.isdisjoint(_ERRORS) or {"message", "code"} <= keys:
        return keys <= _ENVELOPE or not _is_about(bare, source, shared)
    if _ERROR.match(bare):
        return _beside(bare, source) < _OTHER_WORDS
    perhaps = _PERHAPS_ERROR.match(bare)
    return perhaps is not None and not _is_about(bare[perhaps.end() :], source, shared)


def _keys(bare: str) -> set[str]:
    """The keys of a JSON object that say something, or of the first of a list."""
    try:
        data = json.loads(bare.rstrip("`\n "), parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return {"error"} if _CUT_OBJECT.match(bare) else set()
    if isinstance(data, list) and data:
        data = data[0]
    return {key for key, value in data.items() if value} if isinstance(data, dict) else set()


def _is_about(text: str, source: str, shared: int) -> bool:
    """Whether most of what a text says is said in the messages."""
    words = content_words(text)
    common = len(words & content_words(source))
    return shared > 1 or (common > 2 and common * 2 > len(words))


def _beside(text: str, source: str) -> int:
    """How many words of the messages a text has behind its first statement and a traceback."""
    rest = _STATEMENT.split(text.strip())[1:]
    words = content_words(" ".join(piece for piece in rest if not _TRACE.match(piece)))
    return len(words & content_words(source)) if words else 0
