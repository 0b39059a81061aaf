"""Ranking: how well each passage answers a question, and which of them fill a share of tokens.

Each step is a function of its own, with its constant and where that was found. Unless something
else is said, constants were searched on halves of LoCoMo and BEAM-100K and checked on their other
halves and on REALTALK, which nothing was tuned on (2026-11-22). Scores are rounded, and ties go by
number, so that the order does not hang on the last bits of a product.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from contextkit.retrieval.corpus import Corpus
from contextkit.retrieval.passages import address_of
from contextkit.retrieval.questions import asking_keys, participant_asked, role_asked

if TYPE_CHECKING:
    import numpy as np

CARRY_OVER = ((1, 0.5), (-1, 0.5), (2, 0.4), (-2, 0.4))
"""A neighbour's term counts as one's own, at this share, where it is more: what is asked and what
is answered stand beside each other. Summing instead finds less."""

SPEAKER_TIMES, SPEAKER_PLUS, SPEAKER_DENSE = 0.5, 1.5, 0.05
"""What a passage of the one who is asked about gains, of its words and of its vector."""

SESSION_LEXICAL, SESSION_DENSE, SESSION_BEST = 0.3, 0.15, 3
"""What a passage gains from the mean of the best three of its session."""

BEFORE, AFTER = 0.1, 0.2
"""What a vector score gains from the passage before and the one after."""

LEXICAL = 0.6
"""The share of the words in the sum; the vectors have the rest."""

STANDING = 0.15
"""What a standing request gains: it applies whatever is asked."""

LONG, DISCOUNT = 100, 0.6
"""A passage of more than 100 tokens is worth its score by (tokens / 100) ** 0.6: short ones that
are as good leave room for more."""

SPREAD = 1e-4
"""Scores that are nearer to each other are the same: the last bits of a product tell nothing."""

_FIRST = 1_000
_ALL = slice(None)

STEPS = (
    "terms",
    "words",
    "carry-over",
    "speaker",
    "session",
    "neighbours",
    "standing",
    "echoes",
)
"""What `rank` can leave out, to measure what each step gives."""


def rank(
    corpus: Corpus,
    question: str,
    *,
    vector: Any = None,
    words: Mapping[str, Any] | None = None,
    asker: str = "",
    without: Collection[str] = (),
) -> np.ndarray:
    """Score every passage for a question: from 0, of no use, to 1 and a little more.

    Args:
        corpus: the passages.
        question: what is asked.
        vector: the unit vector of the question; without it, or without vectors in the corpus, the
            words decide alone.
        words: vectors of words of the question that the corpus has not seen, by address.
        asker: the name of who asks, where the passages have names: whom "I" and "my" mean.
        without: steps left out, of `STEPS`; without "terms" the vectors decide alone.

    Returns:
        Scores, shape (len(corpus),); 0 for those that do not count, in a corpus without some.
    """
    import numpy as np

    with corpus.lock:
        if not len(corpus.postings):
            return np.zeros(len(corpus))
        counting = _ALL if corpus.counting is None else corpus.counting
        mine = (
            np.zeros(len(corpus), bool)
            if "speaker" in without
            else asked_about(corpus, question, asker)
        )
        lexical = lexical_scores(corpus, question, words or {}, without)
        lexical = lexical * (1 + SPEAKER_TIMES * mine) + SPEAKER_PLUS * mine
        none = 0.0  # what a passage has that says nothing of it
        if "session" not in without:
            prior = SESSION_LEXICAL * session_best(corpus, lexical)
            lexical, none = lexical + prior, float(prior[counting].min())
        scores = min_max(lexical, none, among=counting)
        if vector is not None and corpus.vectors is not None:
            near, known = dense_scores(corpus, np.asarray(vector, np.float32))
            if "neighbours" not in without:
                near = with_neighbours(corpus, near)
            if "session" not in without:
                near = near + SESSION_DENSE * session_best(corpus, near)
            near = min_max(near + SPEAKER_DENSE * mine, among=counting)
            share = 0.0 if "terms" in without else LEXICAL
            # A passage whose vector is not there yet goes by its words alone.
            scores = np.where(known, share * scores + (1 - share) * near, scores)
        if "standing" not in without and corpus.speaker_number("assistant") is not None:
            scores = scores + STANDING * corpus.standing.values
        if "echoes" not in without:
            scores = scores / echoing(corpus, question, scores)
        told: np.ndarray = np.round(scores, 6)
        if corpus.counting is not None:
            told[~corpus.counting] = 0.0
        return told


def asked_about(corpus: Corpus, question: str, asker: str = "") -> np.ndarray:
    """Which passages are of the one whom a question is about: by name, or by its wording."""
    import numpy as np

    participants = corpus.participants
    name = participant_asked(question, participants)
    role = role_asked(question)
    if name is None and role == "user" and asker in participants:
        name = asker
    number: int | None = None
    if name is not None:
        number = participants[name]
    elif role is not None and corpus.speaker_number("assistant") is not None:
        number = corpus.speaker_number(role)
    if number is None:
        return np.zeros(len(corpus), bool)
    mine: np.ndarray = corpus.speakers.values == number
    return mine


def lexical_scores(
    corpus: Corpus,
    question: str,
    given: Mapping[str, Any],
    without: Collection[str] = (),
) -> np.ndarray:
    """The sum of the weights of the question's terms, in each passage or carried over to it."""
    import numpy as np

    asked = corpus.question_terms(question)
    vectors = {
        term.key: given[address]
        for term in asked
        if term.word and (address := address_of(term.word)) in given
    }
    names = corpus.name_terms()
    near = (
        {}
        if "words" in without
        else corpus.words.nearest([term.key for term in asked if term.word], vectors)
    )
    total = np.zeros(len(corpus))
    weights = np.zeros(len(corpus))
    carried = np.zeros(len(corpus))
    for term in asked:
        others = [(word, share) for word, share in near.get(term.key, ()) if word not in names]
        numbers, values = term_weights(corpus, term.key, others, weights)
        shifts = () if "carry-over" in without else CARRY_OVER
        for held in carry_over(corpus, numbers, values, shifts, carried):
            # What is added is cleared, so a passage that comes twice counts once.
            total[held] += carried[held]
            carried[held] = 0
    return total


