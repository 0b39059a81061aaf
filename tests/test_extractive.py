"""The extractive summarizer: what it picks, that it fits, and that it takes any text."""

# ruff: noqa: RUF001  (the punctuation of many scripts)

import base64
import json
import os
import random
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contextkit.messages import text_of
from contextkit.summarizing import extractive, frame
from contextkit.summarizing.extractive import ExtractiveSummarizer
from contextkit.summarizing.request import SummaryRequest

GAP = " … "


def count(text):
    """Words, signs and long words: near what a vocabulary gives."""
    return len(re.findall(r"\w{1,6}|[^\w\s]", text))


def summary(span, share, count=count):
    return ExtractiveSummarizer()(SummaryRequest({}, span=span, share=share, count=count))


def user(text, **more):
    return {"role": "user", "content": text, **more}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def call(name, arguments, number="1"):
    function = {"name": name, "arguments": arguments}
    return assistant(None, tool_calls=[{"id": number, "type": "function", "function": function}])


def result(text, number="1"):
    return {"role": "tool", "tool_call_id": number, "content": text}


TALK = [
    user("Hello! How are you today?"),
    assistant("I am fine, thank you! How can I help you today?"),
    user("My name is Ada Byron and my booking is QX7741. I must not fly before 11 AM."),
    assistant("Thank you! That is great. Let me look at it. What is your date of birth?"),
    user("It is 1815-12-10. Thank you!"),
    call("get_booking", '{"booking": "QX7741"}'),
    result('{"booking": "QX7741", "from": "BOS", "to": "SEA", "price": 305}'),
    assistant("Thank you! That is great. Your booking from BOS to SEA costs $305."),
    user("Great, thank you! That is great."),
]


def test_what_matters_is_kept_in_order_with_who_said_it():
    text = summary(TALK, 75)
    for fact in ("Ada Byron", "QX7741", "1815-12-10", "305", "not fly before 11 AM"):
        assert fact in text
    assert "How are you" not in text
    assert text.count("That is great") <= 1
    places = [text.index(fact) for fact in ("Ada Byron", "1815-12-10", "305")]
    assert places == sorted(places)
    assert "user: My name is Ada Byron" in text


def test_a_name_stands_for_the_role():
    assert summary([user("We met in Oslo.", name="Ada")], 50) == "Ada: We met in Oslo."


def test_a_gap_shows_where_sentences_were_left_out():
    idle = "Well, Ada owns what Ada owns, and Ben owns what Ben owns."
    span = [user(f"Ada owns key 71. {idle} Ben owns lock 82. Eve owns door 93.")]
    assert summary(span, 28) == "user: Ada owns key 71. … Ben owns lock 82. Eve owns door 93."


SAID = "The {} of Ada lives behind the old harbour."


def _kept(*span):
    """Which of some sentences that are worth the same is kept, where there is room for one."""
    text = summary([*span, assistant("I see.")], 25)
    found = re.findall(r"uncle|cousin|nephew", text)
    assert len(found) == 1, text
    return found[0]


@pytest.mark.parametrize("question", ["Who?", "Ποια;", "谁？", "من؟", "Tell me, who?)\nPlease."])
def test_an_answer_is_worth_more_than_what_nobody_asked(question):
    uncle, cousin, nephew = (assistant(SAID.format(who)) for who in ("uncle", "cousin", "nephew"))
    assert _kept(user("I see."), uncle, user(question), cousin, user("I see."), nephew) == "cousin"


def test_the_answer_is_what_is_said_after_the_tools_were_asked():
    uncle, cousin, nephew = (SAID.format(who) for who in ("uncle", "cousin", "nephew"))
    span = [user("I see."), assistant(nephew), user("Who?"), call("ask", "{}"), result(uncle)]
    assert _kept(*span, assistant(cousin)) == "cousin"


def test_what_was_said_is_not_said_again():
    rule = "Never send mail to customers on Sundays."
    span = [user(rule), assistant("Certainly."), user(rule), assistant("Yes."), user(rule)]
    assert summary(span, 500).count(rule) == 1


def test_of_two_sentences_the_one_with_the_number_is_kept():
    span = [user("The parcel weighs some grams. The parcel weighs 74 grams.")]
    assert summary(span, 11) == "user: The parcel weighs 74 grams."


def test_a_long_message_does_not_crowd_out_the_others():
    rng = random.Random(3)
    lines = [" ".join(f"w{rng.randrange(10**6)}" for _ in range(8)) + "." for _ in range(200)]
    others = [assistant(f"Town{n:c} lost hill{n:c} near lake{n:c}.") for n in range(97, 105)]
    text = summary([user("\n".join(lines)), *others], 400)
    assert text.count("assistant: Town") == 8
    assert "user: w" in text


