"""Calendar: dates and times of day as texts write them, in one normal form each.

Keys: `2024-05-15` for a date, `--05-15` where the year is not said, `2024-05` where the day is not,
`06:00` or `06:00:15` for a time of day, `weekday 1` for a Monday. A date that may be read two ways
(`05/06/2024`) has both keys, with `|` between.
"""

# ruff: noqa: RUF001  (letters of many languages)

from __future__ import annotations

import re

# The names of months and weekdays, as they stand within dates: English, German, French, Spanish,
# Portuguese, Italian, Russian and Polish (in the case that dates take), of months also Dutch,
# Turkish, Arabic, Hindi. Short forms only of English, and of German where English has none: others
# are too often words.
_MONTHS = (
    (
        "January Jan Januar Jänner janvier enero janeiro gennaio января "
        "januari stycznia Ocak يناير जनवरी"
    ),
    (
        "February Feb Februar février febrero fevereiro febbraio февраля "
        "februari lutego Şubat فبراير फ़रवरी फरवरी"
    ),
    "March Mar März mars marzo março марта maart marca Mart مارس मार्च",
    "April Apr avril abril aprile апреля kwietnia Nisan أبريل अप्रैल",
    "May Mai mai mayo maio maggio мая mei maja Mayıs مايو मई",
    "June Jun Juni juin junio junho giugno июня czerwca Haziran يونيو जून",
    "July Jul Juli juillet julio julho luglio июля lipca Temmuz يوليو जुलाई",
    "August Aug août agosto августа augustus sierpnia Ağustos أغسطس अगस्त",
    (
        "September Sep Sept septembre septiembre setembro settembre сентября "
        "września Eylül سبتمبر सितंबर"
    ),
    (
        "October Oct Oktober Okt octobre octubre outubro ottobre октября "
        "października Ekim أكتوبر अक्टूबर अक्तूबर"
    ),
    "November Nov novembre noviembre novembro ноября listopada Kasım نوفمبر नवंबर",
    (
        "December Dec Dezember Dez décembre diciembre dezembro dicembre декабря "
        "grudnia Aralık ديسمبر दिसंबर"
    ),
)
_WEEKDAYS = (
    "Monday Montag lundi lunes segunda-feira lunedì понедельник 星期一 周一 月曜日 월요일",
    "Tuesday Dienstag mardi martes terça-feira martedì вторник 星期二 周二 火曜日 화요일",
    "Wednesday Mittwoch mercredi miércoles quarta-feira mercoledì среду 星期三 周三 水曜日 수요일",
    "Thursday Donnerstag jeudi jueves quinta-feira giovedì четверг 星期四 周四 木曜日 목요일",
    "Friday Freitag vendredi viernes sexta-feira venerdì пятницу 星期五 周五 金曜日 금요일",
    "Saturday Samstag samedi sábado sabato субботу 星期六 周六 土曜日 토요일",
    "Sunday Sonntag dimanche domingo domenica воскресенье 星期日 星期天 周日 日曜日 일요일",
)


def _forms(rows: tuple[str, ...]) -> dict[str, int]:
    """Each name as it may be written, with its number from 1."""
    forms: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        for name in row.split():
            for form in (name, name.lower(), name.upper(), name[:1].upper() + name[1:]):
                forms[form] = number
    return forms


MONTHS = _forms(_MONTHS)
WEEKDAYS = _forms(_WEEKDAYS)


def _either(names: dict[str, int]) -> str:
    return "|".join(sorted(map(re.escape, names), key=lambda name: (-len(name), name)))


_ZONE = (
    r"(?:[ \u00a0]?(?:Z|UTC|GMT|CES?T|[ECMPJKBIA][SD]?T)\b(?:[+-][0-9]{1,2}(?::?[0-9]{2})?)?"
    r"|[+-][0-9]{2}:[0-9]{2}\b)?"
)
MONTH = _either(MONTHS)

