"""The linter: silent on ordinary prompts, and every planted breaker is found at its place."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextkit.caching.linter import RULES, Finding, lint
from contextkit.caching.prefix import PrefixStabilizer
from contextkit.errors import InputError
from tests.command_line import run

CLOCK = datetime(2026, 11, 21, 14, 3, 22, tzinfo=UTC)
CORPUS = Path(__file__).parent / "lint_corpus"
PROMPTS = {path.name: path.read_text("utf-8") for path in sorted(CORPUS.glob("*.txt"))}
TOOLS = {path.name: json.loads(path.read_text("utf-8")) for path in sorted(CORPUS.glob("*.json"))}


def found(*renders):
    return [(one.rule, one.place) for one in lint(*renders, clock=CLOCK)]


def request(*messages, tools=()):
    return {"messages": list(messages), "tools": list(tools)}


def system(text):
    return {"role": "system", "content": text}


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


# Silent where nothing breaks a cache


def test_the_corpus_is_large_enough():
    assert len(PROMPTS) >= 30
    assert len(TOOLS) >= 5


@pytest.mark.parametrize("name", [*PROMPTS, *TOOLS])
def test_ordinary_prompts_and_tools_are_clean(name):
    assert lint(PROMPTS.get(name) or TOOLS[name], clock=CLOCK) == ()


@pytest.mark.parametrize("days", [-90, -30, 0, 30, 400, 800])
def test_the_corpus_stays_clean_when_the_day_is_another(days):
    # Its one frozen "current time" is of July 2024: two years before the earliest of these days.
    for text in (*PROMPTS.values(), *TOOLS.values()):
        assert lint(text, clock=CLOCK + timedelta(days=days)) == ()


def test_requests_of_one_conversation_that_only_grow_are_clean():
    talk = [system(PROMPTS["bank_assistant.txt"]), user("Hi"), assistant("Hello."), user("More")]
    growing = [request(*talk[:length], tools=TOOLS["tools_crm.json"]) for length in (2, 4)]
    other = request(talk[0], user("Another one asks."), tools=TOOLS["tools_crm.json"])
    assert lint(*growing, other, growing[1], clock=CLOCK) == ()


# One render

UUID = "3f2b9c11-77aa-4c11-9d2e-1f0a9b8c7d6e"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"

# A line that is planted, what of it is found, and by which rule.
BREAKERS = [
    ("Current date: 2026-11-21", "2026-11-21", "time"),
    ("The current date is 2026/11/03.", "2026/11/03", "time"),
    ("Today is Saturday, November 21, 2026.", "Saturday, November 21, 2026", "time"),
    ("Today is Saturday.", "Saturday", "time"),
    ("It is now 14:03:22.", "14:03:22", "time"),
    ("The current time is 2:03 PM.", "2:03 PM", "time"),
    ("Current date and time: 2026-11-21 14:03", "2026-11-21 14:03", "time"),
    ("<current_time>2026-11-21T14:03:22+00:00</current_time>", "2026-11-21T14:03:22+00:00", "time"),
    ("Session ID:\n3f2b9c11", "3f2b9c11", "id"),
    ("Generated at 2026-11-20T14:03:22.120Z", "2026-11-20T14:03:22.120Z", "time"),
    ("Date: Sat, 21 Nov 2026 14:03:22 +0000", "Sat, 21 Nov 2026 14:03:22 +0000", "time"),
    ("Server clock: Sat Nov 21 14:03:22 2026", "Sat Nov 21 14:03:22 2026", "time"),
    ("You are speaking on 21 November 2026.", "21 November 2026", "time"),
    ("Report of 11/21/2026", "11/21/2026", "time"),
    ("Stand: 21.11.2026, 15 Uhr", "21.11.2026", "time"),
    ("Heute ist der 3. November 2026.", "3. November 2026", "time"),
    ("Nous sommes le samedi 21 novembre 2026.", "samedi 21 novembre 2026", "time"),
    ("今天是2026年11月21日。", "2026年11月21日", "time"),
    ("现在是14:03。", "14:03", "time"),
    ("It is week 2026-W47.", "2026-W47", "time"),
    ("timestamp: 1795269802", "1795269802", "time"),
    ("now=1795269802123", "1795269802123", "time"),
    ("[1795269750] boot", "1795269750", "time"),
    ("It is November 2026.", "November 2026", "time"),
    ("build 20261121-140322", "20261121-140322", "time"),
    ("Report of 21-Nov-2026", "21-Nov-2026", "time"),
    ("Sat 21 Nov 14:03:22 CET 2026", "Sat 21 Nov 14:03:22 CET 2026", "time"),
    ("Local time: 14:03", "14:03", "time"),
    ("Es ist jetzt 14.03 Uhr.", "14.03 Uhr", "time"),
    ("Il est 14h03.", "14h03", "time"),
    ("現在時刻は14時3分です。", "14時3分", "time"),
    ("Сегодня 21 ноября 2026 года.", "21 ноября 2026", "time"),
    ("Bugün 21 KASIM 2026.", "21 KASIM 2026", "time"),
    ("Last updated: 3 minutes ago", "3 minutes ago", "time"),
    ("Customer ID: C-9918273", "C-9918273", "id"),
    (f"Session ID: {UUID}", UUID, "id"),
    (f"Conversation {UUID} has begun.", UUID, "id"),
    (UUID, UUID, "id"),
    ("request_id=req_8f3a9b2c", "req_8f3a9b2c", "id"),
    ("session: 8812-77af-01", "8812-77af-01", "id"),
    ("This is conversation 42 with user u_8812ab7c.", "u_8812ab7c", "id"),
    ("User id is 9918273.", "9918273", "id"),
    ("<session_id>abc123</session_id>", "abc123", "id"),
    ('{"traceId": "4bf92f3577b34da6a3ce929d0e0e4736"}', "4bf92f3577b34da6a3ce929d0e0e4736", "id"),
    (
        "Key of this render: 9c1185a5c5e9fc54612808977ee8f548",
        "9c1185a5c5e9fc54612808977ee8f548",
        "id",
    ),
    (f"Authorization: Bearer {JWT}", JWT[:60], "id"),
    ("This chat: thread_7fK29xQpL1", "thread_7fK29xQpL1", "id"),
    ("ref 01KAK2S9GC8N4Z0V7Q5RXT6MWB", "01KAK2S9GC8N4Z0V7Q5RXT6MWB", "id"),
    ("Current date: {current_date}", "{current_date}", "placeholder"),
    ("It is {{ now() }} in Berlin.", "{{ now() }}", "placeholder"),
    ("Today is ${date}.", "${date}", "placeholder"),
    ("Rendered at {datetime.now():%H:%M}", "{datetime.now():%H:%M}", "placeholder"),
    ("Session {{session_id}}", "{{session_id}}", "placeholder"),
    ("Session {{ session.id }}", "{{ session.id }}", "placeholder"),
    ("You talk to {user_id}.", "{user_id}", "placeholder"),
    ("It is [CURRENT_DATE].", "[CURRENT_DATE]", "placeholder"),
    ("It is [[current_time]].", "[[current_time]]", "placeholder"),
    (
        "Previous conversation summary: the user asked for a refund.",
        "Previous conversation summary:",
        "summary",
    ),
    (
        "Here is a summary of our earlier conversation:\nThe user wants tea.",
        "Here is a summary of our earlier conversation:",
        "summary",
    ),
    (
        "Use the following pieces of retrieved context to answer:\nWe ship in 3 days.",
        "Use the following pieces of retrieved context to answer:",
        "passages",
    ),
    (
        "Summary of the conversation so far: the user asked for a refund of order 7.",
        "Summary of the conversation so far:",
        "summary",
    ),
    (
        "<conversation_summary>The user wants a window seat.</conversation_summary>",
        "<conversation_summary>",
        "summary",
    ),
    ("Relevant memories:\n- likes tea\n- lives in Bern", "Relevant memories:", "passages"),
    ("## Retrieved documents:\n[1] Opening a window", "Retrieved documents:", "passages"),
    ("<search_results>1. A tale of two ports</search_results>", "<search_results>", "passages"),
    ("<context>\nsource: faq.md score=0.83\nWe ship.\n</context>", "<context>", "passages"),
]


@pytest.mark.parametrize(("line", "text", "rule"), BREAKERS)
def test_a_planted_breaker_is_found_at_its_place(line, text, rule):
    row = line.count("\n", 0, line.index(text)) + 1
    column = line.index(text) - line.rfind("\n", 0, line.index(text))
    for name, prompt in PROMPTS.items():
        (one,) = lint(f"{line}\n\n{prompt}", clock=CLOCK)
        assert (one.rule, one.place) == (
            f"{rule}-in-prefix",
            f"system, line {row}, character {column}",
        ), name
        assert one.text.strip("'…") == text
        assert one.why
        assert one.advice


@pytest.mark.parametrize(("line", "text", "rule"), BREAKERS)
def test_a_planted_breaker_is_found_behind_an_ordinary_prompt_too(line, text, rule):
    # Not behind examples that nothing ends: there it would be one of them.
    for name in ("support_shop.txt", "agent_memory_rules.txt", "kefu_zh.txt", "tutor_math.txt"):
        (one,) = lint(f"{PROMPTS[name]}\n{line}\n", clock=CLOCK)
        assert one.rule == f"{rule}-in-prefix"


@pytest.mark.parametrize(
    ("line", "text", "rule"),
    [row for row in BREAKERS if row[2] not in ("summary", "passages")],  # they are of the system
)
def test_a_planted_breaker_is_found_in_the_description_of_a_tool(line, text, rule):
    tools = copy.deepcopy(TOOLS["tools_finance.json"])
    tools[1]["function"]["parameters"]["properties"]["year"]["description"] = line
    (one,) = lint(tools, clock=CLOCK)
    assert one.place.startswith("tools[1] report.parameters.properties.year.description, line ")
    assert one.rule == f"{rule}-in-prefix"


CLEAN = [
    "The current time is 2024-05-15 15:00:00 EST.",  # of a simulation: no clock says so
    "Current date: 2024-05-15\nCurrent time: 15:00",
    "If today is Monday, say so.",
    "Reply in this form:\nSummary of the conversation:\n<two sentences>",
    "<context>\n{documents}\n</context>",
    "<context>\nWe are a bakery.\n</context>",
    "<memories></memories>",
    "Get it with GET /sessions/{session_id}/messages.",
    "Log lines have the format {timestamp} {level} {text}.",
    "Write 'Your table on {date} at {time}'.",
    "The session id looks like 3f2b9c11.",
    "Trace ids are UUIDs such as 3f2b9c11-77aa-4c11-9d2e-1f0a9b8c7d6e.",
    "Nil is 00000000-0000-0000-0000-000000000000.",
    "Version 1 UUIDs: f81d4fae-7dec-11d0-a765-00a0c91e6bf6",  # of 1997
    'When the caller says "today is Monday", ask for the date.',
    "SELECT ended FROM sessions WHERE session_id = 's_7741ab20'",
    "## Examples\nThe session id: 8812af, on 2026-11-21\n## Rules",
    "<example>\nSession id: 8812af, on 2026-11-21\n</example>",
    "```\nsession_id=8812af on 2026-11-21\n```",
    "Example:\nSession id: 8812af",
    "Q: session id: 8812af\nA: closed\nQ: session id: 9912af\nA: open",
    "Log lines: 2024-02-17T03:12:09Z request_id=9f1c2e77",
    "Say hello in the first message\n2024-11-22: first edition",
    "See https://images.example/3f2b9c11-77aa-4c11-9d2e-1f0a9b8c7d6e.png.",
    "Project: 3f2b9c11-77aa-4c11-9d2e-1f0a9b8c7d6e",
    "Terms of business, effective 2026-11-21.",
    "Call number 1-800-555-0142.",
    "The default of `date` is 'today'.",
    "A message may hold 1000000 characters.",
    "Never say that it is 12:00.",
    "The key of the shop, computed from its name, is 3f2b9c11-77aa-8c11-9d2e-1f0a9b8c7d6e",
    "If it was last updated 3 minutes ago, wait.",
    "# Prompt v3.2 (2026-11-21)",
    "Model card: released 2026-11-21.",
    "Relevant memories: will be given by the user.",
    "## Search results:\nCite them as [1], [2].",
    "Summary of the conversation: write one at the end.",
    "Of 21 augu\u017ft 2026, \u017feptember and 01\u212aAK2S9GC8N4Z0V7Q5RXT6MW.",  # s and K, to re
]


@pytest.mark.parametrize("text", CLEAN)
def test_what_only_looks_like_a_breaker_is_not_found(text):
    assert lint(text, clock=CLOCK) == ()


def test_the_clock_decides_what_is_the_present():
    text = "Report of 2026-11-21."
    assert len(lint(text, clock=CLOCK + timedelta(hours=30))) == 1
    assert lint(text, clock=CLOCK + timedelta(days=3)) == ()
    said = "Current date: 2026-11-21."
    assert len(lint(said, clock=CLOCK + timedelta(days=700))) == 1
    assert lint(said, clock=CLOCK + timedelta(days=800)) == ()
    assert lint(text, clock=CLOCK.replace(tzinfo=None)) == lint(text, clock=CLOCK)
    today = datetime.now(UTC).date().isoformat()
    assert len(lint(f"Report of {today}.")) == 1


def test_an_example_ends_where_it_ends():
    for example in (
        "## Examples\nQ: a\n## Now",
        "<example>\na\n</example>",
        "```\na\n```",
        "Example:\na\n",
    ):
        (one,) = lint(f"{example}\nSession id: 8812af", clock=CLOCK)
        assert one.rule == "id-in-prefix"
    (one,) = lint("Example:\nCurrent date: 2026-11-21", clock=CLOCK)  # nobody's example
    assert one.rule == "time-in-prefix"


def test_a_value_that_stands_twice_is_said_once():
    assert len(lint("Current date: 2026-11-21.\nAgain: 2026-11-21.", clock=CLOCK)) == 1


def test_the_history_is_no_part_of_what_one_render_is_checked_for():
    volatile = "It is now 14:03:22, session id 8812af."
    assert found(request(system("Be terse."), user(volatile), assistant(volatile))) == []


def test_a_system_prompt_beside_the_messages_is_one():
    for prompt in "It is now 14:03.", [{"type": "text", "text": "It is now 14:03."}]:
        assert found({"system": prompt, "messages": [user("Hi")]}) == [
            ("time-in-prefix", "system, line 1, character 11")
        ]


def test_places_of_several_system_messages_and_parts():
    parts = [{"type": "text", "text": "Be terse."}, {"type": "text", "text": "It is now 14:03."}]
    assert found(request(system(parts))) == [
        ("time-in-prefix", "system, part 1, line 1, character 11")
    ]
    assert found(
        [system("Be terse."), {"role": "developer", "content": "a\nIt is now 14:03."}]
    ) == [("time-in-prefix", "messages[1] (system), line 2, character 11")]


def test_a_stabilizer_knows_its_findings():
    tools = [{"type": "function", "function": {"name": "f", "description": "It is now 14:03."}}]
    made = PrefixStabilizer(system="Today is Saturday.", tools=tools)
    assert [one.place for one in made.findings] == [
        "tools[0] f.description, line 1, character 11",
        "system, line 1, character 10",
    ]
    assert PrefixStabilizer(system="Be terse.").findings == ()
    assert PrefixStabilizer().findings == ()
    assert found(made, PrefixStabilizer(system="Today is Sunday.", tools=tools))[0] == (
        "system-changed",
        "system, line 1, character 11",
    )


def test_a_finding_reads_well_and_is_data():
    (one,) = lint("Today is Saturday.", clock=CLOCK)
    assert str(one) == (
        "system, line 1, character 10: 'Saturday' (time-in-prefix): the present date or time: with "
        "it everything behind it changes, and is read anew. Put it behind the newest user message: "
        "contextkit.Volatile does."
    )
    assert Finding(**json.loads(json.dumps(one.to_json()))) == one
    with pytest.raises(AttributeError):
        one.rule = "other"


# Several renders


@given(st.sampled_from(sorted(PROMPTS)), st.data())
def test_any_changed_character_is_found_where_it_is(name, data):
    text = PROMPTS[name]
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters(exclude_characters=text[at], exclude_categories=["Cs"]))
    changed = text[:at] + letter + text[at + 1 :]
    line, character = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    # What it changed may be where an example ends, so that more is found by the other rules.
    (one,) = (one for one in lint(text, changed, clock=CLOCK) if one.rule == "system-changed")
    assert one.place == f"system, line {line}, character {character}"
    assert one.render == 1
    assert one.text.isprintable()
    in_request = [request(system(each), user("Hi")) for each in (text, changed)]
    assert ("system-changed", one.place) in found(*in_request)


def test_each_changed_line_is_found_and_is_said_once():
    before = "Be terse.\nIt is 12:01.\nYou have 3 mails.\nUser: Ann"
    now = "Be terse.\nIt is 12:02.\nYou have 4 mails.\nUser: Ben"
    findings = lint(before, now, before, now, clock=CLOCK)
    assert [one.place for one in findings] == [
        "system, line 2, character 11",
        "system, line 3, character 10",
        "system, line 4, character 7",
    ]
    assert findings[0].text == "'It is 12:01.' became 'It is 12:02.'"
    assert findings[0].why == "is a timestamp in the prompt?, 3 times"
    assert "counter" in findings[1].why


def test_a_system_message_that_came_or_went():
    one, two = request(system("a"), user("x")), request(system("a"), system("b"), user("x"))
    assert found(one, two) == [("system-changed", "messages[1] (system)")]
    assert found(two, one) == [("system-changed", "messages[1] (system)")]
    assert found(request(user("x")), one) == [("system-changed", "messages[0] (system)")]
    named = request({**system("a"), "name": "n"}, user("x"))
    assert found(one, named) == [("system-changed", "messages[0] (system)")]


def test_moved_tools():
    tools = TOOLS["tools_calendar.json"]
    a, b, c = tools
    turned = copy.deepcopy(b)
    turned["function"]["parameters"]["properties"] = dict(
        reversed(b["function"]["parameters"]["properties"].items())
    )
    described = copy.deepcopy(b)
    described["function"]["description"] += " It is 12:01."
    cases = [
        ([a, b], [b, a], ("tools-reordered", "tools[0] list_events")),
        ([a, b], [a, b, c], ("tool-added", "tools[2] get_current_time")),
        ([a, b], [a], ("tool-removed", "tools list_events")),
        ([a, b], [a, turned], ("properties-reordered", "tools[1] list_events")),
        ([a, b], [a, described], ("tool-changed", "tools[1] list_events")),
    ]
    for before, now, expected in cases:
        for form in (list, lambda some: request(user("x"), tools=some)):
            rules = found(form(before), form(now))
            assert rules[0] == expected
            assert len([rule for rule, _ in rules if not rule.endswith("-in-prefix")]) == 1
    assert found(PrefixStabilizer(None, [a, b]), PrefixStabilizer(None, [b, a])) == []
    assert found([a, b], [{**a, "cache_control": {"type": "ephemeral"}}, b]) == []


def test_tools_that_flap_are_one_finding():
    a, b, _ = TOOLS["tools_calendar.json"]
    (one,) = lint([a, b], [b, a], [a, b], [b, a], clock=CLOCK)
    assert one.why == "the order of the tools, 3 times"


def test_a_late_tool_is_found_where_the_first_request_had_none():
    (one,) = lint(
        {"messages": [user("x")]},
        request(user("x"), tools=TOOLS["tools_travel.json"]),
        clock=CLOCK,
    )
    assert (one.rule, one.text, one.render) == ("tool-added", "search_trains, book_train", 1)


def test_a_prompt_and_its_tools_in_two_files_are_no_difference():
    tools = TOOLS["tools_coding.json"]
    prompt = PROMPTS["coding_agent.txt"]
    assert found(prompt, tools, request(system(prompt), user("x"))) == []
    assert found(prompt, [tools[0]], request(system(prompt), tools=tools))[0][0] == "tool-added"
    assert found("It is now 12:01.", tools) == [("time-in-prefix", "system, line 1, character 11")]


# Histories


def turns(count):
    for number in range(count):
        yield user(
            f"Question {number}: where is the parcel that I sent on that day, number {number}?"
        )
        yield assistant(f"Answer {number}: parcel {number} is on its way and will arrive by noon.")


def sent(window, count=12):
    talk = list(turns(count))
    for end in range(1, len(talk), 2):
        yield request(system("Be terse."), *talk[:end][-window:])


def test_a_sliding_window_is_one_finding():
    (one,) = lint(*sent(7), clock=CLOCK)
    assert (one.rule, one.place) == ("slides-every-turn", "messages[1] (user)")
    assert one.why == "the first message went in 8 of 11 requests"
    assert one.render == 4


def test_a_window_that_slides_once_a_turn_in_a_tool_loop_is_found():
    talk, requests = [], []
    for number in range(8):
        talk.append(user(f"Question {number}: where is the parcel with the number {number}?"))
        start = max(0, len(talk) - 9)
        for step in range(3):  # three requests in one turn
            requests.append(request(system("Be terse."), *talk[start:]))
            talk.append(
                assistant(f"Step {step} of answer {number}: I look at the list of parcels.")
            )
    (one,) = lint(*requests, clock=CLOCK)
    assert one.rule == "slides-every-turn"


def test_a_history_that_is_rewritten_in_most_requests_is_one_finding():
    talk = [user("Start, please, with all the files there are.")]
    requests = []
    for number in range(8):
        requests.append(request(system("Be terse."), *talk))
        talk += [assistant(f"I read file {number} now, as you wanted me to."), user("file " * 40)]
        if number > 1:
            talk[2 * number - 2] = user("[cleared]")
    (one,) = lint(*requests, clock=CLOCK)
    assert one.rule == "history-changed"
    assert one.why == "content rewritten, and in 4 of 6 later requests"


def test_a_planned_cut_now_and_then_is_no_finding():
    talk = list(turns(16))
    requests = [request(system("Be terse."), *talk[:end]) for end in range(1, 16, 2)]
    requests += [request(system("Be terse."), *talk[10:end]) for end in range(17, 32, 2)]
    assert lint(*requests, clock=CLOCK) == ()
    (one,) = lint(*requests[7:9], clock=CLOCK)
    assert one.rule == "history-changed"
    assert "history was cut" in one.why


def test_two_small_cuts_in_a_row_are_no_window_yet_and_three_are():
    talk = list(turns(16))
    for cuts, rules in (2, []), (3, ["slides-every-turn"]):
        requests = [
            request(system("Be terse."), *talk[2 * max(0, min(cuts, turn - 8)) : 2 * turn + 1])
            for turn in range(16)
        ]
        assert [one.rule for one in lint(*requests, clock=CLOCK)] == rules


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda text: text.replace(" ", "  "), "whitespace"),
        (lambda text: text.replace("é", "e\u0301"), "Unicode form"),
        (lambda text: f"[14:03] {text}", "content rewritten"),
    ],
)
def test_a_message_that_was_sent_otherwise_before(change, cause):
    talk = [user("One café, please, and the bill with it."), *turns(6)]
    before = request(system("Be terse."), *talk[:9])
    talk[0] = user(change(talk[0]["content"]))
    (one,) = lint(before, request(system("Be terse."), *talk[:11]), clock=CLOCK)
    assert (one.rule, one.place) == ("history-changed", "messages[1] (user)")
    assert cause in one.why


def test_other_conversations_edits_and_regenerated_replies_are_no_findings():
    one, other = list(turns(4)), [user("Hi"), assistant("Hello."), user("Bye, and thanks.")]
    log = [
        request(system("Be terse."), *one[:3]),
        request(system("Be terse."), *other),
        request(system("Be terse."), *one[:5]),
        request(system("Be terse."), user("Hi"), assistant("Hello!"), user("Bye, and thanks.")),
        request(system("Be terse."), *one[:4], user("Edited: where is it?")),
        request(system("Be terse."), *one[:1]),
    ]
    assert lint(*log, clock=CLOCK) == ()


# Hostile input


@pytest.mark.parametrize(
    "text",
    ["1", "a", "{", "\n", " ", "_", "12:", "2026-", "session id: ", "<context>", "ab1-", "{{ now ",
     "eyJa.eyJ", "Mon, ", "effective ", "a: b\n", "2026-11-21 ", "# Example\n", "e.g. ", UUID + " ",
     "It is now ", "Summary of the conversation: "],
)  # fmt: skip
def test_a_large_prompt_of_anything_comes_to_an_end(text):
    assert len(lint(text * (400_000 // len(text)), clock=CLOCK)) <= 1


def test_what_cannot_be_encoded_or_would_act_on_a_terminal_is_escaped():
    (one,) = lint("Today is \x1b[2J\ud800", "Today is \x1b[2J\ud801", clock=CLOCK)
    assert one.text.isprintable()
    json.dumps(one.to_json()).encode()


@pytest.mark.parametrize(
    ("bad", "place"),
    [
        (7, "renders[1]"),
        (None, "renders[1]"),
        ([], "renders[1]"),
        (["x"], "renders[1]"),
        ({"a": 1}, "renders[1]"),
        ({"messages": "x"}, "renders[1]"),
        ({"messages": [1]}, "renders[1]"),
        ({"messages": [{"content": "x"}]}, "renders[1]"),
        (request(user(float("nan"))), "renders[1]"),
        ({"messages": [], "tools": [{"name": {1}}]}, "renders[1]"),
        ({"messages": [], "tools": "x"}, "renders[1]"),
    ],
)
def test_what_is_no_render_is_refused_with_its_number(bad, place):
    with pytest.raises(InputError) as caught:
        lint("Be terse.", bad, clock=CLOCK)
    assert caught.value.place == place


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
some_messages = st.builds(
    lambda role, content: {"role": role, "content": content},
    st.sampled_from(["system", "user", "assistant", "tool"]),
    st.text(max_size=30) | json_values,
)
some_requests = st.builds(
    lambda talk, tools: {"messages": talk, "tools": tools},
    st.lists(some_messages, max_size=5),
    st.lists(st.dictionaries(st.sampled_from(["type", "function"]), json_values), max_size=2),
)


@given(st.lists(some_requests, max_size=4))
def test_whatever_is_json_is_linted(renders):
    for one in lint(*renders, clock=CLOCK):
        assert one.rule in RULES
        assert str(one).isprintable()
        assert 0 <= one.render < len(renders)


def test_numbers_that_python_calls_equal_are_no_reordered_properties():
    def tool(default):
        schema = {"type": "object", "properties": {"a": {"default": default}}}
        return [{"type": "function", "function": {"name": "f", "parameters": schema}}]

    for value, other in (1, 1.0), (True, 1):
        (one,) = lint(tool(value), tool(other), clock=CLOCK)
        assert one.rule == "tool-changed"
        assert "order" not in one.why


def test_a_system_message_more_is_shown():
    (one,) = lint([system("a")], [system("a"), system("b")], clock=CLOCK)
    assert one.text.startswith("nothing became")
    assert '"b"' in one.text
    assert one.why == "1 system messages became 2"


def talk(turns, send):
    """The requests of one conversation, each made by `send` of the whole list."""
    requests, held = [], []
    for turn in range(turns):
        held.append(user(f"Question number {turn}: what about the order?"))
        requests.append([system("You are terse."), *send([dict(one) for one in held])])
        held.append(assistant(f"Answer {turn}."))
    return requests


def with_passage(held):
    held[-1]["content"] += f"\n\nFound: passage for {held[-1]['content'][:18]}"
    return held


def with_clock(held):
    held[-1]["content"] = f"[12:{len(held):02}] {held[-1]['content']}"
    return held


@pytest.mark.parametrize("send", [with_passage, with_clock])
def test_what_only_the_newest_message_has_is_found(send):
    (one,) = lint(*talk(6, send), clock=CLOCK)
    assert (one.rule, one.place) == ("history-changed", "messages[3] (user)")
    assert "3 of 3 later" in one.why


@pytest.mark.parametrize("kept", [3, 5, 9])
def test_a_window_of_a_few_short_messages_slides(kept):
    (one,) = lint(*talk(12, lambda held: held[-kept:]), clock=CLOCK)
    assert one.rule == "slides-every-turn"


def test_an_edited_question_is_not_a_changed_history():
    asked = [system("You are terse."), user("Hello"), assistant("Hi."), user("What is it?")]
    edited = [*asked[:-1], user("What is it in Rome?")]
    went_on = [*edited, assistant("The Colosseum."), user("And more?")]
    assert lint(asked, edited, went_on, clock=CLOCK) == ()


def test_requests_within_a_log_line_and_in_an_array(tmp_path):
    requests = [{"messages": one} for one in talk(9, lambda held: held[-5:])]
    for name, data in (
        ("array.json", requests),
        ("batch.json", [{"custom_id": "1", "body": one} for one in requests]),
        ("log.json", [{"at": 1, "request": one} for one in requests]),
    ):
        path = tmp_path / name
        path.write_text(json.dumps(data))
        ran = run("lint", str(path), "--json", folder=tmp_path)
        assert ran.returncode == 7
        (found,) = json.loads(ran.stdout)["findings"]
        assert found["rule"] == "slides-every-turn"
        assert run("lint", str(path), "--ignore=slides-every-turn", folder=tmp_path).returncode == 0
    assert run("lint", str(path), "--ignore=slides", folder=tmp_path).returncode == 1
    with pytest.raises(InputError, match=r"lint\(\*requests\)"):
        lint(requests)
