"""The exam: what is counted is what is there, where the right answer is known beforehand."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import contextkit as ck
from contextkit.analysis.examining.answers import Text, answerable, content_words
from contextkit.analysis.examining.intervals import ratio_interval, share_interval
from contextkit.analysis.problems import Problem
from contextkit.analysis.reading.questions import Question
from contextkit.analysis.replaying.built import Built
from contextkit.analysis.replaying.joining import session
from contextkit.analysis.transcripts import Transcript, as_transcript, read_transcripts
from contextkit.errors import InputError
from contextkit.summarizing.facts import Fact
from contextkit.summarizing.kept import Kept, hidden_numbers, said_by
from contextkit.summarizing.request import Written
from contextkit.testing import assert_facts_kept
from tests.support import Messages, Own, answer, builder, call, result, system, user

MARK = re.compile(r"(?:id|path)\d+\b")


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts are the words id1, id2, … and path1, path2, …, and nothing else."""

    def facts_of(messages: Iterable[dict[str, Any]]) -> list[Fact]:
        mentions: Counter[str] = Counter()
        by_user: set[str] = set()
        for message in messages:
            found = MARK.findall(said_by(message))
            mentions.update(found)
            if message["role"] == "user":
                by_user.update(found)
        return [
            Fact("path" if key.startswith("p") else "identifier", key, key, count, key in by_user)
            for key, count in mentions.items()
        ]

    def lost(facts: Iterable[Fact], text: str) -> list[Fact]:
        there = set(MARK.findall(text))
        return [fact for fact in facts if fact.key not in there]

    def not_in(stated: Iterable[Fact], facts: Any, source: str) -> list[Fact]:
        return lost(stated, source)

    monkeypatch.setattr("contextkit.analysis.examining.measured.not_in", not_in)
    monkeypatch.setattr("contextkit.summarizing.kept.lost", lost)
    for module in ("summarizing.kept", "analysis.examining.measured"):
        monkeypatch.setattr(f"contextkit.{module}.facts_of", facts_of)


def talk(turns: int = 30, size: int = 100) -> Messages:
    """In turn n the user says id<n>, and the assistant path<n>, once each."""
    messages = [system("You help.")]
    for n in range(turns):
        messages += [user(f"about id{n} " + "u " * size), answer(f"see path{n} " + "a " * size)]
    return messages


def row(found: Any, policy: str) -> dict[str, Any]:
    [one] = [row for row in found.rows if row["policy"] == policy]
    return one


def exam(talks: Any, *policies: Any, **options: Any) -> Any:
    return ck.exam(talks, **{"policies": policies, "limit": 2_000, "target": 1_000, **options})


# -- what is hidden, and what of it stands --------------------------------------------------


def test_hidden_is_what_is_not_shown_as_it_was() -> None:
    messages = [system(), user("yes"), answer("one"), user("yes"), call("c"), result("c", "long")]
    marked = [{"type": "text", "text": "yes", "cache_control": {"type": "ephemeral"}}]
    shown = [system(), user(marked), call("c"), result("c", "cleared")]

    assert hidden_numbers(messages, shown) == [1, 2, 5]
    assert hidden_numbers(messages, messages) == []
    assert hidden_numbers(messages, []) == [0, 1, 2, 3, 4, 5]
    assert hidden_numbers([call("c")], [call("d")]) == [0]


def test_what_is_dropped_is_lost_but_for_what_is_said_again() -> None:
    messages = talk()
    messages += [user("and id0, id1, id2, path0?"), answer("Yes.")]
    found = exam([messages], "drop@at-limit", "all")
    dropped = row(found, "drop@at-limit")
    counts = found.details["conversations"][0]["kept"]["drop@at-limit"]
    gone = counts["hidden"] // 2  # turns

    assert gone > 5
    assert counts["identifier"] == [3, gone]
    assert counts["path"] == [1, gone]
    # Needed are those of the user, and none is said twice in what is hidden.
    assert counts["needed"] == [3, gone]
    # Of all needed, path0 among them: the hidden ones but four are lost.
    assert counts["whole"] == [31 - (gone - 3), 31]
    assert dropped["needed"] == 3 / gone
    assert dropped["left"] == 0
    assert dropped["precision"] is None
    assert dropped["cut"] == 1


