"""Where commands send their requests: the embedded server, Qwen Cloud, OpenAI, or elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from contextkit.cli import SERVER, exit_code, say
from contextkit.errors import ContextKitError, InputError
from contextkit.providers.local import MODEL

if TYPE_CHECKING:
    from openai import OpenAI

DASHSCOPE = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"
"""Qwen Cloud's OpenAI-compatible address; other regions have others (DASHSCOPE_BASE_URL)."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model and where it answers.

    Attributes:
        model: its name, as the endpoint knows it.
        base_url: the address; None is the client's own default.
        key: the caller's key; empty for the embedded model.
    """

    model: str
    base_url: str | None = None
    key: str = field(default="", repr=False)

    @property
    def embedded(self) -> bool:
        """Whether it is the model that this package starts itself."""
        return not self.key

    def client(self) -> OpenAI:
        """The official client for a provider."""
        from openai import OpenAI

        return OpenAI(api_key=self.key, base_url=self.base_url)

    def without_key(self, text: str) -> str:
        """A text in which the key cannot be read."""
        return text.replace(self.key, "***") if self.key else text

    def ended(self, error: BaseException) -> int:
        """Say what ended a command, without the key, and give the exit code that it stands for."""
        if isinstance(error, KeyboardInterrupt):
            say("stopped by Ctrl-C")
        elif isinstance(error, ContextKitError):
            say(error)
        else:
            say(self.without_key(str(error)).rstrip(".") or type(error).__name__)
            return SERVER
        return exit_code(error)


def json_options(text: str | None) -> dict[str, Any]:
    """What `--options` says.

    Raises:
        InputError: when it is no JSON object.
    """
    try:
        options = json.loads(text or "{}")
    except ValueError as error:
        raise InputError(f"is not JSON: {error}", place="--options") from error
    if not isinstance(options, dict):
        raise InputError('is a JSON object, such as {"temperature": 0}', place="--options")
    return options


def endpoint_for(
    model: str | None, base_url: str | None, environment: Mapping[str, str]
) -> Endpoint:
    """The endpoint of a model: by its name, with key and address from the environment.

    Names that begin with `qwen`, or with `dashscope/` before the name, are Qwen Cloud's; the
    embedded model's are its own; all others go to OpenAI, or to whatever `base_url` says.

    Raises:
        InputError: when the key is not set.
    """
    if model is None or model.startswith("smollm2"):
        if base_url is not None:
            raise InputError(
                "goes with --model: the embedded model has its own", place="--base-url"
            )
        return Endpoint(MODEL)
    qwen = model.startswith(("qwen", "dashscope/"))
    provider = "DASHSCOPE" if qwen else "OPENAI"
    key = environment.get(f"{provider}_API_KEY", "")
    if not key:
        raise InputError(
            f"is not set, and the model {model!r} needs it. Without --model the embedded model "
            "answers, which needs none",
            place=f"{provider}_API_KEY",
        )
    address = base_url or environment.get(f"{provider}_BASE_URL") or (DASHSCOPE if qwen else None)
    return Endpoint(model.removeprefix("dashscope/"), address, key)
