"""Usage: what every provider reports, in one form; absent is None, never 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CompletionUsage
from openai.types.responses import ResponseUsage

from contextkit.errors import InputError
from contextkit.profiles import known_profiles
from contextkit.usage import Usage

QWEN_CACHE = "https://help.aliyun.com/zh/model-studio/context-cache"
ANTHROPIC = "https://platform.claude.com/docs/en/build-with-claude/prompt-caching"
BEDROCK = "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html"
XAI = "https://docs.x.ai/developers/advanced-api-usage/prompt-caching/usage-and-pricing"


@dataclass(frozen=True)
class Row:
    """A shape that a provider reports usage in, what it means, and where that stands."""

    name: str
    reported: Any
    usage: Usage
    source: str


ROWS = [
    Row(
        "OpenAI chat",
        {
            "prompt_tokens": 3000,
            "completion_tokens": 500,
            "total_tokens": 3500,
            "prompt_tokens_details": {"cached_tokens": 2048, "cache_write_tokens": 900},
            "completion_tokens_details": {"reasoning_tokens": 300},
        },
        Usage(3000, 2048, 900, 500, 300),
        "https://github.com/openai/openai-python/tree/v3.54.0/ (types/completion_usage.py)",
    ),
    Row(
        "OpenAI Responses",
        {
            "input_tokens": 3000,
            "output_tokens": 500,
            "total_tokens": 3500,
            "input_tokens_details": {
                "cached_tokens": 2048,
                "cache_write_tokens": 900,
                "cache_write_tokens_details": {"ttl_30m_tokens": 700, "ttl_12h_tokens": 200},
            },
            "output_tokens_details": {"reasoning_tokens": 300},
        },
        Usage(3000, 2048, 900, 500, 300, {"30m": 700, "12h": 200}),
        "https://github.com/openai/openai-python/tree/v3.54.0/ (types/responses/response_usage.py)",
    ),
    Row(
        "Qwen chat, implicit",
        {
            "prompt_tokens": 3019,
            "completion_tokens": 104,
            "total_tokens": 3123,
            "prompt_tokens_details": {"cached_tokens": 2048},
        },
        Usage(3019, 2048, None, 104),
        QWEN_CACHE,
    ),
    Row(
        "Qwen chat, explicit",
        {
            "prompt_tokens": 1600,
            "completion_tokens": 50,
            "total_tokens": 1650,
            "prompt_tokens_details": {
                "cached_tokens": 0,
                "cache_creation_input_tokens": 1500,
                "cache_creation": {"ephemeral_5m_input_tokens": 1500},
                "cache_type": "ephemeral",
            },
        },
        Usage(1600, 0, 1500, 50, None, {"5m": 1500}, "ephemeral"),
        QWEN_CACHE,
    ),
    Row(
        "DashScope",
        {
            "input_tokens": 1600,
            "output_tokens": 50,
            "total_tokens": 1650,
            "prompt_tokens_details": {
                "cached_tokens": 1500,
                "cache_creation_input_tokens": 0,
                "cache_type": "ephemeral",
            },
        },
        Usage(1600, 1500, 0, 50, None, None, "ephemeral"),
        QWEN_CACHE,
    ),
    Row(
        "Qwen VL on DashScope in Singapore",
        {"input_tokens": 1600, "output_tokens": 50, "image_tokens": 1200, "cached_tokens": 1024},
        Usage(1600, 1024, None, 50),
        QWEN_CACHE,
    ),
    Row(
        "Qwen Responses",
        {
            "input_tokens": 120,
            "output_tokens": 46,
            "total_tokens": 166,
            "input_tokens_details": {"cached_tokens": 60},
            "output_tokens_details": {"reasoning_tokens": 33},
            "x_details": [
                {
                    "input_tokens": 120,
                    "output_tokens": 46,
                    "total_tokens": 166,
                    "output_tokens_details": {"reasoning_tokens": 33},
                    "prompt_tokens_details": {
                        "cached_tokens": 60,
                        "cache_creation_input_tokens": 20,
                        "cache_creation": {"ephemeral_5m_input_tokens": 20},
                        "cache_type": "ephemeral",
                    },
                    "x_billing_type": "response_api",
                }
            ],
        },
        Usage(120, 60, 20, 46, 33, {"5m": 20}, "ephemeral"),
        "https://help.aliyun.com/zh/model-studio/compatibility-with-openai-responses-api",
    ),
    Row(
        "Anthropic",
        {
            "input_tokens": 50,
            "cache_read_input_tokens": 100_000,
            "cache_creation_input_tokens": 248,
            "cache_creation": {"ephemeral_5m_input_tokens": 148, "ephemeral_1h_input_tokens": 100},
            "output_tokens": 503,
        },
        Usage(100_298, 100_000, 248, 503, None, {"5m": 148, "1h": 100}),
        ANTHROPIC,
    ),
    Row(
        "Anthropic, nothing cached",
        {
            "input_tokens": 50,
            "cache_read_input_tokens": None,
            "cache_creation_input_tokens": None,
            "cache_creation": None,
            "output_tokens": 503,
        },
        Usage(50, None, None, 503),
        ANTHROPIC,
    ),
    Row(
        "Qwen's endpoint for Anthropic clients",
        {
            "input_tokens": 100,
            "cache_creation_input_tokens": 1500,
            "cache_read_input_tokens": 0,
            "output_tokens": 7,
        },
        Usage(1600, 0, 1500, 7),
        QWEN_CACHE,
    ),
    Row(
        "Bedrock",
        {
            "inputTokens": 30,
            "outputTokens": 628,
            "totalTokens": 2158,
            "cacheReadInputTokens": 1000,
            "cacheWriteInputTokens": 500,
            "cacheDetails": [
                {"inputTokens": 300, "ttl": "1h"},
                {"inputTokens": 200, "ttl": "5m"},
            ],
        },
        Usage(1530, 1000, 500, 628, None, {"1h": 300, "5m": 200}),
        BEDROCK,
    ),
    Row(
        "Gemini",
        {
            "prompt_token_count": 5000,
            "cached_content_token_count": 4096,
            "candidates_token_count": 80,
            "thoughts_token_count": 40,
            "total_token_count": 5120,
        },
        Usage(5000, 4096, None, 120, 40),
        "https://ai.google.dev/api/generate-content#UsageMetadata",
    ),
    Row(
        "Gemini, over HTTP, with a tool of its own",
        {
            "promptTokenCount": 5000,
            "toolUsePromptTokenCount": 300,
            "candidatesTokenCount": 80,
            "totalTokenCount": 5380,
        },
        Usage(5300, None, None, 80),
        "https://ai.google.dev/api/generate-content#UsageMetadata",
    ),
    Row(
        "Gemini Interactions",
        {
            "total_input_tokens": 9,
            "total_output_tokens": 779,
            "total_thought_tokens": 912,
            "total_cached_tokens": 0,
            "total_tokens": 1700,
        },
        Usage(9, 0, None, 1691, 912),
        "https://ai.google.dev/gemini-api/docs/interactions",
    ),
    Row(
        "DeepSeek",
        {
            "prompt_tokens": 2000,
            "completion_tokens": 10,
            "total_tokens": 2010,
            "prompt_cache_hit_tokens": 1984,
            "prompt_cache_miss_tokens": 16,
        },
        Usage(2000, 1984, None, 10),
        "https://api-docs.deepseek.com/guides/kv_cache/",
    ),
    Row(
        "DeepSeek, only hits and misses",
        {"prompt_cache_hit_tokens": 1984, "prompt_cache_miss_tokens": 16},
        Usage(2000, 1984),
        "https://api-docs.deepseek.com/guides/kv_cache/",
    ),
    Row(
        "xAI, Z.ai",
        {
            "prompt_tokens": 125,
            "completion_tokens": 48,
            "total_tokens": 173,
            "prompt_tokens_details": {"text_tokens": 125, "cached_tokens": 98},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
        Usage(125, 98, None, 48, 0),
        XAI,
    ),
    Row(
        "xAI, reasoning beside the output",
        {
            "prompt_tokens": 125,
            "completion_tokens": 48,
            "total_tokens": 473,
            "completion_tokens_details": {"reasoning_tokens": 300},
        },
        Usage(125, None, None, 348, 300),
        XAI,
    ),
    Row(
        "OpenRouter",
        {
            "prompt_tokens": 194,
            "completion_tokens": 2,
            "total_tokens": 196,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 100},
            "cost": 0.95,
        },
        Usage(194, 0, 100, 2),
        "https://openrouter.ai/docs/features/prompt-caching",
    ),
    Row(
        "LiteLLM: Anthropic's fields beside an input that includes them",
        {
            "prompt_tokens": 1600,
            "completion_tokens": 5,
            "total_tokens": 1605,
            "cache_creation_input_tokens": 1500,
            "cache_read_input_tokens": 0,
        },
        Usage(1600, 0, 1500, 5),
        "https://docs.litellm.ai/docs/completion/prompt_caching",
    ),
    Row(
        "Moonshot",
        {"prompt_tokens": 19, "completion_tokens": 21, "total_tokens": 40, "cached_tokens": 10},
        Usage(19, 10, None, 21),
        "https://platform.moonshot.ai/docs/api/chat",
    ),
    Row(
        "llama.cpp",
        {
            "prompt_tokens": 66,
            "completion_tokens": 3,
            "total_tokens": 69,
            "prompt_tokens_details": {"cached_tokens": 54},
        },
        Usage(66, 54, None, 3),
        "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
    ),
    Row(
        "llama.cpp, its timings",
        {"cache_n": 236, "prompt_n": 1, "predicted_n": 35, "prompt_ms": 30.9},
        Usage(237, 236, None, 35),
        "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
    ),
    Row("nothing reported", {}, Usage(), "absent is None"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_shape_comes_to_one_form(row):
    assert Usage.of(row.reported) == row.usage
    assert Usage.of(row.usage) is row.usage
    assert row.source


@pytest.mark.parametrize(
    ("kind", "row"), [(CompletionUsage, ROWS[0]), (ResponseUsage, ROWS[1])], ids=["chat", "resp."]
)
def test_sdk_objects_are_read_as_their_dicts_are(kind, row):
    assert Usage.of(kind.model_validate(row.reported)) == row.usage


def test_fields_that_the_sdk_does_not_know_survive():
    [row] = [row for row in ROWS if row.name == "Qwen chat, explicit"]
    assert Usage.of(CompletionUsage.model_validate(row.reported)) == row.usage


def test_a_stream_in_two_parts_adds_up():
    start = {
        "input_tokens": 25,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 1000,
        "output_tokens": 1,
    }
    whole = Usage.of(start) | Usage.of({"output_tokens": 15})
    assert whole == Usage(1025, 1000, 0, 15)


def test_what_the_parts_of_a_stream_do_not_say_stays_unknown():
    assert Usage() | Usage(output_tokens=3) == Usage(output_tokens=3)
    assert Usage(5, 0) | Usage() == Usage(5, 0)


@pytest.mark.parametrize("odd", [float("nan"), "many", -1, True, None, 1.5, [3], {"a": 1}])
def test_what_is_no_number_of_tokens_is_not_reported(odd):
    paths = {
        "prompt_tokens": odd,
        "completion_tokens": odd,
        "total_tokens": odd,
        "prompt_tokens_details": {"cached_tokens": odd, "cache_creation": {"ephemeral_5m": odd}},
        "x_details": odd,
        "cacheDetails": [odd],
        "thoughts_token_count": odd,
    }
    assert Usage.of(paths) == Usage()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "prompt_tokens",
                        "input_tokens",
                        "prompt_tokens_details",
                        "cached_tokens",
                        "cache_creation",
                        "ephemeral_5m_input_tokens",
                        "x_details",
                        "cacheDetails",
                        "inputTokens",
                        "ttl",
                        "cache_type",
                        "cache_read_input_tokens",
                        "thoughts_token_count",
                        "total_tokens",
                    ]
                ),
                inner,
                max_size=5,
            )
        ),
    )
)
def test_no_report_can_fail_a_reply_that_was_paid_for(reported):
    if isinstance(reported, dict):
        usage = Usage.of(reported)
        assert usage is not None
        assert Usage(**usage.to_json()) == usage
    elif reported is not None:
        with pytest.raises(InputError):
            Usage.of(reported)


def test_a_whole_reply_is_read_by_its_usage():
    counted = {"prompt_tokens": 7, "completion_tokens": 2}
    reply = {"choices": [{"message": {"role": "assistant", "content": "a"}}], "usage": counted}

    assert Usage.of(reply) == Usage.of(counted) == Usage(input_tokens=7, output_tokens=2)


def test_what_was_written_by_lifetime_counts_also_where_it_is_nothing():
    inside = {
        "prompt_tokens": 1_000,
        "prompt_tokens_details": {
            "cached_tokens": 10,
            "cache_creation": {"ephemeral_5m_input_tokens": 0},
        },
    }
    beside = {"input_tokens": 10, "cache_creation": {"ephemeral_5m_input_tokens": 5}}
    bedrock = {"inputTokens": 10, "cacheDetails": [{"ttl": "1h", "inputTokens": 5}]}

    assert (Usage.of(inside).cache_write_tokens, Usage.of(inside).cache_writes) == (0, None)
    assert Usage.of(beside) == Usage(15, None, 5, cache_writes={"5m": 5})
    assert Usage.of(bedrock) == Usage(15, None, 5, cache_writes={"1h": 5})


def test_the_fields_that_profiles_name_are_those_that_are_read():
    for profile in known_profiles().values():
        for what, path in profile.usage.items():
            reported: Any = 1234
            for key in reversed(path.removeprefix("usage_metadata.").split(".")):
                reported = {key: reported}
            name = {"input": "input", "read": "cache_read", "write": "cache_write"}.get(what, what)
            assert getattr(Usage.of(reported), f"{name}_tokens") == 1234, (profile.name, path)


@pytest.mark.parametrize(
    "bad",
    [
        {"input_tokens": -1},
        {"input_tokens": True},
        {"cache_writes": {"5m": -1}},
        {"cache_writes": 5},
        {"cache_type": 5},
    ],
)
def test_an_own_usage_is_of_numbers(bad):
    with pytest.raises(InputError, match=next(iter(bad))):
        Usage(**bad)
