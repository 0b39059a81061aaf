"""History: append-only, with two hashes, forks, JSON Lines, and any earlier request again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import contextkit as ck
from contextkit.errors import ContextKitError, InputError, StoreCorrupt
from contextkit.usage import Usage
from tests.support import SCOPE, answer, builder, call, chat, result, user, wire


def grown(turns: int = 14, **options: Any) -> tuple[ck.History, ck.ContextBuilder, list[str]]:
    """A conversation built turn by turn, and what was sent each time."""
    history, built, sent = ck.History(system="You are terse.", scope=SCOPE), builder(**options), []
    for n in range(turns):
        history.append(user(f"q{n} " * 20))
        sent.append(wire(built.build(history)))
        history.append(
            {"choices": [{"message": answer(f"a{n} " * 20)}], "usage": {"prompt_tokens": n}}
        )
    return history, built, sent


def test_any_earlier_request_can_be_built_again() -> None:
    history, built, sent = grown()
    loaded = ck.History.loads(history.dumps())
    assert any(decision.edits for decision in history.decisions())
    for n, bytes_sent in enumerate(sent):
        at = 2 * n + 2
        assert wire(built.build(history.fork(at))) == bytes_sent
        assert wire(builder().build(loaded.fork(at))) == bytes_sent
        assert json.loads(bytes_sent)["messages"] == ck.fold(loaded, at=at).messages


def test_a_dump_comes_back_whole(tmp_path: Path) -> None:
    history, _, _ = grown()
    history.append(call("c"))
    history.append(result("c", "\u2028 \x85 \x0c \x00 \U0001f600"), pin=True)
    path = tmp_path / "talk.jsonl"
    history.dump(path)
    loaded = ck.History.load(path)

    assert loaded.dumps() == history.dumps() == path.read_text(encoding="utf-8")
    assert json.dumps(list(loaded)) == json.dumps(list(history))
    assert loaded.scope == SCOPE
    assert (loaded.record_hash, loaded.prefix_hash()) == (
        history.record_hash,
        history.prefix_hash(),
    )
    assert loaded.usages == history.usages
    assert loaded.messages[-1].pinned
    assert json.loads(path.read_text(encoding="utf-8").split("\n")[0])["contextkit"]
    assert [file.name for file in tmp_path.iterdir()] == ["talk.jsonl"]


def test_appending_after_loading_goes_on_as_before() -> None:
    history, built, _ = grown()
    loaded = ck.History.loads(history.dumps())
    for held, by in ((history, built), (loaded, builder())):
        held.append("more")
        by.build(held)

    assert loaded.dumps() == history.dumps()


LINES = ck.History([user("one"), user("two")]).dumps().split("\n")


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        ("\n".join(LINES)[:-10], 3),
        ("\n".join(LINES[:3]), 3),
        ("\n".join([*LINES, LINES[2]]), 4),
        (LINES[0] + "\n{}\n", 1),
        ("\n".join([LINES[0], LINES[2], LINES[1]]), 1),
        ("\n".join([LINES[0], LINES[2]]), 1),
        ("\n".join(LINES).replace('"two"', '"tow"'), 2),
        ("\n".join(LINES).replace('"one"', "NaN"), 1),
        ("\n".join(LINES).replace('"one"', '"\\ud800"'), 1),
        ("\n".join(LINES).replace('"one"', "[" * 100_000), 1),
        ("\n".join(LINES).replace("contextkit/1", "contextkit/999"), 0),
        ("[]\n", 0),
    ],
    ids=[
        "empty",
        "cut",
        "cut between lines",
        "goes on behind its end",
        "no hash",
        "swapped",
        "missing",
        "changed",
        "NaN",
        "surrogate",
        "deep",
        "schema",
        "list",
    ],
)
def test_a_damaged_log_is_refused_with_the_line(text: str, position: int) -> None:
    with pytest.raises(StoreCorrupt) as found:
        ck.History.loads(text)

    assert found.value.position == position


def test_a_file_that_is_not_utf8_is_refused_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    path.write_bytes("\n".join(LINES[:2]).encode() + b"\n\xff\xfe\n")
    with pytest.raises(StoreCorrupt) as found:
        ck.History.load(path)

    assert found.value.position == 2


def test_prefix_hash_chains_messages_alone() -> None:
    one, other = ck.History(chat(3), scope=SCOPE), ck.History(chat(3), scope=SCOPE)
    builder(200).build(one)
    other.append("more")
    foreign = ck.History(chat(3), scope=ck.Scope("tenant", "user", "another"))

    assert [one.prefix_hash(n) for n in range(9)] == [other.prefix_hash(n) for n in range(9)]
    assert len({one.prefix_hash(n) for n in range(9)}) == 9
    assert one.prefix_hash() != other.prefix_hash()
    assert one.prefix_hash(3) != foreign.prefix_hash(3) != one.prefix_hash(3, "other view")
    assert ck.History(["a"]).prefix_hash() != ck.History(["a"]).prefix_hash()
    assert one.record_hash != other.record_hash


@pytest.mark.parametrize("at", [-1, 100])
def test_positions_outside_are_refused(at: int) -> None:
    history = ck.History(["a"])
    for ask in (history.prefix_hash, history.fork):
        with pytest.raises(InputError):
            ask(at)
    with pytest.raises(InputError):
        history.report(at, ck.Usage())


def test_forks_do_not_see_each_other_grow() -> None:
    history, built, _ = grown()
    for at in range(len(history) + 1):
        other = history.fork(at)
        before = history.dumps()
        other.append(user("another way " * 30))
        context = built.build(other)

        assert history.dumps() == before
        assert list(other)[:at] == list(history)[:at]
        # As a fold that was kept, so from scratch.
        fresh = ck.History.loads(other.dumps())
        assert wire(builder().build(fresh)) == wire(context)
        assert ck.fold(other).messages == context.messages


def test_a_fork_takes_only_what_was_decided_on_its_messages() -> None:
    history, _, _ = grown()
    cut = next(decision for decision in history.decisions() if decision.edits)
    before, after = history.fork(cut.point - 1), history.fork(cut.point)

    assert not any(decision.edits for decision in before.decisions())
    assert any(decision.edits for decision in after.decisions())
    assert ck.History.loads(before.dumps()).usages == before.usages
    assert set(before.usages) == {n for n in history.usages if n < cut.point - 1}


@pytest.mark.parametrize("what", ["Hello", b"Hello", {"role": "user", "content": "Hello"}, 5])
def test_what_is_no_list_of_messages_is_refused(what: Any) -> None:
    """A string is a message, and its letters are not."""
    with pytest.raises(InputError):
        ck.History(what)
    with pytest.raises(InputError):
        ck.History().extend(what)


@pytest.mark.parametrize(
    "reply",
    [
        {"choices": []},
        {"choices": [{}]},
        {"choices": [{"delta": {"content": "x"}}]},
        {"choices": "x"},
        {"choices": None},
        {"choices": [{"message": None}]},
        {"choices": [{"message": answer("x")}], "usage": "x"},
    ],
)
def test_a_reply_without_a_message_is_refused_and_nothing_kept(reply: Any) -> None:
    history = ck.History(["Hello"])
    with pytest.raises(ContextKitError):
        history.append(reply)

    assert len(history.records) == 1


def test_a_history_says_nothing_of_its_content() -> None:
    assert "SECRET" not in repr(ck.History(["SECRET"])) + repr(ck.History(["SECRET"]).messages[0])


@pytest.mark.parametrize(
    "record",
    [
        {"type": "decision", "view": "main", "point": 9},
        {"type": "decision", "view": "main", "point": "1"},
        {"type": "decision", "view": "main", "point": 1, "edits": ["x"]},
        {"type": "settings", "view": "main", "point": 1, "settings": []},
        {"type": "usage", "number": 7, "usage": {}},
        {"type": "wish"},
    ],
)
def test_a_record_that_cannot_stand_where_it_stands_is_refused(record: dict[str, Any]) -> None:
    history = ck.History(["a"])
    with pytest.raises(StoreCorrupt) as found:
        history.restore([record], position=3)

    assert found.value.position == 3
    assert len(history.records) == 1


def test_the_time_of_a_report_is_kept_and_checked() -> None:
    history = ck.History([user("one"), answer("two")])
    history.report(1, Usage(input_tokens=5), time=1_800_000_000.5)
    text = history.dumps()

    assert ck.History.loads(text).times == {1: 1_800_000_000.5}
    assert ck.History.loads(text).dumps() == text
    old = {"type": "usage", "number": 1, "usage": {"input_tokens": 5}}
    history.restore([old])
    assert history.fork().times == history.times == {1: 1_800_000_000.5}
    assert history.fork(0).times == {}
    for time in ("yesterday", True, float("nan"), [1]):
        with pytest.raises(StoreCorrupt, match="time of a report"):
            history.restore([{**old, "time": time}])
