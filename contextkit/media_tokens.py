"""Media tokens: what the parts of a message cost that are no text.

Images by the rule of the profile, from the size in the header of a data URL; sound by its seconds;
a PDF by its pages, each as some text and an image; frames of a video as images. Where only an
address is known (a URL, the id of a file), or where there is no rule, an allowance. The base64
text itself is never counted, and nothing here raises: what can be sent can be counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from contextkit.image_rules import Image, Pixels
from contextkit.media import Base64, bare, data_of, image_size, pdf_pages, wav_seconds
from contextkit.profiles import Profile

ALLOWANCES = {
    "image": 2_560,
    "audio": 1_000,
    "video": 10_000,
    "file": 5_000,
    "text of a page": 1_000,
}
"""Tokens counted where nothing better is known. Allowances, neither measured nor bounds.

An image by its address costs what the profile's rule gives for an unknown size instead; the figure
here is for profiles without one.
"""

AUDIO_BYTES = 4_000
"""Bytes a second of sound that is no WAV: 32 kbit/s, less than most files have."""

PDF_BYTES = 50_000
"""Bytes a page of a PDF whose pages cannot be counted."""


def media_tokens(part: object, profile: Profile) -> int | None:
    """Tokens of an image, audio, video or file part; None for any other part."""
    if not isinstance(part, Mapping):
        return None
    kind = part.get("type")
    if not isinstance(kind, str) or kind == "text":
        return None
    if "image" in kind:
        return _image(part, profile)
    if "audio" in kind:
        return _audio(part, profile)
    if "video" in kind:
        return _video(part, profile)
    return _file(part, profile) if kind in ("file", "input_file", "document") else None


def _image(part: Mapping[str, Any], profile: Profile) -> int:
    return _image_tokens(_described(part, *_payload(part, "image_url", "image", "source")), profile)


def _image_tokens(image: Image, profile: Profile) -> int:
    return ALLOWANCES["image"] if profile.image is None else profile.image.tokens(image)


def _described(part: Mapping[str, Any], data: Base64 | None, detail: object = None) -> Image:
    detail = detail or part.get("detail")
    return Image(
        size=None if data is None else image_size(data),
        detail=detail if isinstance(detail, str) else "auto",
        min_pixels=_count(part.get("min_pixels")),
        max_pixels=_count(part.get("max_pixels")),
    )


def _audio(part: Mapping[str, Any], profile: Profile) -> int:
    data, _ = _payload(part, "input_audio", "audio_url", "audio", "source")
    if data is None:
        return ALLOWANCES["audio"]
    seconds = wav_seconds(data)
    if seconds is None:
        seconds = data.size / AUDIO_BYTES
    return math.ceil(max(1.0, seconds) * profile.audio)  # less than a second counts as one


def _video(part: Mapping[str, Any], profile: Profile) -> int:
    frames = part.get("video")
    rule = profile.image
    if isinstance(frames, str) or not isinstance(frames, Sequence) or not isinstance(rule, Pixels):
        return ALLOWANCES["video"]
    images = (_described(part, data_of(frame)) for frame in frames)
    return max((rule.video(image, len(frames)) for image in images), default=0)


def _file(part: Mapping[str, Any], profile: Profile) -> int:
    data, _ = _payload(part, "file", "file_data", "source")
    if data is None:
        return ALLOWANCES["file"]
    if data.text[:10].lower() == "data:text/":
        return max(ALLOWANCES["file"], data.size // 3)
    if data.read(0, 5) != b"%PDF-":
        return ALLOWANCES["file"]
    page = _image_tokens(Image(detail=profile.page_detail), profile) + ALLOWANCES["text of a page"]
    pages = pdf_pages(data)
    if pages is None:
        return max(ALLOWANCES["file"], page * -(-data.size // PDF_BYTES))
    return page * pages


def _payload(part: Mapping[str, Any], *names: str) -> tuple[Base64 | None, object]:
    """The base64 data of a part, where it has some, and the `detail` that stands beside it."""
    holder = next((part[name] for name in names if part.get(name)), None)
    if not isinstance(holder, Mapping):
        return data_of(holder) or _bare(holder), None
    data = data_of(holder.get("url"))
    for name in ("data", "file_data"):
        data = data or data_of(holder.get(name)) or _bare(holder.get(name))
    return data, holder.get("detail")


def _bare(value: object) -> Base64 | None:
    """Base64 data that stands by itself: what is no address."""
    return bare(value) if isinstance(value, str) and value and ":" not in value[:20] else None


def _count(value: object) -> int | None:
    return value if type(value) is int and value > 0 else None  # True is no number of pixels
