"""Image rules: how many tokens a provider makes of an image of a given size.

A rule is data, in `profiles/data/`, with its source and date; here is the arithmetic of the three
kinds there are. A size that is not known counts as the most that the rule can give, but for a level
of detail that scales nothing down and that nobody asked for: see `Patches`.

Width and height are alike to every rule, so a rotation in the EXIF data changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from datetime import date
from typing import Any, Literal

Budget = tuple[int, int]
"""How far a detail level is scaled down: the longest side in pixels, the most patches."""


@dataclass(frozen=True, slots=True)
class Image:
    """What a message says of an image.

    Attributes:
        size: width and height in pixels; None where they are not known.
        detail: the level asked for; a rule takes one that it does not know for its own default.
        min_pixels, max_pixels: bounds that some providers accept in the part, width times height.
    """

    size: tuple[int, int] | None = None
    detail: str = "auto"
    min_pixels: int | None = None
    max_pixels: int | None = None


@dataclass(frozen=True, slots=True)
class Tiles:
    """A base, and more for each square of 512 pixels that covers the image.

    The image is first scaled down to fit 2,048 by 2,048 pixels, then until its shortest side is
    768; nothing is enlarged. `detail: low` costs the base alone.

    Attributes:
        base: tokens of any image.
        tile: tokens of each square.
        source, checked: where the rule stands, and when it was read there.
    """

    base: int
    tile: int
    _: KW_ONLY
    source: str = ""
    checked: date | None = None

    def tokens(self, image: Image) -> int:
        """Tokens of an image."""
        if image.detail == "low":
            return self.base
        if image.size is None:
            return self.base + 8 * self.tile
        long, short = max(image.size), min(image.size)
        if short > 768 and 768 * long <= 2048 * short:
            long, short = 768 * long // short, 768
        elif long > 2048:
            # The second side of what fits: rounded up, since nothing says how it is rounded.
            long, short = 2048, -(-short * 2048 // long)
        return self.base + self.tile * -(-long // 512) * -(-short // 512)

    def __str__(self) -> str:
        return f"tiles {self.base} + {self.tile}"


@dataclass(frozen=True, slots=True)
class Patches:
    """So many tokens for each square of 32 pixels that covers the image.

    The image is first scaled down to the longest side of its detail level, then to its number of
    patches; nothing is enlarged. An image beyond what the provider takes at all counts as the
    largest that it takes. One of unknown size counts as the largest of its level, or of `high`
    where no level was asked for: the largest `original` of GPT-5.6 is 36,000 tokens, twelve times
    as much, and larger than many a limit.

    Attributes:
        hundredths: tokens of a hundred patches; the product is rounded up.
        low, high, original: the budgets of the detail levels.
        auto: the level meant by `auto`, by none, and by an unknown one.
        source, checked: where the rule stands, and when it was read there.
    """

    hundredths: int
    low: Budget
    high: Budget
    original: Budget
    auto: Literal["high", "original"]
    _: KW_ONLY
    source: str = ""
    checked: date | None = None

    def tokens(self, image: Image) -> int:
        """Tokens of an image; the provider's own rounding may give one more or less."""
        levels = {"low": self.low, "high": self.high, "original": self.original}
        auto = "high" if image.size is None else self.auto
        side, most = levels.get(image.detail) or levels[auto]
        count = min(most, (-(-side // 32)) ** 2)
        if image.size is not None:
            count = min(count, patches(image.size, side, most))
        return -(-count * self.hundredths // 100)

    def __str__(self) -> str:
        levels = (f"{side}/{most}" for side, most in (self.low, self.high, self.original))
        return f"patches {self.hundredths / 100:g}, {', '.join(levels)}, {self.auto}"


@dataclass(frozen=True, slots=True)
class Pixels:
    """One token for each square of pixels, after rounding both sides to whole squares.

    What is then outside the bounds is scaled into them. This is `smart_resize`, as Qwen publishes
    it. A video given as frames costs half of what its frames would cost, and the marks once.

    Attributes:
        square: the side of a square, in pixels.
        least, most: bounds of an image, in squares, where the part does not say `min_pixels` or
            `max_pixels`; set `most` to 16,384 for requests with `vl_high_resolution_images`.
        limit: the largest `most` that a part may ask for, in squares.
        frame, frame_limit: the same two for a frame of a video.
        marks: tokens that stand around an image.
        source, checked: where the rule stands, and when it was read there.
    """

    square: int
    least: int
    most: int
    limit: int
    frame: int
    frame_limit: int
    marks: int
    _: KW_ONLY
    source: str = ""
    checked: date | None = None

    def tokens(self, image: Image) -> int:
        """Tokens of an image."""
        return self.marks + self._squares(image, self.most, max(self.most, self.limit))

    def video(self, frame: Image, frames: int) -> int:
        """Tokens of a video of so many frames, each as large as one.

        The service scales the frames of a long video further down: an upper bound there.
        """
        return self.marks + -(-frames // 2) * self._squares(frame, self.frame, self.frame_limit)

    def _squares(self, image: Image, most: int, limit: int) -> int:
        area = self.square**2
        if image.max_pixels is not None:
            most = min(max(image.max_pixels // area, self.least), limit)
        if image.size is None:
            return most
        least = self.least
        if image.min_pixels is not None:
            least = min(max(-(-image.min_pixels // area), least), most)
        width, height = (round(side / self.square) for side in image.size)
        pixels = image.size[0] * image.size[1]
        count = max(1, width) * max(1, height)
        if count > most:
            # In the published order of operations: a floor shows the last bit.
            shrink = math.sqrt(pixels / (most * area))
            width, height = (max(1, int(side / shrink / self.square)) for side in image.size)
            return min(width * height, most)
        if width * height < least:
            stretch = math.sqrt(least * area / pixels)
            width, height = (math.ceil(side * stretch / self.square) for side in image.size)
            # The two published versions differ on a side that rounds to nothing: the larger.
            count = max(count, width * height)
        return count

    def __str__(self) -> str:
        bounds = f"{self.least}-{self.most}/{self.limit}, {self.frame}/{self.frame_limit}"
        return f"pixels {self.square}, {bounds} + {self.marks}"


ImageRule = Tiles | Patches | Pixels


def patches(size: tuple[int, int], side: int, most: int) -> int:
    """Squares of 32 pixels that cover an image, after scaling it down to a side and a number.

    As published, https://developers.openai.com/api/docs/guides/images-vision (2026-11-22).
    """
    longest = max(size)
    width, height = size
    if longest > side:
        # Rounded to the nearest pixel, halves up.
        width, height = (max(1, (2 * edge * side + longest) // (2 * longest)) for edge in size)
    count = -(-width // 32) * -(-height // 32)
    if count <= most:
        return count
    shrink = math.sqrt(32**2 * most / (width * height))
    across, down = width * shrink / 32, height * shrink / 32
    shrink *= min(math.floor(across) / across, math.floor(down) / down)
    across, down = max(1, int(width * shrink)), max(1, int(height * shrink))
    return min(most, -(-across // 32) * -(-down // 32))


def image_rule(data: Mapping[str, Any]) -> ImageRule:
    """The rule that a table in `profiles/data/` describes; its field `rule` names the kind.

    Raises:
        ValueError: when there is no such kind.
        TypeError: when a figure of it is missing, or one is not known.
    """
    kinds: dict[str, type[ImageRule]] = {"tiles": Tiles, "patches": Patches, "pixels": Pixels}
    lists = {key: tuple(value) for key, value in data.items() if isinstance(value, list)}
    values = {**data, **lists}
    kind = values.pop("rule", None)
    if kind not in kinds:
        raise ValueError(f"rule is one of {', '.join(kinds)}, not {kind!r:.60}")
    return kinds[kind](**values)