def term_weights(
    corpus: Corpus, term: str, others: Iterable[tuple[str, float]], scratch: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The passages that hold a term or a word near to it, and the weight of the best of them.

    Args:
        corpus: the passages.
        term: of the question.
        others: words near to it, and how much they count.
        scratch: zeros for all passages, and zeros again afterwards.
    """
    import numpy as np

    numbers, values = corpus.postings.weights(term)
    others = list(others)
    if not others:
        return numbers, values
    scratch[numbers] = values
    idf = corpus.postings.idf(term)
    for other, share in others:
        held, weight = corpus.postings.weights(other)
        counting = share * min(1.0, idf / corpus.postings.idf(other))
        scratch[held] = np.maximum(scratch[held], counting * weight)
    numbers = np.flatnonzero(scratch)
    values = scratch[numbers]
    scratch[numbers] = 0
    return numbers, values


def carry_over(
    corpus: Corpus,
    numbers: np.ndarray,
    values: np.ndarray,
    shifts: Iterable[tuple[int, float]],
    carried: np.ndarray,
) -> list[np.ndarray]:
    """Put the weights of a term into `carried`, and what neighbours of the session have of them.

    Returns:
        The passages that have any now; one may be there several times.
    """
    import numpy as np

    sittings = corpus.sittings.values
    carried[numbers] = values
    touched = [numbers]
    for shift, share in shifts:
        to = numbers + shift
        inside = (to >= 0) & (to < len(sittings))
        inside[inside] = sittings[to[inside]] == sittings[numbers[inside]]
        to = to[inside]
        carried[to] = np.maximum(carried[to], share * values[inside])
        touched.append(to)
    return touched


def session_best(corpus: Corpus, scores: np.ndarray) -> np.ndarray:
    """For each passage the mean of the three best scores of its session."""
    import numpy as np

    starts = corpus.sitting_starts.values
    lengths = np.diff(np.append(starts, len(scores)))
    left = scores.copy()
    total = np.zeros(len(starts))
    for taken in range(SESSION_BEST):
        best = np.maximum.reduceat(left, starts)
        some = lengths > taken
        total[some] += best[some]
        at = np.flatnonzero(left == np.repeat(best, lengths))
        left[at[np.searchsorted(at, starts)]] = -np.inf
    means: np.ndarray = np.repeat(total / np.minimum(lengths, SESSION_BEST), lengths)
    return means


def echoes(corpus: Corpus, question: str) -> np.ndarray:
    """The passages that say nothing but what a question does, ascending.

    Whoever asks again finds the question that was asked before, in other words, best of all.
    """
    import numpy as np

    held = np.zeros(len(corpus), np.int32)
    for term in {*corpus.term_weights(question), *corpus.name_terms()} - asking_keys():
        held[corpus.postings.numbers(term)] += 1
    # A term that only the date of a passage has counts as said: it is no matter, being asked for.
    numbers: np.ndarray = np.flatnonzero(
        (held >= corpus.distinct.values) & (corpus.distinct.values > 0)
    )
    return numbers


def echoing(corpus: Corpus, question: str, scores: np.ndarray) -> np.ndarray:
    """How many times less echoes count: the n-th best of them n times, until answers have room.

    They are not left out: "I went to Rome" answers "Did I go to Rome?". The very same text answers
    nothing.

    Returns:
        Divisors, shape (len(corpus),): 1 for all others.
    """
    import numpy as np

    numbers = echoes(corpus, question)
    divisors = np.ones(len(corpus))
    best = numbers[np.lexsort((-numbers, -np.round(scores[numbers], 6)))]
    divisors[best] = np.arange(1, len(best) + 1)
    same = [number for number in numbers.tolist() if corpus.passages[number].text == question]
    divisors[same] = np.inf
    return divisors


def dense_scores(corpus: Corpus, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cosine of each passage, at least 0, the best of its parts; and which have a vector."""
    import numpy as np

    rows = corpus.vectors
    if rows is None:
        return np.zeros(len(corpus)), np.zeros(len(corpus), bool)
    cosines = np.maximum(rows @ vector, 0.0)
    known = corpus.present.values
    if len(rows) > len(corpus):
        starts = corpus.first_rows.values
        cosines = np.maximum.reduceat(cosines, starts)
        known = np.maximum.reduceat(known, starts)
    return cosines.astype(np.float64), known


def with_neighbours(corpus: Corpus, scores: np.ndarray) -> np.ndarray:
    """Scores with a little of those before and after, inside the session."""
    sittings = corpus.sittings.values
    together = sittings[1:] == sittings[:-1]
    summed = scores.copy()
    summed[1:] += BEFORE * scores[:-1] * together
    summed[:-1] += AFTER * scores[1:] * together
    return summed


def min_max(
    scores: np.ndarray, low: float | None = None, *, among: slice | np.ndarray = _ALL
) -> np.ndarray:
    """Scores from 0, the least of some or `low`, to 1; all 0 where these are all that."""
    least, most = scores[among].min() if low is None else low, scores[among].max()
    return (scores - least) / (most - least) if most - least > SPREAD else scores * 0.0


def values_of(scores: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """What passages are worth: their scores, less for those that take much room."""
    import numpy as np

    worth: np.ndarray = scores / np.maximum(1.0, tokens / LONG) ** DISCOUNT
    return worth


def fill(
    scores: np.ndarray,
    tokens: np.ndarray,
    share: int,
    *,
    among: Any = None,
    sessions: np.ndarray | None = None,
    heading: Mapping[int, int] | int = 0,
    discount: bool = True,
) -> list[int]:
    """The passages that fill a share of tokens: the most valuable first, passing what is too big.

    `Retrieve` gives scores, tokens with each passage's label and date in them, and a floor. Where
    a date stands once above the passages of a session instead, `sessions` and `heading` say what
    that takes: so `benchmarks.evidence` fills, to be compared with results that are counted so.

    Args:
        scores: of all passages, shape (count,); what has none is not taken.
        tokens: that each takes.
        share: tokens at most.
        among: numbers of those that may be taken, or a mask; all where None.
        sessions: of each passage, where each session shown costs a heading.
        heading: tokens of a heading, the same for all or by session.
        discount: whether long passages are worth less.

    Returns:
        Their numbers, ascending.
    """
    import numpy as np

    worth = values_of(scores, tokens) if discount else scores
    worth = np.round(worth, 6)
    allowed = (worth > 0) & (tokens <= share)
    if among is not None:
        mask = np.zeros(len(scores), bool)
        mask[np.asarray(among, dtype=None if len(among) else np.int64)] = True
        allowed &= mask
    chosen: list[int] = []
    shown: set[int] = set()
    left = share
    for some in _best_first(worth, np.flatnonzero(allowed)):
        fitting = some[tokens[some] <= left]
        order = fitting[np.argsort(-worth[fitting], kind="stable")]
        costs = tokens[order].tolist()
        least = min(costs, default=0)
        for place, number in enumerate(order.tolist()):
            if left < least:
                break
            cost = costs[place]
            if cost > left:
                continue
            if sessions is not None:
                session = int(sessions[number])
                if session not in shown:
                    cost += heading if isinstance(heading, int) else heading.get(session, 0)
                    if cost > left:
                        continue
                    shown.add(session)
            chosen.append(number)
            left -= cost
    return sorted(chosen)


def _best_first(worth: np.ndarray, numbers: np.ndarray) -> Iterator[np.ndarray]:
    """The best thousand, which mostly fill the share, and the others, which are then not sorted."""
    import numpy as np

    if len(numbers) <= _FIRST:
        yield numbers
        return
    values = worth[numbers]
    best = values >= np.partition(values, len(values) - _FIRST)[len(values) - _FIRST]
    yield numbers[best]
    yield numbers[~best]
