"""What a summary must carry: facts found in messages, and whether a text has lost them."""

# ruff: noqa: RUF001  (texts in many scripts)

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextkit.summarizing.facts import Fact, facts_of, lost
from contextkit.summarizing.mention import LONGEST
from contextkit.summarizing.reading import read, source_of

KINDS = {"constraint", "identifier", "path", "date", "number", "name"}


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def result(value: Any) -> dict[str, Any]:
    content = value if isinstance(value, str) else json.dumps(value)
    return {"role": "tool", "tool_call_id": "call_Xy12ZZ", "content": content}


def call(**arguments: Any) -> dict[str, Any]:
    function = {"name": "get_order_42", "arguments": json.dumps(arguments)}
    made = {"id": "call_Xy12ZZ", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [made]}


def texts(kind: str, *messages: dict[str, Any]) -> list[str]:
    return [fact.text for fact in facts_of(messages) if fact.kind == kind]


def fact(text: str, kind: str) -> Fact:
    """The one fact of its kind in a text."""
    said = user(text if kind == "constraint" else f"so {text}")
    [found] = [fact for fact in facts_of([said]) if fact.kind == kind]
    return found


ENCODED = b64encode(bytes(n * n * 7 % 251 for n in range(9_000))).decode()
IDENTIFIERS = {
    "mixed": ("my reservation is M05KNL, please", ["M05KNL"]),
    "codes in capitals": ("the code HATHAT flies from JFK to SEA", ["HATHAT", "JFK", "SEA"]),
    "with hyphens": ("order RES-8841 and ORD-1.", ["RES-8841", "ORD-1"]),
    "with low lines": ("I am user_id_1234 (mia_li_3668)", ["user_id_1234", "mia_li_3668"]),
    "an order number": ("order #4421 and № 77", ["#4421", "№ 77"]),
    "a hash": ("commit 675399f73a52ff88383a475a failed", ["675399f73a52ff88383a475a"]),
    "a UUID": (
        "run 3f2a8c1e-9b7d-4e21-a0c4-5d6e7f809a1b",
        ["3f2a8c1e-9b7d-4e21-a0c4-5d6e7f809a1b"],
    ),
    "an e-mail address": ("write to mia.li+x@mail.example.com!", ["mia.li+x@mail.example.com"]),
    "a URL": ("see (https://ex.org/a/b?c=1&d=%20#e).", ["https://ex.org/a/b?c=1&d=%20#e"]),
    "versions": ("from v1.2.3 to 10.2.1", ["v1.2.3", "10.2.1"]),
    "an address": ("host 192.168.0.1 is down", ["192.168.0.1"]),
    "a telephone number": ("call +1 555-123-4567 now", ["+1 555-123-4567"]),
    "names in a program": ("call find_user or parseDate first", ["find_user", "parseDate"]),
    "in Chinese": ("我的订单号是ORD-12345，请处理", ["ORD-12345"]),
    "in Japanese": ("予約番号はM05KNLです", ["M05KNL"]),
    "in Korean": ("주문번호는 ORD-77A입니다", ["ORD-77A"]),
    "in Russian": ("мой заказ RES-8841, спасибо", ["RES-8841"]),
    "not what is loud": ("PLEASE ANSWER ME NOW", []),
    "not what is also written small": ("it is NOT there, not at all", []),
    "not a heading": ("TASK: look around", []),
    "not an ordinal": ("on the 15th floor, 1st door", []),
    "not the number of a list": ("1. one\n2) two\n  10. ten\n12:  return", []),
    "not encoded data": (f"data {ENCODED}", []),
    "not words": ("a well-known state-of-the-art thing, e.g. this and/or that", []),
}


@pytest.mark.parametrize("name", IDENTIFIERS)
def test_identifiers_are_found(name):
    text, expected = IDENTIFIERS[name]
    assert texts("identifier", user(text)) == expected