# What comes before a match is looked at in the code: a pattern that begins with a literal is
# searched many times faster than one that begins by looking back.
NUMERIC_DATE = re.compile(
    r"([0-9]{4})([-/.])([0-9]{1,2})\2([0-9]{1,2})(?![0-9])"
    r"|([0-9]{1,2})([-/.])([0-9]{1,2})\6([0-9]{4}|(?<=/)[0-9]{2})(?![0-9])"
    r"|(?:([0-9]{4}) ?[年년] ?)?([0-9]{1,2}) ?[月월] ?([0-9]{1,2}) ?[日号號일]"
    r"|([0-9]{4}) ?[年년] ?([0-9]{1,2}) ?[月월]"
)
DAY_MONTH = re.compile(
    rf"([0-9]{{1,2}})(?:st|nd|rd|th|er|\.|º)?[ \u00a0](?:of |de )?({MONTH})(?!\w)\.?"
    r"(?:,? (?:de |del )?([0-9]{4})(?![0-9]))?"
)
MONTH_DAY = re.compile(
    rf"({MONTH})\.?(?: (?:the )?([0-9]{{1,2}})(?:st|nd|rd|th)?(?![0-9:])"
    r"(?:,? ([0-9]{4})(?![0-9]))?"
    r"|,? (?:de )?((?:19|20)[0-9]{2})(?![0-9]))"
)
WEEKDAY = re.compile(_either(WEEKDAYS))
TIME = re.compile(
    r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]{1,9})?)?(?![0-9:])"
    rf"(?: ?([AaPp])\.?[Mm]\b\.?| Uhr\b)?{_ZONE}"
    rf"|([0-9]{{1,2}})(?: ?([AaPp])(?:\.[Mm]\.|[Mm]\b)| ?Uhr\b| ?h(?:([0-5][0-9]))?\b){_ZONE}"
    r"|(?:(上午|午前|오전|下午|晚上|午後|오후) ?)?([0-9]{1,2}) ?[点點时時시]"
    r"(?: ?([0-9]{1,2}) ?[分분])?"
)


def numeric_date(match: re.Match[str]) -> str:
    """The key of what `NUMERIC_DATE` found; empty where it is no date."""
    year, _, month, day, first, _, second, last, *asian = match.groups()
    if year:
        return _date(year, month, day)
    if last:
        year = last if len(last) == 4 else f"20{last}"
        readings = {_date(year, second, first), _date(year, first, second)} - {""}
        return "|".join(sorted(readings))
    if asian[2]:
        return _date(asian[0], asian[1], asian[2])
    return _date(asian[3], asian[4], None)


def day_month(match: re.Match[str]) -> str:
    """The key of what `DAY_MONTH` found; empty where it is no date."""
    day, month, year = match.groups()
    return _date(year, str(MONTHS[month]), day)


def month_day(match: re.Match[str]) -> str:
    """The key of what `MONTH_DAY` found; empty where it is no date."""
    month, day, year, alone = match.groups()
    return _date(year or alone, str(MONTHS[month]), day)


def weekday(match: re.Match[str]) -> str:
    """The key of what `WEEKDAY` found."""
    return f"weekday {WEEKDAYS[match[0]]}"


def time_of_day(match: re.Match[str]) -> str:
    """The key of what `TIME` found; empty where it is no time of day."""
    hour, minute, second, half, hour2, half2, minute2, half3, hour3, minute3 = match.groups()
    hours = int(hour or hour2 or hour3)
    minutes = int(minute or minute2 or minute3 or 0)
    seconds = int(second or 0)
    half = (half or half2 or "").lower()
    if half3:
        half = "a" if half3 in ("上午", "午前", "오전") else "p"
    if hours > (12 if half else 24) or minutes > 59 or seconds > 59:
        return ""
    if half:
        hours = hours % 12 + 12 * (half == "p")
    return f"{hours:02}:{minutes:02}" + (f":{seconds:02}" if seconds else "")


def also_said(key: str) -> list[str]:
    """The keys of what a date says beside itself: without its year, without its day."""
    said = []
    for reading in key.split("|"):
        said.append(reading)
        if len(reading) == 10 and reading[4] == "-":
            said += [f"-{reading[4:]}", reading[:7]]
    return said


def _date(year: str | None, month: str, day: str | None) -> str:
    if not 1 <= int(month) <= 12 or (day and not 1 <= int(day) <= 31):
        return ""
    if day is None:
        return f"{year}-{int(month):02}"
    return f"{year or '-'}-{int(month):02}-{int(day):02}"
