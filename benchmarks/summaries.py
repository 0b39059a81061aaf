"""What summaries cost: tokens that the embedded server evaluates, the summarizer's calls included.

    python -m benchmarks.summaries [--json] [--quick]

First, what a summarizer's call reads from the cache and what it leaves to the next request: asked
with the live prefix, and with a prompt of its own. Then whole conversations, beside LangChain's
SummarizationMiddleware at the same limit, where `make peers` has set up its environment. One slot,
no other cache, the server started anew for each. Replies and summaries are written by its model, of
at most the same length for all. Counts alone: evaluated is what was not read from the cache.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any, Self

from benchmarks.conversing import (
    LIVE,
    PENALTY,
    REPLY,
    SEED,
    SHARE,
    TOOLS,
    WRITING,
    Call,
    Conversation,
    fresh_server,
    totals,
)
from benchmarks.measuring import Outcome, below, command, made, markdown
from benchmarks.peers.libraries import peer
from benchmarks.peers.process import Failed, NotInstalled, Process, TookTooLong
from benchmarks.peers.server import lend_model
from contextkit.cli.ways import script

LIMIT = 1_400
TURNS = 40
SHORT = {(): 800, tuple(tool["function"]["name"] for tool in TOOLS): 1_050}
"""The limit of the calls by themselves: tools take a part of it."""
LANGCHAIN = "LangChain SummarizationMiddleware"
PATIENCE = 1_800.0


def calls() -> list[dict[str, Any]]:
    """For each way to ask: the first call, the next request, and the first one that is cut."""
    rows = []
    for tools, limit in SHORT.items():
        for own in (False, True):
            for ahead in (False, True):
                with fresh_server() as server:
                    given = TOOLS if tools else ()
                    talk = Conversation(server, limit, own=own, ahead=ahead, tools=given)
                    rows.append({"tools": len(tools), "own": own, "ahead": ahead})
                    rows[-1] |= talk.until_cut()
    return rows


def conversations(turns: int) -> tuple[list[dict[str, Any]], dict[str, str], str]:
    """For each way to summarize the figures of a whole conversation; versions; what is left out."""
    rows = []
    for name, way in (
        ("contextkit", {}),
        ("contextkit, prepared ahead", {"ahead": True}),
        ("contextkit, a prompt of its own", {"own": True}),
    ):
        with fresh_server() as server:
            rows.append({"name": name, **Conversation(server, LIMIT, **way).hold(turns)})
    ours = rows[0]["evaluated"]
    smallest = min(row["mean tokens"] for row in rows[:2])
    longest = max(row["longest"] for row in rows)
    left_out = ""
    versions = {}
    try:
        with LangChain(turns, longest) as langchain:
            versions = {"langchain": langchain.version}
            rows += langchain.rows(smallest)
    except (Failed, NotInstalled, TookTooLong) as error:
        left_out = f"{LANGCHAIN}: {error}"
    for row in rows:
        row["ratio"] = ours / row["evaluated"]
    return rows, versions, left_out


class LangChain:
    """The same conversation with LangChain's middleware, in the environment of its own.

    Args:
        turns: of the conversation.
        longest: tokens of a summary at most, as the others were asked for.
    """

    def __init__(self, turns: int, longest: int) -> None:
        self.turns, self.longest = turns, longest

    def __enter__(self) -> Self:
        self.folder = tempfile.TemporaryDirectory()
        lend_model(Path(self.folder.name))
        self.process = Process(peer(LANGCHAIN), path=self.folder.name)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.end()
        self.folder.cleanup()

    @property
    def version(self) -> str:
        """Of its package."""
        return str(self.process.ask({"do": "version"}, PATIENCE)["version"])

    def rows(self, mean: float) -> list[dict[str, Any]]:
        """As it comes, and keeping so little that its requests are no longer than ours on average.

        Args:
            mean: tokens of our requests.
        """
        rows = [{"name": LANGCHAIN, "keep": None, **self.hold(None)}]
        keep = LIMIT // 2
        while rows[-1]["mean tokens"] > mean and len(rows) < 6:
            # What it keeps is about a third of what its mean changes by.
            keep -= max(10, 3 * int(rows[-1]["mean tokens"] - mean))
            rows.append({"name": f"the same, keeping {keep:,}", "keep": keep, **self.hold(keep)})
        return [rows[0], *rows[1:][-1:]]

    def hold(self, keep: int | None) -> dict[str, Any]:
        """The figures of a whole conversation.

        Args:
            keep: tokens of messages that a summary leaves; half of the room by default.
        """
        system, texts = script()
        with fresh_server() as server:
            job = {
                "do": "converse",
                "model": server.model,
                "address": server.address,
                "limit": LIMIT,
                "window": 0,
                "target": keep,
                "system": {"role": "system", "content": system},
                "texts": texts[: self.turns],
                "reply options": LIVE,
                "summary options": {**WRITING, **PENALTY, "max_tokens": self.longest},
            }
            answer = self.process.ask(job, PATIENCE)
        return totals([Call(**call) for call in answer["calls"]])


def table(result: Outcome) -> str:
    """Both tables as Markdown."""
    return "\n\n".join((calls_table(result), tokens_table(result), below(result)))


def calls_table(result: Outcome) -> str:
    """What a summarizer's call reads, and what it leaves."""
    heads = [
        "the summarizer's call",
        "tools",
        "input before the instruction",
        "of it read",
        "the request before",
        "of it read by the next one",
        "the cut request",
        "of it read",
    ]
    rows = []
    for row in result["calls"]:
        kept = row["kept"]
        rows.append(
            [
                f"{'own prompt' if row['own'] else 'live prefix'}, "
                + ("ahead of the cut" if row["ahead"] else "at the cut"),
                str(row["tools"] or "-"),
                f"{row['before']:,}",
                f"{100 * row['read'] / row['before']:.1f} %",
                f"{row['sent']:,}",
                "the cut follows" if kept is None else f"{100 * kept / row['sent']:.1f} %",
                f"{row['cut input']:,}",
                f"{row['cut read']:,}",
            ]
        )
    dropped = sum(not row["summarized"] for row in result["calls"])
    what = (
        "The first cut of a conversation that grows to its limit. In "
        f"{dropped} of {len(rows)} what the model wrote was rejected, and the cut drops instead."
    )
    return f"{markdown(heads, rows)}\n\n{what}"