def test_everything_hides_nothing_and_has_everything() -> None:
    everything = row(exam([talk()], "all"), "all")

    assert everything["needed"] is None
    assert everything["whole"] == 1
    assert everything["cut"] == 0


def test_drop_and_everything_always_stand_beside() -> None:
    found = exam([talk()], "clear+drop")

    assert [one["policy"] for one in found.rows] == [
        "clear+drop",
        "drop",
        "all",
    ]
    assert [one["beside"] for one in found.rows] == [False, True, True]
    assert [one["policy"] for one in ck.exam([talk()]).rows] == [
        "summarize",
        "clear+summarize",
        "drop",
        "all",
    ]


def summarizing(text_of: Any) -> Own:
    """A strategy that puts one unchecked message in the place of all it may touch."""

    def propose(view: ck.View, goal: int) -> list[ck.Edit]:
        spans = [span for span in view.free if span.kind != "summary"]
        numbers = [number for span in spans for number in span.numbers]
        source = [view.history.data[number] for number in numbers]
        message = {"role": "user", "content": text_of(source)}
        return [view.summary(*spans, message=message, reason="test")]

    return Own(propose)


def all_marks(source: Messages) -> str:
    return "Noted: " + " ".join(mark for one in source for mark in MARK.findall(said_by(one)))


def one_in_two(source: Messages) -> str:
    return "Noted: " + " ".join(all_marks(source).split()[1::2])


def made_up(source: Messages) -> str:
    marks = all_marks(source).split()[1:]
    return " ".join(["Noted:", *marks, *(f"id9{n}99" for n in range(len(marks)))])


def test_a_good_summary_keeps_all_and_a_worse_one_less() -> None:
    found = {
        text_of.__name__: exam([talk()], summarizing(text_of)).rows[0]
        for text_of in (all_marks, one_in_two, made_up, lambda _: "They talked.")
    }

    assert found["all_marks"]["needed"] == found["all_marks"]["whole"] == 1
    assert found["all_marks"]["precision"] == 1
    assert found["one_in_two"]["needed"] == 1
    assert found["one_in_two"]["identifier"] == 1
    assert found["one_in_two"]["path"] == 0
    assert found["one_in_two"]["precision"] == 1
    assert found["made_up"]["needed"] == 1
    assert found["made_up"]["precision"] == 0.5
    assert found["<lambda>"]["needed"] == 0
    assert found["<lambda>"]["precision"] is None
    for one in found.values():
        assert one["summaries"] >= 1
        assert 0 < one["left"] < 0.5


def test_a_cleared_result_loses_what_only_it_said() -> None:
    messages = [system()]
    for n in range(30):
        messages += [
            user(f"look up id{n}"),
            call(f"c{n}"),
            result(f"c{n}", f"path{n} " + "r " * 300),
        ]
        messages += [answer(f"found for id{n}")]
    found = exam([messages], "clear:2@at-limit", limit=7_000, target=3_400)
    cleared = found.details["conversations"][0]["kept"]["clear:2@at-limit"]

    assert cleared["identifier"][1] == 0  # the question stands
    assert cleared["path"] == [0, cleared["hidden"]]
    assert cleared["hidden"] > 5


def test_a_list_of_strategies_is_a_policy_and_its_calls_are_paid() -> None:
    def model(request: Any) -> Written:
        return Written(all_marks(request.span), model="m")

    own = [ck.ClearToolResults(), ck.SummarizeOldest(model, share=300)]
    found = exam([talk()], own, "summarize:300")
    [mine, extractive] = found.rows[:2]

    assert mine["policy"] == "ClearToolResults+SummarizeOldest"
    assert mine["needed"] == 1
    assert mine["fee"] > 0
    assert mine["summaries"] >= 1
    assert extractive["policy"] == "summarize:300"