PATHS = {
    "absolute": ("open /srv/app/main.py, then", ["/srv/app/main.py"]),
    "relative": ("in ./src and ../lib/x.c and src/app/index.html", None),
    "at home": ("see ~/notes/todo.md.", ["~/notes/todo.md"]),
    "Windows": (r"it is at C:\Users\mia\a.txt now", [r"C:\Users\mia\a.txt"]),
    "a name of a file": ("the file missing_colon.py has it", ["missing_colon.py"]),
    "in quotes": ('`tests/test_a.py`, "setup.cfg"', ["tests/test_a.py", "setup.cfg"]),
    "not a choice or a unit": ("and/or he/she at 90 km/h, 24/7, n/a", []),
    "not a tag": ("<b>bold</b>", []),
}


@pytest.mark.parametrize("name", PATHS)
def test_paths_are_found(name):
    text, expected = PATHS[name]
    if expected is None:
        expected = ["./src", "../lib/x.c", "src/app/index.html"]
    assert texts("path", user(text)) == expected


DATES = {
    "ISO": ("on 2024-05-15 then", "2024-05-15"),
    "English": ("on May 15, 2024 then", "2024-05-15"),
    "English with an ordinal": ("on May 15th 2024 then", "2024-05-15"),
    "English, day first": ("on the 15th of May 2024", "2024-05-15"),
    "German": ("am 15. März 2024", "2024-03-15"),
    "German in digits": ("am 15.03.2024", "2024-03-15"),
    "French": ("le 15 août 2024", "2024-08-15"),
    "Spanish": ("el 15 de mayo de 2024", "2024-05-15"),
    "Portuguese": ("em 15 de março de 2024", "2024-03-15"),
    "Italian": ("il 15 luglio 2024", "2024-07-15"),
    "Russian": ("это 15 мая 2024", "2024-05-15"),
    "Chinese": ("于2024年5月15日发货", "2024-05-15"),
    "Japanese": ("2024年5月15日に出発", "2024-05-15"),
    "Korean": ("2024년 5월 15일 출발", "2024-05-15"),
    "without a year": ("on 3 March then", "--03-03"),
    "month and year": ("in March 2024 then", "2024-03"),
    "slashes, one reading": ("on 12/31/2024 then", "2024-12-31"),
    "slashes, two readings": ("on 05/06/2024 then", "2024-05-06|2024-06-05"),
    "a weekday": ("see you on Friday then", "weekday 5"),
    "a weekday in Russian": ("в пятницу", "weekday 5"),
    "a time": ("at 15:30 then", "15:30"),
    "with seconds": ("at 06:00:00 then", "06:00"),
    "half a day": ("at 3:05 pm EST then", "15:05"),
    "midnight": ("at 12 AM then", "00:00"),
    "German time": ("um 14 Uhr dann", "14:00"),
    "French time": ("à 15h30 alors", "15:30"),
    "Chinese time": ("下午3点20分见", "15:20"),
}


@pytest.mark.parametrize("name", DATES)
def test_dates_and_times_are_found_in_one_normal_form(name):
    text, key = DATES[name]
    assert [fact.key for fact in facts_of([user(text)]) if fact.kind == "date"] == [key]


def test_encoded_data_states_nothing():
    assert facts_of([user(f"data {ENCODED} end")]) == []


def test_a_moment_is_a_date_and_a_time():
    assert texts("date", user("at 2024-05-14T06:33:04Z it")) == ["2024-05-14", "06:33:04Z"]


