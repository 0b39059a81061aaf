"""Evidence against cost: questions come after their evidence, and the prefix stays where it is."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import FrameType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import contextkit as ck
from benchmarks.asked_along import Log, Places, log_of, share_of, texts_in
from benchmarks.evidence_cost import Run, Way, checked, held, requests_of
from benchmarks.labelled import ADVERSARIAL, Dialogue, dialogues
from contextkit.analysis.policies import Setting
from contextkit.analysis.replaying.charged import Sums
from contextkit.analysis.replaying.settings import settings_of
from contextkit.retrieval.ranking import fill

PASSAGES = Way("passages", share=150)


@pytest.fixture(scope="module")
def sample() -> list[Dialogue]:
    return dialogues(None)


@pytest.fixture(scope="module")
def logs(sample: list[Dialogue]) -> list[Log]:
    return [log_of(one, 7) for one in sample]


@pytest.fixture(scope="module")
def setting() -> Setting:
    return settings_of(["qwen-plus:implicit"], 500, None)[0].setting


@pytest.mark.parametrize("places", ["along", "end"])
def test_each_question_is_asked_once_after_its_evidence(
    sample: list[Dialogue], places: Places
) -> None:
    for dialogue in sample:
        log = log_of(dialogue, 7, places)
        texts = [message["content"] for message in log.transcript.messages]
        asked = [texts[point - 1] for point in log.evidence]
        wanted = [one.text for one in dialogue.questions if one.category != ADVERSARIAL]

        assert sorted(asked) == sorted(wanted)
        assert set(log.evidence) <= set(log.points)
        for point, evidence in log.evidence.items():
            assert share_of(evidence, set(texts[:point])) == 1
        assert list(log.transcript.times) == sorted(log.transcript.times)


def test_with_passages_each_request_begins_with_the_one_before_but_at_planned_cuts(
    logs: list[Log], setting: Setting
) -> None:
    run = held(PASSAGES, logs, setting, None)
    later = held(replace(PASSAGES, left_out=True), logs, setting, None)

    assert run.moved == 0
    assert run.planned > 2
    assert run.inserted > 10
    assert run.begun[0] + run.planned == run.begun[1]
    assert later.moved > 10  # which the same figures see
    assert max(run.sums.peak, later.sums.peak) <= setting.limit
    with pytest.raises(SystemExit, match="3 requests moved"):
        checked(PASSAGES, Run(Sums(), [], [5, 10], planned=2))


def test_evidence_that_was_cut_comes_back(logs: list[Log], setting: Setting) -> None:
    behind = [log_of(one, 7, "end") for one in dialogues(None)]
    shown = {
        name: np.mean(held(way, behind, setting, None).evidence)
        for name, way in {"none": Way("none"), "passages": PASSAGES}.items()
    }

    assert shown["passages"] > shown["none"] + 0.1


def test_what_is_left_out_stands_in_the_newest_message_alone(
    logs: list[Log], setting: Setting
) -> None:
    way = replace(PASSAGES, left_out=True)
    sent = [request.made.messages for request in requests_of(way, logs[0], setting, None)]
    with_passages = [
        [place for place, m in enumerate(messages) if "<data name=" in m["content"]]
        for messages in sent
    ]

    assert sum(map(bool, with_passages)) > 5
    for messages, places in zip(sent, with_passages, strict=True):
        assert set(places) <= {len(messages) - 1}


def test_the_texts_of_a_request_are_its_messages_and_passages_whole() -> None:
    history = ck.History(scope=ck.Scope("t", "u", "c"))
    builder = ck.ContextBuilder("qwen-plus", limit=400, tail=[ck.Retrieve(share=150)])
    first = "My locker at the station has the number 4711.\nThe key is blue."
    for number in range(30):
        history.append(first if not number else f"Remark {number}: {'la ' * 20}")
        context = builder.build(history)
        history.append({"role": "assistant", "content": "Noted."})
    assert first not in texts_in(context.sent)
    history.append("Which number has my locker?")
    texts = texts_in(builder.build(history).sent)

    assert {first, "Which number has my locker?", "Noted."} <= texts
    assert "The key is blue." not in texts


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(50, 6_000), st.booleans())
def test_many_passages_are_filled_as_if_all_were_sorted(
    seed: int, share: int, few_values: bool
) -> None:
    draw = np.random.default_rng(seed)
    scores = draw.integers(0, 5 if few_values else 10**6, 3_000) / 10**6
    tokens = draw.integers(5, 90, 3_000)
    left, wanted = share, []
    for number in sorted(range(3_000), key=lambda n: (-scores[n], n)):
        if scores[number] > 0 and tokens[number] <= left:
            wanted.append(number)
            left -= tokens[number]

    assert fill(scores, tokens, share) == sorted(wanted)


def test_the_next_build_with_passages_costs_the_same_however_long_the_log() -> None:
    def instructions(messages: int) -> int:
        history = ck.History(scope=ck.Scope("t", "u", "c"))
        history.append("My locker at the station has the number 4711.", time=1.0)
        history.append({"role": "assistant", "content": "Noted."}, time=2.0)
        for number in range(messages):
            role = ("user", "assistant")[number % 2]
            history.append({"role": role, "content": f"Remark {number} of no use."}, time=3.0)
        builder = ck.ContextBuilder("qwen-plus", limit=400, tail=[ck.Retrieve(share=100)])
        counted = 0

        def trace(frame: FrameType, event: str, _: object) -> Any:
            nonlocal counted
            frame.f_trace_opcodes = True
            counted += event == "opcode"
            return trace

        for question in ("Where is my locker?", "Which number has my locker?"):
            history.append(question, time=4.0)
            before = sys.gettrace()
            if question.startswith("Which"):
                sys.settrace(trace)
            try:
                context = builder.build(history)
            finally:
                sys.settrace(before)
            assert "4711" in str(context.sent)
            history.append({"role": "assistant", "content": "There."}, time=5.0)
        return counted

    few, many = instructions(200), instructions(2_000)

    assert few > 10_000
    assert many < 1.2 * few
