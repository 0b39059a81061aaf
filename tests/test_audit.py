"""Audit: every breaker that is planted in a log is found, once, and in a clean log none."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import contextkit as ck
from benchmarks import planted_logs as planted
from benchmarks.planted_logs import Talk
from contextkit.analysis.audit import audit
from contextkit.analysis.auditing.lines import LIVE_TOKENS, Lines
from contextkit.analysis.auditing.requests import Requests
from contextkit.analysis.problems import Problem
from contextkit.analysis.recorded import Recorded
from contextkit.analysis.results import Result
from contextkit.errors import InputError
from contextkit.usage import Usage
from tests.command_line import run
from tests.support import Characters

POINTS = "claude-sonnet-4-5"  # has no cache but that by cache points

BREAKERS: dict[str, tuple[str, dict[str, Any]]] = {
    "clock at the top": ("system time", {"change": planted.clock}),
    "date at the end of the system prompt": ("system time", {"change": planted.date}),
    "id of the request": ("system id", {"change": planted.request_id}),
    "id of the session": ("system id", {"change": planted.session_id}),
    "name of the user": ("system user", {"change": planted.user_name}),
    "passages": ("system passages", {"change": planted.passages}),
    "summary": ("system summary", {"change": planted.summary}),
    "tools in any order": ("tools order", {"change": planted.tools_order}),
    "late tool": ("tools set", {"change": planted.tool_added}),
    "tool gone": ("tools set", {"change": planted.tool_removed}),
    "tool described anew": ("tools definition", {"change": planted.tool_changed}),
    "keys of a schema": ("tools json", {"change": planted.tool_keys}),
    "keys of a call": ("history json", {"change": planted.call_keys}),
    "white space": ("history bytes", {"change": planted.whitespace}),
    "Unicode form": ("history bytes", {"change": planted.unicode}),
    "sliding window": ("history slides", {"change": planted.slide, "turns": 10}),
    "old message edited": ("history rewritten", {"change": planted.old_message}),
    "block that moves along": ("history moving", {"change": planted.moving_block}),
    "message put before": ("history inserted", {"change": planted.inserted}),
    "results cleared one by one": ("history cleared", {"change": planted.cleared, "steps": 4}),
    "reasoning dropped": ("history reasoning", {"change": planted.reasoning, "steps": 2}),
    "signed URL": ("history image", {"change": planted.image}),
    "other model": ("model", {"change": planted.model}),
    "pauses": ("expired", {"change": planted.pause, "model": POINTS}),
    "response format": ("settings", {"change": planted.response_format}),
    "no cache point": ("no point", {"model": POINTS}),
    "points on the system prompt alone": (
        "few points",
        {"change": planted.marked_system, "model": POINTS},
    ),
    "wandering point": ("point moved", {"change": planted.marked_wandering, "model": POINTS}),
    "many blocks": ("look-back", {"change": planted.many_blocks, "model": POINTS, "steps": 0}),
    "all at once": ("not yet visible", {"change": planted.fan_out}),
    "short prompts": (
        "minimum",
        {"system": "Be terse. " * 40, "steps": 0, "turns": 3, "tools": False},
    ),
}


def audited(talks: Iterable[Talk], **options: Any) -> Result:
    return audit(planted.log(talks, counter=Characters(), **options), counter=Characters())


def several(count: int = 4, **options: Any) -> list[Talk]:
    return [Talk(n, start=n * 95.0, **options) for n in range(count)]


def kinds(result: Result) -> list[str]:
    return [row["kind"] for row in result.rows]


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("name", BREAKERS)
def test_a_breaker_is_found_and_nothing_else(name: str, named: bool) -> None:
    """Whether the log has ids for its conversations or none."""
    kind, options = BREAKERS[name]
    result = audited(several(**options, named=named))

    assert kinds(result) == [kind]
    [row] = result.rows
    assert row["tokens"] > 0
    assert row["money"] > 0
    assert 0 < row["share"] < 1
    assert not result.problems


CLEAN: dict[str, dict[str, Any]] = {
    "chats with tools": {},
    "in which requests are sent twice, and questions edited": {"lively": True, "turns": 12},
    "cut now and then": {"change": planted.deep_cut, "turns": 12},
    "without tools": {"tools": False, "steps": 0},
    "with cache points": {"change": planted.marked, "model": POINTS},
    "with cache points at Qwen": {"change": planted.marked},
    "at OpenAI": {"model": "gpt-4o", "lively": True},
    "at OpenAI with points placed by it": {"model": "gpt-5.6", "lively": True},
    "at DeepSeek": {"model": "deepseek-v4-flash"},
    "of a model that no profile has prices for": {"model": "vllm"},
}


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("name", CLEAN)
def test_in_a_clean_log_nothing_is_found(name: str, named: bool) -> None:
    talks = several(**CLEAN[name], named=named)
    others = [replace(talk, number=talk.number + 50, app=2, model="gpt-4.1") for talk in talks[:2]]
    others = [replace(talk, change=planted.clean) for talk in others]
    result = audited([*talks, *others])

    assert kinds(result) == []
    assert "Nothing was found" in result.tables[0].note
    [whole, *_] = result.tables[1].rows
    assert whole["requests"] == whole["reported"] > 30
    assert whole["could"] == whole["read"]


def test_other_requests_of_an_application_break_nothing() -> None:
    """Titles, summaries of the same prefix, tasks of sub-agents; small talk that repeats."""

    def more(request: planted.Request, n: int, talk: Talk) -> list[planted.Request]:
        planted.summarized(request, n, talk)
        sent = [request, *(copy.deepcopy(request) for _ in range(3))]
        first = request["messages"][1]
        sent[1] |= {"model": "qwen-turbo", "tools": []}
        sent[1]["messages"] = [planted.system("A title of five words."), first]
        sent[2]["messages"].append(planted.user("Summarise all of the above."))
        sent[3]["messages"][1:] = [planted.user(f"Task {n} of {talk.number}, for itself")]
        return sent[: 1 + n % 4]

    for named in (True, False):
        result = audited(several(change=more, turns=12, named=named))
        assert kinds(result) == []
        assert [row["kind"] for row in result.tables[2].rows] == ["history replaced"]
        assert kinds(audited(several(6, change=planted.small_talk, named=named))) == []
        together = [replace(talk, start=0.0) for talk in several(6, named=named)]
        assert kinds(audited(together)) == []


def test_a_request_that_is_sent_again_at_once_is_no_finding() -> None:
    def impatient(request: planted.Request, n: int, talk: Talk) -> list[planted.Request]:
        return [request, copy.deepcopy(request)] if n % 3 == 1 else [request]

    for named in (True, False):
        assert kinds(audited(several(change=impatient, size=6_000, named=named))) == []


def test_requests_that_a_log_left_out_are_no_findings() -> None:
    log = list(planted.log(several(lively=True, turns=8), counter=Characters()))
    for left in range(2, 6):
        given = [one for n, one in enumerate(log) if n % left]
        assert kinds(audit(given, counter=Characters())) == []


def test_a_prompt_of_another_version_or_with_other_tools_is_no_breaker() -> None:
    def version(request: planted.Request, n: int, talk: Talk) -> None:
        first = request["messages"][0]
        first["content"] = first["content"].replace("3. ", f"3. In version {talk.number // 3}: ", 1)
        if talk.number % 2:
            del request["tools"][1:]

    assert kinds(audited(several(6, change=version))) == []


def test_what_is_said_of_a_user_at_the_end_of_a_prompt_is_no_breaker() -> None:
    def behind(request: planted.Request, n: int, talk: Talk) -> None:
        request["messages"][0]["content"] += f"\nThe user is {planted.NAMES[talk.number]}."

    assert kinds(audited(several(6, change=behind))) == []


def test_cuts_that_are_seldom_and_deep_stand_apart() -> None:
    result = audited(several(change=planted.deep_cut, turns=12))

    assert [table.name for table in result.tables] == ["changes", "totals", "cuts"]
    [row] = result.tables[2].rows
    assert (row["what"], row["requests"]) == ("messages were left out", 8)
    assert row["tokens"] > 0


def test_ten_breakers_in_one_log_are_ten_findings_in_the_order_of_their_cost() -> None:
    names = list(BREAKERS)[:10]
    names[3], names[5] = "signed URL", "sliding window"
    wanted = {}
    talks = []
    for app, name in enumerate(names):
        kind, options = BREAKERS[name]
        wanted[kind] = wanted.get(kind, 0) + 1
        for n in range(4):
            number = app * 10 + n
            options = {"turns": 8, **options}
            talks.append(Talk(number, app=app, start=number * 40.0, named=n > 0, **options))
    talks += [
        Talk(900 + n, app=90 + n % 3, start=n * 50.0, turns=10, lively=True) for n in range(12)
    ]
    result = audited(talks)

    assert sorted(kinds(result)) == sorted(wanted)
    costs = [row["money"] for row in result.rows]
    assert costs == sorted(costs, reverse=True)
    [whole, *_] = result.tables[1].rows
    assert whole["money_least"] == pytest.approx(whole["money"] - sum(costs))
    assert whole["money_least"] < whole["money"] < whole["money_uncached"]
    assert whole["could"] == whole["read"] + sum(row["tokens"] for row in result.rows)


def test_what_the_change_saves_is_what_it_saves() -> None:
    """The same log without its breaker costs what the audit says it would."""
    broken = audited(several(change=planted.clock, turns=10))
    mended = audited(several(turns=10))
    [told], [really] = broken.tables[1].rows, mended.tables[1].rows

    assert told["money_least"] == pytest.approx(really["money"], rel=0.02)
    assert told["could_ratio"] == pytest.approx(really["hit_ratio"], abs=0.01)
    assert broken.finding.startswith(
        f"{told['hit_ratio']:.1%} of the input tokens were read from the cache; with all changes "
        f"made it would be {told['could_ratio']:.1%}"
    )
    assert broken.rows[0]["change"] in broken.finding
    assert "; nothing was found that keeps it from more." in mended.finding


def test_of_two_in_one_prompt_each_has_what_it_costs_behind_the_other() -> None:
    def both(request: planted.Request, n: int, talk: Talk) -> None:
        planted.clock(request, n, talk)
        planted.slide(request, n, talk)

    result = audited(several(1, change=both, turns=10))
    assert result.tables[-1].rows[0]["first"] == "log.jsonl:1"
    rows = {row["kind"]: row for row in result.rows}

    assert set(rows) == {"system time", "history slides"}
    assert rows["history slides"]["after"] == "1"
    assert rows["system time"]["after"] == ""
    assert rows["system time"]["requests"] == 19  # also in those in which the window slid
    assert rows["history slides"]["tokens"] > 5 * 500
    [whole] = result.tables[1].rows
    assert whole["could"] <= whole["input"]


def test_misses_of_the_provider_are_told_as_such() -> None:
    result = audited(several(12, model="gpt-4o"), misses=0.1)

    assert kinds(result) == ["provider"]
    [row] = result.rows
    assert "prompt_cache_key" in row["change"]
    [total, first] = result.finding.splitlines()
    assert "; by the rules of the provider's cache it would be " in total
    assert first.startswith(f"Most is lost ({row['share']:.1%} of the cost) where nothing in the")
    assert "What may help: send prompt_cache_key" in first
    assert "to change" not in result.finding
    assert audited(several(12), misses=0.1).rows[0]["change"].endswith("it could have")


def test_without_usage_the_simulator_foretells_it() -> None:
    log = [
        replace(one, usage=None)
        for one in planted.log(several(change=planted.clock), counter=Characters())
    ]
    result = audit(log, counter=Characters())

    assert kinds(result) == ["system time"]
    assert result.tables[1].rows[0]["reported"] == 0
    assert any("foretold" in note for note in result.notes)
    clean = [replace(one, usage=None) for one in planted.log(several(), counter=Characters())]
    assert kinds(audit(clean, counter=Characters())) == []


def test_without_times_nothing_has_expired() -> None:
    log = [
        replace(one, at=None, took=None)
        for one in planted.log(several(change=planted.slide, turns=10), counter=Characters())
    ]
    result = audit(log, counter=Characters())

    assert kinds(result) == ["history slides"]
    assert any("no time" in note for note in result.notes)


def test_records_that_are_written_when_responses_end_are_put_in_order() -> None:
    log = list(planted.log(several(), counter=Characters()))
    late = sorted(log, key=lambda one: (one.at or 0) + (one.took or 0) * 20)

    assert kinds(audit(late, counter=Characters())) == []


def test_a_result_holds_no_text_of_messages() -> None:
    result = audited(several(change=planted.user_name))
    shown = json.dumps(result.to_json()) + str(result)

    for word in ("Ann", "parcel", "neighbour"):
        assert word not in shown
    assert "log.jsonl:1 → log.jsonl:" in audited(several(change=planted.clock)).rows[0]["example"]


def test_a_tool_is_named() -> None:
    [row] = audited(several(change=planted.tool_added)).rows

    assert row["where"] == "tools: pay"


def test_models_that_nobody_knows_are_explained_by_their_requests() -> None:
    log = [
        replace(one, request={**one.request, "model": "house-model"})
        for one in planted.log(several(change=planted.clock), counter=Characters())
    ]
    result = audit(log, counter=Characters())

    assert kinds(result) == ["system time"]
    assert result.rows[0]["money"] is None
    assert any("house-model" in note for note in result.notes)
    own = {"house-model": ck.profile_for("qwen-plus")}
    [row] = audit(log, profiles=own, counter=Characters()).rows
    assert row["money"] > 0


def test_what_is_no_request_is_a_problem_and_the_rest_goes_on() -> None:
    log: list[Any] = list(planted.log(several(1), counter=Characters()))
    log[3:3] = [
        {"nothing": 1},
        Problem("log.jsonl", "is not JSON", 7),
        Recorded("log.jsonl:8", {"model": "qwen-plus", "messages": "text"}),
        Recorded("log.jsonl:9", {"model": "qwen-plus", "messages": [{"content": "x"}]}),
    ]
    result = audit(log, counter=Characters())

    assert [(one.source, one.line) for one in result.problems] == [
        ("record 3", None),
        ("log.jsonl", 7),
        ("log.jsonl", 8),
        ("log.jsonl", 9),
    ]
    assert result.tables[1].rows[0]["requests"] == 12
    assert audit([]).rows == []
    for wrong in (7, {"messages": []}):
        with pytest.raises(InputError):
            audit(wrong)  # type: ignore[arg-type]


def test_the_two_files_of_a_batch_are_audited_together(tmp_path: Path) -> None:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
    usage = {"prompt_tokens": 8, "prompt_tokens_details": {"cached_tokens": 0}}
    batch = {
        "in.jsonl": {"custom_id": "1", "url": "/v1/chat/completions", "body": body},
        "out.jsonl": {"custom_id": "1", "response": {"status_code": 200, "body": {"usage": usage}}},
    }
    for name, line in batch.items():
        (tmp_path / name).write_text(json.dumps(line) + "\n")
    result = audit([tmp_path / name for name in batch])

    assert result.problems == ()
    assert result.tables[1].rows[0]["input"] == 8


def test_what_is_held_does_not_grow_with_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Conversations that are let go were settled: what was found in them stays."""
    assert LIVE_TOKENS >= 1_000_000
    monkeypatch.setattr("contextkit.analysis.auditing.lines.LIVE_TOKENS", 12_000)
    talks = [Talk(n, start=n * 900.0, turns=8, change=planted.slide) for n in range(8)]
    result = audited(talks)

    assert kinds(result) == ["history slides"]
    assert result.rows[0]["conversations"] == 8


