"""What providers say of their caches: a test for each rule, with its source, by the profiles."""

from dataclasses import replace

import pytest

from contextkit.caching.blocks import Block, Sent, token_blocks
from contextkit.caching.costs import cost_of
from contextkit.caching.simulator import Simulator
from contextkit.errors import InputError
from contextkit.profiles import profile_for

QWEN = "https://www.alibabacloud.com/help/en/model-studio/context-cache"
QWEN_PRACTICE = (
    "https://docs.qwencloud.com/developer-guides/accuracy-tuning/explicit-cache-best-practice"
)
QWEN4 = "https://www.alibabacloud.com/help/en/model-studio/explicit-cache-qwen4"
OPENAI = "https://developers.openai.com/api/docs/guides/prompt-caching"
OPENAI_SDK = "https://github.com/openai/openai-python/tree/v3.54.0/"
ANTHROPIC = "https://platform.claude.com/docs/en/build-with-claude/prompt-caching"
DEEPSEEK = "https://api-docs.deepseek.com/guides/kv_cache/"
GEMINI = "https://ai.google.dev/gemini-api/docs/caching"
VLLM = "https://docs.vllm.ai/en/latest/design/prefix_caching.html"
SGLANG = "https://docs.sglang.ai/advanced_features/hicache.html"
LLAMA = "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md"


def source(*addresses):
    """Where the rule stands that a test holds the simulator to; seen in the name of the test."""
    return pytest.mark.parametrize("source", [" ".join(addresses)])


def simulator(model, mode=None, **more):
    return Simulator(profile_for(model).cache(mode), **more)


def block(key, tokens=100, role="user", point=False, lifetime=""):
    return Block(key, tokens, role, point=point, lifetime=lifetime)


def system(tokens=2_000, **more):
    return block("system", tokens, "system", **more)


def mark(marked, lifetime=""):
    return replace(marked, point=True, lifetime=lifetime)


def send(cache, *blocks, at=0.0, begun=0.0, ended=0.0, reply=()):
    """Tokens read and tokens written."""
    usage = cache.send(Sent(blocks, at, begun, ended, reply))
    return usage.cache_read_tokens, usage.cache_write_tokens


def turns(count, tokens=100):
    """User and assistant in turn, a block each."""
    return [block(n, tokens, ("user", "assistant")[n % 2]) for n in range(count)]


# Qwen


@source(QWEN_PRACTICE, QWEN)
def test_qwen_each_turn_reads_the_last_one_and_writes_only_what_is_new(source):
    cache = simulator("qwen-plus", "explicit")
    history = [system(1_500)]
    seen = []
    for turn in range(4):
        history.append(block(f"q{turn}", 100))
        seen.append(send(cache, *history[:-1], mark(history[-1]), at=10 * turn))
        history.append(block(f"a{turn}", 50, "assistant"))

    assert seen == [(0, 1_600), (1_600, 150), (1_750, 150), (1_900, 150)]


@source(QWEN)
def test_qwen_of_more_than_four_markers_the_last_four_count(source):
    cache = simulator("qwen-plus", "explicit")
    first, *rest = [block(n, 1_200, point=True) for n in range(5)]

    assert send(cache, first, *rest) == (0, 6_000)
    assert send(cache, mark(first), at=10) == (0, 1_200)  # nothing was written at the first
    assert send(cache, first, mark(rest[0]), at=20) == (2_400, 0)


@source(QWEN)
@pytest.mark.parametrize(("added", "read"), [(1, 1_500), (19, 1_500), (20, 0), (40, 0)])
def test_qwen_searches_20_content_blocks_from_a_marker_backwards(source, added, read):
    cache = simulator("qwen-plus", "explicit")
    send(cache, system(1_500, point=True))
    *more, last = turns(added)

    assert send(cache, system(1_500), *more, mark(last), at=10)[0] == read