def test_lists_of_the_same_strategies_are_told_apart() -> None:
    def mine(request: Any) -> str:
        return all_marks(request.span)

    def other(request: Any) -> str:
        return all_marks(request.span)

    def again(share: int = 300, by: Any = mine) -> list[ck.SummarizeOldest]:
        return [ck.SummarizeOldest(by, share=share)]

    def names(policies: Any) -> list[str]:
        found = ck.exam([talk()], policies=policies, limit=2_000, target=1_000)
        return [one["policy"] for one in found.rows if not one["beside"]]

    assert names([again(), again(400)]) == [
        "SummarizeOldest share=300",
        "SummarizeOldest share=400",
    ]
    assert names([again(), again(by=other)]) == [
        "SummarizeOldest summarizer=mine",
        "SummarizeOldest summarizer=other",
    ]
    assert names([again(), again()]) == ["SummarizeOldest (1)", "SummarizeOldest (2)"]
    assert names([[ck.ClearToolResults(), *again()], again()]) == [
        "ClearToolResults+SummarizeOldest",
        "SummarizeOldest",
    ]
    assert names({"a": again(), "b": again(), "c": "drop@at-limit"}) == ["a", "b", "c"]
    with pytest.raises(InputError, match="the same twice: drop@when-it-pays; a dict"):
        names(["drop", "drop"])


def test_a_builder_is_charged_as_the_list_of_its_strategies() -> None:
    def model(request: Any) -> Written:
        return Written(all_marks(request.span), model="m")

    def plain(request: Any) -> str:
        return all_marks(request.span)

    plain.asks_model = False  # type: ignore[attr-defined]  # it says so of itself

    def both(summarizer: Any) -> list[dict[str, Any]]:
        strategies = [ck.SummarizeOldest(summarizer, share=300)]

        def built(setting: Any, tools: Any) -> ck.ContextBuilder:
            return ck.ContextBuilder(
                setting.profile.name,
                profile=setting.profile,
                budget=ck.Budget(setting.limit, setting.target),
                cache=setting.cache,
                schedule=ck.WhenItPays(clock=setting.clock),
                compaction=strategies,
            )

        found = exam([talk()], strategies, Built(built)).rows[:2]
        assert strategies[0].summarizer is summarizer
        return [{**one, "policy": ""} for one in found]

    listed, built = both(model)
    assert listed == built
    assert listed["fee"] > 0
    listed, built = both(plain)
    assert listed == built
    assert listed["fee"] is None
    assert listed["summaries"] >= 1
    assert exam([talk()], "summarize:300", summarizer=plain).rows[0]["fee"] is None


def test_a_summarizer_of_ones_own_writes_for_the_policies_by_name() -> None:
    asked = []

    def model(request: Any) -> str:
        asked.append(len(request.span))
        return all_marks(request.span)

    found = exam([talk()], "summarize:300", summarizer=model)

    assert asked
    assert found.rows[0]["needed"] == 1


def test_a_summarizer_that_must_be_awaited_is_refused() -> None:
    async def model(request: Any) -> str:
        return "never"

    found = exam([talk()], "drop", summarizer=model)  # not asked: no harm

    assert found.rows[0]["cut"] == 1
    for given in ("summarize", [ck.SummarizeOldest(model)]):
        with pytest.raises(InputError, match=r"none of the conv.*: summarizer: is to be awaited"):
            exam([talk()], given, summarizer=model)
    assert at_share([talk()], 0.25, model)["model"]["summaries"] == 1  # there it is awaited


def test_a_summarizer_that_fails_is_named_with_the_kind_of_its_error() -> None:
    def failing(request: Any) -> str:
        raise ValueError(request["messages"][1]["content"])

    with pytest.raises(InputError) as raised:
        at_share([talk(), talk(20, 90)], 0.25, failing)
    assert re.fullmatch(
        r"none of the conversations could be examined: transcript 0: left out: failing: "
        r"summarizer: raised ValueError in test_exam\.py, line \d+, and 1 more",
        str(raised.value),
    )
    found = exam([talk()], "summarize:300", "drop", summarizer=failing)
    failed = found.rows[0]["rejected"]
    assert failed > 0
    name = f"SummarizeOldest ({failing.__qualname__})"
    assert found.rows[0]["failures"] == {f"{name}: ValueError": failed}
    reason = f"failed {failed} times ({name}: ValueError ({failed}))"
    assert f"summarize:300: no summary was written; {reason}." in found.finding


