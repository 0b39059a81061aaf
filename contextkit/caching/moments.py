"""Dates and times in a text, in their usual spellings, and which of them were rendered just now.

One render cannot prove that a date changes. What can be told is whether it is about the present: a
prompt that says "current date" and means this year was rendered, one that means a day years ago is
a fixed text (a benchmark, a game), and a policy "effective May 1, 2024" says nothing of now.
"""

# ruff: noqa: RUF001 - quotation marks, dashes and colons as they are written

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

SAME_DAY = timedelta(days=1)
"""Days from the clock that a date may be and still be today somewhere on earth."""

PRESENT = timedelta(days=366)
"""Farther from the clock than this, a stamp that nothing calls the present one is a fixed text."""

SAID_PRESENT = timedelta(days=731)
"""Farther from the clock than this, also what is called the current date is a fixed text.

Two years: prompts in the logs of last year are still found, those of old simulations are not.
"""

_MONTHS = (
    "january february march april may june july august september october november december",
    "jan feb mar apr may jun jul aug sep oct nov dec",
    "januar februar märz april mai juni juli august september oktober november dezember",
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "januari februari maart april mei juni juli augustus september oktober november december",
    "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",  # noqa: E501 - a row a language
    "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık",
    "يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر",
)
_NUMBER_OF = {
    name.replace("ı", "i"): at for row in _MONTHS for at, name in enumerate(row.split(), 1)
} | {"sept": 9}
_SPELLED = sorted({*" ".join(_MONTHS).split(), "sept"}, key=len, reverse=True)
_MONTH = rf"(?:{'|'.join(_SPELLED)})\b\.?"
_WEEKDAY = (
    r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day|mon|tue|wed|thu|fri|sat|sun"
    r"|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonnabend|sonntag"
    r"|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche"
    r"|lunes|martes|miércoles|jueves|viernes|sábado|domingo)\b|(?:星期|周|週)[一二三四五六日天]"
)
_HOUR = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?: ?[ap](?:m\b|\.m\.?))?"
_ZONE = r"(?: ?(?:z|utc|gmt|[ecmp][sde]?t)\b| ?[+-]\d{2}:?\d{2}\b)?"
_TIME = rf"(?P<time>(?:t|,? (?:at |um |à |kl )?| +){_HOUR}{_ZONE})?"

# Each gives one kind of moment; the first that matches at a place has it.
_SPELLINGS = re.compile(
    # Where none can begin, nothing is tried: three times as quick.
    r"(?<![a-zA-Z])(?=[\dadefgjlmnostvw星周週])(?:"
    rf"(?:(?:{_WEEKDAY})[,.]? )?(?:"
    r"(?<![\d.-])(?P<y1>\d{4})(?P<s1>[-/.])(?P<m1>\d{1,2})(?P=s1)(?P<d1>\d{1,2})(?![\d-])"
    r"|(?<![\d.-])(?P<week>\d{4}-w\d{2}(?:-[1-7])?)\b"
    r"|(?<![\d./-])(?P<a2>\d{1,2})(?P<s2>[-/.])(?P<b2>\d{1,2})(?P=s2)(?P<y2>(?:20)?\d{2})(?![\d./-])"
    rf"|\b(?P<month3>{_MONTH}) (?P<d3>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<y3>\d{{4}})\b"
    rf"|\b(?P<d4>\d{{1,2}})(?:st|nd|rd|th|er|\.)?(?: of| de)?(?: |(?P<s4>-))(?P<month4>{_MONTH})"
    # "21 Nov 14:03:22 CET 2026" as `date` writes it, "21-Nov-2026", "21. November 2026".
    r"(?(s4)-|,?(?: de)?(?: \d{2}:\d{2}:\d{2}(?: [a-z]{3,4})?)? )(?P<y4>\d{4})\b"
    rf"|\b(?P<month5>{_MONTH})  ?(?P<d5>\d{{1,2}}) \d{{2}}:\d{{2}}:\d{{2}}(?: [a-z]{{3,4}})?"
    r" (?P<y5>\d{4})\b"
    r"|(?<!\d)(?P<y6>\d{4}) ?[年년] ?(?P<m6>\d{1,2}) ?[月월] ?(?P<d6>\d{1,2})(?: ?[日号일])?"
    r"|(?<![\w.-])(?P<y7>20\d{2})(?P<m7>[01]\d)(?P<d7>[0-3]\d)(?:[t_-]?\d{6}z?)?(?![\w.-]\w)\b"
    rf"){_TIME}"
    r"|(?<![\w.+-])(?P<epoch>1\d{9}(?:\d{3}|\d{6}|\d{9})?)(?:\.\d+)?(?![\w-])"
    # Only part of a date: nothing without words that say it is the present.
    rf"|(?P<part>(?<![\d:])(?:{_HOUR}|\d{{1,2}} ?[ap](?:m\b|\.m\.?)|\d{{1,2}}(?:[.:]\d{{2}})? uhr\b"
    r"|\d{1,2} ?h ?\d{2}\b|\d{1,2} ?[点點时時시] ?(?:\d{1,2} ?[分분])?)"
    rf"{_ZONE}(?![\d:])"
    rf"|\b{_MONTH} (?:\d{{4}}|\d{{1,2}}(?:st|nd|rd|th)?)\b|\b\d{{1,2}}\.? {_MONTH}"
    rf"|(?<!\d)\d{{1,2}} ?月 ?\d{{1,2}} ?[日号]|\b(?:{_WEEKDAY})))",
    re.IGNORECASE,
)

