"""Retrieval latency: a turn added, a question asked, by the number of turns; and what indexes take.

    python -m benchmarks.retrieval_latency [--json] [--quick]

Turns are made up by seed: words by a law of Zipf, as many as in long dialogues of people; questions
are some words of an earlier turn. Vectors are random, of 384 dimensions and unit length: only their
time counts. CPU milliseconds of one thread, in a process for each size. A question is gated, scored
and filled into 4,000 tokens; embedding it is left out. In a build: what `Retrieve` adds to the next
one, once the log was read, and the first, which reads it. An index is given vectors by 64, as by
`Retrieve`, and asked for all of them at once when it is opened again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import contextkit as ck
from benchmarks.measuring import Outcome, below, command, made, markdown
from contextkit.errors import MissingExtra
from contextkit.retrieval.corpus import Corpus
from contextkit.retrieval.passages import Passage
from contextkit.retrieval.ranking import fill, rank
from contextkit.retrieval.relevance import is_relevant
from contextkit.strategies.vectors import BATCH

SEED = 7
DIMENSION = 384
SIZES = (1_000, 10_000, 100_000, 1_000_000)
BUILDS = (1_000, 10_000, 100_000)
VECTORS = (1_000, 10_000)
QUICK = (300, 600)
SHARE = 4_000
QUESTIONS = 40
SESSION = 22
"""Turns of a session."""

SYLLABLES = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
WORDS, ZIPF = 30_000, 1.3


class Turns:
    """Turns made up by seed: of 24 words on average, as LoCoMo's, some few of 60 and more."""

    def __init__(self, seed: int = SEED) -> None:
        self._draw = np.random.default_rng(seed)
        count = len(SYLLABLES)
        self.words = [
            SYLLABLES[n % count] + SYLLABLES[n // count % count] + SYLLABLES[n // count**2 % count]
            for n in range(WORDS)
        ]
        weights = 1 / np.arange(2, WORDS + 2) ** ZIPF
        self._sums = np.cumsum(weights / weights.sum())

    def texts(self, count: int) -> Iterator[str]:
        """So many of them."""
        lengths = np.clip(self._draw.lognormal(3.0, 0.6, count), 1, 200).astype(int)
        for length in lengths:
            drawn = np.searchsorted(self._sums, self._draw.random(length))
            yield " ".join(self.words[min(n, WORDS - 1)] for n in drawn) + "."

    def question(self, text: str) -> str:
        """Some words of a turn, the rarest first."""
        said = sorted(set(text.rstrip(".").split()), key=self.words.index)[-4:]
        return f"When did they say that about {' '.join(said)}?"


def vectors(count: int, seed: int = SEED) -> np.ndarray:
    """Random unit rows, float32."""
    rows = np.random.default_rng(seed).standard_normal((count, DIMENSION), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


class Embedder:
    """Gives each text a random vector of its own."""

    name = f"random:{DIMENSION}"

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Unit rows."""
        seeds = [int.from_bytes(blake2b(text.encode(), digest_size=4).digest()) for text in texts]
        return np.concatenate([vectors(1, seed) for seed in seeds])


def ranking(size: int, *, dense: bool) -> dict[str, Any]:
    """A corpus of so many turns: adding one, asking a question, memory."""
    turns = Turns()
    before = _rss()
    corpus = Corpus()
    asked: list[str] = []
    spent: list[float] = []
    for number, text in enumerate(turns.texts(size)):
        if number % max(1, size // QUESTIONS) == 0:
            asked.append(turns.question(text))
        passage = Passage(
            text,
            speaker=("Ann", "Ben")[number % 2],
            tokens=len(text) // 4 + 20,
            session=number // SESSION,
            number=number,
        )
        begun = time.process_time()
        corpus.append(passage)
        spent.append(time.process_time() - begun)
    if dense:
        for wanted in (corpus.wanted(), corpus.wanted_words()):
            names = list(wanted)
            for begin in range(0, len(names), 10_000):
                some = names[begin : begin + 10_000]
                corpus.hold(dict(zip(some, vectors(len(some), begin), strict=True)))
    taken = []
    found = 0
    for number, question in enumerate(asked):
        vector = vectors(1, number)[0] if dense else None
        begun = time.process_time()
        if is_relevant(corpus, question, vector):
            found += len(fill(rank(corpus, question, vector=vector), corpus.tokens.values, SHARE))
        taken.append(time.process_time() - begun)
    tenth = max(1, size // 10)
    return {
        "turns": size,
        "vectors": dense,
        "first added": _ms(sum(spent[:tenth]) / tenth, 4),
        "last added": _ms(sum(spent[-tenth:]) / tenth, 4),
        "question": _ms(median(taken)),
        "95 of 100": _ms(float(np.percentile(taken, 95))),
        "found": found,
        "MB": round((_rss() - before) / 1e6),
    }


def building(size: int, *, dense: bool) -> dict[str, Any]:
    """A log of so many messages: what `Retrieve` adds to a build."""
    turns = Turns()
    texts = list(turns.texts(size))
    history = ck.History(scope=ck.Scope("tenant", "user", "conversation"))
    for number, text in enumerate(texts):
        role = ("user", "assistant")[number % 2]
        history.append({"role": role, "content": text}, time=1e9 + 3_600.0 * (number // SESSION))
    index = ck.VectorIndex(Embedder()) if dense else None
    retrieve = ck.Retrieve(index, seconds=3_600.0)
    builders = {
        "with": ck.ContextBuilder("qwen-plus", limit=8_000, tail=[retrieve]),
        "without": ck.ContextBuilder("qwen-plus", limit=8_000, view="plain"),
    }
    spent: dict[str, list[float]] = {name: [] for name in builders}
    inserted = 0
    for number in range(QUESTIONS + 1):
        history.append(turns.question(texts[number * (size // 2) // QUESTIONS]))
        for name, builder in builders.items():
            begun = time.process_time()
            context = builder.build(history)
            spent[name].append(time.process_time() - begun)
            inserted += any(edit.kind == "insert" for edit in context.edits)
        history.append({"role": "assistant", "content": "It was then."})
    return {
        "messages": size,
        "vectors": dense,
        "next": _ms(median(spent["with"][1:])),
        "next without": _ms(median(spent["without"][1:])),
        "first": _ms(spent["with"][0], 0),
        "inserted": inserted,
    }


def indexing(size: int, name: str) -> dict[str, Any] | None:
    """An index of so many vectors in one scope; None where what it needs is not installed."""
    scope = ck.Scope("tenant", "user", "conversation")
    addresses = [blake2b(str(n).encode(), digest_size=16).hexdigest() for n in range(size)]
    rows = vectors(size)
    with tempfile.TemporaryDirectory() as folder:

        def opened() -> Any:
            if name == "VectorIndex":
                return index or ck.VectorIndex(Embedder())
            of = {"SQLiteIndex": ck.SQLiteIndex, "ChromaIndex": ck.ChromaIndex}[name]
            return of(Embedder(), Path(folder) / "index")

        index: Any = None
        try:
            index = opened()
            index.vectors(scope, addresses[:1])
        except MissingExtra:
            return None
        wall, cpu = time.perf_counter(), time.process_time()
        for begin in range(0, size, BATCH):
            index.add(scope, addresses[begin : begin + BATCH], rows[begin : begin + BATCH])
        added = time.process_time() - cpu, time.perf_counter() - wall
        _close(index)
        again = opened()
        wall, cpu = time.perf_counter(), time.process_time()
        held = again.vectors(scope, addresses)
        read = time.process_time() - cpu, time.perf_counter() - wall
        _close(again)
        if len(held) != size:
            raise SystemExit(f"{name} holds {len(held)} of {size} vectors")
        size_on_disk = sum(p.stat().st_size for p in Path(folder).rglob("*") if p.is_file())
    return {
        "index": name,
        "vectors": size,
        "add": _ms(added[0] / size, 3),
        "add, wall": _ms(added[1] / size, 3),
        "read all": _ms(read[0], 1),
        "read all, wall": _ms(read[1], 1),
        "KB each": round(size_on_disk / size / 1e3, 2),
    }


def _close(index: Any) -> None:
    if hasattr(index, "close"):
        index.close()


def _ms(seconds: float, digits: int = 2) -> float:
    return round(1_000 * seconds, digits)


def _rss() -> int:
    """Most bytes that this process has had in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024


CELLS: dict[str, Callable[..., Any]] = {
    "ranking": ranking,
    "building": building,
    "indexing": indexing,
}


def alone(cell: str, size: int, **given: Any) -> Any:
    """A figure, measured in a process of its own, in one thread."""
    sys.stderr.write(f"\r{cell}, {size:,}".ljust(60))
    job = json.dumps({"cell": cell, "size": size, **given})
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "benchmarks.retrieval_latency", "--cell", job],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return json.loads(done.stdout)


def measure(*, quick: bool) -> Outcome:
    """All figures, as JSON data."""
    both = (False, True)
    rows = [
        alone("ranking", size, dense=dense)
        for dense in both
        for size in (QUICK if quick else SIZES)
    ]
    builds = [
        alone("building", size, dense=dense)
        for dense in both
        for size in (QUICK if quick else BUILDS)
    ]
    indexes = [
        alone("indexing", size, name=name)
        for name in ("VectorIndex", "SQLiteIndex", "ChromaIndex")
        for size in (QUICK if quick else VECTORS)
    ]
    sys.stderr.write("\r" + " " * 60 + "\r")
    return {
        "benchmark": "retrieval_latency",
        "made": made(SEED, "numpy", "chromadb", quick=quick),
        "unit": "CPU milliseconds",
        "share": SHARE,
        "rows": rows,
        "builds": builds,
        "indexes": [row for row in indexes if row],
    }


def table(result: Outcome) -> str:
    """The figures as Markdown tables."""
    heads = [
        "CPU ms; turns",
        "vectors",
        "a turn added, the first tenth",
        "the last tenth",
        "a question: median",
        "95 of 100",
        "memory, MB",
    ]
    rows = [
        [
            f"{row['turns']:,}",
            "yes" if row["vectors"] else "-",
            f"{row['first added']:.3f}",
            f"{row['last added']:.3f}",
            f"**{row['question']:.1f}**",
            f"{row['95 of 100']:.1f}",
            f"{row['MB']:,}",
        ]
        for row in result["rows"]
    ]
    builds = [
        [
            f"{row['messages']:,}",
            "yes" if row["vectors"] else "-",
            f"{row['next']:.1f}",
            f"{row['next without']:.1f}",
            f"{row['first']:,.0f}",
        ]
        for row in result["builds"]
    ]
    indexes = [
        [
            row["index"],
            f"{row['vectors']:,}",
            f"{row['add']:.3f} ({row['add, wall']:.3f})",
            f"{row['read all']:,.0f} ({row['read all, wall']:,.0f})",
            f"{row['KB each']:.2f}",
        ]
        for row in result["indexes"]
    ]
    return "\n".join(
        [
            markdown(heads, rows),
            "",
            markdown(
                [
                    "CPU ms of a build; messages",
                    "vectors",
                    "the next one",
                    "without Retrieve",
                    "the first, which reads the log",
                ],
                builds,
            ),
            "",
            markdown(
                [
                    "index",
                    "vectors",
                    "CPU (wall) ms to add one, by 64",
                    "to read all",
                    "KB each on disk",
                ],
                indexes,
            ),
            "",
            below(result),
        ]
    )


def main() -> int:
    """Measure and print; or one figure alone, in a process of its own."""
    if sys.argv[1:2] == ["--cell"]:
        job = json.loads(sys.argv[2])
        json.dump(CELLS[job.pop("cell")](job.pop("size"), **job), sys.stdout)
        return 0

    def run(given: argparse.Namespace) -> Outcome:
        return measure(quick=given.quick)

    return command(__doc__, run, table, quick="a few hundred turns")


if __name__ == "__main__":
    sys.exit(main())