@source(QWEN_PRACTICE)
def test_qwen_each_of_many_tool_results_is_a_block_of_its_own(source):
    cache = simulator("qwen-plus", "explicit")
    send(cache, mark(system()))
    results = [block(n, 50, "tool") for n in range(40)]

    assert send(cache, system(), *results[:18], mark(results[18]), at=10)[0] == 2_000
    assert send(cache, system(), *results[:38], mark(results[38]), at=20)[0] == 0


@source(QWEN)
def test_qwen_a_hit_starts_the_five_minutes_again(source):
    cache = simulator("qwen-plus", "explicit")
    times = [0, 290, 580, 870, 1_180]

    read = [send(cache, mark(system()), at=at, begun=0, ended=0)[0] for at in times]

    assert read == [0, 2_000, 2_000, 2_000, 0]


@source(QWEN)
def test_qwen_an_entry_exists_only_once_the_response_has_ended(source):
    cache = simulator("qwen-plus", "explicit")

    assert send(cache, mark(system()), at=0, begun=1, ended=30) == (0, 2_000)
    assert send(cache, mark(system()), at=20, ended=30) == (0, 2_000)
    assert send(cache, mark(system()), at=31) == (2_000, 0)


@source(QWEN)
@pytest.mark.parametrize(("tokens", "written"), [(1_023, 0), (1_024, 1_024)])
def test_qwen_explicit_needs_1024_tokens(source, tokens, written):
    cache = simulator("qwen-plus", "explicit")

    assert send(cache, mark(system(tokens))) == (0, written)
    assert send(cache, mark(system(tokens)), at=10) == (written, 0)


@source(QWEN)
def test_qwen_a_marker_on_a_tool_is_ignored_and_one_in_the_messages_caches_the_tools(source):
    cache = simulator("qwen-plus", "explicit")
    tools = block("tools", 3_000, "tools", point=True)

    assert send(cache, tools, system(500)) == (0, 0)
    assert send(cache, tools, mark(system(500)), at=10) == (0, 3_500)
    assert send(cache, tools, mark(system(500)), at=20) == (3_500, 0)
    assert send(cache, mark(block("tools, others", 3_000, "tools")), at=30) == (0, 0)


@source(QWEN)
def test_qwen_the_longest_prefix_is_the_hit(source):
    cache = simulator("qwen-plus", "explicit")
    question = block("q", 300)
    send(cache, mark(system()), mark(question))

    assert send(cache, mark(system()), mark(question), block("more"), at=10) == (2_300, 0)
    assert send(cache, mark(system()), mark(block("other", 300)), at=20) == (2_000, 300)


@source(QWEN, QWEN_PRACTICE)
def test_qwen_a_single_hit_repays_what_writing_cost_more(source):
    profile = profile_for("qwen-plus")
    cache = simulator("qwen-plus", "explicit")
    costs = []
    for at in (0, 10):
        usage = cache.send(Sent((mark(system()),), at))
        costs.append(cost_of(usage, profile, profile.cache("explicit")).input)

    assert costs == [2_500, 200]
    assert sum(costs) < 2 * 2_000


@source("https://github.com/NousResearch/hermes-agent/issues/24702")
def test_qwen_a_marker_that_asks_for_an_hour_is_dropped_in_silence(source):
    cache = simulator("qwen-plus", "explicit")

    assert send(cache, mark(system(), "1h")) == (0, 0)
    assert send(cache, mark(system(), "5m"), at=10) == (0, 2_000)


@source(QWEN)
@pytest.mark.parametrize(
    ("common", "read"), [(1_023, 0), (1_151, 1_024), (1_152, 1_152), (2_100, 2_048)]
)
def test_qwen_implicit_reads_the_common_prefix_from_1024_tokens_on(source, common, read):
    cache = simulator("qwen-plus")
    send(cache, system(common), block("one", 500))

    assert send(cache, system(common), block("other", 500), at=10) == (read, None)


@source(QWEN4)
def test_qwen4_a_hit_renews_for_as_long_as_the_present_request_asks(source):
    cache = simulator("qwen4-max", "explicit")
    send(cache, mark(system()))

    assert send(cache, mark(system(), "1h"), at=200) == (2_000, 0)
    assert send(cache, mark(system(), "5m"), at=3_000) == (2_000, 0)
    assert send(cache, mark(system()), at=3_400) == (0, 2_000)


