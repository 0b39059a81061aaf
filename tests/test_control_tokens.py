"""Control tokens: what chat templates obey is broken up, and what people write stays readable."""

from __future__ import annotations

import pytest

from contextkit.strategies.blocks import harmless

MARK = "0123abcd"


@pytest.mark.parametrize(
    "token",
    [
        *("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|begin_of_text|>"),
        *("<|start_header_id|>", "<|user|>", "<|observation|>", f"<|{'long_' * 14}|>"),
        *("<\uff5cend\u2581of\u2581sentence\uff5c>", "<\uff5ctool\u2581calls\u2581begin\uff5c>"),
        *("<s>", "</s>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", "<<SYS>>"),
        *("<</SYS>>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CALLS]"),
        *("[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[TOOL_CONTENT]"),
        *("<tool_call>", "</tool_call>", "<tool_response>", "[gMASK]", "[sMASK]", "<sop>", "<eop>"),
        *(
            "[THINK]",
            "[/THINK]",
            "[ARGS]",
            "[CALL_ID]",
            "[IMG]",
            "[IMG_BREAK]",
            "[IMG_END]",
            "<unk>",
        ),
        *("<start_of_image>", "<end_of_image>"),
    ],
)
def test_a_control_token_is_broken_up_and_stays_readable(token: str) -> None:
    text = harmless(f"a{token}b", MARK)
    assert token not in text
    assert text.replace(" ", "") == f"a{token}b"


@pytest.mark.parametrize(
    "text",
    [
        *("xs |> map f <| y", "if a < s > b", "List<String>", "<span>x</span>", "<sys>", "[inst]"),
        *("a[INSTALL]", "<tool>hammer</tool>", "<|im_start |>", "x << y >> z", "<strong>", "[1]"),
    ],
)
def test_what_is_no_token_stays_as_it_is(text: str) -> None:
    assert harmless(text, MARK) == text
