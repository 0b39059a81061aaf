"""Settings: what the environment says, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

DASHSCOPE = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"
"""Qwen Cloud's address for OpenAI clients; other regions have others (DASHSCOPE_BASE_URL)."""

USERS = Path(__file__).with_name("users.json")
"""Two users to try it with; their tokens are in README.md."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server is made from.

    Attributes:
        model: the provider's model; None is the embedded one, which needs no key.
        key: the provider's key.
        base_url: the provider's address; None is OpenAI's.
        limit: the most tokens of a request.
        reply: the most tokens of a reply of the embedded model, which may find no end by itself.
        store: the file of the conversations.
        users: the file of the users.
        body: the largest body of a request, in bytes.
        patience: seconds that a message waits for the reply before it in its conversation.
        system: the system prompt of new conversations.
    """

    model: str | None = None
    key: str = field(default="", repr=False)
    base_url: str | None = None
    limit: int = 3_000
    reply: int = 200
    store: Path = Path("contextkit-example.db")
    users: Path = USERS
    body: int = 64_000
    patience: float = 30.0
    system: str = "You are a helpful assistant. Answer in a few sentences."

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """The settings of an environment, such as `os.environ`; README.md lists the names.

        Raises:
            ValueError: when the model's key is missing, or a figure is none.
        """
        model = environment.get("CHAT_MODEL") or None
        key, base_url = _provider(model, environment) if model else ("", None)
        return cls(
            model=model,
            key=key,
            base_url=base_url,
            limit=int(environment.get("CHAT_LIMIT") or (8_000 if model else 3_000)),
            reply=int(environment.get("CHAT_REPLY") or 200),
            store=Path(environment.get("CHAT_STORE") or "contextkit-example.db"),
            users=Path(environment.get("CHAT_USERS") or USERS),
        )


def _provider(model: str, environment: Mapping[str, str]) -> tuple[str, str | None]:
    """Key and address: of Qwen Cloud for names that begin with `qwen`, of OpenAI for others."""
    qwen = model.startswith("qwen")
    provider = "DASHSCOPE" if qwen else "OPENAI"
    key = environment.get(f"{provider}_API_KEY", "")
    if not key:
        raise ValueError(f"CHAT_MODEL={model} needs {provider}_API_KEY, which is not set")
    return key, environment.get(f"{provider}_BASE_URL") or (DASHSCOPE if qwen else None)