@source(QWEN4)
def test_qwen4_what_was_not_yet_cached_is_written_with_the_lifetime_that_its_marker_names(source):
    cache = simulator("qwen4-max", "explicit")
    usage = cache.send(Sent((mark(system(), "1h"), mark(block("q", 300)))))

    assert usage.cache_writes == {"1h": 2_000, "5m": 300}


@source(QWEN)
def test_qwen_a_session_writes_every_input_and_reads_the_one_before(source):
    cache = simulator("qwen-plus", "session")
    history = [system(), block("q1", 100)]

    assert send(cache, *history) == (0, 2_100)
    history += [block("a1", 50, "assistant"), block("q2", 100)]
    assert send(cache, *history, at=10) == (2_100, 150)


# OpenAI since GPT-5.6


@source(OPENAI)
def test_openai_a_static_system_prompt_with_varying_questions_needs_a_marker(source):
    plain, marked = simulator("gpt-5.6"), simulator("gpt-5.6")
    seen = [
        (
            send(plain, system(3_000), block(n, 200), at=10 * n),
            send(marked, mark(system(3_000)), block(n, 200), at=10 * n),
        )
        for n in range(3)
    ]

    assert [one for one, _ in seen] == [(0, 3_200)] * 3
    assert [two for _, two in seen] == [(0, 3_200), (3_000, 200), (3_000, 200)]


@source(OPENAI)
def test_openai_explicit_mode_without_a_marker_caches_nothing(source):
    cache = simulator("gpt-5.6", "explicit")

    assert send(cache, system(), block("q")) == (0, 0)
    assert send(cache, system(), block("q"), at=10) == (0, 0)


@source(OPENAI)
def test_openai_a_growing_conversation_is_read_to_the_end_of_the_message_before(source):
    cache = simulator("gpt-5.6")
    history = [system(), block("q1", 111)]

    assert send(cache, *history) == (0, 2_111)
    history += [block("a1", 50, "assistant"), block("q2", 77)]
    assert send(cache, *history, at=10) == (2_111, 127)  # exact, in no blocks of 128


@source(OPENAI)
def test_openai_the_point_stands_behind_the_last_of_several_tool_results(source):
    cache = simulator("gpt-5.6")
    results = [block(f"r{n}", 100, "tool") for n in range(3)]

    assert send(cache, system(), block("q"), block("calls", 50, "assistant"), *results) == (
        0,
        2_450,
    )
    assert send(cache, system(), block("q"), block("calls", 50, "assistant"), results[0]) == (
        0,
        2_250,
    )


@source(OPENAI)
def test_openai_a_developer_block_alone_is_written_and_found_by_every_conversation(source):
    cache = simulator("gpt-5.6")
    developer = block("developer", 2_000, "developer")

    assert send(cache, developer) == (0, 2_000)
    assert send(cache, developer, *turns(51), at=10)[0] == 2_000


@source(OPENAI)
def test_openai_instructions_in_the_middle_get_no_point_by_themselves(source):
    cache = simulator("gpt-5.6")
    late = block("late", 100, "developer")

    assert send(cache, system(), block("q"), late) == (0, 2_100)
    assert send(cache, system(), block("q"), late, block("q2"), at=10) == (2_100, 200)


@source(OPENAI_SDK)
@pytest.mark.parametrize(("mode", "most"), [("implicit", 3), ("explicit", 4)])
def test_openai_the_latest_markers_are_written(source, mode, most):
    cache = simulator("gpt-5.6", mode)
    marked = [block(n, 1_100, point=True) for n in range(6)]
    send(cache, *marked, block("q", 10))

    found = [cache.peek(Sent((*marked[:n], block("else")), 10)) for n in range(1, 7)]

    assert [usage.cache_read_tokens for usage in found].count(0) == 6 - most
    assert found[5].cache_read_tokens == 6_600


