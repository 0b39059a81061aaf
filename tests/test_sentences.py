"""Sentences and words, in the scripts that people write."""

# ruff: noqa: RUF001  (the punctuation of many scripts)

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contextkit.summarizing.sentences import LONGEST, sentences, words

LANGUAGES = {
    "English": ["I live in Berlin.", "Do you?", "So do I!", "Well, that is that."],
    "German": ["Am 3. Mai kam Dr. Weiß, d.h. spät.", "Es war z.B. kalt.", "Wirklich?", "Ja."],
    "French": ["M. Dupont est là.", "« Viens ! »", "Il a dit oui."],
    "Spanish": ["¿Cómo estás?", "¡Muy bien!", "La Sra. García llegó."],
    "Russian": ["Он жил в г. Москве, т.е. далеко.", "Правда?", "Да!"],
    "Greek": ["Τι κάνεις;", "Είμαι καλά.", "Εσύ;"],
    "Arabic": ["كيف حالك؟", "أنا بخير.", "شكرا!"],
    "Urdu": ["میں لاہور میں رہتا ہوں۔", "آپ کہاں ہیں؟"],
    "Hebrew": ["מה שלומך?", "הכול בסדר.", "תודה!"],
    "Hindi": ["मैं दिल्ली में रहता हूँ।", "आप कैसे हैं?", "ठीक।"],
    "Korean": ["저는 서울에 삽니다.", "어디 가세요?", "집에요!"],
    "Thai": ["ผมชื่อสมชายและทำงานอยู่ที่กรุงเทพ", "วันนี้อากาศดีมากเราจะไปเที่ยวทะเลกัน"],
    "Armenian": ["Ես ապրում եմ Երևանում։", "Լավ է։"],
}
UNSPACED = {
    "Chinese": ["我住在北京。", "你呢？", "“好！”", "他说。"],
    "Japanese": ["私は東京に住んでいます。", "どうですか？", "「はい。」", "そうです！"],
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_end_as_their_script_says(language):
    said = LANGUAGES[language]
    assert sentences(" ".join(said)) == said
    assert sentences("\n".join(said)) == said


@pytest.mark.parametrize("language", UNSPACED)
def test_no_space_is_needed_where_the_script_has_none(language):
    assert sentences("".join(UNSPACED[language])) == UNSPACED[language]


@pytest.mark.parametrize(
    "whole",
    [
        "Dr. Smith paid $12.50 on Jan. 3, e.g. for U.S. goods.",
        "See https://example.com/a.b?c=1.5 and v1.2.3 of lib.py.",
        "We met J. R. Smith at 10 a.m. sharp.",
        "It is no. 5 of fig. 2.",
        '"Stop!" he said.',
        "Well... perhaps.",
        "1. Open the file",
        '{"text": "Hello there. How are you? Fine."}',
    ],
)
def test_these_are_one(whole):
    assert sentences(whole) == [whole]


def test_what_ends_a_sentence_in_spite_of_how_it_looks():
    assert sentences("Milk, eggs etc. Then we left.") == ["Milk, eggs etc.", "Then we left."]
    assert sentences("thanks. i need help") == ["thanks.", "i need help"]
    assert sentences("He said no. I left.") == ["He said no.", "I left."]
    assert sentences("It costs 71. I paid.") == ["It costs 71.", "I paid."]
    assert sentences("So do I. Good.") == ["So do I.", "Good."]
    assert sentences("That was **it.** Next.") == ["That was **it.**", "Next."]
    assert sentences("Thanks!😊 See you") == ["Thanks!😊", "See you"]


def test_lines_of_code_and_bullets_are_apart():
    code = "def f(a):\n    return a.b\n\n- one\n* two: three\n| a | b |"
    assert sentences(code) == ["def f(a):", "return a.b", "- one", "* two: three", "| a | b |"]


def test_long_json_is_cut_at_its_outermost_commas():
    flights = [{"number": f"HAT{n:03}", "from": "BOS", "to": "MCO", "seats": n} for n in range(40)]
    found = sentences(json.dumps({"flights": flights, "note": "a, b, {c}"}))
    assert len(found) > 10
    assert sum('"HAT007", "from": "BOS", "to": "MCO", "seats": 7}' in one for one in found) == 1
    assert '"a, b, {c}"' in found[-1]


def test_a_long_sentence_is_cut_at_its_clauses():
    text = "; ".join(f"the item of number {n} is due on the day after the last" for n in range(30))
    found = sentences(text)
    assert all(len(one) <= LONGEST for one in found)
    assert all(one.endswith(";") for one in found[:-1])


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "." * 100_000,
        '{"' + '\\"' * 50_000,
        "[1," * 30_000,
        "漢" * 100_000,
        "{" * 50_000,
    ],
    ids=["letters", "stops", "quotes", "JSON", "Chinese", "brackets"],
)
def test_nothing_is_too_long(text):
    found = sentences(text)
    assert "".join(found) == text
    assert all(len(one) <= LONGEST for one in found)


TEXT = st.text(
    alphabet=st.one_of(
        st.sampled_from(" \n\t.,;:!?…\"'“”()[]{}\\-|*abcXYZ019。！？।؟;ก漢字가한कि"),
        st.characters(),
    ),
    max_size=1_500,
)


@settings(max_examples=300, deadline=None)
@given(TEXT)
def test_every_sentence_stands_in_the_text_and_nothing_is_left_out(text):
    found = sentences(text)
    at = 0
    for one in found:
        assert one == one.strip()
        assert 0 < len(one) <= LONGEST
        at = text.index(one, at) + len(one)
    assert "".join("".join(found).split()) == "".join(text.split())
    words(text)


def test_words_are_what_a_reader_takes_for_words():
    assert words("Don't call HAT235 at 23:00!") == ["don", "t", "call", "hat235", "at", "23:00"]
    assert words("$1,200.50 on 2024-05-18, v1.2") == ["1,200.50", "on", "2024-05-18", "v1", "2"]
    assert words("chen_lee_6825 /usr/lib") == ["chen", "lee", "6825", "usr", "lib"]
    assert words("मैं दिल्ली में हूँ") == ["मैं", "दिल्ली", "में", "हूँ"]
    assert words("שָׁלוֹם مُحَمَّد naïve Ünïcode") == ["שָׁלוֹם", "مُحَمَّد", "naïve", "ünïcode"]


def test_pairs_of_characters_stand_for_words_where_there_are_no_spaces():
    assert words("我住北京") == ["我住", "住北", "北京"]
    assert words("東京です。A棟") == ["東京", "京で", "です", "a", "棟"]
    assert words("서울에 가요") == ["서울", "울에", "가요"]


def test_a_sentence_ends_behind_the_day_of_a_month() -> None:
    assert sentences("I fly on May 22. Is that so?") == ["I fly on May 22.", "Is that so?"]
