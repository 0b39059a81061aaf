"""Grammar: which order of messages a provider accepts, and how an imported list is mended.

The rules, as providers state them in their refusals: each tool message answers a call of the
assistant message before it, with nothing but other results between; each call is answered; the
array is not empty. Mending invents no content: a call whose result never came gets a result that
says so, a result without a call is set aside, a result that came late is moved behind its call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from contextkit.edits import Edit
from contextkit.errors import GrammarError
from contextkit.groups import Group
from contextkit.messages import SYSTEM_ROLES, call_ids

MISSING_RESULT = "[no result: the call was interrupted]"
"""What stands for a result that never came."""


def violations(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a provider would refuse in an array of messages, in words; empty when it is good."""
    found: list[str] = []
    if not messages:
        return ["the array is empty"]
    waiting: set[str] = set()
    answered: set[str] = set()
    for number, message in enumerate(messages):
        role = message["role"]
        if role == "tool":
            identifier = message["tool_call_id"]
            if identifier in waiting:
                waiting.remove(identifier)
                answered.add(identifier)
            elif identifier in answered:
                found.append(f"messages[{number}]: call {identifier!r} is answered twice")
            else:
                found.append(f"messages[{number}]: no call {identifier!r} stands before it")
            continue
        if waiting:
            found.append(f"messages[{number}]: calls {sorted(waiting)} have no result before it")
        waiting = set(call_ids(message)) if role == "assistant" else set()
        answered = set()
        if role == "assistant" and says_nothing(message):
            found.append(f"messages[{number}]: an assistant message that says nothing")
        if role == "assistant" and message.get("tool_calls") == []:
            found.append(f"messages[{number}]: an empty list of tool calls")
    if waiting:
        found.append(f"calls {sorted(waiting)} at the end have no result")
    return found


def says_nothing(message: Mapping[str, Any]) -> bool:
    """Whether an assistant message has neither text, calls, audio nor a refusal."""
    return message.get("content") in (None, []) and not any(
        message.get(key) for key in ("tool_calls", "refusal", "audio", "function_call")
    )


def needs_mending(message: Mapping[str, Any]) -> bool:
    """Whether providers refuse an assistant message as it came: without a word, or `[]` as calls.

    The empty list is what some servers, and the client's `parse`, give where nothing was called;
    OpenAI answers 400 "empty array", Qwen "Empty tool_calls is not supported" (openai-python#2061,
    vscode-unify-chat-provider#65; 2026-11-22).
    """
    return message.get("tool_calls") == [] or says_nothing(message)


def without_empty_calls(message: Mapping[str, Any]) -> dict[str, Any]:
    """The message without a list of tool calls that holds none."""
    return {key: value for key, value in message.items() if key != "tool_calls" or value != []}


def mend(
    groups: Sequence[Group],
    interrupted: Iterable[int],
    unplaced: Iterable[tuple[int, Mapping[str, Any]]],
) -> list[Edit]:
    """The edits that make a list acceptable that is not.

    Args:
        groups: the groups of the view.
        interrupted: the starts of steps behind which something else stands already.
        unplaced: numbers and messages of results that do not stand behind their call.
    """
    open_calls: dict[str, list[Group]] = {}
    steps = set(interrupted)
    for group in groups:
        if group.start in steps or group.open:
            for identifier in group.open:
                open_calls.setdefault(identifier, []).append(group)
    edits = []
    for number, message in unplaced:
        identifier = message["tool_call_id"]
        # The nearest call before it: ids such as "call_1" come again in other steps.
        before = [group for group in open_calls.get(identifier, ()) if group.start < number]
        if before:
            open_calls[identifier].remove(before[-1])
            edits.append(
                Edit(
                    "move",
                    covers=(number,),
                    shows=(dict(message),),
                    at=before[-1].start,
                    reason="a result stands behind its call",
                    by="grammar",
                )
            )
        else:
            edits.append(
                Edit(
                    "set aside",
                    covers=(number,),
                    reason=f"result of call {identifier!r}, which stands nowhere before it "
                    "or was answered already",
                    by="grammar",
                )
            )
    stubs = [
        stub(group, identifier)
        for identifier, held in open_calls.items()
        for group in held
        if group.start in steps
    ]
    return edits + stubs


def stub(group: Group, identifier: str) -> Edit:
    """The edit that says that a call has no result."""
    return Edit(
        "stub",
        shows=({"role": "tool", "tool_call_id": identifier, "content": MISSING_RESULT},),
        at=group.start,
        reason=f"call {identifier!r} had no result when the conversation went on",
        by="grammar",
    )


def check_end(groups: Sequence[Group], any_system: bool, aside: Sequence[str] = ()) -> None:
    """Whether the array can be answered as it ends.

    Args:
        aside: why messages were set aside, for the error.

    Raises:
        GrammarError: when it is empty, waits for tool results, or ends in an assistant message.
    """
    if not groups:
        if any_system:
            return
        raise GrammarError("there is no message to answer: append one", place="messages")
    last = groups[-1]
    if last.open:
        raise GrammarError(
            f"calls {', '.join(map(repr, last.open))} have no result yet: append the tool "
            "messages, or a user message, upon which a marked stub stands for the result",
            place=f"messages[{last.start}].tool_calls",
        )
    end = last.entries[-1].data
    if end["role"] == "assistant" and not (end.get("partial") or end.get("prefix")):
        raise GrammarError(
            "the last message is the assistant's: there is nothing to answer. Append a user "
            "message, or mark it with partial=True (Qwen) or prefix=True (DeepSeek) to have it "
            f"continued{''.join(f'. Set aside: {reason}' for reason in aside)}",
            place=f"messages[{last.start}]",
        )


def is_leading_system(role: str, any_group: bool) -> bool:
    """Whether a message belongs to the system block that everything begins with."""
    return role in SYSTEM_ROLES and not any_group