@source(OPENAI)
def test_openai_markers_beyond_those_written_are_looked_up_too(source):
    cache = simulator("gpt-5.6", "explicit")
    marked = [block(n, 1_100, point=True) for n in range(60)]
    send(cache, *marked[:2])
    send(cache, *marked[:5], at=10)

    def read(count):
        return cache.peek(Sent((*marked[:count], block("else")), 20)).cache_read_tokens

    assert read(2) == 2_200
    assert read(54) == 5 * 1_100  # the latest 50 begin with the fifth
    assert read(55) == read(60) == 2_200  # the first two


@source(OPENAI)
@pytest.mark.parametrize(("between", "read"), [(19, 2_100), (20, 0)])
def test_openai_looks_back_over_20_message_endings(source, between, read):
    cache = simulator("gpt-5.6")
    send(cache, system(), block("q0"))

    assert send(cache, system(), block("q0"), *turns(between), block("last"), at=9)[0] == read


@source(OPENAI)
def test_openai_a_marker_on_an_answer_does_nothing(source):
    cache = simulator("gpt-5.6", "explicit")

    assert send(cache, system(), mark(block("a", 100, "assistant"))) == (0, 0)


@source(OPENAI)
def test_openai_text_added_to_the_last_message_loses_it_and_a_new_message_does_not(source):
    cache = simulator("gpt-5.6")
    send(cache, system(), block("q"))

    assert send(cache, system(), block("q, and more", 150), at=10) == (0, 2_150)
    assert send(cache, system(), block("q"), block("and more", 50), at=20) == (2_100, 50)


@source(OPENAI)
def test_openai_there_is_no_way_back_to_a_shorter_prefix_without_a_marker(source):
    cache = simulator("gpt-5.6", "explicit")
    send(cache, mark(system()), mark(block("q")))

    assert send(cache, system(), mark(block("other")), at=10) == (0, 2_100)


@source(OPENAI)
def test_openai_reuse_starts_the_half_hour_again_for_free(source):
    cache = simulator("gpt-5.6")
    seen = [send(cache, system(), at=at) for at in (0, 1_700, 3_400, 5_300)]

    assert seen == [(0, 2_000), (2_000, 0), (2_000, 0), (0, 2_000)]


# OpenAI before


@source(OPENAI)
@pytest.mark.parametrize(
    ("model", "common", "read"),
    [
        ("gpt-4o", 1_000, 0),
        ("gpt-4o", 1_200, 1_152),
        ("gpt-5", 1_281, 1_280),
        ("gpt-5.5", 2_047, 0),
        ("gpt-5.5", 5_000, 4_096),
    ],
)
def test_older_openai_models_report_whole_blocks_from_1024_tokens_on(source, model, common, read):
    cache = simulator(model)
    send(cache, system(common), block("one", 900))

    assert send(cache, system(common), block("other", 900), at=10) == (read, None)


# Anthropic


def claude(model="claude-sonnet-5"):
    return simulator(model, "explicit")


@source(ANTHROPIC)
def test_anthropic_refuses_a_fifth_breakpoint(source):
    cache = claude()
    marked = [block(n, 1_100, point=True) for n in range(5)]

    with pytest.raises(InputError, match=r"cache point 5, and .* takes 4") as caught:
        send(cache, *marked)

    assert caught.value.place == "blocks[4]"
    assert send(cache, *marked[:4]) == (0, 4_400)  # nothing had been kept


@source(ANTHROPIC)
def test_anthropic_the_documented_look_back_over_10_15_and_35_blocks(source):
    blocks = turns(35, 200)

    def request(cache, count, *points, at):
        marked = [mark(one) if n in points else one for n, one in enumerate(blocks[:count], 1)]
        return send(cache, *marked, at=at)

    cache = claude()
    assert request(cache, 10, 10, at=0) == (0, 2_000)
    assert request(cache, 15, 15, at=10) == (2_000, 1_000)
    assert cache.peek(Sent((*blocks[:34], mark(blocks[34])), 20)).cache_read_tokens == 0
    assert request(cache, 35, 15, 35, at=20) == (3_000, 4_000)


