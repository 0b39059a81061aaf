"""Rejecting: what a summarizer gives in place of a summary: a refusal, an error text, a loop."""

# ruff: noqa: RUF001  (the tables are in the scripts of their languages)

from __future__ import annotations

import json
import re

from contextkit.errors import SummaryRejected
from contextkit.summarizing.wording import content_words, is_loop

# How a refusal begins, by language; compared without case, with straight quotes.
_REFUSALS = {
    "English": (
        r"(?:i['’]?m|i am) (?:very |really |so |truly )?(?:sorry|afraid)\b[^.!?\n]{0,60}"
        r"\b(?:can(?:no|')t|can not|unable|not able|won't|couldn't|don't have|not possible)|"
        r"(?:sorry|apologies|my apologies|unfortunately)[,.]? (?:but )?(?:i|we) "
        r"(?:can(?:no|')t|can not|am unable|am not able|won't|couldn't|do not|don't|will not)|"
        r"i (?:can(?:no|')t|can not|am unable to|am not able to|won't|will not|must decline to) "
        r"(?:help|assist|comply|fulfil|provide|summari[sz]e|create|generate|do that|continue|"
        r"complete|process|access|see|discuss|engage|respond|answer)|"
        r"(?:i'm|i am) (?:unable|not able|not allowed) to (?:help|assist|comply|fulfil|provide|"
        r"summari[sz]e|create|generate|do that|continue|complete|process|access)|"
        r"as an? (?:ai|language model|large language model|ai language model)\b[^.\n]{0,40}"
        r"\b(?:can(?:no|')t|can not|unable|don't|do not|am not)|"
        r"there (?:is|was) (?:nothing|no (?:conversation|content|text|messages?)) to summari[sz]e|"
        r"(?:please|could you)(?: please)? (?:provide|share|paste) (?:me )?(?:with )?(?:the|your) "
        r"(?:conversation|text|messages?|content|transcript)"
    ),
    "German": (
        r"(?:es tut mir leid|tut mir leid|entschuldigung|leider)[^.!?\n]{0,60}"
        r"\b(?:kann|darf|möchte|werde) (?:ich|dir|ihnen|das|dabei|dazu|diese)|"
        r"ich (?:kann|darf|werde) (?:dir |ihnen |das |dabei |diese |dieser )[^.!?\n]{0,60}\bnicht"
    ),
    "French": (
        r"(?:je suis|désolée?|je regrette|malheureusement)[^.!?\n]{0,60}"
        r"\bje ne (?:peux|puis|suis pas|pourrai)|"
        r"je ne (?:peux|puis) pas (?:vous|t'|répondre|fournir|résumer|aider|accéder|faire)"
    ),
    "Spanish": (
        r"(?:lo siento|lo lamento|disculpa|perdona|lamentablemente)[^.!?\n]{0,60}"
        r"\bno (?:puedo|me es posible|podré|soy capaz)|"
        r"no puedo (?:ayudar|proporcionar|cumplir|resumir|hacer eso|acceder|continuar|responder)"
    ),
    "Portuguese": (
        r"(?:desculpe|lamento|sinto muito|infelizmente|peço desculpas?)[^.!?\n]{0,60}"
        r"\bnão (?:posso|consigo|é possível|poderei)|"
        r"não (?:posso|consigo) (?:ajudar|fornecer|atender|resumir|fazer isso|acessar|responder)"
    ),
    "Italian": (
        r"(?:mi dispiace|spiacente|purtroppo|mi scuso)[^.!?\n]{0,60}"
        r"\bnon (?:posso|sono in grado|mi è possibile|riesco)|"
        r"non (?:posso|sono in grado di) (?:aiutar|fornire|riassumere|fare questo|rispondere)"
    ),
    "Russian": (
        r"(?:извините|простите|к сожалению|сожалею|мне жаль)[^.!?\n]{0,60}"
        r"\b(?:не могу|не можем|не в состоянии|не имею)|"
        r"я не могу (?:помочь|выполнить|предоставить|ответить|сделать|обобщить|продолжить)"
    ),
    "Chinese": (
        r"(?:很抱歉|非常抱歉|抱歉|对不起|對不起|不好意思)[^。！？\n]{0,30}(?:无法|無法|不能|没办法|不可以)|"
        r"我(?:无法|無法|不能)(?:帮|幫|提供|协助|協助|完成|总结|總結|回答|满足|满足|继续|处理)"
    ),
    "Japanese": (
        r"(?:申し訳|すみません|ごめんなさい|恐れ入り|残念ながら)[^。！？\n]{0,40}"
        r"(?:できません|できかねます|いたしかねます|お答えできない|お手伝いできない)"
    ),
    "Korean": (r"(?:죄송|미안|유감)[^.!?\n]{0,40}(?:수 없|없습니다|불가|어렵습니다|못)"),
}
_REFUSED = re.compile("|".join(_REFUSALS.values()))