def test_where_nothing_is_cut_the_headline_says_so_and_what_to_do() -> None:
    asked = [{"answer": "path1", "evidence": [4]}]
    found = exam([{"messages": talk(5), "questions": asked}], "summarize", "drop")

    assert found.finding.startswith("No policy cut anything: the conversation never outgrows")
    assert "--join" in found.finding
    assert found.rows[0]["answers"] == 1
    assert "100" not in found.finding
    named = exam([talk()], "clear", "drop").finding
    assert "keeps" in named


def test_few_needed_facts_are_said_to_be_few() -> None:
    messages = [system(), user("look up all")]
    for n in range(30):
        marks = " ".join(f"id{10 * n + k}" for k in range(10))
        messages += [call(f"c{n}"), result(f"c{n}", f"id0 {marks} " + "r " * 300)]
    messages += [answer("done, with id0")]
    found = exam([messages], "clear", limit=7_000, target=3_400)
    [cleared] = [one for one in found.rows if one["policy"] == "clear"]

    assert (cleared["needed"], cleared["needed_facts"]) == (1, 1)
    assert cleared["hidden_facts"] > 100
    assert cleared["stood"] == 1 / cleared["hidden_facts"]
    assert "but only these are needed of" in found.finding
    assert any("clear: only 1 of" in note for note in found.notes)


# -- at a share of the tokens ---------------------------------------------------------------


def at_share(talks: Any, share: float, summarizer: Any = None) -> dict[str, dict[str, Any]]:
    found = ck.exam(talks, share=share, summarizer=summarizer)
    return {one["policy"]: one for one in found.rows}


def test_the_newest_text_is_as_long_as_the_share() -> None:
    rows = at_share([talk()], 0.25)

    assert rows["all"]["left"] == rows["all"]["needed"] == 1
    assert 0.24 < rows["newest"]["left"] <= 0.25
    assert 0.2 < rows["newest"]["needed"] < 0.3
    assert rows["extractive"]["left"] <= 0.25
    assert rows["extractive, text alone"]["left"] <= 0.25
    assert [one["beside"] for one in rows.values()] == [False, True, True, True, True]


def test_a_broken_summarizer_keeps_less_at_the_share_too() -> None:
    def broken(request: Any) -> str:
        assert request.share < 2_000
        return "I cannot help with that."

    def good(request: Any) -> str:
        return all_marks(request.span)

    assert at_share([talk()], 0.25, good)["good, text alone"]["needed"] == 1
    assert at_share([talk()], 0.25, broken)["broken, text alone"]["needed"] == 0


def test_the_finished_part_ends_before_the_running_turn() -> None:
    spans = []

    def noting(request: Any) -> str:
        spans.append(list(request.span))
        return all_marks(request.span)

    messages = talk(10)
    at_share([messages], 0.25, noting)
    at_share([{"messages": messages, "questions": [{"answer": "path3"}]}], 0.25, noting)

    assert spans[0] == spans[1] == messages[1:17]
    assert spans[2] == spans[3] == messages[1:]


def test_a_conversation_without_a_finished_part_is_named() -> None:
    short = [user("hello"), answer("hi")]
    found = ck.exam([short, talk()], share=0.25)

    assert [problem.reason for problem in found.problems] == ["has no finished part to summarize"]


@pytest.mark.parametrize("share", [0, 1, 1.5, -0.1, True, "0.25", float("nan")])
def test_a_share_is_between_0_and_1(share: Any) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        ck.exam([talk()], share=share)


def test_a_share_and_policies_are_two_exams() -> None:
    with pytest.raises(InputError, match="leave out one"):
        ck.exam([talk()], share=0.25, policies=["drop"])
    with pytest.raises(InputError, match="limit: a share is for a summarizer alone"):
        ck.exam([talk()], share=0.25, limit=100)


def test_what_is_no_summarizer_is_refused() -> None:
    with pytest.raises(InputError, match="callable"):
        ck.exam([talk()], summarizer="qwen-plus")  # type: ignore[arg-type]  # it is what is tested