@source(ANTHROPIC)
def test_anthropic_tool_results_in_a_row_are_one_place_of_the_look_back(source):
    cache = claude()
    send(cache, mark(system()))
    results = [block(n, 50, "tool") for n in range(40)]

    assert send(cache, system(), *results[:-1], mark(results[-1]), at=10)[0] == 2_000
    assert send(claude(), system(), *results[:-1], mark(results[-1]), at=10)[0] == 0


@source(ANTHROPIC)
def test_anthropic_the_longer_lifetime_comes_first_and_each_is_charged_for_its_part(source):
    cache = claude()
    usage = cache.send(Sent((mark(system(), "1h"), mark(block("q", 300), "5m"))))

    assert usage.cache_writes == {"1h": 2_000, "5m": 300}
    with pytest.raises(InputError, match="behind a point of a shorter lifetime"):
        send(cache, mark(system()), mark(block("q", 300), "1h"))
    with pytest.raises(InputError, match=r"'2h', and .* has 5m, 1h"):
        send(cache, mark(system(), "2h"))


@source(ANTHROPIC)
@pytest.mark.parametrize(
    ("model", "minimum"),
    [
        ("claude-opus-5", 512),
        ("claude-sonnet-5", 1_024),
        ("claude-opus-4-7", 2_048),
        ("claude-haiku-4-5", 4_096),
    ],
)
def test_anthropic_below_the_minimum_nothing_is_cached_in_silence(source, model, minimum):
    for tokens, cached in ((minimum - 1, 0), (minimum, minimum)):
        cache = claude(model)
        assert send(cache, mark(system(tokens)), block("q")) == (0, cached)
        assert send(cache, mark(system(tokens)), block("q"), at=10) == (cached, 0)


@source(ANTHROPIC)
def test_anthropic_an_entry_can_be_read_once_the_first_response_begins(source):
    cache = claude()

    assert send(cache, mark(system()), at=0, begun=3, ended=60) == (0, 2_000)
    assert send(cache, mark(system()), at=2, begun=3, ended=60) == (0, 2_000)
    assert send(cache, mark(system()), at=3, begun=3, ended=60) == (2_000, 0)


@source(ANTHROPIC)
def test_anthropic_a_lifetime_begins_with_the_request_and_not_with_its_response(source):
    for at, read in ((300, 2_000), (301, 0)):
        cache = claude()
        send(cache, mark(system()), at=0, begun=3, ended=200)
        assert send(cache, mark(system()), at=at)[0] == read


@source(ANTHROPIC)
def test_anthropic_each_use_refreshes_an_entry_for_its_own_lifetime(source):
    cache = claude()
    long, short = mark(system(), "1h"), mark(block("q", 300))
    assert send(cache, long, short) == (0, 2_300)
    assert send(cache, long, short, at=290) == (2_300, 0)
    assert send(cache, long, short, at=580) == (2_300, 0)
    assert send(cache, long, short, at=4_100) == (2_000, 300)
    assert send(cache, long, short, at=7_701) == (0, 2_300)


@source(ANTHROPIC)
def test_anthropic_a_breakpoint_on_what_changes_is_written_each_time_and_never_read(source):
    cache = claude()
    seen = [send(cache, system(), *turns(4), mark(block(f"now: {n}")), at=10 * n) for n in range(3)]

    assert seen == [(0, 2_500)] * 3


@source(ANTHROPIC)
def test_anthropic_what_stands_behind_the_last_breakpoint_is_plain_input(source):
    cache = claude()

    assert send(cache, block("tools", 900, "tools"), mark(system(600)), block("q", 50)) == (
        0,
        1_500,
    )
    assert send(cache, block("others", 900, "tools"), mark(system(600)), at=10) == (0, 1_500)


# DeepSeek


@source(DEEPSEEK)
def test_deepseek_a_prefix_in_common_is_hit_from_the_third_request_on(source):
    cache = simulator("deepseek-v4-flash")
    a, b, c, d = (block(key, 640) for key in "abcd")

    assert [send(cache, a, other)[0] for other in (b, c, d, b)] == [0, 0, 640, 1_280]