def test_a_call_and_its_result_name_the_tool():
    span = [call("get_booking", '{"id": "QX7741"}'), result('{"price": 305}')]
    span += [call("run", json.dumps({"code": "print(1)\n" * 40}), "2"), result("Wrong answer", "2")]
    text = summary(span, 1_000)
    assert 'get_booking call: {"id": "QX7741"}' in text
    assert 'get_booking {"id": "QX7741"} result: {"price": 305}' in text
    assert "run result: Wrong answer" in text


def test_results_whose_call_is_not_there_and_calls_of_other_types():
    custom = {"id": "9", "type": "custom", "custom": {"name": "shell", "input": "ls /data"}}
    strange = {"id": "8", "type": "other"}
    span = [result("Found 3 files", "7"), {**result("ok then", "6"), "name": "touch"}]
    span += [assistant("", tool_calls=[custom, strange]), result("a.txt b.txt", "9")]
    text = summary(span, 1_000)
    assert "tool result: Found 3 files" in text
    assert "touch result: ok then" in text
    assert "shell call: ls /data" in text
    assert "shell ls /data result: a.txt b.txt" in text


def test_bare_numbers_are_kept_where_they_are_not_shreds_of_a_table():
    table = "total\n" + "\n".join(str(n) for n in range(100, 160))
    assert summary([call("add", "{}"), result("1200.0")], 100).endswith("result: 1200.0")
    assert summary([user("Sure.\n4471")], 100) == "user: Sure. 4471"
    assert summary([call("add", "{}"), result(table)], 1_000).endswith("result: total")


def test_the_time_above_a_message_stands_once_for_all_that_follow():
    span = [
        user("[1:56 pm on 8 May, 2023]\nI moved to Sweden."),
        assistant("Congratulations upon moving."),
        user("[9:00 am on 2 June, 2023] I adopted Rex."),
        assistant("2023-06-03 10:15\nRex arrived safely."),
    ]
    assert summary(span, 500) == (
        "[1:56 pm on 8 May, 2023]\n"
        "user: I moved to Sweden.\n"
        "assistant: Congratulations upon moving.\n"
        "[9:00 am on 2 June, 2023]\n"
        "user: I adopted Rex.\n"
        "2023-06-03 10:15\n"
        "assistant: Rex arrived safely."
    )


def test_a_line_that_says_more_than_the_time_is_no_stamp():
    text = "I will come to your house on 2023-06-03\nif it rains."
    assert summary([user(text)], 500) == f"user: {text}".replace("\n", " ")


def test_summaries_are_merged_line_by_line():
    head = frame.HEAD.format(first=0, last=8)
    first = summary(TALK, 500)
    again = summary([user(head + first), user(head + "[8 May 2023]\nAda: Buy milk.")], 1_000)
    assert again == f"{first}\n[8 May 2023]\nAda: Buy milk."


LANGUAGES = {
    "German": ("Guten Tag! Wie geht es?", "Meine Kundennummer lautet KX-4471."),
    "Russian": ("Привет! Как дела?", "Мой номер заказа КХ-4471."),
    "Greek": ("Γεια σου! Τι κάνεις;", "Ο αριθμός παραγγελίας είναι 4471."),
    "Arabic": ("مرحبا! كيف حالك؟", "رقم طلبي هو 4471."),
    "Hebrew": ("שלום! מה שלומך?", "מספר ההזמנה שלי הוא 4471."),
    "Hindi": ("नमस्ते! आप कैसे हैं?", "मेरा ऑर्डर नंबर 4471 है।"),
    "Chinese": ("你好！你好吗？", "我的订单号是4471。"),
    "Japanese": ("こんにちは！お元気ですか？", "注文番号は4471です。"),
    "Korean": ("안녕하세요! 잘 지내세요?", "주문 번호는 4471입니다."),
    "Thai": ("สวัสดีครับ สบายดีไหม", "หมายเลขคำสั่งซื้อของผมคือ 4471"),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_not_only_for_english(language):
    greeting, fact = LANGUAGES[language]
    span = [user(greeting), assistant(greeting), user(f"{greeting} {fact}"), assistant(greeting)]
    share = len(f"user: {fact}") + 8
    text = summary(span, share, count=len)
    assert "4471" in text
    assert text.removeprefix("user: ") in f"{greeting} {fact}"
    assert greeting not in text


def test_blobs_are_left_out():
    blob = base64.b64encode(random.Random(1).randbytes(3_000)).decode()
    wrapped = base64.encodebytes(random.Random(2).randbytes(3_000)).decode()
    span = [
        *TALK,
        result(json.dumps({"image": f"data:image/png;base64,{blob}"}), "5"),
        user(wrapped),
    ]
    assert "user: " + wrapped[:40] not in summary(span, 120)
    text = summary(span, 100_000)
    assert blob[400:440] not in text
    assert "QX7741" in text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\n ",
        "!!!",
        "😀" * 5_000,
        "a" * 300_000,
        "x " * 100_000,
        "\u0301" * 1_000,
        "{" * 9_999,
    ],
    ids=["empty", "space", "signs", "emoji", "letters", "words", "marks", "brackets"],
)
def test_texts_that_say_nothing(text):
    assert count(summary([user(text), assistant(text), result(text)], 50)) <= 50