def test_short_conversations_are_let_go_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contextkit.analysis.auditing.lines.LIVE_LINES", 3)
    lines = Lines()
    requests = Requests(None, Characters())
    for number in range(9):
        said = [{"role": "user", "content": f"question {number}"}]
        record = Recorded(f"log.jsonl:{number}", {"model": "gpt-4o", "messages": said})
        lines.add(requests.of(number, record))
        lines.leaving()

    assert [line.source[-1] for line in lines.all()] == ["6", "7", "8"]


def test_the_command_says_what_was_found(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    records = planted.log(several(2, change=planted.clock), counter=Characters())
    lines = [json.dumps(planted.to_json(one)) for one in records]
    path.write_text("\n".join([*lines, "{broken", ""]), encoding="utf-8")
    done = run("audit", str(path), "--json", folder=tmp_path)
    found = json.loads(done.stdout)

    assert done.returncode == 8
    assert f"log.jsonl:{len(lines) + 1}" in done.stderr
    assert [row["kind"] for row in found["tables"]["changes"]] == ["system time"]
    shown = run("audit", str(path), folder=tmp_path)
    assert "Move the clock out of the system prompt" in shown.stdout
    path.write_text("{broken", encoding="utf-8")
    done = run("audit", str(path), folder=tmp_path)
    assert done.returncode == 1
    assert "No request could be read, so nothing is known" in done.stdout


def test_what_an_estimate_cannot_tell_is_said() -> None:
    both = [*several(1, turns=3), Talk(7, model=POINTS, turns=3)]
    notes = audit(planted.log(both)).notes

    [said] = [note for note in notes if "estimated" in note]
    assert said.startswith("Tokens of claude-sonnet-4-5 are estimated, off by up to 65%")


def test_a_usage_that_says_nothing_of_the_cache_is_foretold() -> None:
    log = [
        replace(one, usage=Usage(input_tokens=one.usage.input_tokens))
        for one in planted.log(several(), counter=Characters())
        if one.usage
    ]
    result = audit(log, counter=Characters())

    assert result.tables[1].rows[0]["reported"] == 0
    assert result.rows == []


ESTIMATED: dict[str, tuple[str | None, dict[str, Any]]] = {
    "sliding window": ("history slides", {"change": planted.slide, "turns": 10}),
    "white space": ("history bytes", {"change": planted.whitespace}),
    "results cleared one by one": ("history cleared", {"change": planted.cleared, "steps": 4}),
    "nothing": (None, {"turns": 10}),
    "nothing, in a lively log": (None, {"turns": 10, "lively": True}),
}


@pytest.mark.parametrize("model", ["deepseek-v4-flash", POINTS])
@pytest.mark.parametrize("name", ESTIMATED)
def test_where_tokens_are_estimated_the_reported_whole_says_how_far_off(
    name: str, model: str
) -> None:
    """Such an estimate of an unknown vocabulary may be off by more than what is missed."""
    kind, options = ESTIMATED[name]
    planted_change = options.get("change", planted.clean)

    def change(request: planted.Request, n: int, talk: Talk) -> None:
        planted_change(request, n, talk)
        if model == POINTS:
            planted.marked(request, n, talk)

    given: dict[str, Any] = {**options, "change": change, "model": model, "rules": 4_000}
    talks = several(**given)
    result = audit(planted.log(talks, counter=Characters()))

    assert kinds(result) == ([kind] if kind else [])
    for row in result.rows:
        assert row["tokens"] < result.tables[1].rows[0]["input"] * 0.9
        assert row["money"] > 0


@pytest.mark.parametrize("models", [("gpt-4o", "gpt-5.2", "qwen-plus"), ("gpt-4o",) * 3])
def test_two_applications_that_are_asked_the_same_are_two(models: tuple[str, ...]) -> None:
    """Also without ids: "hi" is said to many, and no reply is in common."""

    def greeting(request: planted.Request, n: int, talk: Talk) -> None:
        request["messages"][1]["content"] = "hi"

    talks = [
        Talk(n, app=n % 3, model=models[n % 3], tools=n % 3 > 0, named=False, change=greeting)
        for n in range(9)
    ]
    assert kinds(audited(replace(talk, start=talk.number * 7.0) for talk in talks)) == []


def test_an_evaluation_that_asks_several_models_the_same_switches_none() -> None:
    def asked(request: planted.Request, n: int, talk: Talk) -> None:
        request["messages"][1]["content"] = f"Question {talk.number // 3}"

    models = ("gpt-4o", "gpt-5.2", "qwen-plus")
    talks = [
        Talk(n, model=models[n % 3], turns=1, steps=0, named=False, change=asked, start=n * 5.0)
        for n in range(12)
    ]
    assert kinds(audited(talks)) == []


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("## Relevant documents", "passages"),
        ("<context>", "passages"),
        ("Use the following pieces of context to answer the question.", "passages"),
        ("## Conversation summary", "summary"),
        ("<summary>", "summary"),
        ("今天是2026年11月{n}日", "time"),
    ],
)
def test_what_changes_in_a_system_prompt_is_told_by_its_heading(heading: str, kind: str) -> None:
    def change(request: planted.Request, n: int, talk: Talk) -> None:
        lines = [f"{planted.text(random.Random(f'{n} {k}'), 90)}" for k in range(2 + n % 3)]
        said = heading.replace("{n}", str(n + 1))
        content = [request["messages"][0]["content"], "", said, *(lines if said == heading else [])]
        request["messages"][0]["content"] = "\n".join(content)

    assert kinds(audited(several(change=change))) == [f"system {kind}"]


