"""Where commands send their requests: the embedded server, Qwen Cloud, OpenAI, or elsewhere."""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from contextkit.cli import SERVER, exit_code, say
from contextkit.errors import ContextKitError, InputError
from contextkit.providers.local import MODEL

if TYPE_CHECKING:
    from openai import OpenAI

DASHSCOPE = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"
"""Qwen Cloud's OpenAI-compatible address; other regions have others (DASHSCOPE_BASE_URL)."""

_OPENAI = "https://api.openai.com/v1"
_OWN = frozenset({"messages", "model", "stream", "stream_options", "tools"})  # a command sets them


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

    @property
    def address(self) -> str:
        """Where it answers, as a message may show it: without what stands before an @."""
        found = urlsplit(self.base_url or _OPENAI)
        return found._replace(netloc=found.netloc.rpartition("@")[2], query="").geturl()

    def said(self, error: BaseException) -> str:
        """What a client's error says, without the key; where nobody answered, with the address."""
        from httpx2 import TransportError
        from openai import APIConnectionError

        text = str(error).rstrip(".") or type(error).__name__
        if isinstance(error, APIConnectionError | TransportError):
            why = f" ({error.__cause__})" if str(error.__cause__ or "") else ""
            text = f"{text}: {self.address}{why}"
        return self.without_key(text)

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
            say(self.said(error))
            return SERVER
        return exit_code(error)


def json_options(text: str | None) -> dict[str, Any]:
    """What `--options` says.

    Raises:
        InputError: when it is no JSON object, or has a parameter that the client does not know or
            that a command sets itself.
    """
    from openai.resources.chat.completions import Completions

    try:
        options = json.loads(text or "{}")
    except ValueError as error:
        raise InputError(f"is not JSON: {error}", place="--options") from error
    if not isinstance(options, dict):
        raise InputError('is a JSON object, such as {"temperature": 0}', place="--options")
    known = set(inspect.signature(Completions.create).parameters) - {"self", *_OWN}
    for name in options:
        if name in _OWN:
            raise InputError(f"has {name!r}, which the command sets itself", place="--options")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f"is it {near[0]!r}? " if near else ""
            other = json.dumps({"extra_body": {name: options[name]}})
            raise InputError(
                f"has {name!r:.60}, which is no parameter of the client: {meant}One that only the "
                f"provider knows is given as {other:.120}",
                place="--options",
            )
        if name.startswith("extra_") and not isinstance(options[name], dict):
            raise InputError(f"has {name} = {options[name]!r:.60}: an object", place="--options")
    return options


def endpoint_for(
    model: str | None, base_url: str | None, environment: Mapping[str, str]
) -> Endpoint:
    """The endpoint of a model: by its name, with key and address from the environment.

    Names that begin with `qwen`, or with `dashscope/` before the name, are Qwen Cloud's; the
    embedded model's are its own; all others go to OpenAI, or to whatever `base_url` says. Without a
    key of its own Qwen Cloud takes OpenAI's, as the official client does, but only for an address
    that was given with it: a key for OpenAI is sent to nobody who was not named.

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
    named = base_url or environment.get("OPENAI_BASE_URL")
    own = environment.get("DASHSCOPE_API_KEY")
    openai = not qwen or bool(not own and named and environment.get("OPENAI_API_KEY"))
    provider = "OPENAI" if openai else "DASHSCOPE"
    key = environment.get(f"{provider}_API_KEY", "")
    if not key:
        other = " (or OPENAI_API_KEY with --base-url or OPENAI_BASE_URL)" if qwen else ""
        raise InputError(
            f"is not set, and the model {model!r} needs it{other}. Without --model the embedded "
            "model answers, which needs none",
            place=f"{provider}_API_KEY",
        )
    usual = None if openai else DASHSCOPE
    address = base_url or environment.get(f"{provider}_BASE_URL") or usual
    return Endpoint(model.removeprefix("dashscope/"), address, key)
