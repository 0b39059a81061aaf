"""What grows with a conversation, and what with the number of conversations in one process.

    python -m benchmarks.growth [--json] [--quick] [--png FOLDER]

A conversation of 100 to 100,000 messages, and 100 to 10,000 conversations of a dozen messages, in
four ways: kept logs, plain lists that come whole with each request, the same through what `wrap`
does around the client's call, and `Chat` over a SQLite file. For each size the time of the next
request, by that at the smallest size; memory per message or conversation, as Python counts it
(texts included) and as the system does; and what of it is left once all are let go. Each size is
measured in a process of its own; in the short form all are in one.

Lists are known by the process up to a number of bytes (`max_bytes`): with a small one, what is kept
must not grow with the number of conversations.
"""

from __future__ import annotations

import gc
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import contextkit as ck
from benchmarks.build_time import conversation
from benchmarks.measuring import Outcome, below, command, made, markdown
from benchmarks.plots import curves
from contextkit.calls import Call, Wrapping
from contextkit.records import record_to_json
from contextkit.usage import Usage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODEL = "gpt-4o"
SEED = 7
LIMIT = 8_000
EACH = 12
"""Messages of each of many conversations."""

FEW_BYTES = 20_000_000
TURNS = 40
SIZES = {
    "messages": (100, 1_000, 10_000, 100_000),
    "conversations": (100, 1_000, 10_000),
}
QUICK = {"messages": (100, 1_000), "conversations": (20, 100)}
REPLY = {"role": "assistant", "content": "It is on its way."}

Turn = Callable[[], Callable[[], object]]
"""Gets a request ready, and gives what is then timed."""


def question(number: int) -> dict[str, Any]:
    """A new message."""
    return {"role": "user", "content": f"And what about order {number} of {number % 7}?"}


def scope(number: int) -> ck.Scope:
    """Whose conversation it is."""
    return ck.Scope("tenant", f"user {number % 100}", str(number))


def held(text: str, builder: ck.ContextBuilder, scope: ck.Scope | None = None) -> ck.History:
    """A conversation as it comes to be: with a request before each reply."""
    history = ck.History(scope=scope)
    for message in json.loads(text):
        if message["role"] == "assistant":
            builder.build(history)
        history.append(message)
    return history


class Answering:
    """Stands for a client: replies at once, and says that all but what is new was read."""

    def __init__(self) -> None:
        self.chat = SimpleNamespace(completions=self)

    def create(self, **given: Any) -> dict[str, Any]:
        """A reply."""
        tokens = 70 * len(given["messages"])
        usage = {
            "prompt_tokens": tokens,
            "completion_tokens": 6,
            "prompt_tokens_details": {"cached_tokens": max(0, tokens - 140)},
        }
        choice = {"index": 0, "message": REPLY, "finish_reason": "stop"}
        return {"choices": [choice], "usage": usage}


# -- one conversation: how it is held, and its next request -------------------------------------


@contextmanager
def kept_log(text: str, _size: int) -> Iterator[Callable[[], Turn]]:
    """A `History` to which each message is appended."""

    def begin() -> Turn:
        builder = ck.ContextBuilder(MODEL, limit=LIMIT)
        history = held(text, builder)

        def turn() -> Callable[[], object]:
            if history[-1]["role"] == "user":
                history.append(REPLY)
            history.append(question(len(history)))
            return lambda: builder.build(history)

        return turn

    yield begin


@contextmanager
def plain_list(text: str, _size: int) -> Iterator[Callable[[], Turn]]:
    """The whole list with each request, parsed anew."""

    def begin() -> Turn:
        builder = ck.ContextBuilder(MODEL, limit=LIMIT)
        builder.build(json.loads(text))
        more: list[dict[str, Any]] = []

        def turn() -> Callable[[], object]:
            more.extend([REPLY, question(len(more))])
            messages = [*json.loads(text), *more]
            return lambda: builder.build(messages)

        return turn

    yield begin


@contextmanager
def wrapped_list(text: str, _size: int) -> Iterator[Callable[[], Turn]]:
    """The same, through what a wrapped client does before and after its own call."""

    def begin() -> Turn:
        wrapping = Wrapping({"limit": LIMIT}, {}, None)
        call(wrapping, json.loads(text))
        more: list[dict[str, Any]] = []

        def turn() -> Callable[[], object]:
            more.extend([REPLY, question(len(more))])
            messages = [*json.loads(text), *more]
            return lambda: call(wrapping, messages)

        return turn

    yield begin


def call(wrapping: Wrapping, messages: Any, scope: ck.Scope | None = None) -> None:
    """One call of a wrapped client, without the client."""
    begun = Call.of(wrapping, {"model": MODEL, "messages": messages}, scope)
    if begun is None:
        raise SystemExit("nothing was called")
    built = begun.build()
    tokens = built.context.tokens
    built.reported(Usage(input_tokens=tokens, cache_read_tokens=max(0, tokens - 140)))