# Words in front of a moment that say it is the present one, up to the moment itself.
_GAP = r"(?:\s?[:=：]\s?|\s)?[\s\"'`*_>(|]{0,8}"
_SAYS_NOW = re.compile(
    r"(?<![a-zA-Z])(?=[abcdefhijlnopstuv今现現当當сд])(?:"
    r"\b(?:current|present|today['’]?s|this)[ _-]?(?:(?:local|system|utc|server|user)[ _-]?)?"
    r"(?:timestamp|date|time|day|month|week)[ _-]?(?:time|and[ _]time|& time|/ ?time)?"
    r"(?: \([^()\n]{1,24}\))?(?: (?:in|for|at) [^\s:]{1,24})?\"?(?: is| now)*"
    r"|\b(?:system|server|local)[ _-]?(?:datetime|timestamp|date|time|clock)\"?(?: is| now)*"
    r"|\btoday(?: is|['’]s date is|,)?|\b(?:it is|it['’]s)(?: now| currently| presently)?"
    r"|\b(?:the )?(?:time|date|day) (?:now )?is(?: now)?|\bnow(?: is)?"
    r"|\bheute(?: ist| haben wir)?(?: der| den)?|\bes ist(?: jetzt| nun)?"
    r"|\b(?:aktuelle[sr]?|heutiges) (?:datum|uhrzeit|zeit)(?: ist)?|\bjetzt ist es"
    r"|\bnous sommes(?: aujourd['’]hui)? le|\baujourd['’]hui(?:,? nous sommes)?(?: le)?"
    r"|\b(?:date|heure) (?:actuelle|du jour)|\bil est(?: maintenant)?"
    r"|\bvandaag is het|\bhet is(?: nu)?|\boggi è|\bsono le(?: ore)?|\bdziś jest|\bbugün"
    r"|сегодня|сейчас|дата и время"
    r"|\bhoy es(?: el)?|\b(?:fecha|hora) actual(?: es)?|\bhoje é|\b(?:data|hora) atual"
    r"|(?:今天|今日|现在|現在|当前|當前)(?:的?(?:日期|时间|時間|日時|日付|時刻))?(?:和时间)?[是は]?"
    rf")(?![a-zA-Z]){_GAP}",
    re.IGNORECASE,
)
# Words that speak of an event; with a time of day, it was most likely this render.
_SAYS_STAMP = re.compile(
    r"\b(?:(?:generated|rendered|created|updated|compiled|started|sent|issued|fetched|requested"
    r"|retrieved|synced)(?:[ _](?:on|at))?|(?:request|session|start|build)[ _]?time|date|time"
    rf"|time[ _]?stamp|datetime|as of|ts|epoch|unix(?:[ _]time)?(?: \w+)?|clock)\"?{_GAP}$",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"\b(?:if|when|whenever|unless|until|once|whether|where|after|before|wenn|falls|si|cuando)\b"
    r"[^.!?\n]*$|\b(?:says?|saying|pretend|imagine|suppose|claim)(?: that)? $|(?:如果|若)[^。\n]*$",
    re.IGNORECASE,
)
_SPOKEN = re.compile(r"[\"'“”„«「`]\s*[^\"'“”„«「`\n]{0,24}$")
_EXAMPLE = re.compile(
    r"(?:\be\.g\.|\bfor (?:example|instance)|\bexamples?\b|\bsuch as\b|\b(?:looks?|is|are) like\b"
    r"|\bform(?:at)?\b|\blike\b|\bz\. ?B\.|\bbeispiel\w*|\betwa\b|\bpar exemple|\bpor ejemplo|例)"
    r"[^\n]{0,48}$",
    re.IGNORECASE,
)
# A date with such words says since when something holds, and will say so tomorrow.
_DATED_FACT = re.compile(
    r"\b(?:effective|valid|version|edition|revision|released?|published|launched|founded|v|since|from|until|till|by|before"
    r"|after|between|and|to|through|dated|expires?|deadline|due|gültig|ab|vom|bis|seit|du|le"
    r"|desde|hasta)(?: (?:on|the|from|until|since|as of|of))?\W{0,3}$"
    r"|\bv(?:ersion )?\d[\w.]{0,12} \($|effective=\W?$|[–-] ?$|(?:于|自)$",
    re.IGNORECASE,
)
_AGO = re.compile(
    r"\b(?:last (?:updated|refreshed|synced|modified|checked|fetched|seen|active|run|log[ -]?in)"
    rf"(?: was)?|(?<=\()updated|(?:updated|refreshed|synced|generated|deployed)\"?:){_GAP}"
    r"(?P<ago>(?:(?:\d{1,3}|an?|one|a few) (?:second|sec|minute|min|hour|day|week)s? ago"
    r"|just now)\b)",
    re.IGNORECASE,
)
_GOES_ON = re.compile(r",? ?(?:on |of |am |den |le )?(?:the )?", re.IGNORECASE)
_FAR = 400  # characters
_BACK = 72  # characters before a moment in which words about it are looked for