_STATUS = (
    "Bad Request|Unauthorized|Payment Required|Forbidden|Not Found|Request Timeout|Conflict|"
    "Too Many Requests|Internal Server Error|Bad Gateway|Service Unavailable|Gateway Time-?out|"
    "Gateway Timeout"
)
# What begins so is an error whatever follows.
_ERROR = re.compile(
    r"Traceback \(most recent call last\)"
    r"|<!doctype html|<html\b|<\?xml\b[^>]{0,200}>\s*<error|<head\b|<body\b"
    r"|(?:an? )?(?:error|failure|failed|exception|problem)\b[^.:\n]{0,40}\b"
    r"(?:generating|generate|creating|create|producing|produce|writing|write|computing|making|"
    r"summari[sz]ing|summari[sz]e)\b[^.:\n]{0,24}"
    r"\b(?:summary|summaries|response|completion|answer|conversation|messages)\b"
    r"|(?:could not|couldn't|unable to|cannot|failed to) "
    r"(?:generate|create|produce|summari[sz]e|write)\b[^.:\n]{0,24}"
    r"(?:summary|conversation|response|completion|messages)"
    r"|error code: ?[45][0-9]{2}\b(?: ?[-–—:] ?[{\['\"]|\s*$)"
    r"|(?:http(?:/[0-9.]+)? ?(?:status |error )?:? ?)?[45][0-9]{2}:? (?:error:? )?"
    rf"(?:{_STATUS})\b"
    r"|(?:[a-z_][\w.]{0,60}\.)?(?:[A-Za-z]{1,40}(?:Error|Exception))(?::|\(| \[)"
    r"|\[object Object\]|<(?:bound method|function|generator|coroutine|async_generator) "
    r"|(?:Chat)?Completion(?:Message|Chunk)?\(",
    re.IGNORECASE,
)
# What is one if there is little else.
_PERHAPS_ERROR = re.compile(
    r"\W{0,4}(?:(?:an? |the )?(?:internal |server |api |network |unknown |unexpected |fatal )?"
    r"(?:error|exception|fehler|erreur|error code|ошибка|errore|erro|错误|錯誤|エラー|오류)\b"
    rf"|{_STATUS}|rate limit|too many requests|request timed? ?out|connection (?:error|refused|"
    r"reset|timed? ?out|aborted)|time-?out|timed out|context(?:_| )length|context deadline|"
    r"maximum context length|upstream|insufficient|quota|you exceeded|invalid api key|"
    r"incorrect api key|service (?:is )?(?:temporarily )?unavailable|model (?:is )?"
    r"(?:overloaded|not found|currently loading)|overloaded|something went wrong|no response|"
    r"(?:null|none|undefined|nan|n/a|true|false)\W{0,3}$)",
    re.IGNORECASE,
)
_ERROR_KEYS = frozenset({"error", "errors", "error_code", "error_msg", "error_message", "detail"})
_FENCE = re.compile(r"\A[\s`*_>#\"'“]{0,12}(?:json\s|html\s|text\s)?[\s\"'“]{0,4}")


def check_answer(text: str, source: str) -> None:
    """That a text is no refusal, no error and no loop.

    What is quoted from the messages is neither: a summary may speak of refusals and errors.

    Raises:
        SummaryRejected: with `again` where another attempt can help.
    """
    bare = _FENCE.sub("", text[:400], count=1).lower().replace("’", "'")
    if _REFUSED.match(bare) and _is_all(text, source):
        raise SummaryRejected("the summarizer refused", again=True)
    if _is_error(text, source):
        raise SummaryRejected("the summarizer gave an error text", again=True)
    if is_loop(text):
        raise SummaryRejected("the summary repeats itself over and over", again=True)


def _is_error(text: str, source: str) -> bool:
    bare = text[_FENCE.match(text).end() :]  # type: ignore[union-attr]  # matches any text
    if bare[:1] in "{[" and _is_error_object(bare):
        return True
    if _ERROR.match(bare):
        return _is_all(text, source)
    return bool(_PERHAPS_ERROR.match(bare)) and _is_all(text, source, least=6)


def _is_error_object(bare: str) -> bool:
    end = bare.rstrip("`\n ")
    try:
        data = json.loads(end, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return bool(re.match(r"[{\[]\s*['\"]error['\"]\s*:", bare))
    if isinstance(data, list) and data:
        data = data[0]
    return isinstance(data, dict) and not _ERROR_KEYS.isdisjoint(data)


def _is_all(text: str, source: str, least: int = 12) -> bool:
    """Whether behind its first statement a text says nothing of the messages.

    That is: its other lines and sentences have few of their content words.
    """
    rest = re.split(r"(?<=[.!?。！？])\s+|\n", text.strip())[1:]
    words = content_words(" ".join(line for line in rest if not _TRACE.match(line)))
    return len(words & content_words(source)) < least


_TRACE = re.compile(
    r"\s*(?:File \"|at |Traceback |\^+\s*$|[\w.]{0,80}(?:Error|Exception)\b)|\s{4,}\S"
)