def test_what_is_put_in_the_newest_message_alone_is_one_finding_with_tools_or_without() -> None:
    def change(request: planted.Request, n: int, talk: Talk) -> None:
        newest = [one for one in request["messages"] if one["role"] == "user"][-1]
        newest["content"] = planted.text(random.Random(newest["content"]), 900) + newest["content"]

    for steps in (0, 1):
        assert kinds(audited(several(change=change, steps=steps))) == ["history newest"]


def test_a_block_at_the_top_that_is_written_anew_each_turn_is_no_block_that_moves() -> None:
    def change(request: planted.Request, n: int, talk: Talk) -> None:
        turn = sum(one["role"] == "user" for one in request["messages"])
        said = planted.text(random.Random(f"{talk.number} {turn}"), 300)
        request["messages"].insert(1, planted.user(f"Known by now: {said}"))

    assert kinds(audited(several(change=change))) == ["history rewritten"]


def test_a_prompt_that_changes_in_each_request_does_not_hide_the_names_in_another() -> None:
    ids = [Talk(n, app=1, change=planted.request_id, turns=12, start=n * 5.0) for n in range(8)]
    users = [
        Talk(50 + n, app=2, turns=1, change=planted.user_name, start=n * 160.0) for n in range(4)
    ]

    assert sorted(kinds(audited([*ids, *users]))) == ["system id", "system user"]


