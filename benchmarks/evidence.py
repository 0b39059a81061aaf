"""Evidence: the share of the turns that hold an answer inside a context of so many tokens.

    python -m benchmarks.evidence [--json] [--quick] [--data FOLDER] [--model NAME] [--ablations]

For each question of long dialogues the context is filled by `rank` and `fill`, beside the newest
turns, plain BM25, plain Chroma and the fusion of these two. A turn takes the tokens (cl100k) of
"speaker: text" and 4, and the date of a session once; the block of `Retrieve` has number, role and
date with each, so that fewer fit, and leaves out what scores far less than the best. Adversarial
questions are left out of the means. Then each step of the ranking is left out in turn (in the short
form with `--ablations`), by words also where each question was asked ten times before, and not
answered; which questions the relevance gate lets through; the CPU time of a question at 10,000
turns.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np

from benchmarks import plain
from benchmarks.labelled import (
    ADVERSARIAL,
    CATEGORIES,
    MESSAGE,
    Dialogue,
    Question,
    dialogues,
    tokens,
)
from benchmarks.measuring import (
    FOLDER,
    WRITTEN,
    Outcome,
    below,
    command,
    data_folder,
    made,
    markdown,
)
from contextkit.errors import MissingExtra
from contextkit.retrieval.corpus import Corpus
from contextkit.retrieval.minilm import LocalEmbedder
from contextkit.retrieval.ranking import STEPS, fill, rank
from contextkit.retrieval.relevance import is_relevant

SEED = 7
SHARES = (1_000, 2_000, 4_000, 8_000)
SAMPLE_SHARES = (50, 100, 200, 400)
"""The sample is short: it would be inside whole."""
DRAWS = 2_000
ALL_AT = 2
"""The place of the share at which all evidence is asked for."""
LARGE = 10_000
Embed = Callable[[list[str]], Any]
Chosen = Callable[[str, int], list[int]]
"""A question and a share of tokens -> the passages that are put into the context."""

COURTESIES = (
    "thanks!", "ok", "good morning", "hello", "hi there", "thank you so much", "great, thanks",
    "lol", "haha that's funny", "sounds good", "sure", "yes please", "no", "not really", "ok cool",
    "nice", "bye", "see you later", "good night", "how are you?", "what's up?", "I see", "got it",
    "perfect", "awesome!", "that makes sense", "hmm", "wow", "no problem", "you're welcome",
    "have a nice day", "let me think", "go on", "tell me more", "sorry", "I agree", "why?",
    "really?", "what do you think?", "never mind", "good idea", "same here", "谢谢", "好的,继续",
)  # fmt: skip


AGAIN = (
    "{}", "Do you know: {}", "Tell me: {}", "Please: {}", "And again: {}", "I need to know: {}",
    "Please tell me, {}", "Do you remember? {}", "Hello! {}", "Remind me: {}",
)  # fmt: skip
"""What whoever asks has asked before, each time without an answer."""
UNANSWERED = "I cannot say."


class Ours:
    """A dialogue as a corpus, its vectors handed in, asked by our ranking."""

    def __init__(self, dialogue: Dialogue, embed: Embed | None, *, dates: bool = True) -> None:
        self.embed = embed
        self.headings = dialogue.headings
        self.corpus = Corpus()
        for passage in dialogue.passages:
            self.corpus.append(passage if dates else replace(passage, date=""))
        self.sessions = np.array([passage.session for passage in dialogue.passages])
        if embed is not None:
            self.corpus.hold(_vectors(embed, self.corpus.wanted()))
            self.corpus.hold(_vectors(embed, self.corpus.wanted_words()))

    def vector(self, question: str) -> Any:
        """The vector of a question; None without a model."""
        return None if self.embed is None else self.embed([question])[0]

    def chosen(self, without: Sequence[str] = ()) -> Chosen:
        """How it chooses, with some steps left out."""
        scores: dict[str, np.ndarray] = {}

        def chosen(question: str, share: int) -> list[int]:
            if question not in scores:
                scores.clear()
                scores[question] = self.scores(question, without)
            return fill(
                scores[question],
                self.corpus.tokens.values,
                share,
                sessions=self.sessions,
                heading=self.headings,
                discount="length" not in without,
            )

        return chosen

    def chosen_again(self, without: Sequence[str] = ()) -> Chosen:
        """How it chooses where the question was asked before, in the words of `AGAIN`."""

        def chosen(question: str, share: int) -> list[int]:
            count, last = len(self.corpus), self.corpus.passages[-1]
            for wording in AGAIN:
                for said in (wording.format(question), UNANSWERED):
                    spent = tokens(f"{last.speaker}: {said}") + MESSAGE
                    self.corpus.append(replace(last, text=said, tokens=spent))
            try:
                return fill(
                    self.scores(question, without),
                    self.corpus.tokens.values,
                    share,
                    sessions=np.array([passage.session for passage in self.corpus.passages]),
                    heading=self.headings,
                )
            finally:
                self.corpus.truncate(count)

        return chosen

    def scores(self, question: str, without: Sequence[str] = ()) -> np.ndarray:
        """The scores of all passages."""
        words = {}
        if self.embed is not None:
            words = _vectors(self.embed, self.corpus.wanted_words(question))
        return rank(
            self.corpus,
            question,
            vector=None if "vectors" in without else self.vector(question),
            words=words,
            without=without,
        )


def _vectors(embed: Embed, texts: Mapping[str, str]) -> dict[str, Any]:
    return dict(zip(texts, embed(list(texts.values())), strict=True)) if texts else {}


def in_order(dialogue: Dialogue, order: plain.Order) -> Chosen:
    """What comes first is taken, as far as it fits."""
    tokens = np.array([passage.tokens for passage in dialogue.passages])
    sessions = np.array([passage.session for passage in dialogue.passages])

    def chosen(question: str, share: int) -> list[int]:
        scores = np.zeros(len(tokens))
        numbers = order(question)
        scores[numbers] = np.arange(len(numbers), 0, -1)
        return fill(
            scores, tokens, share, sessions=sessions, heading=dialogue.headings, discount=False
        )

    return chosen


Found = list[tuple[int, list[float]]]
"""For each question its category, and the share of its evidence found in each share of tokens."""


def found(dialogue: Dialogue, chosen: Chosen, shares: Sequence[int]) -> Found:
    """The evidence found for each question of a dialogue."""
    return [
        (question.category, [_share(question, chosen(question.text, share)) for share in shares])
        for question in dialogue.questions
    ]


def _share(question: Question, chosen: list[int]) -> float:
    held = set(chosen)
    return sum(number in held for number in question.evidence) / len(question.evidence)


def figures(name: str, results: Iterable[Found]) -> dict[str, Any]:
    """Means, bootstrap intervals over questions, and means by category, in per cent."""
    every = [one for result in results for one in result]
    asked = np.array([shares for category, shares in every if category != ADVERSARIAL])
    whole = asked >= 1
    draws = np.random.default_rng(SEED).integers(0, len(asked), (DRAWS, len(asked)))
    intervals = np.percentile(asked[draws].mean(axis=1), [2.5, 97.5], axis=0) * 100
    categories = {}
    for category in sorted({category for category, _ in every}):
        of_it = np.array([shares for one, shares in every if one == category])
        categories[CATEGORIES.get(category, str(category))] = {
            "questions": len(of_it),
            "evidence": _percent(of_it.mean(axis=0)),
            "all": _percent([(of_it[:, ALL_AT] >= 1).mean()])[0],
        }
    return {
        "name": name,
        "questions": len(asked),
        "evidence": _percent(asked.mean(axis=0)),
        "interval": [[round(float(one), 1) for one in pair] for pair in intervals.T],
        "all": _percent(whole.mean(axis=0)),
        "categories": categories,
    }


def _percent(values: Iterable[Any]) -> list[float]:
    return [round(100 * float(value), 1) for value in values]


def let_through(every: Sequence[Dialogue], ours: Sequence[Ours]) -> dict[str, float]:
    """The share of questions, of those of another dialogue, and of courtesies with an answer.

    Of a single dialogue there is no other one to ask about.
    """
    passed: dict[str, list[bool]] = {}
    for number, (dialogue, one) in enumerate(zip(every, ours, strict=True)):
        other = every[(number + 1) % len(every)]
        asked = {
            "questions with evidence": [
                question.text for question in dialogue.questions if question.category != ADVERSARIAL
            ],
        }
        if other is not dialogue:
            asked |= {
                "questions of another dialogue": [question.text for question in other.questions],
                "the same under the names here": [
                    _renamed(question.text, other.speakers, dialogue.speakers)
                    for question in other.questions
                ],
            }
        asked["courtesies"] = list(COURTESIES)
        for kind, questions in asked.items():
            passed.setdefault(kind, []).extend(
                is_relevant(one.corpus, question, one.vector(question)) for question in questions
            )
    return {kind: _percent([np.mean(some)])[0] for kind, some in passed.items()}


def _renamed(text: str, names: Sequence[str], others: Sequence[str]) -> str:
    for name, other in zip(names, others, strict=False):
        text = text.replace(name, other)
    return text


def cpu(every: Sequence[Dialogue], embed: Embed | None) -> dict[str, float]:
    """CPU milliseconds of a question at 10,000 turns, and of adding a turn, without embedding."""
    turns = [
        replace(passage, session=1_000 * number + passage.session)
        for number, dialogue in enumerate(every)
        for passage in dialogue.passages
    ]
    span = 1_000 * len(every)
    passages = [
        replace(
            turns[at % len(turns)], session=turns[at % len(turns)].session + at // len(turns) * span
        )
        for at in range(LARGE)
    ]
    corpus = Corpus()
    begun = time.process_time()
    for passage in passages:
        corpus.append(passage)
    added = time.process_time() - begun
    if embed is not None:
        corpus.hold(_vectors(embed, corpus.wanted()))
        corpus.hold(_vectors(embed, corpus.wanted_words()))
    spent = []
    for question in [one.text for dialogue in every for one in dialogue.questions][:100]:
        vector = None if embed is None else embed([question])[0]
        words = {} if embed is None else _vectors(embed, corpus.wanted_words(question))
        begun = time.process_time()
        if is_relevant(corpus, question, vector):
            fill(
                rank(corpus, question, vector=vector, words=words),
                corpus.tokens.values,
                SHARES[ALL_AT],
            )
        spent.append(time.process_time() - begun)
    return {
        "rank and fill": round(1_000 * median(spent), 2),
        "rank and fill, 95 of 100": round(1_000 * float(np.percentile(spent, 95)), 2),
        "add a turn": round(1_000 * added / LARGE, 3),
    }


def embedder(name: str) -> Embed | None:
    """The local model; None without it."""
    if name == "none":
        return None
    try:
        local = LocalEmbedder()
    except MissingExtra:
        if name == "local":
            raise
        return None
    kept: dict[str, np.ndarray] = {}

    def embed(texts: list[str]) -> np.ndarray:
        fresh = [text for text in dict.fromkeys(texts) if text not in kept]
        for begin in range(0, len(fresh), 1_000):
            part = fresh[begin : begin + 1_000]
            kept.update(zip(part, local(part), strict=True))
        return np.array([kept[text] for text in texts])

    return embed


def measure(given: argparse.Namespace) -> Outcome:
    """Ours beside the plain ones, and with a step left out in turn."""
    folder = data_folder(given.data)
    shares = SHARES if folder else SAMPLE_SHARES
    every = dialogues(folder)[: 1 if given.quick else None]
    embed = embedder(given.model)
    ways: list[tuple[str, Callable[[Dialogue], Chosen]]] = [
        ("last turns", lambda one: in_order(one, plain.last(one))),
        ("plain BM25", lambda one: in_order(one, plain.bm25(one))),
    ]
    if embed is not None:
        ways += [
            ("plain Chroma", lambda one: in_order(one, plain.chroma(one, embed))),
            (
                "plain fusion",
                lambda one: in_order(one, plain.fusion(plain.bm25(one), plain.chroma(one, embed))),
            ),
        ]
    rows = [figures(name, [found(one, way(one), shares) for one in every]) for name, way in ways]
    ours = {None: [Ours(one, None) for one in every]}
    rows.append(_asked("contextkit, no model", every, ours[None], shares))
    if embed is not None:
        ours[embed] = [Ours(one, embed) for one in every]
        rows.append(_asked("contextkit", every, ours[embed], shares))
    ablations = []
    if given.ablations or not given.quick:
        for model, some in ours.items():
            name = "no model" if model is None else "MiniLM"
            for steps in _left_out(model):
                left = ", ".join(steps) or "nothing"
                if steps == ("dates",):
                    bare = [Ours(one, model, dates=False) for one in every]
                    row = _asked(left, every, bare, shares)
                else:
                    row = _asked(left, every, some, shares, steps)
                ablations.append({"model": name, **row})
        for steps in ((), ("echoes",)):
            left = ", ".join(["asked ten times before", *steps])
            again = [one.chosen_again(steps) for one in ours[None]]
            row = figures(left, [found(*pair, shares) for pair in zip(every, again, strict=True)])
            ablations.append({"model": "no model", **row})
    return {
        "benchmark": "evidence",
        "made": made(
            SEED,
            "numpy",
            "chromadb",
            "snowballstemmer",
            quick=given.quick,
            model="none" if embed is None else LocalEmbedder.name,
            data=FOLDER if folder else WRITTEN,
        ),
        "dialogues": len(every),
        "turns": sum(len(one.passages) for one in every),
        "tokens": sum(passage.tokens for one in every for passage in one.passages),
        "shares": list(shares),
        "rows": rows,
        "ablations": ablations,
        "let through": {
            "no model" if model is None else "MiniLM": let_through(every, some)
            for model, some in ours.items()
        },
        "cpu": {"no model" if model is None else "MiniLM": cpu(every, model) for model in ours},
    }


def _left_out(model: Embed | None) -> list[tuple[str, ...]]:
    """Nothing, and then each step that does something."""
    own = [(), *((step,) for step in STEPS), ("dates",), ("length",)]
    if model is None:
        return [steps for steps in own if not {"terms", "words", "neighbours"} & set(steps)]
    return [*own, ("vectors",)]


def _asked(
    name: str,
    every: Sequence[Dialogue],
    ours: Sequence[Ours],
    shares: Sequence[int],
    without: Sequence[str] = (),
) -> dict[str, Any]:
    pairs = zip(every, ours, strict=True)
    return figures(name, [found(dialogue, one.chosen(without), shares) for dialogue, one in pairs])


def table(result: Outcome) -> str:
    """The figures as Markdown tables."""
    best = result["rows"][-1]
    lines = [
        _beside(result),
        "",
        markdown(
            [f"{best['name']}, by category", "questions", *_shares(result)],
            [
                [name, str(one["questions"]), *map(str, one["evidence"]), str(one["all"])]
                for name, one in best["categories"].items()
            ],
        ),
        *(["", _left(result)] if result["ablations"] else []),
        "",
        _let_through(result),
        "",
        markdown(
            [f"CPU at {LARGE:,} turns, ms", *result["cpu"]],
            [
                [what, *(str(one[what]) for one in result["cpu"].values())]
                for what in next(iter(result["cpu"].values()))
            ],
        ),
        "",
        below(result),
    ]
    return "\n".join(lines)


def short(result: Outcome) -> str:
    """Ours beside the plain ones."""
    return "\n".join([_beside(result), "", below(result)])


def ablations(result: Outcome) -> str:
    """What is found with a step left out."""
    return "\n".join([_left(result), "", below(result)])


def gate(result: Outcome) -> str:
    """Which questions it lets through."""
    return "\n".join([_let_through(result), "", below(result)])


def _let_through(result: Outcome) -> str:
    ways = result["let through"]
    kinds = list(next(iter(ways.values())))
    rows = [[kind, *(str(one[kind]) for one in ways.values())] for kind in kinds]
    return markdown(["let through by the gate, %", *ways], rows)


def _beside(result: Outcome) -> str:
    best = result["rows"][-1]
    intervals = ", ".join(f"{low} to {high}" for low, high in best["interval"])
    rows = [_row(one) for one in result["rows"]]
    said = (
        f"{result['dialogues']} dialogues of {result['turns']:,} turns and {result['tokens']:,} "
        f"tokens, {best['questions']} questions. 95 % by bootstrap over the questions, "
        f"{best['name']}: {intervals}."
    )
    return "\n".join([markdown(["evidence inside, %", *_shares(result)], rows), "", said])


def _left(result: Outcome) -> str:
    tables = []
    for model in dict.fromkeys(one["model"] for one in result["ablations"]):
        rows = [_row(one) for one in result["ablations"] if one["model"] == model]
        tables.append(markdown([f"left out, {model}", *_shares(result)], rows))
    return "\n\n".join(tables)


def _shares(result: Outcome) -> list[str]:
    shares = [f"{share:,}" for share in result["shares"]]
    return [*shares, f"all of it at {shares[ALL_AT]}"]


def _row(one: dict[str, Any]) -> list[str]:
    return [one["name"], *map(str, one["evidence"]), str(one["all"][ALL_AT])]


def main() -> int:
    """Measure and print."""

    def options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--model",
            choices=("auto", "local", "none"),
            default="auto",
            help="auto: the local model where it is installed",
        )
        parser.add_argument(
            "--ablations", action="store_true", help="in the short form too: leave out each step"
        )

    return command(__doc__, measure, table, data=True, quick="one dialogue alone", options=options)


if __name__ == "__main__":
    sys.exit(main())
