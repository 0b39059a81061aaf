"""Replay: what policies cost and keep, beside each other, and what is said of what was left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

import contextkit as ck
from contextkit.analysis.policies import Made, Setting, points_of
from contextkit.analysis.problems import Problem
from contextkit.analysis.replay import LIMIT
from contextkit.analysis.replaying.baselines import Function
from contextkit.analysis.replaying.built import Built
from contextkit.analysis.replaying.charged import Charge, charges, moments_of
from contextkit.analysis.replaying.growing import Taken, longest
from contextkit.analysis.replaying.joining import session
from contextkit.analysis.replaying.settings import (
    DEFAULT_POLICIES,
    combined,
    policies_of,
    settings_of,
)
from contextkit.analysis.results import Frontier, Split
from contextkit.analysis.transcripts import Transcript
from contextkit.errors import BudgetExceeded, InputError, ProfileError
from tests.replayed import drawn, setting
from tests.support import answer, call, chat, result, system, tool, user


def talk(turns: int = 40, size: int = 200, name: str = "talk") -> Transcript:
    """A conversation in which every turn has an answer."""
    return Transcript(name, [*chat(turns, size), answer("the end")])


def held(policy: str, transcript: Transcript, made: Setting, gap: float = 20.0) -> list[Charge]:
    [one] = policies_of([policy])
    return list(charges(one, transcript, made, moments_of(transcript, gap)))


def row(found: Any, policy: str, profile: str = "qwen-plus:implicit") -> dict[str, Any]:
    [one] = [row for row in found.rows if row["policy"] == policy and row["profile"] == profile]
    return one


# -- requests ------------------------------------------------------------------------------


def test_a_request_is_made_before_each_assistant_message_that_answers_something() -> None:
    transcript = Transcript(
        "t",
        [
            system(),
            answer("A canned greeting."),
            user("look"),
            answer("I look."),
            call("c1"),
            result("c1"),
            answer("found"),
            user("never answered"),
        ],
    )

    assert points_of(transcript) == [3, 6]


def test_no_request_is_made_where_nobody_could_have_asked() -> None:
    messages = [
        user("go"),
        call("c1", "c2"),
        result("c1"),
        answer("a result is missing"),
        result("c9"),
        answer("an orphan is no question"),
        user("on"),
        call("c3"),
        result("c3"),
        answer("done"),
        system("a note"),
        answer("a note is none either"),
    ]
    transcript = Transcript("t", messages)
    made = setting("qwen-plus", "implicit", 1_000)

    assert points_of(transcript) == [1, 7, 9]
    for name in ("drop@at-limit", "window", "all"):
        assert len(held(name, transcript, made)) == 3


def test_everything_is_sent_whole_and_a_hit_is_all_but_what_is_new() -> None:
    made = setting("qwen-plus", "implicit", 1_000, minimum=1, block=1)
    transcript = talk(12)
    found = held("all", transcript, made)
    counts = [made.counter.message(message) for message in transcript.messages]
    fixed = made.counter.fixed()

    assert [one.tokens for one in found] == [
        fixed + sum(counts[:point]) for point in points_of(transcript)
    ]
    assert [one.read for one in found[1:]] == [one.tokens - fixed for one in found[:-1]]
    assert {one.share for one in found} == {1.0}
    assert not any(one.cut for one in found)


def test_a_window_is_as_full_as_the_limit_lets_it_be_and_slides_from_then_on() -> None:
    made = setting("qwen-plus", "implicit", 500)
    [window] = policies_of(["window"])
    transcript = talk(30)
    requests = list(window.requests(transcript, made))
    counts = [made.counter.message(message) for message in transcript.messages]
    for one, point in zip(requests, points_of(transcript), strict=True):
        tokens = sum(block.tokens for block in one.blocks)
        assert tokens <= 500
        assert one.messages[0] == transcript.messages[0]
        assert list(one.messages[1:]) == transcript.messages[point - len(one.messages) + 1 : point]
        left_out = point - len(one.messages)
        assert not left_out or tokens + counts[left_out] > 500
    cuts = [one.cut for one in requests]
    assert all(cuts[cuts.index(True) :])


def test_a_window_keeps_calls_with_their_results_and_the_newest_user_message() -> None:
    messages = [system(), user("u" * 400)]
    for n in range(10):
        messages += [call(f"c{n}"), result(f"c{n}", f"{n}" * 200)]
    transcript = Transcript("loop", [*messages, answer("done")])
    made = setting("qwen-plus", "implicit", 200)
    for name in ("window", "window-turns"):
        [window] = policies_of([name])
        *_, last = window.requests(transcript, made)
        assert last.messages[1] == user("u" * 400)
        assert held(name, transcript, made)[-1].tokens > 200


def test_windows_of_turns_begin_with_a_user_message() -> None:
    [window] = policies_of(["window-turns:300"])
    made = setting("qwen-plus", "implicit", 10_000)
    requests = list(window.requests(talk(30), made))

    assert {one.messages[1]["role"] for one in requests} == {"user"}
    assert max(sum(block.tokens for block in one.blocks) for one in requests) <= 300


def test_own_policies_never_exceed_the_limit_and_count_what_they_keep() -> None:
    made = setting("qwen-plus", "implicit", 1_500)
    for name in ("drop@at-limit", "drop@when-it-pays", "keep:2@at-limit"):
        found = held(name, talk(), made)
        assert max(one.tokens for one in found) <= 1_500
        assert 2 <= sum(one.cut for one in found) < 30
        assert found[0].share == 1.0
        assert 0 < found[-1].share < 0.5


def test_a_summary_is_within_its_share_and_the_calls_of_a_model_for_it_are_paid() -> None:
    made = setting("qwen-plus", "implicit", 2_000)
    [policy] = policies_of(["summarize:300+drop@at-limit"])
    messages = [system()]
    for n in range(60):
        messages += [
            user(f"Where is parcel DE{n}99 for customer {n * 7}? It should have come on time."),
            answer(f"Parcel DE{n}99 left depot {n + 300}. " + "It is on its way to you. " * 3),
        ]
    transcript = Transcript("parcels", messages)
    requests = list(policy.requests(transcript, made))
    summaries = {
        message["content"]
        for one in requests
        for message in one.messages
        if "Summary of messages" in str(message["content"])
    }
    found = held("summarize:300+drop@at-limit", transcript, made)

    assert len(summaries) >= 2
    for text in summaries:
        assert 50 < made.counter.message(user(text)) <= 300
    assert sum(one.calls for one in found) == sum(len(one.calls) for one in requests) > 0
    assert all((one.fee > 0) == (one.calls > 0) for one in found)
    price = made.profile.prices[0]
    [called] = [one for one in requests if one.calls][:1]
    blocks, output = called.calls[0]
    [paid] = [one for one in found if one.calls][:1]
    tokens = sum(block.tokens for block in blocks)
    assert price.output is not None
    assert paid.fee < tokens + output * price.output / price.input
    assert paid.fee > 0.2 * tokens + output * price.output / price.input - 1


def test_cleared_results_do_not_count_as_kept() -> None:
    messages = [system(), user("go")]
    for n in range(12):
        messages += [call(f"c{n}"), result(f"c{n}", f"{n} " * 100), answer("ok"), user("on")]
    transcript = Transcript("loop", messages)
    made = setting("qwen-plus", "implicit", 600)
    [policy] = policies_of(["clear:1+drop@at-limit"])
    requests = list(policy.requests(transcript, made))
    cleared = [
        sum(" cleared: " in str(message.get("content")) for message in one.messages)
        for one in requests
    ]

    assert max(cleared) > 0
    for one, stubs in zip(requests, cleared, strict=True):
        assert one.kept == len(one.messages) - stubs


# -- time ----------------------------------------------------------------------------------


def test_a_cache_that_has_expired_is_written_anew_and_is_a_time_to_cut() -> None:
    transcript = talk(20)
    transcript.messages[0] = system("s" * 400)
    times: list[float] = []
    for number in range(len(transcript.messages)):
        times.append((times[-1] if times else 0) + (1_000.0 if number == 31 else 1.0))
    timed = replace(transcript, times=tuple(times))
    made = setting("qwen-plus", "explicit", 1_200, minimum=16)
    late = points_of(timed).index(32)
    [warm, cold] = [held("drop@when-it-pays", one, made) for one in (transcript, timed)]

    assert [one.read == 0 for one in cold] == [n in (0, late) for n in range(len(cold))]
    assert cold[late].cut
    assert not warm[late].cut


def test_the_gap_holds_where_there_are_no_times() -> None:
    made = setting("qwen-plus", "explicit", 100_000, minimum=16)

    assert all(one.read for one in held("all", talk(5), made, gap=200.0)[1:])
    assert not any(one.read for one in held("all", talk(5), made, gap=400.0))


def test_time_never_runs_backwards() -> None:
    transcript = replace(talk(3), times=(5.0, 4.0, 3.0, 9.0, 1.0, 2.0, 8.0, 7.0, 6.0))
    moments = moments_of(transcript, 20.0)

    assert all(moment.took >= 0 for moment in moments)
    assert [moment.at for moment in moments] == sorted(moment.at for moment in moments)


# -- somebody's own ------------------------------------------------------------------------


def last_ten(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*messages[:1], *messages[1:][-10:]]


def test_a_function_of_messages_stands_beside() -> None:
    found = ck.replay([talk()], policies=["drop@at-limit", last_ten], limit=600)

    one = row(found, "last_ten")
    assert one["requests"] == 41
    assert one["cuts"] > 30
    assert one["kept"] < 0.5


def test_a_function_may_change_what_it_gets() -> None:
    def changing(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for message in messages:
            message["content"] = "gone"
        return messages

    transcript = talk(4)
    before = json.dumps(transcript.messages)
    made = setting("qwen-plus", "implicit", 600)
    found = list(charges(Function(changing), transcript, made, moments_of(transcript, 20.0)))

    assert json.dumps(transcript.messages) == before
    assert found[-1].share == 0


def test_a_builder_of_ones_own_stands_beside() -> None:
    def own(made: Setting, tools: list[dict[str, Any]]) -> ck.ContextBuilder:
        return ck.ContextBuilder(
            "qwen-plus",
            budget=ck.Budget(made.limit, made.target),
            tools=tools,
            compaction=[ck.KeepLast(1)],
            counter=made.counter.counter,
        )

    found = ck.replay([talk()], policies=[Built(own, "keep one"), "all"], limit=600)

    assert row(found, "keep one")["peak_tokens"] <= 600
    assert row(found, "keep one")["mean_tokens"] < row(found, "all")["mean_tokens"]


def test_a_strategy_of_ones_own_stands_beside() -> None:
    class DropAll:
        def propose(self, view: ck.View, goal: int) -> list[ck.Edit]:
            return [view.drop(turn, reason="old") for turn in view.free]

    found = ck.replay([talk()], policies=[DropAll(), "drop@when-it-pays"], limit=2_000)

    assert 0 < row(found, "DropAll")["kept"] < row(found, "drop@when-it-pays")["kept"]


def test_what_the_cache_of_one_profile_saves_beside_another_is_said_first() -> None:
    profiles = ["qwen-plus:implicit", "qwen-plus:explicit", "qwen-plus:none"]
    found = ck.replay([talk(80)], policies=["drop@when-it-pays", "all"], profiles=profiles)
    other = ck.replay([talk()], policies=["all", "window"], profiles=["qwen-plus", "gpt-5.6"])

    costs = sorted({row["profile"]: row["cost"] for row in reversed(found.rows)}.values())
    said = found.finding.splitlines()[-1]
    assert said.startswith("The cheapest of all is ")
    assert said.endswith(f"{100 * costs[0] / costs[-1]:.0f} % of the cheapest with qwen-plus:none.")
    assert "of all" not in other.finding  # in two currencies


def test_requests_without_cache_points_are_named_where_nothing_else_is_read() -> None:
    def plain(made: Setting, tools: list[dict[str, Any]]) -> ck.ContextBuilder:
        return ck.ContextBuilder("qwen-plus", limit=made.limit, tools=tools)

    profiles = ["qwen-plus:explicit", "qwen-plus:implicit"]
    found = ck.replay([talk(80)], policies=[Built(plain), "all"], profiles=profiles)

    assert [note for note in found.notes if "points" in note] == [
        "qwen-plus:explicit: plain reads and writes nothing: its requests have no cache points."
    ]


def test_what_a_policy_gave_instead_of_a_request_is_named_by_its_type() -> None:
    def three(messages: list[dict[str, Any]]) -> Any:
        return 3

    with pytest.raises(InputError, match="three: gave no list of messages but int"):
        ck.replay([talk(3)], policies=[three])


@pytest.mark.parametrize("name", ["qwen-plus:explict", "gpt-4o:Implicit"])
def test_a_cache_that_is_misspelt_is_no_part_of_the_model(name: str) -> None:
    with pytest.raises(ProfileError, match=r"did you mean (ex|im)plicit"):
        settings_of([name], 8_000, None)


def test_a_policy_that_fails_leaves_its_conversation_out_and_tells_nothing_of_it() -> None:
    def failing(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if "secret" in str(messages):
            raise ValueError(str(messages))
        return messages

    spoken = Transcript("b", [user("a secret"), answer("yes")])
    found = ck.replay([talk(3), spoken], policies=["all", failing])

    assert [str(problem) for problem in found.problems] == [
        "b: left out: failing, qwen-plus:implicit: ValueError"
    ]
    assert {one["requests"] for one in found.rows} == {4}
    assert "secret" not in json.dumps(found.to_json())


def test_a_policy_that_makes_too_few_requests_is_found_out() -> None:
    class Lazy:
        name = "lazy"

        def requests(self, transcript: Transcript, made: Setting) -> Any:
            yield Made([], (), 0)

    made = setting("qwen-plus", "implicit", 600)
    with pytest.raises(InputError, match="made 1 requests where the conversation has 4"):
        list(charges(Lazy(), talk(3), made, moments_of(talk(3), 20.0)))


def test_a_policy_that_makes_too_many_requests_is_found_out_and_a_list_of_them_will_do() -> None:
    class Eager:
        name = "eager"
        more = 1

        def requests(self, transcript: Transcript, made: Setting) -> Any:
            whole = list(policies_of(["all"])[0].requests(transcript, made))
            return whole + whole[-1:] * self.more

    made, policy = setting("qwen-plus", "implicit", 600), Eager()
    with pytest.raises(InputError, match="more requests than the 4 of the conversation"):
        list(charges(policy, talk(3), made, moments_of(talk(3), 20.0)))
    policy.more = 0
    assert len(list(charges(policy, talk(3), made, moments_of(talk(3), 20.0)))) == 4


# -- the result ----------------------------------------------------------------------------


def test_rows_stand_by_profile_the_cheapest_first_with_what_they_cost() -> None:
    found = ck.replay(
        [talk(60, 400), talk(50, 300, "other")],
        policies=["all", "window", "drop@when-it-pays"],
        profiles=["qwen-plus:explicit", "gpt-5.6", "qwen-plus:none", "deepseek-chat"],
        limit=3_000,
    )

    profiles = [
        "qwen-plus:explicit",
        "gpt-5.6:implicit",
        "qwen-plus:none",
        "deepseek-chat:implicit",
    ]
    assert [one["profile"] for one in found.rows[::3]] == profiles
    for at in range(0, 12, 3):
        units = [one["units"] for one in found.rows[at : at + 3]]
        assert units == sorted(units)
        assert found.rows[at + 2]["relative"] == 1.0
    assert row(found, "all", "qwen-plus:explicit")["currency"] == "CNY"
    assert row(found, "all", "deepseek-chat:implicit")["cost"] is None
    none = row(found, "all", "qwen-plus:none")
    assert none["hit_ratio"] == 0
    price = ck.profile_for("qwen-plus").prices[0].input
    assert none["cost"] == pytest.approx(none["units"] * price / 1e6)
    assert row(found, "window", "gpt-5.6:implicit")["written"] > 0
    assert {one["requests"] for one in found.rows} == {112}
    for one in found.rows:
        assert one["per_request"] == pytest.approx(one["units"] / 112)
        assert one["optimum_ratio"] is not None
        if one["policy"].startswith("drop"):
            assert one["optimum_ratio"] >= 1 - 1e-9
    assert [type(plot) for plot in found.plots] == [Frontier, Split]
    split = found.plot("requests")
    assert isinstance(split, Split)
    assert {len(values) for run in split.panels.values() for values in run.values()} == {61}
    assert "what" in found.finding


def test_what_keeps_more_for_little_is_named_beside_the_cheapest() -> None:
    policies = ["window:2400", "window:2500", "window:2600", "all"]
    found = ck.replay([talk(60, 100)], policies=policies, profiles=["qwen-plus:none"])
    near, keeps = found.rows[1], 100 * found.rows[1]["kept"]
    more = 100 * (near["relative"] / found.rows[0]["relative"] - 1)

    assert [one["policy"] for one in found.rows] == policies
    assert found.finding.endswith(f"For {more:.1f} % more, window:2500 keeps {keeps:.0f} %.")
    assert " more" not in ck.replay([talk(60, 100)], policies=["window:1000", "all"]).finding


def test_sums_are_those_of_the_conversations() -> None:
    found = ck.replay([talk(30), talk(20, name="b")], policies=["drop@at-limit"], limit=600)
    told = found.to_json()["details"]["conversations"]
    figures = [one["profiles"]["qwen-plus:implicit"]["policies"]["drop@at-limit"] for one in told]
    [one] = found.rows

    assert [each["source"] for each in told] == ["talk", "b"]
    assert one["units"] == pytest.approx(sum(each["units"] for each in figures))
    assert one["cuts"] == sum(each["cuts"] for each in figures)
    assert one["peak_tokens"] == max(each["peak"] for each in figures)
    tokens = sum(each["tokens"] for each in figures)
    assert one["mean_tokens"] == pytest.approx(tokens / one["requests"])
    assert one["hit_ratio"] == pytest.approx(sum(each["read"] for each in figures) / tokens)


def test_where_all_policies_cost_the_same_nothing_is_made_of_it() -> None:
    found = ck.replay([talk(3)])

    assert found.finding == "With qwen-plus:implicit, all policies cost the same, to within 1 %."
    assert any("1 of 1 conversation never outgrows the target" in note for note in found.notes)


def test_that_the_cheapest_policy_breaks_the_limit_is_said_with_it() -> None:
    found = ck.replay([talk(60)], policies=["all", "window"], limit=3_500)
    [cheap, _] = found.rows

    assert cheap["policy"] == "all"
    assert 0 < cheap["over_limit"] < cheap["requests"]
    said = f"Of its {cheap['requests']} requests {cheap['over_limit']} are over the limit."
    assert found.finding.endswith(said)


def test_policies_far_over_the_limit_that_the_plot_leaves_out_are_named_in_it() -> None:
    found = ck.replay([talk(60)], policies=["all", "window"], limit=1_500)
    split = found.plot("requests")

    assert isinstance(split, Split)
    assert list(split.panels) == ["window"]
    assert split.title.endswith("; far over the limit, and not shown: all")


def test_that_nobody_can_tell_what_pays_is_said() -> None:
    profiles = ["qwen-plus", "qwen-plus:none", "qwen4"]
    found = ck.replay([talk(12)], policies=["drop@when-it-pays"], profiles=profiles)
    said = [note for note in found.notes if "at the limit alone" in note]

    assert [note.partition(", so")[0] for note in said] == [
        "qwen-plus:none: there is no cache",
        "qwen4:implicit: the prices of its cache are not known",
    ]
    found = ck.replay([talk(12)], policies=["drop@at-limit"], profiles=profiles)
    assert not any("at the limit alone" in note for note in found.notes)


def test_what_is_no_conversation_is_said_to_be_one_of_what() -> None:
    with pytest.raises(InputError, match="is a message by itself, and no request"):
        ck.replay(talk(3).messages)


def test_a_limit_of_one_token_is_too_small_and_no_target_is_blamed() -> None:
    with pytest.raises(InputError, match="more than the limit of 1 "):
        ck.replay([talk(3)], limit=1)


def test_conversations_that_outgrow_nothing_are_said_to_be_vacuous() -> None:
    found = ck.replay([talk(3), talk(3), talk(200, 400)], policies=["drop@at-limit", "all"])

    assert any("2 of 3 conversations never outgrow the target" in note for note in found.notes)
    assert found.settings["limit"] == LIMIT == 8_000
    assert found.settings["target"] == 4_000


def test_the_same_again_is_the_same_but_for_the_date() -> None:
    def told() -> str:
        found = ck.replay(
            [drawn(seed, agent=True) for seed in range(3)],
            policies=[*DEFAULT_POLICIES, "summarize:200+drop@at-limit"],
            profiles=["qwen-plus:explicit", "deepseek-v4"],
            limit=1_500,
        )
        data = found.to_json()
        assert data.pop("date")
        return json.dumps(data)

    assert told() == told()


def test_conversations_are_joined_into_sessions() -> None:
    parts = [talk(5, name=str(n)) for n in range(5)]
    found = ck.replay(parts, policies=["all"], join=2)

    assert found.rows[0]["requests"] == 30
    told = found.to_json()["details"]["conversations"]
    assert [one["source"] for one in told] == ["0 to 1", "2 to 3", "4"]
    assert any("Joined into long sessions" in note for note in found.notes)


def test_a_session_has_one_system_prompt_all_tools_and_ids_of_its_own() -> None:
    parts = [
        Transcript(
            "a", [system("first"), user("u"), call("c"), result("c"), answer("x")], [tool("one")]
        ),
        Transcript(
            "b",
            [system("second"), user("u"), call("c"), result("c"), answer("x")],
            [tool("one"), tool("two")],
        ),
    ]
    whole = session(parts)

    assert [message["role"] for message in whole.messages].count("system") == 1
    assert [one["function"]["name"] for one in whole.tools] == ["one", "two"]
    ids = [m["tool_call_id"] for m in whole.messages if m["role"] == "tool"]
    assert ids == ["c.0", "c.1"]
    assert [m["tool_calls"][0]["id"] for m in whole.messages if m.get("tool_calls")] == ids
    assert parts[0].messages[2]["tool_calls"][0]["id"] == "c"


def test_progress_says_what_is_done_of_how_many() -> None:
    told: list[tuple[int, int | None]] = []
    impossible = Transcript("x", [user("x" * 60_000), answer("no")])
    ck.replay(
        [talk(3), impossible, talk(3)],
        policies=["all", "drop@at-limit"],
        profiles=["qwen-plus", "qwen-plus:explicit"],
        progress=lambda done, of: told.append((done, of)),
    )

    assert told[0] == (1, 12)
    assert told[-1] == (12, 12)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_progress_of_a_stream_has_no_end() -> None:
    told: list[tuple[int, int | None]] = []
    ck.replay(
        (one for one in [talk(3), talk(3)]),
        policies=["all"],
        progress=lambda done, of: told.append((done, of)),
    )

    assert told[-1] == (2, None)


# -- what is left out ----------------------------------------------------------------------


def test_what_cannot_be_held_is_named_and_the_rest_is_done() -> None:
    impossible = Transcript("big", [user("word " * 60_000), answer("no")])
    silent = Transcript("silent", [user("hello?")])
    unread = Problem("file.jsonl", "is not JSON", 3)
    found = ck.replay([impossible, talk(3), silent, unread], policies=["drop@at-limit", "all"])

    assert {one["requests"] for one in found.rows} == {4}
    big, none, read = found.problems
    assert str(big).startswith("big: left out: drop@at-limit, qwen-plus:implicit: the parts that")
    assert "limit of 8,000" in big.reason
    assert none.source == "silent"
    assert read is unread


def test_a_transcript_that_nobody_checked_is_a_problem_like_others() -> None:
    bad = [
        Transcript("no id", [user("u"), {"role": "assistant", "tool_calls": [{"x": 1}]}]),
        Transcript("no role", [{"content": "x"}, user("u"), answer("a")]),
        Transcript("no content", [{"role": "user"}, answer("a")]),
    ]
    found = ck.replay([*bad, talk(3)], policies=["all"])

    assert [problem.source for problem in found.problems] == ["no id", "no role", "no content"]
    assert found.rows[0]["requests"] == 4


def test_dicts_and_lists_are_conversations_too() -> None:
    messages = talk(3).messages
    found = ck.replay([messages, {"messages": messages}, {"nonsense": 1}], policies=["all"])

    assert found.rows[0]["requests"] == 8
    [problem] = found.problems
    assert problem.source == "transcript 2"


def test_without_anything_to_replay_it_says_why() -> None:
    with pytest.raises(InputError, match=r"nothing that could be replayed: silent: .*and 1 more"):
        ck.replay([Transcript("silent", [user("hello?")]), Problem("f", "is empty")])
    with pytest.raises(InputError, match="nothing that could be replayed"):
        ck.replay([])


@pytest.mark.parametrize(
    ("policies", "said"),
    [
        (["drpo"], "drpo"),
        (["drop@sometimes"], "at-limit, when-it-pays"),
        (["summarize:x"], "no number"),
        (["summarize:10"], "128 tokens at least"),
        (["keep"], "keep:TURNS"),
        (["all:3"], "no number"),
        (["window:0"], "no number"),
        (["window:" + 5_000 * "9"], "no number"),
        (["keep:" + 5_000 * "9"], "no number"),
        (["all", "all"], "twice"),
        ([], "none"),
        ([3], "policies"),
        (None, "NoneType"),
    ],
)
def test_policies_that_there_are_not_are_refused_before_anything_is_done(
    policies: list[Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        policies_of(policies)


def test_profiles_that_there_are_not_are_refused() -> None:
    with pytest.raises(InputError, match="in a list, not NoneType"):
        settings_of(None, 8_000, None)  # type: ignore[arg-type]
    with pytest.raises(ProfileError):
        settings_of(["no-such-model"], 8_000, None)
    with pytest.raises(ProfileError, match="no session cache"):
        settings_of(["gpt-4o:session"], 8_000, None)
    with pytest.raises(InputError, match="twice"):
        settings_of(["qwen-plus", "qwen-plus:implicit"], 8_000, None)


def test_a_small_window_limits_the_limit() -> None:
    [one] = settings_of(["generic"], 100_000, None)

    assert one.setting.limit < one.setting.profile.window
    assert one.setting.target == one.setting.limit // 2


def test_ones_own_profiles_are_known() -> None:
    own = replace(ck.profile_for("gpt-4o"), name="mine")
    found = ck.replay([talk(3)], policies=["all"], profiles=["mine-1"], known={"mine": own})

    assert found.rows[0]["profile"] == "mine-1:implicit"
    assert settings_of([own], 8_000, None)[0].name == "mine:implicit"
    assert settings_of(["claude-sonnet-4-5"], 8_000, None)[0].setting.cache == "explicit"


def test_compactions_and_schedules_are_combined() -> None:
    assert combined(["drop", "all", "clear@at-limit"], ["at-limit", "when-it-pays"]) == [
        "drop@at-limit",
        "drop@when-it-pays",
        "all",
        "clear@at-limit",
    ]


def test_over_the_limit_is_counted_where_a_policy_does_not_keep_it() -> None:
    found = ck.replay([talk(40)], policies=["all", "drop@at-limit"], limit=600)

    assert row(found, "all")["over_limit"] > 20
    assert row(found, "drop@at-limit")["over_limit"] == 0


def test_a_conversation_that_one_policy_cannot_hold_is_in_no_row() -> None:
    transcript = Transcript("big", [user("word " * 60_000), answer("no")])
    with pytest.raises(InputError):
        ck.replay([transcript], policies=["all", "drop@at-limit"])
    with pytest.raises(BudgetExceeded):
        held("drop@at-limit", transcript, setting("qwen-plus", "implicit", 600))


# -- requests of one conversation -----------------------------------------------------------


def logged(whole: Transcript) -> list[dict[str, Any]]:
    """A request for each reply of a conversation, as a log has them: marked, and with the reply."""
    found = []
    for at, message in enumerate(whole.messages):
        if message["role"] == "assistant":
            sent = [dict(one) for one in whole.messages[:at]]
            part = {"type": "text", "text": sent[-1]["content"], "cache_control": {"type": "e"}}
            sent[-1]["content"] = [part]
            reply = {**message, "refusal": None, "reasoning_content": f"thought {at}"}
            found.append({"request": {"messages": sent}, "response": reply})
    return found


def test_the_requests_of_one_conversation_are_held_once() -> None:
    one, other = talk(6, name="a"), drawn(1, requests=5)
    both = [*logged(one), *logged(other)]
    found = ck.replay(both[::-1] + both, policies=["all"])

    assert found.title == "Replay of 4 conversations"  # the two longest, read twice
    assert found.rows[0]["requests"] == 2 * (7 + 5)
    assert any(note.startswith("20 transcripts left out") for note in found.notes)
    assert any(note.startswith("2 conversations held though the same") for note in found.notes)
    assert ck.replay(iter(both), policies=["all"]).rows[0]["requests"] == 7 + 5


def test_conversations_that_only_begin_alike_are_all_held() -> None:
    start = [system("rules"), user("Hello"), answer("Hi")]
    forks = [
        [*start, user("One?"), answer("1")],
        [*start, user("Two?"), answer("2")],
        [system("other rules"), user("Hello"), answer("Hi")],
        [system("rules"), user("Good day"), answer("Hi")],
    ]
    found = ck.replay([*forks, start], policies=["all"])

    assert found.rows[0]["requests"] == 2 + 2 + 1 + 1
    assert any(note.startswith("1 transcript left out") for note in found.notes)
    assert not any("the same" in note for note in ck.replay(forks, policies=["all"]).notes[:2])


def test_a_stream_of_requests_is_held_back_only_so_far() -> None:
    read: list[int] = []

    def stream() -> Iterator[Transcript]:
        for number in range(10):
            read.append(number)
            yield talk(2, name=f"t{number}") if number else talk(1, 3, "other")

    taken = Taken()
    first = next(iter(longest(stream(), taken, waiting=4)))
    assert isinstance(first, Transcript)
    assert (first.source, len(read)) == ("other", 5)


def test_a_summarized_message_is_not_kept_and_where_its_facts_are_measured_is_said() -> None:
    found = ck.replay([talk(80)], policies=["summarize:600", "drop"], limit=2_000)
    plain = ck.replay([talk(80)], policies=["drop", "all"], limit=2_000)
    dearest = found.rows[-1]["policy"]

    assert any("`contextkit exam` measures" in note for note in found.notes)
    assert not any("exam" in note for note in plain.notes)
    assert ("exam measures" in found.finding) == dearest.startswith("summarize")
    assert "exam" not in plain.finding
    assert "  summaries: Calls to a summarizer" in str(found)
    assert "  their cost: Price units of these calls" in str(found)