def tokens_table(result: Outcome) -> str:
    """Whole conversations."""
    heads = [
        f"limit {result['limit']:,}, {result['turns']} turns",
        "mean tokens of a request",
        "largest",
        "summarizer's calls",
        "rejected",
        "tokens they wrote",
        "evaluated: requests",
        "summaries",
        "**all**",
        "contextkit's by this",
    ]
    rows = [
        [
            row["name"],
            f"{row['mean tokens']:,.0f}",
            f"{row['largest']:,}",
            str(row["calls"]),
            str(row.get("rejected", "-")),
            f"{row['written']:,}",
            f"{row['evaluated live']:,}",
            f"{row['evaluated for summaries']:,}",
            f"**{row['evaluated']:,}**",
            f"{row['ratio']:.2f}",
        ]
        for row in result["conversations"]
    ]
    what = (
        f"{result['model']} in llama.cpp's server, one slot. Replies of at most {result['reply']} "
        f"tokens, summaries of {result['share']}, of which the model writes {result['longest']} at "
        "most; rejected: by the checks, and asked for again. LangChain checks nothing."
    )
    left = f" Left out: {result['left out']}." if result["left out"] else ""
    return f"{markdown(heads, rows)}\n\n{what}{left}"


def measure(*, quick: bool) -> Outcome:
    """All figures, as JSON data."""
    turns = 18 if quick else TURNS
    rows, versions, left_out = conversations(turns)
    return {
        "benchmark": "summaries",
        "made": made(SEED, "xllamacpp", **versions, quick=quick),
        "model": "SmolLM2-135M",
        "limit": LIMIT,
        "turns": turns,
        "reply": REPLY,
        "share": SHARE,
        "longest": max(row.get("longest", 0) for row in rows),
        "left out": left_out,
        "calls": calls(),
        "conversations": rows,
    }


def main() -> int:
    """Measure and print."""
    return command(
        __doc__, lambda given: measure(quick=given.quick), table, quick="conversations of 18 turns"
    )


if __name__ == "__main__":
    sys.exit(main())
