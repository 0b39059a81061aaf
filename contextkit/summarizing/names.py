"""Names: runs of words with capitals inside a sentence, and codes that are words in capitals.

Not all languages have capitals; in Chinese, Japanese and Korean a name is what is quoted.
"""

# ruff: noqa: RUF001  (other scripts, and the quotes and signs that texts have)

from __future__ import annotations

import re
from collections.abc import Iterable

from contextkit.summarizing.mention import BLANK, LETTER, LONGEST, Mention

_WORD = re.compile(r"[^\W\d_]{1,64}(?:['’-][^\W\d_]{1,64}){0,4}")
_QUOTED = re.compile(r"[「『《“]([^「」『』《》“”\s]{2,20})[」』》”]")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
# What may stand between the parts of a name.
_BETWEEN = re.compile(r"al|bin|d[aeiou]|del|della|den|der|dos|la|le|of|van|von")
_ENDS = frozenset('.!?:;…。！？：；•*#>|=\n\r-–—[{"“«„')
_LABEL = re.compile(r"\*{0,2} ?[:：]")
_NO_NAME = re.compile(r"[A-Z]{2,}\Z|I['’]")


def codes_in(rest: str, spans: Iterable[tuple[int, int]]) -> list[Mention]:
    """Words in capitals, such as the code of an airport; three in a row are loud, not codes."""
    runs: list[list[tuple[int, int]]] = []
    for start, end in spans:
        if (start and LETTER.match(rest[start - 1])) or LETTER.match(rest[end : end + 1]):
            continue
        if runs and rest[runs[-1][-1][1] : start] == " ":
            runs[-1].append((start, end))
        else:
            runs.append([(start, end)])
    return [
        Mention(
            start, "identifier", rest[start:end], rest[start:end].casefold(), (rest[start:end],)
        )
        for run in runs
        if len(run) < 3 and rest[run[-1][1] : run[-1][1] + 1] != ":"
        for start, end in run
        if 2 < end - start < 9
    ]


def names_in(text: str, rest: str) -> list[Mention]:
    """Runs of words with capitals; in scripts without capitals, what is quoted."""
    run: list[re.Match[str]] = []
    small = large = 0
    names: list[Mention] = []
    between: list[re.Match[str]] = []
    last = 0

    def close() -> None:
        if run:
            start, end = run[0].start(), run[-1].end()
            words = tuple(match[0] for match in run)
            if end - start <= LONGEST:
                label = bool(_LABEL.match(rest, end))
                first = label or _begins(rest, start)
                names.append(
                    Mention(start, "name", text[start:end], " ".join(words), words, first, label)
                )
            run.clear()
        between.clear()

    for match in _WORD.finditer(rest):
        word = match[0]
        start = match.start()
        if run and (start - last != 1 or rest[last] not in " \u00a0"):
            close()
        if word[0].isupper() and not _NO_NAME.match(word):
            large += 1
            if len(word) > 1:
                if len(run) + len(between) > 5:
                    close()
                run += between
                between.clear()
                run.append(match)
            else:
                close()
        else:
            small += 1
            if run and _BETWEEN.fullmatch(word) and len(between) < 2:
                between.append(match)
            else:
                close()
        last = match.end()
    close()
    # Where nouns have capitals (German), or every word has one, only runs are names.
    loud = large > 20 and large * 4 > small
    names = [name for name in names if not loud or len(name.words) > 1]
    if _CJK.search(rest):
        names += [
            Mention(match.start(1), "name", text[match.start(1) : match.end(1)], match[1])
            for match in _QUOTED.finditer(rest)
            if BLANK not in match[1]
        ]
    return names


def _begins(text: str, start: int) -> bool:
    """Whether a word stands where a sentence, a line, a label or a quotation begins."""
    for position in range(start - 1, max(start - 12, -1), -1):
        char = text[position]
        if char in " \t\u00a0('‘’":
            continue
        return char in _ENDS
    return True