NUMBERS = {
    "plain": ("all 42 of them", "42"),
    "dollars": ("pay $1,234.50 now", "1234.5 usd"),
    "dollars in words": ("pay 1,234.50 dollars now", "1234.5 usd"),
    "euros as Germans write": ("zahle 1.234,50 € jetzt", "1234.5 eur"),
    "euros as the French write": ("payer 1 234,50 € ici", "1234.5 eur"),
    "a code before": ("pay USD 99 now", "99 usd"),
    "yuan": ("共120元整", "120 cny"),
    "won": ("총 5,000원 지불", "5000 krw"),
    "a distance": ("go 42 km on", "42 km"),
    "percent": ("some 15 % of it", "15 %"),
    "one digit with a unit": ("in 3 days or so", "3 day"),
    "hours in German": ("in 3 Stunden", "3 h"),
    "days in Russian": ("через 5 дней", "5 day"),
    "minus": ("at -5 °C outside", "-5 °c"),
    "full-width digits": ("共１２０元整", "120 cny"),
    "Swiss thousands": ("about 1'234'567 in all", "1234567"),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_found_with_their_unit(name):
    text, key = NUMBERS[name]
    assert [fact.key for fact in facts_of([user(text)]) if fact.kind == "number"] == [key]


@pytest.mark.parametrize("text", ["a 5 b 7", "1. this\n2. that\n33. more", "items[3]", "", "12th"])
def test_trivial_numbers_are_no_facts(text):
    assert texts("number", user(text)) == []


GERMAN = (
    "wir haben das Haus, den Garten, die Katze, den Hund, das Auto, den Baum, die Tür, das Dach, "
    "den Zaun, die Wand, das Bett, den Tisch, die Bank, das Buch, den Stift, die Uhr, das Glas, "
    "den Topf, die Pfanne, das Brot, den Käse"
)
NAMES = {
    "people and places": ("I fly with Mia Li to New York", ["Mia Li", "New York"]),
    "with small words": ("ask Ludwig van Beethoven there", ["Ludwig van Beethoven"]),
    "not the start of a sentence": ("Booking is hard. Never mind. Thanks", []),
    "not a heading or a label": ("# Summary\n- Price: low\n**Total Cost**: high", []),
    "with accents": ("meet José Núñez and Zoë", ["José Núñez", "Zoë"]),
    "in Russian": ("я живу в Москве", ["Москве"]),
    "quoted in Chinese": ("我想看「流浪地球」这部电影", ["流浪地球"]),
    "not words that are also written small": ("the Flight was a good flight", []),
    "of German only runs": (f"{GERMAN}; Frau Anna Schmidt", ["Frau Anna Schmidt"]),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_are_found(name):
    text, expected = NAMES[name]
    assert texts("name", user(text)) == expected


CONSTRAINTS = {
    "English": "You must never book before I confirm.",
    "English wish": "I'd like a window seat on the left side.",
    "English, typographic": "Please don’t use my credit card.",
    "English limit": "It should cost no more than $600.",
    "German": "Bitte buche auf keinen Fall ohne Rückfrage.",
    "French": "N'utilise jamais ma carte de crédit.",
    "Spanish": "Nunca uses mi tarjeta de crédito.",
    "Portuguese": "Nunca use o meu cartão de crédito.",
    "Italian": "Vorrei un posto vicino al finestrino.",
    "Russian": "Никогда не используй мою карту.",
    "Chinese": "不要使用我的信用卡。",
    "Japanese": "クレジットカードは使わないでください。",
    "Korean": "제 신용카드는 절대 쓰지 마세요.",
}


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_sentences_that_instruct_are_kept_whole(name):
    sentence = CONSTRAINTS[name]
    after = " " if sentence.isascii() or name not in ("Chinese", "Japanese") else ""
    said = f"- {sentence}{after}{sentence[0]}bc 12 xyz\nOK"
    assert texts("constraint", user(said)) == [sentence]
    [kept] = [fact for fact in facts_of([user(said)]) if fact.kind == "constraint"]
    assert kept.needed


@pytest.mark.parametrize(
    "text",
    [
        "The weather is fine today.",
        "Das Wetter ist heute schön.",
        "今天天气很好。",
        "36:    if not only(x): raise MustError",
        "self.only = self.field.only; return (never)",
        "never",
    ],
)
def test_other_sentences_are_no_constraints(text):
    assert texts("constraint", user(text)) == []


def test_only_those_who_instruct_state_constraints():
    rule = "You must never book before I confirm."
    assert texts("constraint", assistant(rule), result(rule), result({"policy": rule})) == []
    kept = facts_of([{"role": "system", "content": rule}])
    assert [(fact.kind, fact.needed) for fact in kept] == [("constraint", False)]


def test_a_very_long_sentence_is_cut_to_the_clauses_that_instruct():
    said = "one, " * 60 + "never book before noon, " + "two, " * 60
    assert texts("constraint", user(said)) == ["never book before noon,"]


def test_json_is_read_by_its_values():
    found = facts_of(
        [
            call(order_id="RES-8841", ids=["A1B2"]),
            result({"key_id_77": {"city": "Austin", "total": 1234.50, "n": 5, "none": None}}),
        ]
    )
    assert [(fact.kind, fact.text) for fact in found] == [
        ("identifier", "RES-8841"),
        ("identifier", "A1B2"),
        ("name", "Austin"),
        ("number", "1234.5"),
    ]


def test_numbers_of_any_length_and_json_of_any_depth_are_read():
    assert texts("number", result('{"n": ' + "7" * 5_000 + ', "m": 1e999, "x": NaN}')) == []
    facts_of([result("[" * 100_000), result("[" * 900 + '"A1B2"' + "]" * 900)])


def test_all_text_parts_count_and_keys_of_messages_never():
    parts = [
        {"type": "text", "text": "order RES-8841"},
        {"type": "image_url", "image_url": {"url": "https://ex.org/IMG-77.png"}},
        {"type": "text", "text": "and RES-8842"},
    ]
    assert texts("identifier", user(parts)) == ["RES-8841", "RES-8842"]
    assert texts("identifier", call(), result("ok")) == []


def test_what_is_said_twice_or_by_the_user_is_needed():
    found = {
        fact.text: fact
        for fact in facts_of(
            [
                assistant("see RES-1A, RES-2A"),
                user("not RES-3A"),
                result("it is res-2a"),
                result("RES-2A"),
            ]
        )
    }
    assert not found["RES-1A"].needed
    assert found["RES-2A"].needed
    assert (found["RES-2A"].mentions, found["RES-2A"].messages, found["RES-2A"].last) == (3, 3, 3)
    assert found["RES-3A"].needed
    assert found["RES-3A"].by_user


def test_two_ways_to_write_it_are_one_fact():
    said = [
        user("fly on May 20th for $1,234.50"),
        result({"date": "2024-05-20", "price": 1234.5}),
        assistant("2024/05/20, 1234.50"),
    ]
    facts = {fact.kind: fact for fact in facts_of(said)}
    assert (facts["date"].text, facts["date"].mentions) == ("2024-05-20", 3)
    assert (facts["number"].text, facts["number"].mentions) == ("$1,234.50", 3)


KEPT = [
    ("12", "number", "there are 12 of them"),
    ("12", "number", "12."),
    ("1234", "number", "1,234 in all"),
    ("1,234", "number", "1234 in all"),
    ("1234", "number", "1.234 insgesamt"),
    ("$1,234.50", "number", "1.234,50 $"),
    ("$1,234.50", "number", "1234.5"),
    ("15 %", "number", "15% of it"),
    ("42", "number", "42 km"),
    ("ORD-1", "identifier", "(ord-1)"),
    ("ORD-1", "identifier", "“ORD-1”,"),
    ("ORD-1", "identifier", "订单ORD-1已发货"),
    ("#4421", "identifier", "order 4421"),
    ("HATHAT", "identifier", "Hathat"),
    ("a@b.org", "identifier", "A@B.ORG."),
    ("2024-05-15", "date", "on May 15, 2024"),
    ("2024-05-15", "date", "2024年5月15日"),
    ("May 15", "date", "on 2024-05-15"),
    ("05/06/2024", "date", "June 5, 2024"),
    ("15:30", "date", "3:30 p.m."),
    ("/srv/app/main.py", "path", "`/srv/app/main.py`."),
    ("main.py", "path", "in /srv/app/main.py"),
    ("Mia Li", "name", "Mia  Li called"),
    ("Mia", "name", "Mia Li"),
    ("You must never do that.", "constraint", "1) you must NEVER do that; more"),
    ("不要使用我的信用卡。", "constraint", "- 不要使用我的信用卡"),
]
LOST = [
    ("12", "number", "1234"),
    ("12", "number", "112, 12.5 and A12 and 3,012"),
    ("15 %", "number", "15 km"),
    ("-5 °C", "number", "5 °C"),
    ("5 °C", "number", "-5 °C"),
    ("ORD-1", "identifier", "ORD-12 ORD-1-5 XORD-1 ORD-1.2"),
    ("v1.2", "identifier", "v1.2.3"),
    ("HATHAT", "identifier", "HATHATS"),
    ("2024-05-15", "date", "May 15 and 2024-05-16 and May 2024"),
    ("15:30", "date", "3:30"),
    ("/srv/app/main.py", "path", "/srv/app/main.pyc and main.py"),
    ("Mia Li", "name", "mia li, Mia Lind"),
    ("You must never do that.", "constraint", "You must do that."),
]


@pytest.mark.parametrize(("said", "kind", "text"), KEPT)
def test_what_a_text_says_in_other_words_is_not_lost(said, kind, text):
    assert lost([fact(said, kind)], text) == []


@pytest.mark.parametrize(("said", "kind", "text"), LOST)
def test_what_a_text_does_not_say_is_lost(said, kind, text):
    wanted = fact(said, kind)
    assert lost([wanted], text) == [wanted]


PIECES = st.sampled_from(
    [
        "RES-8841", "user_id_12", "$1,234.50", "15 %", "2024-05-15", "May 15", "Mia Li", "not",
        "You must never go.", "/a/b.py", "a@b.org", "https://x.org/a", "\n", "\r", "\u2028", "\x00",
        "{", "[1, 2]", '"', "\\n", "我的", "订单", "。", "5月1日", "#1", "+1 555 123 4567", "1.",
        "T", "é", "💥", "12:30", "e.g.", "ABC", "Abc", ":", "/", "-", "_", ".", ",", "'", "７",
    ]
)  # fmt: skip
ANY_TEXT = st.text() | st.lists(PIECES).map(" ".join) | st.lists(PIECES).map("".join)
ANY_MESSAGES = st.lists(
    st.builds(user, ANY_TEXT)
    | st.builds(assistant, ANY_TEXT)
    | st.builds(result, ANY_TEXT)
    | st.builds(result, st.lists(ANY_TEXT))
    | st.builds(lambda value: call(value=value), ANY_TEXT)
)


@given(ANY_MESSAGES)
def test_every_fact_stands_word_for_word_in_the_messages(messages):
    source = source_of(read(messages))
    for found in facts_of(messages):
        assert found.text in source
        assert found.kind in KINDS
        assert len(found.text.splitlines()) == 1
        assert found.text == found.text.strip()
        assert 1 <= len(found.text) <= 2 * LONGEST


@given(ANY_MESSAGES)
def test_the_same_messages_have_the_same_facts(messages):
    assert facts_of(messages) == facts_of(json.loads(json.dumps(messages)))


@given(ANY_TEXT)
def test_a_text_has_lost_nothing_that_it_says(text):
    assert [found for found in lost(facts_of([user(text)]), text) if found.kind != "name"] == []


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("Alle Tage außer montags gehen.", "constraint", "Alle Tage außer montags gehen."),
        ("Bitte am 3. Mai um zehn kommen.", "constraint", "Bitte am 3. Mai um zehn kommen."),
        (
            "بجانب النافذة. لا تستخدم بطاقتي القديمة أبداً.",
            "constraint",
            "لا تستخدم بطاقتي القديمة أبداً.",
        ),
        ("नमस्ते। रात की उड़ान कभी मत चुनना। हाँ।", "constraint", "रात की उड़ान कभी मत चुनना।"),
        ("Het budget is maximaal 500 euro.", "constraint", "Het budget is maximaal 500 euro."),
        ("3 मार्च 2024 को", "date", "3 मार्च 2024"),
        ("يوم 3 مايو 2024", "date", "3 مايو 2024"),
        ("رقم ٠١٢٣٤٥", "number", "٠١٢٣٤٥"),
        ("予算は5万円です", "number", "5万円"),
    ],
)
def test_other_languages(text: str, kind: str, said: str) -> None:
    facts = facts_of([{"role": "user", "content": text}])

    assert said in [fact.text for fact in facts if fact.kind == kind]


def test_ten_thousand_is_no_million() -> None:
    facts = facts_of([{"role": "user", "content": "予算は5万円です"}])

    assert lost(facts, "5 million yen")
    assert not lost(facts, "5万円")


def test_parts_of_a_hindi_word_do_not_instruct() -> None:
    facts = facts_of([{"role": "user", "content": "ऑर्डर नंबर 889123 है।"}])

    assert [fact.kind for fact in facts] == ["number"]
