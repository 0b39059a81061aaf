"""GGUF: the vocabulary inside a llama.cpp model file, read without loading the model.

The header of a GGUF file is a list of typed key-value pairs; only the few that describe the
tokenizer are kept. (The package `gguf` reads the same in 2 s, because it maps every tensor.)

Source of the format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (2026-11-21).
"""

from __future__ import annotations

import struct
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from contextkit.errors import CounterError

_NUMBERS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_STRING, _ARRAY = 8, 9
_CONTROL = 3
_NORMAL = 1


def read_gguf_vocabulary(path: Path, *, pre: str) -> tuple[dict[bytes, int], dict[str, int]]:
    """Byte-level BPE tokens by their bytes, in the order of their merges, and control tokens.

    `pre` is the pre-tokenizer that the caller knows how to follow. Raises CounterError where the
    file is no GGUF file or has another tokenizer.
    """
    try:
        fields = _tokenizer_fields(path)
    except (struct.error, ValueError, KeyError) as error:
        raise CounterError(f"{path.name} is no readable GGUF file: {error}") from error
    kind = (fields.get("model"), fields.get("pre"))
    if kind != ("gpt2", pre):
        raise CounterError(f"{path.name} has the tokenizer {kind}; known is {('gpt2', pre)}")
    tokens: list[str] = fields["tokens"]
    kinds: list[int] = fields["token_type"]
    byte_of = _byte_of_letter()
    ranks = {
        token.translate(byte_of).encode("latin-1"): number
        for number, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
        if kind == _NORMAL
    }
    control = {
        token: number
        for number, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
        if kind == _CONTROL
    }
    # tiktoken takes the number of a token for the rank of its merge: check that it is.
    merged = [
        ranks[merge.replace(" ", "", 1).translate(byte_of).encode("latin-1")]
        for merge in fields["merges"]
    ]
    if len(ranks) + len(control) != len(tokens) or merged != sorted(set(merged)):
        raise CounterError(f"the tokens of {path.name} are not numbered in the order of merges")
    return ranks, control


def _tokenizer_fields(path: Path) -> dict[str, Any]:
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        magic, version, _, pairs = struct.unpack_from("<4sIQQ", data)
        if magic != b"GGUF" or version not in (2, 3):
            raise CounterError(f"{path.name} is no GGUF file of version 2 or 3")
        fields = {}
        place = 24
        for _ in range(pairs):
            key, place = _string(data, place)
            (kind,) = struct.unpack_from("<I", data, place)
            value, place = _value(data, place + 4, kind)
            if key.startswith("tokenizer.ggml."):
                fields[key.removeprefix("tokenizer.ggml.")] = value
        return fields


def _value(data: mmap, place: int, kind: int) -> tuple[Any, int]:
    if kind == _STRING:
        return _string(data, place)
    if kind != _ARRAY:
        form = _NUMBERS[kind]
        return struct.unpack_from(form, data, place)[0], place + struct.calcsize(form)
    item, count = struct.unpack_from("<IQ", data, place)
    place += 12
    if item in _NUMBERS:
        form = f"<{count}{_NUMBERS[item][1]}"
        return list(struct.unpack_from(form, data, place)), place + struct.calcsize(form)
    items = []
    for _ in range(count):
        value, place = _value(data, place, item)
        items.append(value)
    return items, place


def _string(data: mmap, place: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", data, place)
    start = place + 8
    return data[start : start + length].decode(), start + length


def _byte_of_letter() -> dict[int, int]:
    """GPT-2's spelling of bytes: printable ones as themselves, the rest from U+0100 upwards."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return {0x100 + number: byte for number, byte in enumerate(others)}
