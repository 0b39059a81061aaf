"""CPU time per turn over the length of the history: append a reply and a question, build."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.peers.libraries import FLOOR, OURS_SUMMARIZING, Peer
from benchmarks.peers.process import Failed, NotInstalled, Process, TookTooLong

MODEL = "gpt-5"
SEED = 7
LENGTHS = (100, 1_000, 20_000)
LIMITS = (8_000, 128_000)
MESSAGE = 60
"""Tokens of a message, about: what a window of messages is reckoned by."""
START, FILL, TURN = 120.0, 60.0, 8.0
"""Seconds at most: until the library is imported, to append the history, for one turn."""


def measure(
    peers: Sequence[Peer],
    lengths: Sequence[int] = LENGTHS,
    *,
    turns: int = 200,
    seconds: float = 2.0,
    say: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """A row for each peer: milliseconds by limit and length, or why there are none."""
    rows = []
    for peer in (FLOOR, *(one for one in peers if one.name != OURS_SUMMARIZING)):
        say(f"time per turn: {peer.name}")
        cells: dict[str, dict[str, Any]] = {}
        with Process(peer) as process:
            for limit in LIMITS:
                too_long = False
                for length in lengths:
                    key = f"{limit}, {length}"
                    if too_long:
                        cells[key] = {"ended": "shorter already took too long"}
                        continue
                    cells[key] = _cell(process, limit, length, turns, seconds)
                    too_long = "ended" in cells[key]
        rows.append(
            {
                "name": peer.name,
                "counts": peer.counts,
                "by hand": peer.by_hand,
                "cells": cells,
            }
        )
    return rows


def _cell(process: Process, limit: int, length: int, turns: int, seconds: float) -> dict[str, Any]:
    job = {
        "do": "turns",
        "model": MODEL,
        "limit": limit,
        "window": limit // MESSAGE,
        "length": length,
        "seed": SEED,
        "turns": turns,
        "seconds": seconds,
        "system": {"role": "system", "content": "You answer questions about orders."},
    }
    try:
        process.ask({"do": "version"}, START)
        spent = process.ask(job, TURN, first=FILL)["milliseconds"]
    except TookTooLong as error:
        what = "a turn" if {"filled": True} in error.told else "the history"
        return {"ended": f"{what}: > {error.seconds:g} s"}
    except (Failed, NotInstalled) as error:
        return {"ended": str(error)}
    return {
        "mean": statistics.fmean(spent),
        "median": statistics.median(spent),
        "turns": len(spent),
    }


def fastest(rows: Sequence[dict[str, Any]], limit: int, length: int) -> str:
    """The fastest of the libraries that count tokens; what is written by hand is none."""
    found = {
        row["name"]: cell["mean"]
        for row in rows
        if row["counts"] == "tokens"
        and not row["by hand"]
        and "mean" in (cell := row["cells"].get(f"{limit}, {length}", {}))
    }
    return min(found, key=lambda name: found[name], default="")