# -- another cache of the same model ----------------------------------------------------------


@pytest.mark.parametrize("misses", [0.0, 0.2])
def test_what_the_explicit_cache_would_save_is_what_it_saves(misses: float) -> None:
    """The same log sent with cache points costs what the audit says it would."""
    log = several(8, model="qwen-plus", steps=2)
    implicit = audited(log, misses=misses)
    explicit = audited(several(8, model="qwen-plus", steps=2, change=planted.marked))
    [told] = implicit.details["other_caches"]
    [now], [then] = implicit.tables[1].rows, explicit.tables[1].rows

    assert (told["model"], told["mode"]) == ("qwen-plus", "explicit")
    assert told["money_before"] == pytest.approx(now["money"])
    assert told["money"] == pytest.approx(then["money"], rel=0.02)
    assert f"instead of {told['money_before']:,.2f} (" in implicit.notes[0]
    assert implicit.notes[0] in implicit.finding
    assert not explicit.details["other_caches"]
    assert "cache of qwen-plus" not in " ".join(explicit.notes)


def test_of_another_cache_nothing_is_said_where_it_saves_nothing_or_that_is_not_sure() -> None:
    seldom = several(12, model="qwen-plus", gap=400.0)  # it would have expired each time
    broken = several(12, model="qwen-plus", change=planted.clock)
    other = several(12, model="gpt-4o")  # has no other
    for log in (seldom, broken, other):
        assert audited(log).details["other_caches"] == []
    timeless = [replace(one, at=None) for one in planted.log(several(12, model="qwen-plus"))]
    assert audit(timeless).details["other_caches"] == []