# -- questions ------------------------------------------------------------------------------

TURNS = [
    {"id": "D1:1", "speaker": "Ann", "text": "My dog is called Bodo.", "date": "8 May 2023"},
    {"id": "D1:2", "speaker": "Ben", "text": "Mine ran away.", "date": "8 May 2023"},
    {"id": "D1:3", "speaker": "Ben", "text": "He is brown. His collar is green."},
    {"id": "D2:1", "speaker": "Cem", "text": "Hello, both.", "date": "9 May 2023"},
]


def test_dialogues_of_several_people_become_conversations(tmp_path: Path) -> None:
    path = tmp_path / "dialogues.json"
    questions = [
        {"question": "Whose?", "answer": "Bodo", "evidence": ["D1:1"], "category": 4},
        {"question": "When?", "answer": 2023, "evidence": ["D2:1", "D9:9"]},
        {"question": "Never said", "answer": None, "evidence": ["D1:1"]},
    ]
    path.write_text(json.dumps([{"id": "a", "turns": TURNS, "questions": questions}]))
    [found] = read_transcripts([path])

    assert isinstance(found, Transcript)
    assert found.messages == [
        {"role": "user", "name": "Ann", "content": "(8 May 2023)\nMy dog is called Bodo."},
        {"role": "assistant", "name": "Ben", "content": "Mine ran away."},
        {"role": "assistant", "name": "Ben", "content": "He is brown. His collar is green."},
        {"role": "user", "name": "Cem", "content": "(9 May 2023)\nHello, both."},
    ]
    assert found.questions == (Question("Bodo", (0,), "Whose?"), Question("2023", (3,), "When?"))


def test_questions_stand_beside_messages_with_their_numbers_as_evidence() -> None:
    asked = [{"answer": "blue", "evidence": [1, 1]}, {"answer": 7}]
    found = as_transcript({"messages": [user("The sky?"), answer("blue")], "questions": asked})

    assert found.questions == (Question("blue", (1,)), Question("7"))


@pytest.mark.parametrize(
    "asked",
    [
        "why?",
        ["why?"],
        [{"answer": ["a", "b"]}],
        [{"answer": True}],
        [{"answer": "a", "evidence": [2]}],
        [{"answer": "a", "evidence": [-1]}],
        [{"answer": "a", "evidence": [1.5]}],
        [{"answer": "a", "evidence": "1"}],
    ],
)
def test_what_is_no_question_is_a_problem(asked: Any, tmp_path: Path) -> None:
    record = {"messages": [user("The sky?"), answer("blue")], "questions": asked}
    path = tmp_path / "talk.jsonl"
    path.write_text(json.dumps(record) + "\n")
    [problem] = read_transcripts([path])

    assert isinstance(problem, Problem)
    assert "questions" in problem.reason


def test_evidence_moves_along_when_conversations_are_joined() -> None:
    messages = [system(), user("Hello"), answer("It is blue")]
    one = Transcript("one", messages, questions=(Question("blue", (2,)),))
    both = session([one, one])

    assert [asked.evidence for asked in both.questions] == [(2,), (4,)]
    assert both.messages[4] == messages[2]


def test_a_question_counts_where_the_conversation_answers_it_in_so_many_words() -> None:
    messages = [user("Bodo is in Lisbon."), answer("Nice there. Lisbon has yellow trams.")]
    asked = [
        Question("in Lisbon", (0,)),
        Question("Lisbon", (0, 1)),
        Question("the day before", (0,)),
        Question("yellow trams", (0,)),
        Question("Yellow trams"),
        Question("Bodo, trams"),
        Question("?"),
        Question("Lisbon", (7,)),
    ]
    found = answerable(asked, messages)

    assert [sorted(one.words) for one in found] == [["lisbon"], ["lisbon"], ["trams", "yellow"]]
    assert found[1].evidence == ("Bodo is in Lisbon.", "Lisbon has yellow trams.")
    text = Text("We saw:\n yellow   cars. Lisbon has\nyellow trams.")
    assert [text.keeps(one) for one in found] == [(True, 0), (True, 1), (True, 0)]
    assert Text("Lisbons trams").keeps(found[0]) == (False, 0)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("By the river", {"river"}),
        ("a red car", {"a", "red", "car"}),
        ("on May 7", {"7"}),
        ("Straße", {"straße"}),
        ("собака", {"собака"}),
        ("…", set()),
    ],
)
def test_the_words_that_tell_an_answer(given: str, words: set[str]) -> None:
    assert content_words(given) == words


