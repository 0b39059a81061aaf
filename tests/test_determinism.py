"""The same bytes and the same hashes in every process, whatever its seed, time zone and locale."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import contextkit as ck
from tests.support import (
    SCOPE,
    Characters,
    Messages,
    answer,
    builder,
    call,
    result,
    system,
    tool,
    user,
    wire,
)

TOOLS = [tool("zeta", required=["b", "a"]), tool("alpha", enum=["y", "x"]), tool("\u00e4rger")]
OPTIONS: dict[str, Any] = {
    "limit": 1_900,
    "tools": TOOLS,
    "arrival": [ck.ClampToolResults(120)],
    "compaction": [
        ck.ClearToolResults(2, exclude=frozenset({"q", "r", "s", "t", "u"})),
        ck.KeepLast(2),
    ],
}


def conversation() -> Messages:
    messages = [system("Grüße aus İstanbul, 東京.")]
    for n in range(14):
        messages += [
            {
                "content": f"frage {n} ß " * 9,
                "role": "user",
                "zz": None,
                "aa": {"b": 1, "a": [n, 1.5]},
            },
            call(f"c{n}", f"d{n}"),
            result(f"d{n}", "\u2028 результат " * (12 if n % 3 else 90)),
            result(f"c{n}", "ok"),
            answer(f"answer {n} \U0001f600"),
        ]
    return [*messages, user("last")]


def summarizer(request: Any) -> str:
    return f"about {len(request['messages'])}"


def stored_options(store: ck.SQLiteStore) -> dict[str, Any]:
    return {
        **OPTIONS,
        "compaction": [ck.SummarizeOldest(summarizer, share=80)],
        "tail": [ck.Volatile("pid", os.getpid, share=40)],
        "store": store,
    }


def digest(contexts: list[ck.Context]) -> list[str]:
    said = [
        wire(context) + json.dumps(context.report.to_json()["messages"]) for context in contexts
    ]
    return [hashlib.sha256(text.encode()).hexdigest() for text in said]


def everything(folder: str) -> dict[str, Any]:
    """What a process makes of the same list, file and store."""
    messages = conversation()
    listed, cold = builder(**OPTIONS), builder(**OPTIONS)
    scoped = [listed.build(messages[: 5 * n + 2], scope=SCOPE) for n in range(15)]
    loaded = ck.History.load(Path(folder) / "talk.jsonl")
    again = builder(**OPTIONS).build(loaded)
    with ck.SQLiteStore(Path(folder) / "chat.db") as store:
        stored = builder(**stored_options(store)).build(messages, scope=SCOPE)
    return {
        "turns": [hashlib.sha256(wire(c).encode()).hexdigest() for c in scoped],
        "cold": digest([cold.build(messages)]),
        "hashes": [context.prefix_hash for context in scoped],
        "settings": [again.decision.settings, cold.plans.first.hash],
        "file": [loaded.prefix_hash(), loaded.record_hash, *digest([again])],
        "store": hashlib.sha256(wire(stored).encode()).hexdigest(),
        "fixed": scoped[0].fixed,
    }


def test_the_same_in_every_process(tmp_path: Path) -> None:
    history, built = ck.History(scope=SCOPE), builder(**OPTIONS)
    kinds = set()
    for message in conversation():
        history.append(message)
        if message["role"] == "user":
            kinds.update(edit.kind for edit in built.build(history).edits)
    history.dump(tmp_path / "talk.jsonl")
    with ck.SQLiteStore(tmp_path / "chat.db") as store:
        listed = builder(**stored_options(store))
        for end in range(2, len(conversation()) + 1, 5):
            listed.build(conversation()[:end], scope=SCOPE)
    here = everything(str(tmp_path))

    assert {"clamp", "clear", "drop"} <= kinds
    assert here["hashes"][-1] == history.prefix_hash() == here["file"][0]
    assert here["turns"][-1] == hashlib.sha256(wire(built.build(history)).encode()).hexdigest()
    code = (
        "import json, sys; from tests.test_determinism import everything; "
        "print(json.dumps(everything(sys.argv[1])))"
    )
    settings = [
        ("0", "UTC", "C"),
        ("1", "Asia/Kolkata", "C.UTF-8"),
        ("4711", "America/St_Johns", "POSIX"),
    ]
    running = [
        subprocess.Popen(
            [sys.executable, *flags, "-c", code, str(tmp_path)],
            cwd=Path(__file__).parent.parent,
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": locale},
            stdout=subprocess.PIPE,
        )
        for (seed, zone, locale), flags in zip(
            settings, ([], ["-O"], ["-X", "utf8=0"]), strict=True
        )
    ]
    for process in running:
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert json.loads(said) == here


def test_the_counters_name_is_part_of_the_settings_and_its_calls_are_not() -> None:
    one, other = Characters(), Characters()
    other.count("x")

    assert builder(counter=one).plans.first.hash == builder(counter=other).plans.first.hash
    assert builder(counter=Characters("y")).plans.first.hash != builder().plans.first.hash
    sets = [frozenset("abcdef"), frozenset("fedcba")]
    hashes = {
        builder(compaction=[ck.ClearToolResults(1, exclude=s)]).plans.first.hash for s in sets
    }
    assert len(hashes) == 1
