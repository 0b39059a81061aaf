"""What the tests of wrapped clients share."""

from __future__ import annotations

from typing import Any

from openai import OpenAI
from pydantic import BaseModel

from tests.scripted_provider import ScriptedProvider

LIST = [
    {"role": "system", "content": "You are a terse assistant."},
    {"role": "user", "content": "Name a river in France."},
    {"role": "assistant", "content": "The Loire."},
    {"role": "user", "content": "And one in Spain?"},
]


class River(BaseModel):
    name: str
    length: int


def bare(provider: ScriptedProvider, **more: Any) -> OpenAI:
    return OpenAI(base_url=provider.base_url, api_key="none", max_retries=0, **more)


def ask(client: Any, messages: Any, model: str = "gpt-4o", **more: Any) -> Any:
    return client.chat.completions.create(model=model, messages=messages, **more)
