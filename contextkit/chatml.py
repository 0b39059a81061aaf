r"""ChatML: the text that a Qwen-style chat template makes of messages and tools.

`render_chatml` (Python) and `CHATML_TEMPLATE` (Jinja, for the embedded llama.cpp server) give the
same string. The rule, chosen so that a request costs the sum of what its parts cost:

- every message is a block of its own, `<|im_start|>{role}\n{body}<|im_end|>\n`; consecutive tool
  results are not merged, tools stand in a system block of their own before all messages;
- nothing is trimmed, no default system prompt is added;
- text parts are joined by a line break, as llama.cpp's server joins them; other parts (images,
  audio, files) have no text; an author's `name` and ids of tool calls are not rendered;
- tool calls, tool results, reasoning and the tools block have the wording of Qwen's own templates
  (https://huggingface.co/Qwen/Qwen3-8B, tokenizer_config.json, `chat_template`; 2026-11-21), for
  which the models were trained.

Tool call arguments are rendered as they are, valid JSON or not. llama.cpp parses them first
(a status 500 where they are no JSON) unless the template treats them as nothing but a string, which
is what the slice `[0:]` in the template is for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

BLOCK_START = "<|im_start|>"
BLOCK_END = "<|im_end|>"
REPLY_ROLE = "assistant\n"

_TOOLS_OPENING = (
    "# Tools\n\n"
    "You may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n"
    "<tools>"
)
_TOOLS_CLOSING = (
    "\n</tools>\n\n"
    "For each function call, return a json object with function name and arguments "
    "within <tool_call></tool_call> XML tags:\n"
    "<tool_call>\n"
    '{"name": <function-name>, "arguments": <args-json-object>}\n'
    "</tool_call>"
)


def text_of(content: object) -> str:
    """The text of a message's `content`: a string, null, or a list of parts."""
    if isinstance(content, str):
        return content
    text = ""
    if isinstance(content, Sequence):
        for part in content:
            if isinstance(part, Mapping) and isinstance(part.get("text"), str):
                # A break only after something: llama.cpp joins parts so.
                text = f"{text}\n{part['text']}" if text else part["text"]
    return text


def role_of(message: Mapping[str, Any]) -> str:
    """The role that the block of a message carries."""
    role = str(message.get("role", ""))
    if role == "tool":
        return "user"
    return "system" if role == "developer" else role


def body_of(message: Mapping[str, Any]) -> str:
    """What stands in a message's block behind the line with the role."""
    text = text_of(message.get("content"))
    if message.get("role") == "tool":
        return f"<tool_response>\n{text}\n</tool_response>"
    reasoning = message.get("reasoning_content")
    body = f"<think>\n{reasoning}\n</think>\n\n{text}" if reasoning else text
    for number, call in enumerate(message.get("tool_calls") or ()):
        function = call.get("function") or {}
        arguments = function.get("arguments", "")
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        line_break = "\n" if number or text else ""
        body += (
            f'{line_break}<tool_call>\n{{"name": "{function.get("name", "")}", '
            f'"arguments": {arguments}}}\n</tool_call>'
        )
    return body


def tool_text(tool: Mapping[str, Any]) -> str:
    """One tool as llama.cpp's server hands it to the template.

    The server keeps name, description and parameters, writes an absent description as an empty
    one, and drops every other field (`strict` too).
    """
    function = tool.get("function") or {}
    kept = {
        "type": "function",
        "function": {
            "name": function.get("name", ""),
            "description": function.get("description", ""),
            "parameters": function.get("parameters", {}),
        },
    }
    return _llama_json(kept)


def tools_body(tool_texts: Iterable[str]) -> str:
    """The body of the system block that declares tools, from the JSON text of each."""
    return _TOOLS_OPENING + "".join(f"\n{text}" for text in tool_texts) + _TOOLS_CLOSING


def render_chatml(
    messages: Iterable[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] = (),
    add_generation_prompt: bool = True,
) -> str:
    """The prompt of a whole request, as the embedded server renders it with `CHATML_TEMPLATE`."""
    blocks = [_block("system", tools_body(map(tool_text, tools)))] if tools else []
    blocks += [_block(role_of(message), body_of(message)) for message in messages]
    if add_generation_prompt:
        blocks.append(f"{BLOCK_START}{REPLY_ROLE}")
    return "".join(blocks)


def _block(role: str, body: str) -> str:
    return f"{BLOCK_START}{role}\n{body}{BLOCK_END}\n"


def _llama_json(value: Any) -> str:
    """JSON as llama.cpp's templates print it: a float has six significant digits (`%g`)."""
    if isinstance(value, Mapping):
        items = (f"{_llama_json(str(key))}: {_llama_json(item)}" for key, item in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_llama_json, value)) + "]"
    if isinstance(value, float):
        return format(value, "g")
    return json.dumps(value, ensure_ascii=False)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("\n", "\\n").replace("'", "\\'") + "'"


CHATML_TEMPLATE = (
    "{%- if tools -%}"
    "{{ " + _quoted(f"{BLOCK_START}system\n{_TOOLS_OPENING}") + " }}"
    "{%- for tool in tools -%}{{ '\\n' }}{{ tool | tojson }}{%- endfor -%}"
    "{{ " + _quoted(f"{_TOOLS_CLOSING}{BLOCK_END}\n") + " }}"
    "{%- endif -%}"
    "{%- for message in messages -%}"
    "{%- if message.role == 'tool' -%}"
    "{{ '<|im_start|>user\\n<tool_response>\\n' }}"
    "{%- if message.content -%}{{ message.content }}{%- endif -%}"
    "{{ '\\n</tool_response><|im_end|>\\n' }}"
    "{%- else -%}"
    "{{ '<|im_start|>' + message.role + '\\n' }}"
    "{%- if message.reasoning_content -%}"
    "{{ '<think>\\n' + message.reasoning_content + '\\n</think>\\n\\n' }}"
    "{%- endif -%}"
    "{%- if message.content -%}{{ message.content }}{%- endif -%}"
    "{%- for call in message.tool_calls or [] -%}"
    "{%- if message.content or not loop.first -%}{{ '\\n' }}{%- endif -%}"
    '{{ \'<tool_call>\\n{"name": "\' + call.function.name + \'", "arguments": \' }}'
    "{{ call.function.arguments[0:] }}"
    "{{ '}\\n</tool_call>' }}"
    "{%- endfor -%}"
    "{{ '<|im_end|>\\n' }}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
)
"""The same rule in Jinja, for `chat_template` of the embedded server."""