def test_nothing_to_say_and_no_room_to_say_it():
    assert summary([], 100) == ""
    assert summary(TALK, 0) == ""
    assert summary(TALK, 1) == ""


LETTERS = st.sampled_from('abcdefgh  ABC.,!?123\n{}[]":漢字。ñд')
SPAN = st.lists(
    st.builds(
        lambda role, text, name: {
            "role": role,
            "content": text,
            **({"name": name} if name else {}),
        },
        st.sampled_from(["user", "assistant", "tool"]),
        st.one_of(
            st.text(LETTERS, max_size=200),
            st.lists(
                st.sampled_from(["Yes. ", "I paid $40. ", "Ada left Rome? ", "[8 May 2023]\n"]),
                max_size=8,
            ).map("".join),
        ),
        st.sampled_from(["", "Ada", "a b"]),
    ),
    max_size=12,
)
COUNTS = {
    "words": count,
    "characters": len,
    "bytes": lambda text: len(text.encode()),
    "flat": lambda text: 7 if text else 0,
    "joints": lambda text: count(text) + 9 * text.count("\n"),  # more than the parts together
    "lines": lambda text: len(text) // 4 if "\n" in text else len(text),  # less
}


@settings(max_examples=400, deadline=None)
@given(SPAN, st.integers(0, 150), st.sampled_from(sorted(COUNTS)))
def test_within_any_share_word_for_word_and_in_order(span, share, kind):
    text = summary(span, share, COUNTS[kind])
    assert not text or COUNTS[kind](text) <= share
    assert text == summary(span, share, COUNTS[kind])
    source = " ".join(" ".join(text_of(message).split()) for message in span)
    at = 0
    for line in text.split("\n") if text else ():
        said = re.sub(r"^(user|assistant|tool result|Ada|a b|Ada result|a b result): ", "", line)
        for piece in " ".join(said.split()).split(GAP):
            at = source.index(piece, at) + len(piece)


def test_the_share_is_used():
    rng = random.Random(4)
    span = [
        user(f"{rng.choice('ABC')}{n} is at {rng.random():.3f} now. So be it.") for n in range(400)
    ]
    for share in (500, 1_000, 2_000):
        assert 0.97 * share <= count(summary(span, share)) <= share


def test_the_same_in_every_process():
    # Every sentence is worth the same, but for the order in which its words are summed up.
    rng = random.Random(6)
    said = [[f"g{k}x{n // k}" for k in range(1, 8)] for n in range(420)]
    span = [user(" ".join(rng.sample(one, 7)) + ".") for one in said]
    code = (
        "import json, sys; from contextkit.summarizing.extractive import ExtractiveSummarizer as E;"
        "from contextkit.summarizing.request import SummaryRequest as R;"
        "span = json.load(sys.stdin);"
        "print(ascii(E()(R({}, span=span, share=600, count=lambda text: len(text.split())))))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            input=json.dumps([*TALK, *span]),
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(found) == 1


def _work(monkeypatch, span, share):
    """How often tokens were counted, of how many characters; how often a sentence was looked at."""
    counted, looked = [], []
    density = extractive._Summary._density

    def counting(text):
        counted.append(len(text))
        return count(text)

    def looking(self, number):
        looked.append(number)
        return density(self, number)

    with monkeypatch.context() as patch:
        patch.setattr(extractive._Summary, "_density", looking)
        summary(span, share, counting)
    return len(counted), sum(counted), len(looked)


def _talk(size, vocabulary):
    rng = random.Random(5)
    return [user(" ".join(rng.sample(vocabulary, 12)) + ".") for _ in range(size)]


KINDS = {
    "talk": lambda size: _talk(size, [f"w{n}" for n in range(size // 3)]),
    "the same words throughout": lambda size: _talk(size, [f"w{n}" for n in range(25)]),
    "one message": lambda size: [user("\n".join(f"key{n} of lot{n}" for n in range(size)))],
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_work_grows_with_the_length_only(monkeypatch, kind):
    span = KINDS[kind]
    small, large = (_work(monkeypatch, span(size), size * 3) for size in (400, 1_600))
    assert large[0] <= 1_600 + 20
    assert large[1] <= 5 * sum(len(text_of(message)) for message in span(1_600))
    assert large[2] <= 6 * small[2]
    assert large[2] <= 100 * 1_600
