"""Media: what the first bytes of base64 data say: size of an image, seconds of a sound, pages.

Only the base64 that is needed is decoded, so the length of the data does not matter. Nothing here
raises: data that is damaged, cut off, or of an unknown format gives None.

Formats: PNG (https://www.w3.org/TR/png-3/), JPEG (ITU-T T.81, B.1), GIF
(https://www.w3.org/Graphics/GIF/spec-gif89a.txt), WebP
(https://developers.google.com/speed/webp/docs/riff_container), BMP
(https://learn.microsoft.com/en-us/windows/win32/gdi/bitmap-storage); RIFF WAVE; PDF (ISO 32000-1).
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass

_URLSAFE = str.maketrans("-_", "+/")
_JPEG_SEGMENTS = 1_000  # of real files: a few, up to some hundreds with a large colour profile
_PDF_END = 64_000  # bytes at the end of a PDF that are searched for its page tree


@dataclass(frozen=True, slots=True)
class Base64:
    """Bytes in a base64 text, decoded where they are read.

    Attributes:
        text: anything; the data begins at `start`.
        start: of the data in the text.
    """

    text: str
    start: int = 0

    @property
    def size(self) -> int:
        """Length of the data in bytes, up to two more."""
        return (len(self.text) - self.start) // 4 * 3

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the data from an offset; fewer at its end, none where it is no base64."""
        first = self.start + offset // 3 * 4
        quanta = (offset % 3 + length + 2) // 3
        coded = self.text[first : first + 4 * quanta].rstrip().translate(_URLSAFE)
        whole = coded[: -1 if len(coded) % 4 == 1 else None]  # of the last quantum, cut off
        try:
            data = binascii.a2b_base64(whole + "=" * (-len(whole) % 4), strict_mode=True)
        except (binascii.Error, ValueError):
            return b""
        return data[offset % 3 : offset % 3 + length]


def data_of(url: object) -> Base64 | None:
    """The base64 data of a data URL; None for anything else."""
    if not isinstance(url, str) or url[:5].lower() != "data:":
        return None
    comma = url.find(",", 5, 1_000)
    if comma < 0 or not url[5:comma].lower().rstrip().endswith(";base64"):
        return None
    return bare(url, comma + 1)


def bare(text: str, start: int = 0) -> Base64:
    """Base64 data without a data URL around it."""
    begin = text[start : start + 200]
    if begin.split() != [begin]:  # broken into lines, as in an e-mail
        return Base64("".join(text[start:].split()))
    return Base64(text, start)


def image_size(data: Base64) -> tuple[int, int] | None:
    """Width and height in pixels of a PNG, JPEG, GIF, WebP or BMP image, as it is stored."""
    head = data.read(0, 32)
    size = None
    if head[:2] == b"\xff\xd8":
        size = _jpeg_size(data)
    elif len(head) < 26:
        return None
    elif head[:8] == b"\x89PNG\r\n\x1a\n" and head[12:16] == b"IHDR":
        size = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    elif head[:6] in (b"GIF87a", b"GIF89a"):
        size = _little(head, 6, 2), _little(head, 8, 2)
    elif head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        size = _webp_size(head)
    elif head[:2] == b"BM":
        if _little(head, 14, 4) == 12:
            size = _little(head, 18, 2), _little(head, 20, 2)
        else:
            # The height is negative where the rows stand from top to bottom.
            height = int.from_bytes(head[22:26], "little", signed=True)
            size = _little(head, 18, 4), abs(height)
    return size if size and min(size) > 0 else None


def wav_seconds(data: Base64) -> float | None:
    """Duration of a WAV sound: what is there by its bytes a second, so never too short."""
    head = data.read(0, 12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    offset = 12
    for _ in range(20):  # `fmt ` is the first chunk, or stands behind a few small ones
        chunk = data.read(offset, 20)
        if len(chunk) < 20:
            return None
        if chunk[:4] == b"fmt ":
            rate = _little(chunk, 16, 4)
            return data.size / rate if rate else None
        offset += 8 + (_little(chunk, 4, 4) + 1) // 2 * 2
    return None


def pdf_pages(data: Base64) -> int | None:
    """Pages of a PDF, where its first or last bytes tell: not in most compressed files."""
    head = data.read(0, 2_000)
    if not head.startswith(b"%PDF-"):
        return None
    linearized = re.search(rb"/Linearized\b[^>]*?/N\s+(\d{1,7})\b", head)
    if linearized:
        return int(linearized[1]) or None
    end = data.read(max(0, data.size - _PDF_END), _PDF_END + 2)
    # Each node of the page tree has the number of pages below it; the root has the largest.
    trees = re.findall(rb"<<[^<>]*/Type\s*/Pages\b[^<>]*>>", end)
    counts = [found for tree in trees for found in re.findall(rb"/Count\s+(\d{1,7})\b", tree)]
    return max(map(int, counts), default=0) or None


def _jpeg_size(data: Base64) -> tuple[int, int] | None:
    """From the frame header, which stands behind any number of segments (EXIF, ICC, …)."""
    offset = 2
    for _ in range(_JPEG_SEGMENTS):
        segment = data.read(offset, 9)
        if len(segment) < 9 or segment[0] != 0xFF:
            return None
        marker = segment[1]
        if marker == 0xFF:  # a fill byte
            offset += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(segment[7:9], "big"), int.from_bytes(segment[5:7], "big")
        if marker in (0xD9, 0xDA):  # the end, or image data before any frame header
            return None
        alone = marker == 0x01 or 0xD0 <= marker <= 0xD8
        offset += 2 if alone else 2 + int.from_bytes(segment[2:4], "big")
    return None


def _webp_size(head: bytes) -> tuple[int, int] | None:
    if len(head) < 30:
        return None
    if head[12:16] == b"VP8X":
        return 1 + _little(head, 24, 3), 1 + _little(head, 27, 3)
    if head[12:16] == b"VP8L" and head[20] == 0x2F:
        bits = _little(head, 21, 4)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if head[12:16] == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        return _little(head, 26, 2) & 0x3FFF, _little(head, 28, 2) & 0x3FFF
    return None


def _little(data: bytes, offset: int, length: int) -> int:
    return int.from_bytes(data[offset : offset + length], "little")
