"""Corpus: the passages that can be found, in order, with what ranking looks at, kept as they come.

Adding a passage costs what that passage costs, whatever was there before. Vectors are handed in
when there are any: `wanted` and `wanted_words` say of which texts and words, by their addresses.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from copy import copy
from threading import RLock
from typing import TYPE_CHECKING, Any

from contextkit.errors import EmbeddingError
from contextkit.retrieval.asking import said_of
from contextkit.retrieval.columns import Column
from contextkit.retrieval.excerpts import Pieces, passages_of
from contextkit.retrieval.lexical import Postings
from contextkit.retrieval.passages import Passage, address_of
from contextkit.retrieval.questions import asking_keys, is_handle, is_standing, tells_something
from contextkit.retrieval.terms import (
    DEFAULT,
    Term,
    check_language,
    date_terms,
    dates_in,
    language_of,
    terms,
    terms_of,
    words_of,
)
from contextkit.retrieval.words import WordVectors
from contextkit.scope import ScopeKey

if TYPE_CHECKING:
    import numpy as np

MOST_TERMS = 100
"""Of a question, or of what was pasted as one; the time that it takes is bounded by them."""

_PIECES = 4_000_000
"""Characters of long passages that are kept in pieces; those asked for least recently go first."""

ROLES = ("user", "assistant", "tool", "document")


class Corpus:
    """Passages in order; `rank` scores them. Safe to share between threads.

    Args:
        language: of the texts, such as `german` or `de`; None for each by its own words.

    Raises:
        InputError: of that language no words are known.
    """

    def __init__(self, language: str | None = None) -> None:
        self.language = check_language(language, "Corpus.language")
        self.lock = RLock()
        self.passages: list[Passage] = []
        self.postings = Postings()
        self.words = WordVectors()
        self.tokens = Column("int32")
        self.distinct = Column("int32")
        self.sittings = Column("int32")
        self.sitting_starts = Column("int32")
        self.speakers = Column("int32")
        self.standing = Column("bool")
        self.telling = Column("bool")
        self.scopes: dict[ScopeKey, int] = {}
        self.counting: np.ndarray | None = None
        self.first_rows = Column("int64")
        self.present = Column("bool")
        self._vectors: Column | None = None
        self._languages: Counter[str] = Counter()
        self._languages_of: dict[ScopeKey, Counter[str]] = {}
        self._spoken: list[str | None] = []
        self._speaker_numbers: dict[str, int] = {}
        self._scope_numbers = Column("int32")
        self._without_vector: dict[str, str] = {}
        self._terms_at: dict[str, list[str]] = {}
        self._wanted: dict[str, tuple[str, list[int]]] | None = None
        self._asked: tuple[str, list[Term]] | None = None
        self._pieces: OrderedDict[int, Pieces] = OrderedDict()

    def __len__(self) -> int:
        return len(self.passages)

    def __repr__(self) -> str:
        return f"Corpus({len(self)} passages)"

    def append(self, passage: Passage) -> None:
        """Add a passage behind the others."""
        with self.lock:
            self._asked = None
            text = passage.text
            if passage.role == "document":  # its source and headings say what it is about
                text = f"{passage.speaker}\n{text}"
            words = words_of(text)
            spoken = self.language or language_of(words)
            said = terms_of(words, spoken or self._spoken_in(passage.scope))
            dated = [*date_terms(passage.date), *dates_in(text)]
            self._spoken.append(spoken)
            if spoken:
                self._languages[spoken] += 1
                self._languages_of.setdefault(passage.scope, Counter())[spoken] += 1
            new = self.postings.append([term.key for term in said], [term.key for term in dated])
            for term in (*said, *dated) if new else ():
                if term.key in new and term.word and term.key not in self._without_vector:
                    self._without_vector[term.key] = term.word
                    self._terms_at.setdefault(address_of(term.word), []).append(term.key)
            self.tokens.append(passage.tokens)
            # By which something is asked for, nothing is said.
            self.distinct.append(len({term.key for term in said} - asking_keys()))
            if not self.passages or self.passages[-1].session != passage.session:
                self.sitting_starts.append(len(self.passages))
            self.sittings.append(len(self.sitting_starts) - 1)
            self.speakers.append(
                self._speaker_numbers.setdefault(_speaker(passage), len(self._speaker_numbers))
            )
            self._scope_numbers.append(self.scopes.setdefault(passage.scope, len(self.scopes)))
            self.standing.append(passage.role == "user" and is_standing(passage.text))
            self.telling.append(passage.role == "document" or tells_something(passage.text, words))
            self.passages.append(passage)
            self.first_rows.append(len(self.present))
            rows = len(passages_of(passage.text))
            self.present.extend(rows)
            if self._vectors is not None:
                self._vectors.extend(rows)
            if self._wanted is not None:
                self._want(self._wanted, len(self) - 1)

    def truncate(self, count: int) -> None:
        """Keep the first passages; costs what the others cost."""
        with self.lock:
            if count >= len(self):
                return
            self._asked = None
            gone = self.postings.truncate(count)
            self.words.discard(gone)
            for term in gone:
                if word := self._without_vector.pop(term, None):
                    self._terms_at[address_of(word)].remove(term)
            for passage, spoken in zip(self.passages[count:], self._spoken[count:], strict=True):
                if spoken:
                    self._languages[spoken] -= 1
                    self._languages_of[passage.scope][spoken] -= 1
            self._languages = +self._languages
            held = ((scope, +counts) for scope, counts in self._languages_of.items())
            self._languages_of = {scope: counts for scope, counts in held if counts}
            # Numbered as they came, so the last of them are those who had not spoken before.
            speakers = int(self.speakers.values[:count].max(initial=-1)) + 1
            for name in list(self._speaker_numbers)[speakers:]:
                del self._speaker_numbers[name]
            scopes = int(self._scope_numbers.values[:count].max(initial=-1)) + 1
            for scope in list(self.scopes)[scopes:]:
                del self.scopes[scope]
            rows = int(self.first_rows.values[count])
            self.present.truncate(rows)
            if self._vectors is not None:
                self._vectors.truncate(rows)
            self.sitting_starts.truncate(int(self.sittings.values[count - 1]) + 1 if count else 0)
            columns = (self.tokens, self.distinct, self.sittings, self.speakers, self.standing)
            for column in (*columns, self.telling, self._scope_numbers, self.first_rows):
                column.truncate(count)
            for number in [number for number in self._pieces if number >= count]:
                del self._pieces[number]
            del self._spoken[count:]
            del self.passages[count:]
            self._wanted = None

    def without(self, scope: ScopeKey | None) -> Corpus:
        """The corpus as it would be without the passages of a scope, under the same numbers.

        They say nothing then of how rare a word is, who speaks and what is near: whether they are
        here does not change what is found among the others. To be asked under the lock, and not
        to be changed.
        """
        import numpy as np

        with self.lock:
            counting = self.not_of(scope)
            if counting is None:
                return self
            left_out = np.flatnonzero(~counting).tolist()
            seen = copy(self)
            seen.counting, seen._asked = counting, None  # noqa: SLF001 - its own kind
            seen.postings = self.postings.among(counting)
            if len(self.words):
                seen.words = self.words.without(self.postings.only_in(left_out))
            spoken = self._languages_of.get(scope or (), Counter())
            seen._languages = self._languages - spoken  # noqa: SLF001 - its own kind
            speaking = set(np.unique(self.speakers.values[counting]).tolist())
            names = {name: at for name, at in self._speaker_numbers.items() if at in speaking}
            seen._speaker_numbers = names  # noqa: SLF001 - its own kind
            return seen

    def not_of(self, scope: ScopeKey | None) -> np.ndarray | None:
        """Which passages are not of a scope, a mask; None where none is."""
        if scope is None or scope not in self.scopes:
            return None
        mask: np.ndarray = self._scope_numbers.values != self.scopes[scope]
        return mask

    def pieces(self, number: int) -> Pieces:
        """A long passage in pieces, for excerpts: made when they are first asked for."""
        with self.lock:
            found = self._pieces.get(number)
            if found is None:
                passage = self.passages[number]
                spoken = self._spoken[number] or self._spoken_in(passage.scope)
                found = self._pieces[number] = Pieces(passage.text, spoken)
            self._pieces.move_to_end(number)
            kept = sum(len(pieces.text) for pieces in self._pieces.values())
            while kept > _PIECES and len(self._pieces) > 1:
                _, gone = self._pieces.popitem(last=False)
                kept -= len(gone.text)
            return found

    @property
    def spoken(self) -> str:
        """The language of a question whose own words do not say: that of most passages."""
        return self.language or self.spoken_most or DEFAULT

    def _spoken_in(self, scope: ScopeKey) -> str:
        """The language of a passage whose own words do not say: of most before it in its scope."""
        return self.language or _most(self._languages_of.get(scope, Counter())) or DEFAULT

    @property
    def spoken_most(self) -> str | None:
        """The language of most passages whose own words say it; None where none do."""
        return _most(self._languages)

    @property
    def vectors(self) -> np.ndarray | None:
        """One row for each part of each passage, zeros where there is none yet; None without."""
        return None if self._vectors is None else self._vectors.values

    @property
    def participants(self) -> dict[str, int]:
        """Those who speak by name, and under which number."""
        return {name: at for name, at in self._speaker_numbers.items() if name[:1] != "\0"}

    def speaker_number(self, role: str) -> int | None:
        """The number of those of a role who have no name."""
        return self._speaker_numbers.get(f"\0{role}")

    def question_terms(self, question: str) -> list[Term]:
        """The terms of a question, each once, without the names of those who speak.

        Of a very long one those that say most: found here, and in few passages. They are asked for
        several times while it is answered, and found once.
        """
        asked = self._asked
        if asked is None or asked[0] != question:
            asked = self._asked = question, self._asked_by(question)
        return asked[1]

    def _asked_by(self, question: str) -> list[Term]:
        spoken = self.language or language_of(words_of(question)) or self.spoken
        names = self.name_terms()
        said = said_of(words_of(question), spoken, self.postings, self._languages)
        found = {term.key: term for term in reversed(said)}
        asked = [term for key, term in reversed(found.items()) if key not in names]
        if len(asked) > MOST_TERMS:
            telling = sorted(
                (term.key not in self.postings, -self.postings.idf(term.key), place)
                for place, term in enumerate(asked)
            )
            asked = [asked[place] for place in sorted(at for *_, at in telling[:MOST_TERMS])]
        return asked

    def name_terms(self) -> set[str]:
        """The terms of the names of those who speak: who is meant, not what.

        But for handles, whose words say both: the `billing` of `billing_agent`.
        """
        return {
            term.key
            for name in self.participants
            if not is_handle(name)
            for term in terms(name, self.language or DEFAULT)
        }

    def term_weights(self, question: str) -> dict[str, float]:
        """The terms of a question with what each counts (inverse document frequency)."""
        with self.lock:
            return {term.key: self.postings.idf(term.key) for term in self.question_terms(question)}

    def wanted(self) -> dict[str, str]:
        """The texts of which there is no vector yet, by their addresses, in order."""
        with self.lock:
            return {address: text for address, (text, _) in self._missing().items()}

    def wanted_words(self, question: str = "") -> dict[str, str]:
        """The words of which there is no vector yet, by their addresses: those seen, in order.

        The words of a question that nobody has said belong to it; what they are near to does too.
        They are handed to `rank`.
        """
        words: dict[str, str] = {}
        for some in self._wanted_words(question).values():
            words.update(some)
        return words

    def wanted_by_scope(
        self, question: str = "", without: ScopeKey | None = None
    ) -> dict[ScopeKey, dict[str, str]]:
        """The same, texts and words, by the scope that each vector is kept in, `Passage.scope`.

        A word belongs to the first passage that has it, so that nothing of a conversation is left
        where its scope is forgotten; one that only the question has is under no scope, `()`.

        Args:
            question: whose words are wanted, too.
            without: a scope of which nothing is wanted.
        """
        with self.lock:
            seen = self.without(without)
            wanted: dict[ScopeKey, dict[str, str]] = {}
            for address, (text, rows) in self._missing().items():
                for row in rows:  # one text may be of several passages
                    owner = int(self.first_rows.values.searchsorted(row, side="right")) - 1
                    if seen.counting is None or seen.counting[owner]:
                        wanted.setdefault(self.passages[owner].scope, {})[address] = text
                        break
            for scope, words in seen._wanted_words(question).items():  # noqa: SLF001 - its own kind
                wanted.setdefault(scope, {}).update(words)
            return wanted

    def _wanted_words(self, question: str) -> dict[ScopeKey, dict[str, str]]:
        """Words by address, by the scope of the passage that brought each."""
        with self.lock:
            found = [
                (word, self.passages[first].scope)
                for term, word in self._without_vector.items()
                if (first := self.postings.first(term)) is not None
            ]
            found += [
                (term.word, ())
                for term in self.question_terms(question)
                if term.word and term.key not in self.postings
            ]
            words: dict[ScopeKey, dict[str, str]] = {}
            known: set[str] = set()
            for word, scope in found:
                address = address_of(word)
                if address not in known:  # two terms may have one word
                    known.add(address)
                    words.setdefault(scope, {})[address] = word
            return words

    def hold(self, vectors: Mapping[str, Any]) -> None:
        """Take vectors of texts and words that are wanted, by their addresses; others are passed.

        Args:
            vectors: address -> unit vector.

        Raises:
            EmbeddingError: vectors of another dimension than those that are held.
        """
        with self.lock:
            missing = self._missing()
            for address, vector in vectors.items():
                if address in missing:
                    matrix = self._matrix(vector)
                    _, rows = missing.pop(address)
                    matrix[rows] = vector
                    self.present.values[rows] = True
                for term in self._terms_at.get(address, ()):
                    self._matrix(vector)
                    self.words.add(term, vector)
                    del self._without_vector[term]
                self._terms_at.pop(address, None)

    def _matrix(self, vector: np.ndarray) -> np.ndarray:
        if self._vectors is None:
            self._vectors = Column("float32", len(vector))
            self._vectors.extend(len(self.present))
        rows = self._vectors.values
        if rows.shape[1] != len(vector):
            raise EmbeddingError(
                f"a vector of {len(vector)} dimensions among those of {rows.shape[1]}: it was made "
                "with another model"
            )
        return rows

    def _missing(self) -> dict[str, tuple[str, list[int]]]:
        """Address -> the text, and the rows that wait for its vector."""
        if self._wanted is None:
            import numpy as np

            missing: dict[str, tuple[str, list[int]]] = {}
            empty = np.flatnonzero(~self.present.values)
            owners = np.searchsorted(self.first_rows.values, empty, side="right") - 1
            for number in dict.fromkeys(owners.tolist()):
                self._want(missing, number)
            self._wanted = missing
        return self._wanted

    def _want(self, missing: dict[str, tuple[str, list[int]]], number: int) -> None:
        """Add the parts of a passage that have no vector."""
        passage = self.passages[number]
        for row, part in enumerate(passages_of(passage.text), int(self.first_rows.values[number])):
            text = f"{passage.speaker}: {part}"
            if part.strip() and not self.present.values[row]:
                missing.setdefault(address_of(text), (text, []))[1].append(row)


def _speaker(passage: Passage) -> str:
    """A name, or a role that cannot be taken for one; a document has no name that speaks."""
    speaker = "document" if passage.role == "document" else passage.speaker
    return f"\0{speaker}" if speaker in ROLES else speaker


def _most(languages: Counter[str]) -> str | None:
    return max(languages, key=lambda name: (languages[name], name), default=None)