def test_answers_in_scripts_without_spaces_are_found_inside() -> None:
    messages = [user("我的狗叫小黑。"), answer("好的")]
    [one] = answerable([Question("小黑", (0,))], messages)

    assert Text("他的狗叫小黑。").holds(one.words)
    assert not Text("他的狗叫小白。").holds(one.words)


def test_answers_are_counted_in_the_last_request() -> None:
    messages = talk()
    messages[2]["content"] += " The code was Oleander. Really."
    messages[-4]["content"] += " The code is Magnolia. Really."
    asked = [
        {"answer": "Oleander", "evidence": [2]},
        {"answer": "Magnolia", "evidence": [len(messages) - 4]},
        {"answer": "unsaid"},
        {"answer": "behind the last request", "evidence": [len(messages) - 1]},
    ]
    found = exam([{"messages": messages, "questions": asked}], "drop@at-limit")
    one = row(found, "drop@at-limit")

    assert one["questions"] == 2
    assert one["answers"] == one["evidence"] == 0.5
    assert row(found, "all")["answers"] == row(found, "all")["evidence"] == 1
    assert any("2 of 4 questions" in note for note in found.notes)


def test_the_answers_by_those_of_the_newest_text() -> None:
    messages = talk()
    for n in (1, 21, 41, 59):
        messages[n]["content"] += f" The code is Oleander{n}."
    asked = [{"answer": f"Oleander{n}", "evidence": [n]} for n in (1, 21, 41, 59)]

    def codes(request: Any) -> str:
        return " ".join(re.findall(r"Oleander\d+", " ".join(map(said_by, request.span)))[:3])

    rows = at_share([{"messages": messages, "questions": asked}], 0.1, codes)

    assert rows["newest"]["answers"] == 0.25
    assert rows["codes, text alone"]["answers"] == 0.75
    assert rows["codes, text alone"]["by_newest"] == 3
    assert rows["codes, text alone"]["evidence"] == 0
    assert rows["newest"]["by_newest"] is None


# -- intervals ------------------------------------------------------------------------------


def test_intervals_are_the_same_in_each_run_and_hold_the_figure() -> None:
    few, many = [(30, 60), (5, 20)], [(n % 5, 5) for n in range(1, 40)]
    for counts in (few, many):
        found = share_interval(counts)
        assert found is not None
        share = sum(kept for kept, _ in counts) / sum(of for _, of in counts)
        assert 0 < found[0] < share < found[1] < 1
        assert found == share_interval(counts)


def test_intervals_of_what_is_certain_or_not_there() -> None:
    assert share_interval([]) is None
    assert share_interval([(0, 0)]) is None
    assert share_interval([(4, 4)] * 3) == (1.0, 1.0)
    assert share_interval([(0, 4)] * 20) == (0.0, 0.0)
    assert ratio_interval([[]]) is None
    assert ratio_interval([[(True, True)] * 9]) == (1.0, 1.0)


def test_where_conversations_differ_whole_ones_are_drawn() -> None:
    differing = share_interval([(0, 100)] * 6 + [(100, 100)] * 6)
    alike = share_interval([(50, 100)] * 12)
    within = share_interval([(0, 100)] * 3 + [(100, 100)] * 3)

    assert differing is not None
    assert differing[1] - differing[0] > 0.4
    assert alike == (0.5, 0.5)
    assert within == (0.5, 0.5)


def test_a_ratio_is_drawn_in_pairs() -> None:
    alike = ratio_interval([[(True, True), (False, False)] * 50])
    better = ratio_interval([[(True, True), (True, False)] * 50])

    assert alike == (1.0, 1.0)
    assert better is not None
    assert 1.5 < better[0] < 2 < better[1] < 3