@contextmanager
def chat(text: str, _size: int) -> Iterator[Callable[[], Turn]]:
    """`Chat` over a SQLite file that holds the conversation."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chat.db"
        stored(path, text, 1)

        def begin() -> Turn:
            talk = ck.Chat(Answering(), model=MODEL, store=path, limit=LIMIT).conversation(scope(0))

            def turn() -> Callable[[], object]:
                return lambda: talk.send(question(len(talk.history)))

            return turn

        yield begin


def stored(path: Path, text: str, conversations: int) -> None:
    """A file that holds so many conversations, with the decisions that were made for them."""
    history = held(text, ck.ContextBuilder(MODEL, limit=LIMIT))
    if history[-1]["role"] == "user":
        history.append(REPLY)
    records = [record_to_json(record) for record in history.records]
    with ck.SQLiteStore(path) as store:
        for number in range(conversations):
            store.append(scope(number), records, expected=0)


# -- many conversations -------------------------------------------------------------------------


@contextmanager
def kept_logs(text: str, size: int) -> Iterator[Callable[[], Turn]]:
    """A `History` for each, all in the process."""

    def begin() -> Turn:
        builder = ck.ContextBuilder(MODEL, limit=LIMIT)
        histories = [held(text, builder, scope(number)) for number in range(size)]
        draw = random.Random(SEED)

        def turn() -> Callable[[], object]:
            history = draw.choice(histories)
            if history[-1]["role"] == "user":
                history.append(REPLY)
            history.append(question(len(history)))
            return lambda: builder.build(history)

        return turn

    yield begin


Build = Callable[[Any, ck.Scope], object]


def scoped(made: Callable[[], Build]) -> Callable[[str, int], Any]:
    """Lists of which the caller keeps nothing here, each under a scope of its own."""

    @contextmanager
    def way(text: str, size: int) -> Iterator[Callable[[], Turn]]:
        whole = json.loads(text)
        ends = [n for n, message in enumerate(whole) if message["role"] == "assistant"]

        def begin() -> Turn:
            build = made()
            for number in range(size):
                for end in (*ends, len(whole)):
                    build(json.loads(text)[:end], scope(number))
            draw = random.Random(SEED)
            more: dict[int, list[dict[str, Any]]] = {}

            def turn() -> Callable[[], object]:
                number = draw.randrange(size)
                behind = more.setdefault(number, [])
                behind.extend([REPLY, question(len(behind))])
                messages = [*json.loads(text), *behind]
                return lambda: build(messages, scope(number))

            return turn

        yield begin

    return way


def building(**options: Any) -> Callable[[], Build]:
    """By a builder."""

    def made() -> Build:
        builder = ck.ContextBuilder(MODEL, limit=LIMIT, **options)
        return lambda messages, scope: builder.build(messages, scope=scope)

    return made


def wrapping(**options: Any) -> Callable[[], Build]:
    """By a wrapped client."""

    def made() -> Build:
        wrapped = Wrapping({"limit": LIMIT, **options}, {}, None)
        return lambda messages, scope: call(wrapped, messages, scope)

    return made


@contextmanager
def chats(text: str, size: int) -> Iterator[Callable[[], Turn]]:
    """Conversations of a `Chat` over a SQLite file, opened for each turn and let go."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chat.db"
        stored(path, text, size)

        def begin() -> Turn:
            chat = ck.Chat(Answering(), model=MODEL, store=path, limit=LIMIT)
            draw = random.Random(SEED)
            for number in range(size):
                chat.conversation(scope(number)).send(question(0))

            def turn() -> Callable[[], object]:
                number = draw.randrange(size)
                return lambda: chat.conversation(scope(number)).send(question(number))

            return turn

        yield begin


WAYS: dict[str, dict[str, Callable[[str, int], Any]]] = {
    "messages": {
        "kept log": kept_log,
        "list": plain_list,
        "wrapped list": wrapped_list,
        "Chat over SQLite": chat,
    },
    "conversations": {
        "kept log": kept_logs,
        "list": scoped(building()),
        "wrapped list": scoped(wrapping()),
        "list, 20 MB": scoped(building(max_bytes=FEW_BYTES)),
        "wrapped list, 20 MB": scoped(wrapping(max_bytes=FEW_BYTES)),
        "Chat over SQLite": chats,
    },
}


# -- measuring ----------------------------------------------------------------------------------