@dataclass(frozen=True, slots=True)
class Moment:
    """A date or time as it stands in a text.

    Attributes:
        start, end: where.
        days: the days that it can mean; two where day and month can be taken for each other, none
            where only a part of a date is given.
        exact: it has a time of day.
        said: words before it say that it is the present one.
    """

    start: int
    end: int
    days: tuple[date, ...]
    exact: bool
    said: bool = False


def moments(text: str) -> Iterator[Moment]:
    """Every date and time in a text, in order."""
    for found in _SPELLINGS.finditer(text):
        if found["part"] is not None:
            yield Moment(found.start(), found.end(), (), exact=":" in found["part"])
        elif days := tuple(_days(found)):
            exact = found["time"] is not None or ":" in found[0] or found["epoch"] is not None
            yield Moment(found.start(), found.end(), days, exact=exact)


def present_moments(text: str, clock: datetime) -> Iterator[Moment]:
    """The dates and times that say what time it is now, at `clock`."""
    labels: dict[int, int] | None = None  # where each ends, and where it begins
    said: list[Moment] = []
    past: list[Moment] = []
    before_it: Moment | None = None  # the moment before, if it is called the present one
    for moment in moments(text):
        if labels is None:
            labels = {found.end(): found.start() for found in _SAYS_NOW.finditer(text)}
        label = labels.get(moment.start)
        if before_it and _GOES_ON.fullmatch(text, before_it.end, moment.start):
            label = before_it.start  # "It is 15:00 on 15 May 2024"
        before_it = None if label is None else moment
        near = _distance(moment, clock)
        if not moment.days:
            if label is not None and _is_said(text[max(0, label - _BACK) : label]):
                said.append(replace(moment, said=True))
        elif label is not None:
            (said if near <= SAID_PRESENT else past).append(replace(moment, said=True))
        elif near <= PRESENT and _is_of_this_render(moment, text, near):
            said.append(moment)
    said += (
        Moment(*found.span("ago"), (), exact=False, said=True)
        for found in _AGO.finditer(text)
        if _is_said(text[max(0, found.start() - _BACK) : found.start()])
    )
    # Where what is called the current date is long past, the hours beside it are as fixed.
    return (one for one in said if one.days or not _beside(one, past, text))


