"""OpenAIEmbedder: vectors from any OpenAI-compatible provider."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

from contextkit.breaker import check_seconds
from contextkit.budget import whole_number
from contextkit.errors import EmbeddingError, InputError
from contextkit.retrieval.embedding_models import EmbeddingModel, embedding_model
from contextkit.retrieval.index_inputs import unit_rows
from contextkit.retrieval.readable import beginning, readable

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger("contextkit")


# OpenAI takes 300,000 tokens in one call (as above); a token is a byte at least.
_CALL_BYTES = 300_000

_BLANK = "."
_TRY_AGAIN = (408, 409, 429)
_CODE = re.compile(r"[\w.-]{1,60}")


@dataclass(frozen=True, slots=True)
class OpenAIEmbedder:
    """Gives the vectors of texts by `client.embeddings.create`, as many texts a call as it takes.

    Call it with texts; it gives their vectors as rows of unit length, float32, shape (texts,
    dimension), in their order; of an async client an awaitable of them, which only async builds
    take. The calls are made one after the other. Retries are the client's own
    (`OpenAI(max_retries=…)`, two by default), each of which may take the whole time-out.

    Of a text longer than the model reads, the beginning is embedded, cut where a word ends; the
    log says how many there were. A blank text, which providers refuse, is embedded as a full stop.

    Attributes:
        client: `openai.OpenAI()`, `openai.AsyncOpenAI()`, or what has `embeddings.create`.
        model: the name of the embedding model.
        dimensions: how many the vectors shall have, where the model lets one choose; None for what
            it gives by itself, and then nothing is said of it in the call.
        batch: most texts in one call; None for what is known of the model, 10 for another model.
        tokens: most tokens of one text; None for what is known of the model, 8,191 for another.
        timeout: seconds of one try, as the client understands them; None for the client's own.
        name: model and dimension, by which an index knows its vectors; of a model that is not
            known the dimension is in it only where it was given.
        dimension: of the vectors; None for a model that is not known.

    Raises:
        InputError: for what is no client or no name.
        BudgetError: for figures that cannot be.

    Example:
        >>> import contextkit as ck
        >>> from openai import OpenAI
        >>> ck.OpenAIEmbedder(OpenAI(api_key="none"), "text-embedding-v4", dimensions=512).name
        'text-embedding-v4:512'
    """

    client: Any = field(repr=False, compare=False)
    model: str = "text-embedding-v4"
    _: KW_ONLY
    dimensions: int | None = None
    batch: int | None = None
    tokens: int | None = None
    timeout: float | None = 30.0
    _known: EmbeddingModel = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        create = getattr(getattr(self.client, "embeddings", None), "create", None)
        if not callable(create):
            raise InputError(
                "has no embeddings.create: OpenAI() has", place="OpenAIEmbedder.client"
            )
        model: Any = self.model
        if not isinstance(model, str) or not model:
            raise InputError(f"is a name, not {model!r:.60}", place="OpenAIEmbedder.model")
        for name in ("dimensions", "batch", "tokens"):
            if (value := getattr(self, name)) is not None:
                whole_number(f"OpenAIEmbedder.{name}", value, least=1)
        if self.timeout is not None:
            check_seconds("OpenAIEmbedder.timeout", self.timeout)
        object.__setattr__(self, "_known", embedding_model(model))

    @property
    def name(self) -> str:
        """Model and dimension, such as `text-embedding-v4:1024`."""
        return self.model if self.dimension is None else f"{self.model}:{self.dimension}"

    @property
    def dimension(self) -> int | None:
        """Of the vectors; None for a model that is not known."""
        return self.dimensions or self._known.dimension

    @property
    def is_async(self) -> bool:
        """Whether the vectors are to be awaited."""
        return inspect.iscoroutinefunction(inspect.unwrap(self.client.embeddings.create))

    def __call__(self, texts: Sequence[str]) -> np.ndarray | Awaitable[np.ndarray]:
        """The vectors of texts: unit rows, float32, shape (len(texts), dimension), in their order.

        Raises:
            InputError: not a list of texts.
            EmbeddingError: the provider did not answer, or not with a usable vector for each text.
                It says what HTTP said (`status`, `retryable`); the words of a provider may quote
                what it was sent, so they are not in it.
        """
        batches = list(self._batches(self._sendable(texts)))
        return self._later(batches) if self.is_async else self._now(batches)

    def _now(self, batches: Sequence[list[str]]) -> np.ndarray:
        parts = []
        for batch in batches:
            with self._typed_errors(batch):
                reply = self.client.embeddings.create(**self._parameters(batch))
            parts.append(self._rows(reply, batch))
        return self._joined(parts)

    async def _later(self, batches: Sequence[list[str]]) -> np.ndarray:
        parts = []
        for batch in batches:
            with self._typed_errors(batch):
                reply = await self.client.embeddings.create(**self._parameters(batch))
            parts.append(self._rows(reply, batch))
        return self._joined(parts)

    def _sendable(self, texts: Sequence[str]) -> list[str]:
        tokens = self.tokens or self._known.tokens
        whole = readable(texts)
        cut = [beginning(text, tokens, self._known.vocabulary) for text in whole]
        if longer := sum(map(str.__ne__, whole, cut)):
            log.info(
                "%s reads %d tokens of a text: of %d of %d texts the beginning is embedded",
                self.model,
                tokens,
                longer,
                len(whole),
            )
        return [text if text.strip() else _BLANK for text in cut]

    def _batches(self, texts: Sequence[str]) -> Iterator[list[str]]:
        most = self.batch or self._known.texts
        batch: list[str] = []
        size = 0
        for text in texts:
            length = len(text.encode())
            if batch and (len(batch) == most or size + length > _CALL_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(text)
            size += length
        if batch:
            yield batch

    def _parameters(self, batch: list[str]) -> dict[str, Any]:
        parameters: dict[str, Any] = {
            "model": self.model,
            "input": batch,
            "encoding_format": "float",  # Qwen has no other
        }
        if self.dimensions is not None:
            parameters["dimensions"] = self.dimensions
        if self.timeout is not None:
            parameters["timeout"] = self.timeout
        return parameters

    def _rows(self, reply: Any, batch: Sequence[str]) -> np.ndarray:
        """What came, by the number of its text, which need not be the order in which it came."""
        items = _part(reply, "data")
        count = len(batch)
        if not isinstance(items, list):
            raise EmbeddingError(f"{self.model} answered with no vectors", texts=count)
        if len(items) != count:
            raise EmbeddingError(
                f"{self.model} gave {len(items)} vectors for {count} texts",
                texts=count,
                rows=len(items),
            )
        numbers = [_part(item, "index") for item in items]
        if not all(type(number) is int for number in numbers) or sorted(numbers) != [*range(count)]:
            raise EmbeddingError(
                f"{self.model} gave vectors whose numbers are not 0 to {count - 1}", texts=count
            )
        vectors = dict(zip(numbers, (_part(item, "embedding") for item in items), strict=True))
        return unit_rows([vectors[number] for number in range(count)], count, None)

    def _joined(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        import numpy as np

        if not parts:
            return np.empty((0, self.dimension or 0), np.float32)
        expected = self.dimension or parts[0].shape[1]
        for part in parts:
            if part.shape[1] != expected:
                raise EmbeddingError(
                    f"{self.model} gave {part.shape[1]:,} dimensions, not {expected:,}: give the "
                    "number that it shall have, OpenAIEmbedder(dimensions=…)",
                    texts=sum(map(len, parts)),
                    dimension=part.shape[1],
                    expected=expected,
                )
        return np.concatenate(parts)

    @contextmanager
    def _typed_errors(self, batch: Sequence[str]) -> Iterator[None]:
        """What the client raises, as ours: without the provider's words, but with its codes."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever the client raises
            from openai import APIConnectionError

            status = getattr(error, "status_code", None)
            status = status if isinstance(status, int) else None
            said = [type(error).__name__, *([f"HTTP {status}"] if status else [])]
            codes = {name: getattr(error, name, None) for name in ("code", "param", "request_id")}
            said += [
                f"{name} {code}"
                for name, code in codes.items()
                if code and _CODE.fullmatch(str(code))
            ]
            raise EmbeddingError(
                f"{self.model} gave no vectors for {len(batch)} texts: {', '.join(said)}",
                texts=len(batch),
                status=status,
                retryable=isinstance(error, APIConnectionError)
                or (status is not None and (status in _TRY_AGAIN or status >= 500)),
            ) from None


def _part(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