@source(DEEPSEEK)
def test_deepseek_the_next_round_hits_the_input_of_the_last_or_its_answer_too(source):
    cache = simulator("deepseek-v4-flash")
    a, b, c, answer, other = (block(key, 640) for key in ("a", "b", "c", "answer", "other"))
    send(cache, a, b, reply=(answer,))

    assert send(cache, a, b, c, at=10)[0] == 1_280
    assert send(cache, a, b, answer, c, at=20)[0] == 1_920
    assert send(cache, a, b, other, c, at=30)[0] == 1_280


# Gemini, xAI, Mistral


@source(GEMINI)
@pytest.mark.parametrize(
    ("model", "minimum"), [("gemini-2.5-flash", 2_048), ("gemini-3.1-pro", 4_096)]
)
def test_gemini_needs_its_minimum(source, model, minimum):
    cache = simulator(model)
    for tokens, read in ((minimum - 1, 0), (minimum, minimum)):
        send(cache, block(tokens, tokens), block("one"))
        assert send(cache, block(tokens, tokens), block("other"), at=10) == (read, None)


@source("https://docs.x.ai/developers/advanced-api-usage/prompt-caching")
def test_xai_reads_blocks_of_128(source):
    cache = simulator("grok-4")
    send(cache, system(1_000), block("one"))

    assert send(cache, system(1_000), block("other"), at=10) == (896, None)


# Local engines


@source(VLLM)
@pytest.mark.parametrize(("common", "read"), [(15, 0), (16, 16), (100, 96)])
def test_vllm_reads_full_blocks_of_16(source, common, read):
    cache = simulator("vllm")
    send(cache, *token_blocks(range(200)))

    assert send(cache, *token_blocks([*range(common), -1, -2]))[0] == read


@source(VLLM)
def test_vllm_a_prompt_that_is_cached_whole_computes_its_last_block_again(source):
    cache = simulator("vllm")
    send(cache, *token_blocks(range(64)))

    assert send(cache, *token_blocks(range(64)))[0] == 48


@source("https://github.com/vllm-project/vllm/issues/40696")
@pytest.mark.parametrize(("tokens", "read"), [(527, 0), (528, 0), (529, 528), (1_056, 528)])
def test_vllm_with_a_hybrid_model_hits_nothing_below_its_block_of_528(source, tokens, read):
    cache = Simulator(profile_for("vllm").cache().changed(block=528))
    send(cache, *token_blocks(range(tokens)))

    assert send(cache, *token_blocks(range(tokens)))[0] == read


@source(VLLM, SGLANG)
@pytest.mark.parametrize(("model", "read"), [("vllm", 64), ("sglang", 69)])
def test_engines_keep_what_they_generate_but_the_last_token(source, model, read):
    cache = simulator(model)
    send(cache, *token_blocks(range(50)), reply=token_blocks(range(100, 120)))

    later = token_blocks([*range(50), *range(100, 120), 7, 8, 9])
    assert send(cache, *later)[0] == read


@source(SGLANG)
def test_sglang_reads_to_the_token(source):
    cache = simulator("sglang")
    send(cache, *token_blocks(range(100)))

    assert send(cache, *token_blocks([*range(77), -1]))[0] == 77
    assert send(cache, *token_blocks(range(100)))[0] == 99


@source(SGLANG)
def test_sglang_drops_the_least_recently_used(source):
    cache = simulator("sglang", capacity=220)
    one, two, three = (token_blocks(range(n, n + 100)) for n in (0, 1_000, 2_000))
    for request in (one, two, one, three):
        send(cache, *request)

    assert [cache.peek(Sent(request)).cache_read_tokens for request in (one, two, three)] == [
        99,
        20,
        99,
    ]


@source(LLAMA)
def test_llama_evaluates_the_last_token_of_a_prompt_that_it_holds(source):
    cache = simulator("smollm2")
    send(cache, *token_blocks(range(50)))

    assert send(cache, *token_blocks(range(50)))[0] == 49


