"""Constraints: the sentences with which somebody instructs, forbids, limits or prefers.

They are known by cue words, in tables by language. What the tables are: common ways to say it,
gathered by hand; not a grammar. A sentence without such a word is missed, and one that has it in
another sense is kept as well: that costs tokens and loses nothing.
"""

# ruff: noqa: RUF001  (other scripts, and the quotes and signs that texts have)

from __future__ import annotations

import re
from collections.abc import Iterator

from contextkit.summarizing.sentences import MARKS, line_places

LONGEST_SENTENCE = 320
"""Characters of the longest sentence that is kept word for word."""

# For scripts with spaces: whole words, or phrases of them; `*` stands for the rest of a word.
_SPACED = {
    "English": (
        "must|mustn't|never|always|only|do not|don't|dont|cannot|can't|not allowed|shouldn't|"
        "should|shall|have to|need to|i need|i want|we need|we want|i would like|i'd like|"
        "i'd rather|i insist|prefer|prefers|preferred|preferably|please use|please keep|"
        "make sure|ensure|avoid|be sure|no more than|no less than|no later than|no earlier than|"
        "not before|not after|at least|at most|up to|unless|without|except|instead of|"
        "rather than|required|forbidden|prohibited|mandatory|under no circumstances|remember to|"
        "remember that|from now on|as long as|maximum|minimum|budget|deadline"
    ),
    "German": (
        "muss|müssen|musst|darf|dürfen|darfst|nie|niemals|immer|nur|nicht|kein*|bitte|soll|sollen|"
        "sollte*|möchte*|ich will|ich brauche|bevorzug*|lieber|mindestens|höchstens|maximal|"
        "spätestens|frühestens|außer|ohne|unbedingt|stelle sicher|achte darauf|vermeide*|"
        "auf keinen fall|erforderlich|verboten"
    ),
    "French": (
        "doit|dois|doivent|devez|faut|jamais|toujours|seulement|uniquement|ne pas|n'utilise*|"
        "je veux|je voudrais|j'aimerais|je préfère|préfère*|préférez|au moins|au plus|au maximum|"
        "au minimum|sauf|sans|assurez-vous|assure-toi|évite*|évitez|veuillez|"
        "s'il vous plaît|s'il te plaît|interdit*|obligatoire*|pas de|pas plus|ne|n'oublie*"
    ),
    "Spanish": (
        "debe|debes|deben|debo|tiene que|tienes que|hay que|nunca|jamás|siempre|solo|sólo|"
        "solamente|únicamente|no uses|no hagas|no quiero|quiero|quisiera|me gustaría|prefiero|"
        "necesito|por favor|asegúrate|asegúrese|al menos|como máximo|como mínimo|a menos que|"
        "excepto|sin|evita*|prohibido|obligatorio|no más de"
    ),
    "Portuguese": (
        "deve|devem|preciso|precisa|tem que|nunca|jamais|sempre|somente|apenas|só|não|quero|"
        "gostaria|prefiro|por favor|certifique-se|pelo menos|no máximo|no mínimo|a menos que|"
        "exceto|sem|evite|proibido|obrigatório"
    ),
    "Italian": (
        "deve|devi|devono|bisogna|mai|sempre|solo|soltanto|solamente|non|voglio|vorrei|"
        "mi piacerebbe|preferisco|per favore|assicurati|almeno|al massimo|al minimo|a meno che|"
        "tranne|senza|evita*|vietato|obbligatorio"
    ),
    "Russian": (
        "должен|должна|должно|должны|нужно|надо|необходимо|никогда|всегда|только|нельзя|"
        "не надо|не нужно|не|хочу|хотел бы|хотела бы|предпочитаю|пожалуйста|убедись|убедитесь|"
        "не менее|не более|как минимум|максимум|минимум|кроме|без|запрещено|обязательно"
    ),
    "Dutch": (
        "moet|moeten|mogen|nooit|altijd|alleen|niet|geen|graag|ik wil|wij willen|we willen|"
        "liever|minstens|minimaal|hoogstens|maximaal|uiterlijk|behalve|zonder|zorg ervoor|vermijd|"
        "verplicht|verboden|alstublieft|alsjeblieft"
    ),
    "Polish": (
        "musi*|muszę|nigdy|zawsze|tylko|wyłącznie|nie|chcę|chciał*|wolę|proszę|co najmniej|"
        "przynajmniej|co najwyżej|maksymalnie|minimalnie|oprócz|bez|upewnij|unikaj*|trzeba|należy|"
        "zabronion*|wymagan*|koniecznie"
    ),
    "Turkish": (
        "asla|her zaman|daima|sadece|yalnızca|lütfen|istiyor*|istemiyor*|isterim|en az|en fazla|"
        "en çok|hariç|dışında|olmadan|gerek*|zorund*|şart|yasak|tercih*|mutlaka|sakın|olmalı*|"
        "olmamalı*|kesinlikle"
    ),
    "Indonesian": (
        "harus|jangan|tidak boleh|tidak|selalu|hanya|tolong|mohon|ingin|maksimal|"
        "kecuali|tanpa|pastikan|hindari|wajib|dilarang|sebaiknya|lebih suka"
    ),
    "Vietnamese": (
        "phải|không được|không bao giờ|đừng|luôn|chỉ|vui lòng|xin hãy|muốn|ít nhất|tối đa|"
        "tối thiểu|trừ|không có|bắt buộc|cấm|tránh|nên"
    ),
    "Arabic": (
        "يجب|ويجب|ينبغي|لا|ولا|ألا|لن|أبدا*|دائما*|فقط|من فضلك|رجاء|أريد|نريد|أود|أفضل|أرغب|"
        "على الأقل|على الأكثر|كحد أقصى|كحد أدنى|إلا|بدون|من دون|تأكد|تجنب|ممنوع|مطلوب|ضروري|عدم"
    ),
    "Hindi": (
        "चाहिए|कभी|हमेशा|केवल|सिर्फ़|सिर्फ|नहीं|मत|न|ज़रूर|जरूर|अवश्य|कृपया|चाहता|चाहती|चाहते|"
        "कम से कम|ज़्यादा से ज़्यादा|"
        "अधिक से अधिक|अधिकतम|न्यूनतम|बिना|के अलावा|अनिवार्य|ज़रूरी|जरूरी|मना"
    ),
}
# For Chinese, Japanese and Korean: pieces of a sentence.
_UNSPACED = (
    "必须|必須|务必|務必|一定要|千万|不要|不得|不能|不许|不可|别再|请勿|請勿|禁止|切勿|永远|从不|总是|始终|只能|"
    "只要|只用|仅|至少|至多|最多|不超过|不少于|除非|除了|我想|我要|我希望|我需要|希望|请用|请使用|"
    "请|請|确保|確保|避免|优先|最好|"
    "しなければ|なければならない|必ず|絶対|決して|しないで|ないでください|てはいけ|てはなら|だけ|のみ|以上|以下|以内|"
    "少なくとも|たいです|てほしい|てください|でください|お願い|希望|避け|"
    "반드시|절대|항상|언제나|오직|만 |하지 마|하지마|말아|안 됩니다|안 돼|해야|"
    "최소|최대|이상|이하|이내|"
    "원합니다|싶습니다|싶어|해 주세요|해주세요|주세요|제외|피하"
)
# Without case, as the sentences are: `außer` is `ausser`.
_WORDS = sorted({cue for cues in _SPACED.values() for cue in cues.casefold().split("|")})
_CUE = re.compile(
    rf"(?<![\w{MARKS}.-])(?:"
    + "|".join(re.escape(cue).replace(r"\*", rf"[\w{MARKS}]*") for cue in _WORDS)
    + rf")(?![\w{MARKS}-])"
    r"|" + "|".join(sorted(set(_UNSPACED.split("|"))))
)
# A line of a listing, of a program, of a log: signs that prose has few of.
_NUMBERED_LINE = re.compile(r"\s{0,12}[0-9]{1,6}(?::|\s?\|)")
_CODE = re.compile(r"[=(){}<>\[\]|\\;]")
_CLAUSE = re.compile(r"(?<=[;,:；，：、])\s*|(?<=\s)[-–—](?=\s)")
_WORD = re.compile(r"\w+")
_BULLET = re.compile(r"(?:[\s*•>#|-]+|[0-9]{1,3}[.)]\s)*+")