# -- the result -----------------------------------------------------------------------------


def test_the_same_exam_gives_the_same_result_and_holds_no_content() -> None:
    messages = talk()
    messages[2]["content"] += " The secret is Oleander."
    asked = [{"question": "Which secret?", "answer": "Oleander", "evidence": [2]}]
    talks = [{"messages": messages, "questions": asked}, talk(25)]
    first, again = (exam(talks, "summarize:200", "clear+drop") for _ in range(2))
    told = [{**one.to_json(), "date": ""} for one in (first, again)]

    assert told[0] == told[1]
    everything = json.dumps(told[0]) + str(first) + first.html() + first.csv()
    assert "leander" not in everything
    assert "secret" not in everything
    assert not re.search(r"\b(id|path)\d", everything)
    assert first.plot().name == "kept"
    assert first.png()[:4] == b"\x89PNG"


def test_what_cannot_be_held_is_named_and_the_rest_is_done() -> None:
    huge = [user("u " * 9_000), answer("a")]
    found = exam([huge, [answer("hello")], talk()], "drop")

    assert len(found.problems) == 2
    assert found.rows[0]["requests"] == 30
    assert [problem.kind for problem in found.problems] == ["left out", "not read"]
    with pytest.raises(InputError, match=r"could be examined: .*left out: .*try a limit of 9,"):
        exam([huge], "drop")


def test_progress_is_told() -> None:
    told: list[tuple[int, int | None]] = []
    exam([talk(5), talk(6, 10)], "drop", progress=lambda done, of: told.append((done, of)))

    assert told[-1] == (4, 4)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


# -- in tests -------------------------------------------------------------------------------


def compacted(text_of: Any) -> tuple[ck.History, ck.Context]:
    built = builder(2_000, compaction=[summarizing(text_of)])
    history = ck.History()
    for message in talk(50):
        if message["role"] == "assistant":
            context = built.build(history)
        history.append(message)
    return history, context


def test_an_assertion_for_tests_names_what_was_lost() -> None:
    for built in compacted(all_marks):
        assert_facts_kept(built, 1.0)
        assert_facts_kept(built, 1.0, needed=False)
    for built in compacted(one_in_two):
        assert_facts_kept(built, 1.0)
        assert_facts_kept(built, 1.0, kinds=["identifier"], needed=False)
        with pytest.raises(
            AssertionError, match=r"50\.0% are kept.*path 'path0' \(messages\[2\]\), "
        ):
            assert_facts_kept(built, 0.9, needed=False)
        with pytest.raises(AssertionError, match=r"\b0\.0% are kept.*, and \d+ more$"):
            assert_facts_kept(built, 0.1, kinds=["path"], needed=False)
        assert_facts_kept(built, 0.5, needed=False)


def test_an_assertion_that_tests_nothing_fails() -> None:
    with pytest.raises(AssertionError, match="nothing was compacted"):
        assert_facts_kept(ck.History(talk(3)))
    for built in compacted(all_marks):
        with pytest.raises(
            AssertionError, match=r"no needed facts \(path\), .*; there are \d+ oth"
        ):
            assert_facts_kept(built, kinds="path")
        with pytest.raises(
            AssertionError, match=r"no facts \(date\), so there is nothing to test$"
        ):
            assert_facts_kept(built, kinds=["date"], needed=False)
        with pytest.raises(InputError, match=r"a share from 0 to 1, such as 0\.9, not 90"):
            assert_facts_kept(built, at_least=90)
        assert_facts_kept(built, kinds="identifier")
    with pytest.raises(InputError, match="constraint, identifier"):
        assert_facts_kept(ck.History(talk(3)), kinds=["colour"])  # type: ignore[list-item]


def test_counts_by_kind() -> None:
    facts = (Fact("path", "a", "a", 2), Fact("date", "b", "b"), Fact("path", "c", "c"))
    kept = Kept(facts, facts[2:])

    assert kept.counts() == (2, 3)
    assert kept.counts(("path",)) == (1, 2)
    assert kept.counts(needed=True) == (1, 1)
    assert kept.counts(("date",), needed=True) == (0, 0)