@source(LLAMA)
def test_llama_holds_a_reply_but_its_last_token(source):
    cache = simulator("smollm2")
    send(cache, *token_blocks(range(50)), reply=token_blocks([100, 101, 102]))

    assert send(cache, *token_blocks([*range(50), 100, 101, 102, 103]))[0] == 52


@source(LLAMA)
def test_llama_a_slot_holds_its_last_conversation_only(source):
    cache = simulator("smollm2")
    one, two = token_blocks(range(100)), token_blocks(range(1_000, 1_100))

    assert [send(cache, *request)[0] for request in (one, two, one)] == [0, 0, 0]


@source("https://github.com/ggml-org/llama.cpp/blob/master/tools/server/server-context.cpp")
def test_llama_takes_the_slot_with_most_of_the_prompt_above_a_tenth_else_the_oldest(source):
    cache = simulator("smollm2", slots=2)
    one, two = token_blocks(range(100)), token_blocks(range(1_000, 1_100))
    send(cache, *one)
    send(cache, *two)

    assert send(cache, *one, *token_blocks([-1]))[0] == 100  # its own; the other is older now
    tenth = token_blocks([*range(10), *range(5_000, 5_090)])
    assert cache.peek(Sent(tenth)).cache_read_tokens == 0  # a tenth is not more than a tenth
    more = token_blocks([*range(11), *range(5_000, 5_089)])
    assert cache.peek(Sent(more)).cache_read_tokens == 11
    assert send(cache, *tenth)[0] == 0
    assert send(cache, *two)[0] == 0  # that was the oldest slot
    assert send(cache, *tenth)[0] == 99


@source("https://github.com/ggml-org/llama.cpp/blob/master/tools/server/server-context.cpp")
def test_llama_a_slot_that_is_busy_takes_no_other_request(source):
    cache = simulator("smollm2", slots=2)
    prompt = token_blocks(range(100))

    assert send(cache, *prompt, at=0, ended=30)[0] == 0
    assert send(cache, *prompt, at=10, ended=30)[0] == 0
    assert send(cache, *prompt, at=20, ended=30)[0] == 99  # waits for the first


@source("https://github.com/ggml-org/llama.cpp/blob/master/tools/server/server-context.cpp")
def test_llama_a_slot_was_used_last_when_its_response_ended(source):
    cache = simulator("smollm2", slots=2)
    one, two, three = (token_blocks(range(n, n + 100)) for n in (0, 1_000, 2_000))
    send(cache, *one, at=0, ended=30)
    send(cache, *two, at=10, ended=2)

    send(cache, *three, at=40)

    assert cache.peek(Sent(one, at=50)).cache_read_tokens == 99
    assert cache.peek(Sent(two, at=50)).cache_read_tokens == 0


@source("https://github.com/ggml-org/llama.cpp/blob/master/tools/server/server-context.cpp")
def test_llama_takes_the_first_of_slots_that_hold_the_same_share_and_begins_with_the_last(source):
    cache = simulator("smollm2", slots=2)
    common = range(10)
    one, two = (token_blocks([*common, *range(n, n + 100)]) for n in (1_000, 2_000))
    send(cache, *one)
    send(cache, *two)

    assert send(cache, *token_blocks([*common, *range(3_000, 3_030)]))[0] == 10
    assert cache.peek(Sent(one)).cache_read_tokens == 109
    assert cache.peek(Sent(two)).cache_read_tokens == 10


@source(LLAMA)
def test_llama_a_refused_request_leaves_what_the_slots_hold_but_counts_as_a_use(source):
    cache = simulator("smollm2", slots=2, capacity=1_000)
    one, two, three = (token_blocks(range(n, n + 400)) for n in (0, 1_000, 2_000))
    send(cache, *one)
    send(cache, *two)

    for refused in (cache.peek, cache.send):
        with pytest.raises(InputError, match="500 tokens do not fit into the window of 500"):
            refused(Sent(token_blocks(range(5_000, 5_500))))

    assert send(cache, *three)[0] == 0  # takes the second slot: the first was used since
    assert send(cache, *one)[0] == 399
    assert send(cache, *two)[0] == 0
