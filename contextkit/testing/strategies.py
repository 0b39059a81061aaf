"""What a strategy must do, to be tried on one's own."""

from __future__ import annotations

from typing import Any

from contextkit.builder import ContextBuilder
from contextkit.edits import Edit
from contextkit.history import History
from contextkit.profiles import profile_for
from contextkit.scope import Scope
from contextkit.strategies.base import Strategy
from contextkit.testing.promising import promise

_SCOPE = Scope("tenant", "user", "conversation")
_THANKS = {"type": "text", "text": "Thanks."}
_SOUND = {"type": "input_audio", "input_audio": {"data": "A" * 32_000, "format": "mp3"}}


def check_strategy(strategy: Strategy, phase: str = "compaction") -> None:
    """A strategy does its work in a phase without ever failing; for strategies of your own.

    It is run over a conversation with tool calls and sounds, far beyond the budget: every edit
    that it proposes must be one that it may make, twice the same must come out, and in the
    compaction phase it must free tokens at least once.

    Args:
        strategy: in the tail phase with its `share`.
        phase: `arrival`, `compaction` or `tail`.

    Raises:
        AssertionError: says what it does not do.
    """
    runs = [_run_strategy(strategy, phase) for _ in range(2)]
    made = [edit for edits, _ in runs[:1] for edit in edits if edit.by != "DropOldest"]
    if type(strategy).__name__ != "DropOldest":
        promise(bool(made), what=f"the strategy makes no edit in the {phase} phase")
    promise(runs[0] == runs[1], what="the same conversation gives the same edits and bytes")


def _run_strategy(strategy: Strategy, phase: str) -> tuple[list[Edit], list[Any]]:
    strategies: dict[str, Any] = {phase: [strategy]}
    builder = ContextBuilder("contract", profile=profile_for("generic"), limit=1_500, **strategies)
    history = History(system="You look things up.", scope=_SCOPE)
    history.id = "contract"  # otherwise the marks of its blocks are nobody's to guess
    edits: list[Edit] = []
    sent: list[Any] = []
    for number in range(30):
        call = {"id": f"call {number}", "type": "function"}
        function = {"name": "look_up", "arguments": f'{{"number": {number}}}'}
        history.append(f"Question {number}, about order {number * 7}: where is it?")
        history.append(
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{**call, "function": function}],
            }
        )
        history.append(
            {"role": "tool", "tool_call_id": call["id"], "content": f"row {number} " * 60}
        )
        context = builder.build(history)
        promise(
            not context.decision.failures,
            what=f"the strategy was passed over: {'; '.join(context.decision.failures)}",
        )
        edits += context.edits
        sent.append(context.request())
        history.append({"role": "assistant", "content": f"Order {number * 7} is on its way."})
        if number % 5 == 0:
            history.append({"role": "user", "content": [_THANKS, _SOUND]})
            history.append({"role": "assistant", "content": "You are welcome."})
    return edits, sent