def _is_said(ahead: str) -> bool:
    """Whether what follows is said, not a condition, and not quoted."""
    return not (_CONDITION.search(ahead) or _SPOKEN.search(ahead))


def _is_of_this_render(moment: Moment, text: str, near: timedelta) -> bool:
    """Whether a date without a word that it is the present one looks rendered all the same."""
    before = text[max(0, moment.start - _BACK) : moment.start]
    if near <= SAME_DAY:
        return not (_EXAMPLE.search(before) or (not moment.exact and _DATED_FACT.search(before)))
    return moment.exact and _SAYS_STAMP.search(before) is not None


def _beside(moment: Moment, others: list[Moment], text: str) -> bool:
    """Whether one of the others stands on the same line, or on the next or the last."""
    at = bisect_left(others, moment.start, key=lambda other: other.start)
    for other in others[max(0, at - 1) : at + 1]:
        start, end = sorted((other.start, moment.start))
        if end - start < _FAR and text.count("\n", start, end) <= 1:
            return True
    return False


def long_past(text: str, clock: datetime) -> bool:
    """Whether a text has a date that is no date of the present."""
    return any(moment.days and _distance(moment, clock) > PRESENT for moment in moments(text))


def says_example(before: str) -> bool:
    """Whether the words just before something call it an example, or a format."""
    return _EXAMPLE.search(before[-_BACK:]) is not None


def says_now(before: str) -> bool:
    """Whether the words just before something say that it is the present date or time."""
    before = before[-_BACK:]
    return any(found.end() == len(before) for found in _SAYS_NOW.finditer(before))


def _distance(moment: Moment, clock: datetime) -> timedelta:
    today = clock.date()
    return min((abs(day - today) for day in moment.days), default=timedelta.max)


def _days(found: re.Match[str]) -> Iterator[date]:
    """The days that a date can mean, none where there is no such day."""
    given = found.groupdict()
    for year, month, day in _readings(given):
        with suppress(ValueError):
            yield date(year, month, day)
    if given["week"]:
        full, week, *weekday = given["week"].lower().replace("w", "").split("-")
        with suppress(ValueError):
            for number in map(int, weekday or "1234567"):
                yield date.fromisocalendar(int(full), int(week), number)
    if given["epoch"]:  # seconds, or thousandths, millionths, billionths of them
        seconds = int(given["epoch"]) // 10 ** (len(given["epoch"]) - 10)
        yield datetime.fromtimestamp(seconds, tz=UTC).date()


def _readings(given: dict[str, str | None]) -> Iterator[tuple[int, int, int]]:
    """Year, month and day as they are spelled."""
    for at in "1", "6", "7":
        year, month, day = (given[f"{part}{at}"] for part in "ymd")
        if year and month and day:
            yield int(year), int(month), int(day)
    for at in "3", "4", "5":
        name, day, year = (given[f"{part}{at}"] for part in ("month", "d", "y"))
        if name and day and year:
            yield int(year), _month(name), int(day)
    first, second, year = given["a2"], given["b2"], given["y2"]
    if first and second and year:
        full = int(year) + (2000 if len(year) == 2 else 0)
        yield full, int(second), int(first)
        if given["s2"] != ".":
            yield full, int(first), int(second)


def _month(name: str) -> int:
    """Its number; 0 where a letter only counts as the same, such as a long s."""
    return _NUMBER_OF.get(name.rstrip(".").lower().replace("ı", "i"), 0)