def constraints_of(text: str) -> Iterator[tuple[int, str]]:
    """The sentences of a text that instruct, with the character at which each begins."""
    position = 0
    for line in text.splitlines(keepends=True):
        for start, end in [] if _NUMBERED_LINE.match(line) else line_places(line, 0, len(line)):
            sentence = line[start:end]
            if len(_CODE.findall(sentence)) > 2 + len(sentence) // 40 or not _CUE.search(
                sentence.casefold().replace("’", "'")
            ):
                continue
            yield from _bounded(position + start, sentence)
        position += len(line)


def constraint_key(sentence: str) -> str:
    """What two ways to write one sentence have in common: its words, without case."""
    return " ".join(_WORD.findall(sentence.casefold()))


def _bounded(start: int, sentence: str) -> Iterator[tuple[int, str]]:
    """The sentence, or of one that is too long the clauses that instruct."""
    for offset, piece in (
        [(0, sentence)] if len(sentence) <= LONGEST_SENTENCE else _clauses(sentence)
    ):
        bare = _BULLET.sub("", piece, count=1).rstrip()
        words = _WORD.findall(bare)
        if len(bare) > LONGEST_SENTENCE or not words or (len(words) < 3 and bare.isascii()):
            continue
        if piece is sentence or _CUE.search(piece.casefold()):
            yield start + offset + piece.index(bare), bare


def _clauses(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for match in _CLAUSE.finditer(text):
        yield start, text[start : match.end()]
        start = match.end()
    if start < len(text):
        yield start, text[start:]
