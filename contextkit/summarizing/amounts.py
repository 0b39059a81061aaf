"""Amounts: numbers with their unit or currency, in one normal form.

Keys: the number without separators, and its unit behind a space: `1234.5 usd`, `15 %`, `42`.
"""

# ruff: noqa: RUF001  (other scripts, and the quotes and signs that texts have)

from __future__ import annotations

import re

# Units as they are written, by the one name that keys have. English and international signs, and
# the words for money, percent and spans of time in German, French, Spanish, Portuguese, Italian,
# Russian, Chinese, Japanese, Korean.
_UNITS = {
    "usd": "$ US$ USD dollar dollars Dollar dólares доллар долларов 美元 ドル 달러",
    "eur": "€ EUR euro euros Euro евро 欧元 ユーロ 유로",
    "gbp": "£ GBP pound pounds Pfund 英镑",
    "cny": "CNY RMB yuan 元 人民币 块",
    "jpy": "¥ JPY yen 円 日元",
    "inr": "₹ INR rupees",
    "krw": "₩ KRW 원",
    "rub": "₽ RUB руб рубль рубля рублей",
    "brl": "R$ BRL reais",
    "chf": "CHF Franken",
    "cad": "CAD C$",
    "aud": "AUD A$",
    "%": "% ％ percent Prozent pourcent процентов процента",
    "km": "km kilometers kilometres Kilometer kilomètres kilómetros км 公里",
    "m": "m meters metres Meter mètres metros метров 米",
    "cm": "cm см 厘米",
    "mm": "mm мм",
    "mi": "mi mile miles Meilen",
    "ft": "ft feet",
    "in": "inch inches",
    "kg": "kg kilos kilograms кг 公斤 キロ",
    "g": "g grams Gramm grammes gramos",
    "mg": "mg",
    "lb": "lb lbs",
    "oz": "oz",
    "l": "l L liters litres Liter",
    "ml": "ml mL",
    "°c": "°C ℃",
    "°f": "°F",
    "°": "°",
    "kwh": "kWh",
    "kw": "kW",
    "w": "W watt watts",
    "v": "V volt volts",
    "hz": "Hz",
    "khz": "kHz",
    "mhz": "MHz",
    "ghz": "GHz",
    "b": "bytes",
    "kb": "KB kB kb KiB",
    "mb": "MB Mb MiB",
    "gb": "GB Gb GiB",
    "tb": "TB TiB",
    "bit": "bit bits",
    "ms": "ms milliseconds",
    "s": "s sec secs second seconds Sekunden secondes segundos секунд 秒 초",
    "min": "min mins minute minutes Minute Minuten minutos minuti минут 分钟 分 분",
    "h": "h hr hrs hour hours Stunde Stunden heure heures hora horas ora ore час часа часов "
    "小时 時間 시간",
    "day": "day days Tag Tage Tagen jour jours día días dia dias giorno giorni день дня дней "
    "天 日間 일",
    "week": "week weeks Woche Wochen semaine semaines semana semanas settimane недели недель "
    "周 週間 주",
    "month": "month months Monat Monate Monaten mois mes meses mesi месяц месяца месяцев "
    "个月 か月 개월",
    "year": "year years Jahr Jahre Jahren ans année années año años anos anni год года лет 年 년",
    "px": "px",
    "dpi": "dpi",
    "token": "token tokens",
    "k": "k K",
    "10k": "万 萬 만",
    "10k cny": "万元",
    "10k jpy": "万円",
    "10k krw": "만원",
    "100m": "亿 億 억",
    "100m cny": "亿元",
    "100m jpy": "億円",
    "100m krw": "억원",
    "million": "million millions Mio Millionen millones milhões milioni млн",
    "billion": "billion billions Mrd Milliarden млрд",
}
_NAMES = {form: name for name, forms in _UNITS.items() for form in forms.split()}
_BEFORE = r"(?:US\$|R\$|C\$|A\$|[$€£¥₹₩]|(?:USD|EUR|GBP|CNY|RMB|JPY|CHF|CAD|AUD|INR)\b) ?"
_AFTER = "|".join(sorted(map(re.escape, _NAMES), key=lambda form: (-len(form), form)))
_SPACES = "\u00a0\u202f\u2009'’"
_MONEY = r"(?:€|EUR\b|₽|руб|zł|kr\b|Kč)"

NUMBER = re.compile(
    rf"(?:{_BEFORE})?(?:(?<![^\s(:=])[-−])?"
    rf"(?:[0-9]{{1,3}}(?:[{_SPACES}][0-9]{{3}}){{1,6}}(?:[.,][0-9]{{1,9}})?(?![0-9])"
    rf"|[0-9]{{1,3}}(?: [0-9]{{3}}){{1,4}}(?:,[0-9]{{1,2}})?(?= ?{_MONEY})"
    r"|[0-9]{1,3}(?:,[0-9]{3}){1,6}(?:\.[0-9]{1,9})?(?![0-9])"
    r"|[0-9]{1,3}(?:\.[0-9]{3}){1,6},[0-9]{1,9}(?![0-9])"
    r"|[0-9]{1,3}(?:\.[0-9]{3}){2,6}(?![0-9])"
    r"|[0-9]{1,30}(?:[.,][0-9]{1,12})?)"
    rf"(?:[ \u00a0-]?(?:{_AFTER})(?![A-Za-z0-9_\u00c0-\u024f\u0370-\u052f-]))?"
)
_PARTS = re.compile(r"([^0-9]*)([0-9](?:[0-9.,'’ \u00a0\u202f\u2009]*[0-9])?)(.*)", re.DOTALL)


def amount(match: re.Match[str]) -> str:
    """The key of what `NUMBER` found; empty where it is trivial: one digit without a unit."""
    parts = _PARTS.fullmatch(match[0])
    if parts is None:
        return ""
    before, digits, after = parts.groups()
    sign = "-" if before[-1:] in ("-", "−") else ""
    unit = _NAMES.get(before.rstrip("-− "), "") or _NAMES.get(after.strip(" \u00a0-"), "")
    if not unit and len(digits) == 1:
        return ""
    value = f"{sign}{plain(digits)}"
    return f"{value} {unit}" if unit else value


def plain(digits: str) -> str:
    """A number without the separators of its thousands, with a point for its decimals."""
    for space in " \u00a0\u202f\u2009'’":
        digits = digits.replace(space, "")
    points, commas = digits.count("."), digits.count(",")
    if points and commas:
        decimal = max(digits.rfind("."), digits.rfind(","))
        digits = _without(digits[:decimal]) + "." + digits[decimal + 1 :]
    elif commas == 1 and len(digits) - digits.index(",") != 4:
        digits = digits.replace(",", ".")
    elif commas or points > 1:
        digits = _without(digits)
    whole, _, fraction = digits.partition(".")
    fraction = fraction.rstrip("0")
    whole = whole.lstrip("0") or "0"
    return f"{whole}.{fraction}" if fraction else whole


def _without(digits: str) -> str:
    return digits.replace(".", "").replace(",", "")