def cell(of: str, way: str, size: int, *, alone: bool, turns: int = TURNS) -> dict[str, Any]:
    """One way at one size.

    Args:
        of: `messages` or `conversations`.
        way: how they are held.
        size: how many.
        alone: whether the process does nothing else, so that what the system says of it counts.
        turns: that are timed.
    """
    with WAYS[of][way](json.dumps(conversation(EACH, SEED)), 1) as begin:
        begin()()()  # loads what is loaded once in a process
    text = json.dumps(conversation(size if of == "messages" else EACH, SEED))
    with WAYS[of][way](text, size) as begin:
        gc.collect()
        before = resident() if alone else None
        turn = begin()
        gc.collect()
        after = resident() if alone else None
        wall, cpu = [], []
        for number in range(turns + 2):
            action = turn()
            start, spent = time.perf_counter_ns(), time.process_time_ns()
            action()
            if number > 1:  # the first ones see everything for the first time
                cpu.append((time.process_time_ns() - spent) / 1_000)
                wall.append((time.perf_counter_ns() - start) / 1_000)
        del turn, action
        gc.collect()
        tracemalloc.start()
        turn = begin()
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0]
        del turn
        gc.collect()
        left = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    return {
        "of": of,
        "way": way,
        "size": size,
        "next request": statistics.median(wall),
        "CPU": statistics.fmean(cpu),
        "bytes each": taken / size,
        "resident bytes each": None
        if before is None or after is None
        else max(0, after - before) / size,
        "left each": left / size,
    }


def resident() -> int | None:
    """Bytes of the process in memory; None where the system does not say it."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return None
    import resource

    return int(pages) * resource.getpagesize()


def in_a_process_of_its_own(of: str, way: str, size: int) -> dict[str, Any]:
    """The same in a new process."""
    command = [sys.executable, "-m", "benchmarks.growth", "--cell", json.dumps([of, way, size])]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - itself
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(sizes: dict[str, Sequence[int]], *, quick: bool) -> Outcome:
    """All figures, as JSON data."""
    rows = []
    for of, ways in WAYS.items():
        for way in ways:
            least = 0.0
            for size in sizes[of]:
                if quick:
                    row = cell(of, way, size, alone=False, turns=12)
                else:
                    row = in_a_process_of_its_own(of, way, size)
                least = least or row["next request"]
                rows.append({**row, "by the smallest": row["next request"] / least})
                sys.stderr.write(f"\r{of}: {way}, {size:,}        ")
    sys.stderr.write("\r" + " " * 60 + "\r")
    return {
        "benchmark": "growth",
        "made": made(SEED, "tiktoken", quick=quick),
        "limit": LIMIT,
        "messages each": EACH,
        "unit": "microseconds, bytes",
        "rows": rows,
    }


def table(result: Outcome) -> str:
    """The figures as Markdown tables."""
    parts = []
    for of in SIZES:
        heads = [of, "way", "next request µs", "by the smallest", "CPU µs"]
        heads += ["bytes each", "resident each", "left each"]
        rows = [
            [
                f"{row['size']:,}",
                row["way"],
                f"{row['next request']:,.0f}",
                f"{row['by the smallest']:.2f}",
                f"{row['CPU']:,.0f}",
                f"{row['bytes each']:,.0f}",
                "-" if row["resident bytes each"] is None else f"{row['resident bytes each']:,.0f}",
                f"{row['left each']:,.0f}",
            ]
            for row in result["rows"]
            if row["of"] == of
        ]
        parts.append(markdown(heads, rows))
    what = (
        f"Limit {result['limit']:,}; conversations of {result['messages each']} messages. Medians; "
        "CPU: means, with garbage collection. Bytes with the texts; left: once all was let go."
    )
    return "\n\n".join([*parts, f"{what}\n{below(result)}"])


def plots(result: Outcome) -> dict[str, Figure]:
    """Times and memory over the sizes."""
    times: dict[str, dict[str, list[tuple[float, float]]]] = {}
    memory: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in result["rows"]:
        point = (row["size"], row["next request"] / 1_000)
        times.setdefault(row["of"], {}).setdefault(row["way"], []).append(point)
        point = (row["size"], row["bytes each"])
        memory.setdefault(row["of"], {}).setdefault(row["way"], []).append(point)
    return {
        "growth-times": curves(
            "The next request, by what is there already", times, x="how many", y="milliseconds"
        ),
        "growth-memory": curves(
            "Memory, by what is there already", memory, x="how many", y="bytes for each"
        ),
    }


def main() -> int:
    """Measure and print."""
    if sys.argv[1:2] == ["--cell"]:
        json.dump(cell(*json.loads(sys.argv[2]), alone=True), sys.stdout)
        return 0
    return command(
        __doc__,
        lambda given: measure(QUICK if given.quick else SIZES, quick=given.quick),
        table,
        plots=plots,
        quick="1,000 messages and 100 conversations at most, in one process",
    )


if __name__ == "__main__":
    sys.exit(main())
