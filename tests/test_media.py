"""Images, sounds and files: sizes from headers, tokens by the published rules, no exceptions."""

import base64
import io
import math
import random
import struct
import wave
from dataclasses import replace
from pathlib import Path

import PIL.Image
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contextkit import media
from contextkit.builder import ContextBuilder
from contextkit.image_rules import Image, Patches, Pixels, patches
from contextkit.media import Base64, bare, data_of, image_size, pdf_pages, wav_seconds
from contextkit.media_tokens import ALLOWANCES, media_tokens
from contextkit.profiles import known_profiles, profile_for
from contextkit.tokens import counter_for

PROFILES = [profile for profile in known_profiles().values() if profile.image is not None]
SIDES = st.integers(1, 300)
FORMATS = {
    "PNG": {},
    "JPEG": {},
    "progressive JPEG": {"format": "JPEG", "progressive": True},
    "GIF": {},
    "BMP": {},
    "WebP VP8": {"format": "WEBP"},
    "WebP VP8L": {"format": "WEBP", "lossless": True},
    "WebP VP8X": {"format": "WEBP", "exif": b"Exif\0\0" + b"x" * 50},
}


def picture(width, height, name="PNG", **more):
    options = {"format": name, **FORMATS[name], **more}
    out = io.BytesIO()
    PIL.Image.new("RGB", (width, height), "red").save(out, **options)
    return out.getvalue()


def url(data, kind="image/png"):
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def png_header(width, height):
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + b"\x08\x02\0\0\0"


def part(width, height, detail=None, **more):
    image = {"url": url(png_header(width, height)), **({"detail": detail} if detail else {})}
    return {"type": "image_url", "image_url": image, **more}


def tokens(model, content):
    return media_tokens(content, profile_for(model))


# -- sizes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
@given(width=SIDES, height=SIDES)
def test_the_size_stands_in_the_header(name, width, height):
    assert image_size(data_of(url(picture(width, height, name)))) == (width, height)


@pytest.mark.parametrize("name", ["JPEG", "progressive JPEG"])
def test_a_jpeg_says_its_size_behind_its_metadata(name):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees; every rule counts both ways alike
    exif[0x010E] = "x" * 60_000
    data = picture(40, 30, name, exif=exif, icc_profile=b"p" * 300_000, comment=b"c" * 999)
    assert data.index(b"\xff\xc0" if name == "JPEG" else b"\xff\xc2") > 350_000
    assert image_size(data_of(url(data))) == (40, 30)


def test_tables_may_stand_before_the_frame_of_a_jpeg():
    data = picture(40, 30, "JPEG")
    for marker in (b"\xff\xc4", b"\xff\xcc", b"\xff\xdb", b"\xff\xff\xff\xe1"):
        table = marker + b"\0\x0a" + b"\0\x11\x22\x33\x44\x55\x66\x77"
        assert image_size(data_of(url(data[:2] + table + data[2:]))) == (40, 30)


def test_a_webp_may_ask_to_be_enlarged():
    data = bytearray(picture(40, 30, "WebP VP8"))
    data[27] |= 0x40  # upscaling hints stand above the 14 bits of each side
    data[29] |= 0x80
    assert image_size(data_of(url(bytes(data)))) == (40, 30)


def test_a_webp_with_features_is_told_from_one_without():
    kinds = {name: picture(9, 7, name)[12:16] for name in FORMATS if name.startswith("WebP")}
    assert kinds == {"WebP VP8": b"VP8 ", "WebP VP8L": b"VP8L", "WebP VP8X": b"VP8X"}


def test_a_bitmap_may_stand_upside_down_or_be_very_old():
    new = struct.pack("<2sIHHIIii", b"BM", 54, 0, 0, 54, 40, 12, -34) + b"\0" * 28
    old = struct.pack("<2sIHHIIHHHH", b"BM", 26, 0, 0, 26, 12, 12, 34, 1, 24) + b"\0" * 28
    assert image_size(data_of(url(new))) == image_size(data_of(url(old))) == (12, 34)


@given(st.binary(max_size=80), st.integers(0, 90), st.integers(0, 90))
def test_any_part_of_the_data_can_be_read(data, offset, length):
    text = base64.b64encode(data).decode()
    assert Base64("x" * 7 + text, 7).read(offset, length) == data[offset : offset + length]
    assert Base64(text.rstrip("=")).read(offset, length) == data[offset : offset + length]
    assert len(data) <= Base64(text).size <= len(data) + 2


def test_spellings_of_a_data_url():
    data = picture(40, 30, "JPEG")
    coded = base64.b64encode(data).decode()
    lines = base64.encodebytes(data).decode()
    safe = base64.urlsafe_b64encode(data).decode()
    for text in (
        f"data:image/jpeg;base64,{coded}",
        f"DATA:IMAGE/JPEG;BASE64,{coded}",
        f"data:;base64,{coded}",
        f"data:image/jpeg;charset=utf-8;base64,{coded}",
        f"data:image/png;base64,{coded}",  # the bytes say what it is
        f"data:image/jpeg;base64,{lines}",
        f"data:image/jpeg;base64, {coded}\n",
        f"data:image/jpeg;base64,{safe}",
    ):
        assert image_size(data_of(text)) == (40, 30), text[:40]
    for other in ("https://h/a.png", "data:", "data:,", "data:image/svg+xml,<svg/>", "", None, 7):
        assert data_of(other) is None


class Counted(str):
    """A text that counts the characters that are taken from it."""

    __slots__ = ("taken",)

    def __new__(cls, text):
        self = super().__new__(cls, text)
        self.taken = 0
        return self

    def __getitem__(self, key):
        piece = super().__getitem__(key)
        self.taken += len(piece)
        return piece


@pytest.mark.parametrize("name", FORMATS)
def test_of_ten_megabytes_only_the_header_is_read(name):
    text = Counted(url(picture(40, 30, name) + b"\0" * 10_000_000))
    profile = profile_for("gpt-4o")
    assert media_tokens({"type": "input_image", "image_url": text}, profile) == 85 + 170
    assert text.taken < 2_000


def test_a_hostile_jpeg_is_not_walked_for_ever():
    text = Counted(url(b"\xff\xd8" + b"\xff\xe0\0\x02" * 1_000_000))
    assert image_size(data_of(text)) is None
    assert text.taken < 50 * media._JPEG_SEGMENTS


# -- nothing raises ----------------------------------------------------------------------------

WHOLE = [picture(40, 30, name) for name in FORMATS]


@given(st.sampled_from(WHOLE), st.integers(0, 700))
def test_a_truncated_image_has_its_size_or_none(data, length):
    size = image_size(data_of(url(data[:length])))
    assert size in (None, (40, 30))


@given(st.sampled_from(WHOLE), st.data())
def test_damaged_bytes_do_no_harm(data, draw):
    damaged = bytearray(data[:200])
    for _ in range(draw.draw(st.integers(1, 6))):
        damaged[draw.draw(st.integers(0, len(damaged) - 1))] = draw.draw(st.integers(0, 255))
    text = url(bytes(damaged))
    for profile in PROFILES:
        most = profile.image.tokens(Image(detail="original"))
        assert 0 < media_tokens({"type": "image", "image": text}, profile) <= most


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
KEYS = ["image_url", "image", "source", "detail", "max_pixels", "min_pixels", "url", "data"]
KEYS += ["input_audio", "audio_url", "video", "file", "file_data"]


@given(
    st.sampled_from(["image_url", "input_image", "input_audio", "video", "file", "input_file"]),
    st.dictionaries(
        st.sampled_from(KEYS),
        JSON
        | st.dictionaries(st.sampled_from(KEYS), JSON | st.text().map("data:;base64,".__add__)),
    ),
)
def test_no_part_is_too_odd_to_be_counted(kind, fields):
    for model in ("gpt-4o", "gpt-5.6", "qwen3-vl-plus", "smollm2"):
        assert tokens(model, {**fields, "type": kind}) >= 0
        assert counter_for(profile_for(model)).message({"role": "user", "content": [fields]}) > 0


@pytest.mark.parametrize("size", [(0, 0), (0, 9), (9, 0), (2**32 - 1, 2**32 - 1), (1, 2**32 - 1)])
@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_absurd_sizes_cost_at_most_what_the_largest_image_costs(profile, size):
    assert 0 < media_tokens(part(*size), profile) <= profile.image.tokens(Image(detail="original"))


def test_what_is_no_readable_image_costs_the_allowance():
    webp = picture(40, 30, "WebP VP8")
    for text in (
        "https://h/a.png",
        "data:image/png;base64,",
        "data:image/png;base64,!!!! not base64 !!!!" * 9,
        "data:image/png;base64," + "\u20ac" * 99,
        url(picture(40, 30)[:20]),
        url(b"%PDF-1.4" + b"\0" * 99, "image/png"),
        url(webp[:23] + b"???" + webp[26:]),
        url(png_header(0, 5)),
    ):
        content = {"type": "image_url", "image_url": {"url": text}}
        assert tokens("gpt-4o", content) == 1445
        assert tokens("qwen3-vl-plus", content) == 2562
        assert tokens("generic", content) == tokens("smollm2", content) == ALLOWANCES["image"]


# -- the rules ---------------------------------------------------------------------------------

OPENAI = "https://developers.openai.com/api/docs/guides/images-vision (2026-11-22)"
OLDER = "the same guide, before GPT-5.4, whose models had 1,536 patches"


@pytest.mark.parametrize(
    ("model", "size", "detail", "expected", "source"),
    [
        ("gpt-4o", (1024, 1024), "high", 765, OLDER),
        ("gpt-4o", (2048, 4096), "high", 1105, OLDER),
        ("gpt-4o", (4096, 8192), "low", 85, OLDER),
        ("gpt-5.4", (1024, 1024), "high", 1229, OPENAI),
        ("gpt-5.4", (2048, 2048), "high", 3000, OPENAI),
    ],
)
def test_openais_worked_examples(model, size, detail, expected, source):
    assert tokens(model, part(*size, detail)) == expected, source


def test_openais_worked_examples_of_patches():
    assert patches((1024, 1024), 2048, 1536) == 1024, OLDER
    assert patches((1800, 2400), 2400, 1536) == 1452, OLDER


@pytest.mark.parametrize(
    ("model", "size", "detail", "expected"),
    [
        # Tiles. Nothing is enlarged; auto, none and an unknown level are high.
        ("gpt-4o", (1, 1), "high", 85 + 170),
        ("gpt-4o", (512, 512), "auto", 85 + 170),
        ("gpt-4o", (513, 512), None, 85 + 2 * 170),
        ("gpt-4o", (1920, 1080), "original", 85 + 6 * 170),
        ("gpt-4o", (10_000, 10), "?", 85 + 4 * 170),
        ("gpt-4.1", (1024, 1024), "high", 765),
        ("gpt-4-turbo", (1024, 1024), "high", 765),
        ("gpt-4o-mini", (1024, 1024), "high", 2833 + 4 * 5667),
        ("gpt-4o-mini", (1024, 1024), "low", 2833),
        ("gpt-5", (1024, 1024), "high", 70 + 4 * 140),
        ("gpt-5.1", (1024, 1024), "low", 70),
        # Patches: 32 squares by 32, and so on, times the multiplier, rounded up.
        ("gpt-4.1-mini", (1024, 1024), "high", 1659),
        ("gpt-4.1-nano", (1024, 1024), "low", 2520),
        ("gpt-5-mini", (1024, 1024), None, 1229),
        ("gpt-5-nano", (1024, 1024), None, 1536),
        ("gpt-5.2", (4096, 4096), "original", 4916),  # 64 by 64
        ("gpt-5.4", (4096, 4096), "low", 4916),  # more than high, as published
        ("gpt-5.4", (4096, 4096), None, 3000),
        ("gpt-5.4", (3840, 2160), "original", 9792),  # 120 by 68
        ("gpt-5.4-nano", (9000, 9000), "original", 12_000),
        ("gpt-5.5", (3840, 2160), None, 9792),
        ("gpt-5.5", (3840, 2160), "low", 173),  # 512 by 288: 16 by 9
        ("gpt-5.6-sol", (3840, 2160), "auto", 9792),
        ("gpt-5.6-sol", (4800, 6400), "original", 36_000),
        ("gpt-5.6-sol", (3840, 2160), "low", 173),
        ("gpt-5.6-sol", (3840, 2160), "high", 2765),  # 2048 by 1152: 64 by 36
        ("gpt-5.6-sol", (1, 1), None, 2),
    ],
)
def test_openais_models(model, size, detail, expected):
    assert tokens(model, part(*size, detail)) == expected
    assert tokens(model, part(*reversed(size), detail)) == expected


def published_smart_resize(height, width, square, most, fewest):
    """Qwen's own arithmetic, squares and marks.

    Of https://help.aliyun.com/zh/model-studio/vision (fewest = 0) and of qwen-vl-utils, at
    https://github.com/QwenLM/Qwen3-VL (fewest = 1), 2026-11-22.
    """
    least, most = 4 * square**2, most * square**2
    rows, columns = (max(fewest, round(side / square)) * square for side in (height, width))
    if rows * columns > most:
        factor = math.sqrt(height * width / most)
        rows = math.floor(height / factor / square) * square
        columns = math.floor(width / factor / square) * square
    elif rows * columns < least:
        factor = math.sqrt(least / (height * width))
        rows = math.ceil(height * factor / square) * square
        columns = math.ceil(width * factor / square) * square
    return rows * columns // square**2 + 2


@given(st.integers(11, 9_000), st.integers(11, 9_000), st.sampled_from([100, 1280, 2560, 16_384]))
def test_qwens_rule_is_the_published_one(width, height, most):
    assume(max(width, height) <= 200 * min(width, height))  # more than 10, up to 200:1, says Qwen
    for model, square in (("qwen3-vl-plus", 32), ("qwen2.5-vl-72b-instruct", 28)):
        published = [
            published_smart_resize(height, width, square, most, fewest) for fewest in (0, 1)
        ]
        asked = part(width, height, max_pixels=most * square**2)
        counted = tokens(model, asked)
        # Where a side of the published result vanishes, there is no image left to count.
        assert counted == max(published) or (min(published) == 2 < counted <= most + 2)


@pytest.mark.parametrize(
    ("model", "content", "expected"),
    [
        ("qwen3-vl-plus", part(1024, 1024), 1024 + 2),
        ("qwen3.7-plus", part(1920, 1080), 60 * 34 + 2),
        ("qwen-vl-max", part(1920, 1080), 60 * 34 + 2),
        ("qwen2.5-vl-7b-instruct", part(560, 840), 20 * 30 + 2),
        ("qwen2.5-vl-7b-instruct", part(1036, 1036), 35 * 35 + 2),  # 37 by 37 are too many
        ("qwen3-vl-plus", part(20, 20), 4 + 2),
        ("qwen3-vl-plus", part(16, 112), 6 + 2),  # 16 rounds to no square: 6 or 4, as published
        ("qwen3-vl-plus", part(15, 1000), 31 + 2),  # 17 or 31
        ("qwen3-vl-plus", part(8000, 8000), 50 * 50 + 2),
        ("qwen3-vl-plus", part(8000, 8000, "low"), 50 * 50 + 2),  # detail is OpenAI's
        ("qwen3-vl-plus", part(8000, 8000, max_pixels=16_777_216), 128 * 128 + 2),
        ("qwen3-vl-plus", part(8000, 8000, max_pixels=99_999_999), 128 * 128 + 2),
        ("qwen3-vl-plus", part(8000, 8000, max_pixels=-1), 50 * 50 + 2),
        ("qwen3-vl-plus", part(8000, 8000, max_pixels=True), 50 * 50 + 2),
        ("qwen3-vl-plus", part(8000, 8000, max_pixels="1"), 50 * 50 + 2),
        ("qwen3-vl-plus", part(64, 64, min_pixels=65_536), 64 + 2),
        ("qwen3-vl-plus", {"type": "image", "image": url(png_header(64, 96))}, 6 + 2),
        ("qwen3-vl-plus", {"type": "image", "image": "https://h/a", "max_pixels": 1 << 20}, 1026),
    ],
)
def test_qwens_models(model, content, expected):
    assert tokens(model, content) == expected


def test_high_resolution_is_a_setting_of_the_profile():
    profile = profile_for("qwen3-vl-plus")
    high = replace(profile, image=replace(profile.image, most=16_384))
    assert media_tokens(part(8000, 8000), high) == 128 * 128 + 2
    assert counter_for(profile).name != counter_for(high).name


SIZES = st.tuples(st.integers(1, 20_000), st.integers(1, 20_000))
DETAILS = st.sampled_from(["low", "high", "auto", "original", "new"])


@given(SIZES, DETAILS)
def test_no_image_costs_more_than_one_whose_size_is_unknown(size, detail):
    for profile in PROFILES:
        rule = profile.image
        # Where the original size is the default, an unknown one counts as `high`: an allowance.
        same = "high" if isinstance(rule, Patches) and detail in ("auto", "new") else detail
        assert 0 < rule.tokens(Image(size, same)) <= rule.tokens(Image(None, detail))
        assert rule.tokens(Image(size, detail)) == rule.tokens(Image(size[::-1], detail))


@given(st.integers(1, 2048), st.integers(1, 2048), st.integers(1, 400), st.integers(1, 400))
def test_below_every_limit_a_larger_image_costs_no_less(width, height, wider, higher):
    rule = replace(profile_for("gpt-5.6").image, low=(65_535, 30_000))
    assert isinstance(rule, Patches)
    for detail in ("low", "original"):
        small = rule.tokens(Image((width, height), detail))
        assert small <= rule.tokens(Image((width + wider, height + higher), detail))


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_the_length_of_the_data_does_not_matter(profile):
    rng = random.Random(1)
    short = picture(300, 200)
    noise = rng.randbytes(50_000)
    for shape in (
        lambda data: {"type": "image_url", "image_url": {"url": url(data)}},
        lambda data: {"type": "image_url", "image_url": url(data)},
        lambda data: {"type": "input_image", "image_url": url(data)},
        lambda data: {"type": "image", "image": url(data)},
        lambda data: {
            "type": "image",
            "source": {"type": "base64", "data": base64.b64encode(data).decode()},
        },
    ):
        expected = profile.image.tokens(Image((300, 200)))
        assert media_tokens(shape(short), profile) == expected
        assert media_tokens(shape(short + noise), profile) == expected


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5.5", "gpt-5.6", "gpt-6", "qwen3.7-plus"])
def test_an_image_by_its_address_fits_into_an_ordinary_limit(model):
    by_address = {"type": "image_url", "image_url": {"url": "https://h/a.png"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, by_address]}]
    assert ContextBuilder(model, limit=8_000).build(messages).tokens > 1_000
    assert tokens("gpt-5.6", by_address) == 3_000
    by_address["image_url"]["detail"] = "original"  # whoever asks for that may get the largest
    assert tokens("gpt-5.6", by_address) == 36_000
    assert tokens("gpt-5.6", part(4032, 3024)) == 14_364  # as docs/media.md says


def test_the_detail_stands_in_the_part_or_in_the_image():
    address = url(png_header(1024, 1024))
    for content in (
        {"type": "image_url", "image_url": {"url": address, "detail": "low"}},
        {"type": "input_image", "image_url": address, "detail": "low"},
    ):
        assert tokens("gpt-4o", content) == 85


def test_a_tool_result_with_an_image_costs_the_image():
    for model in ("gpt-4o", "qwen3.7-plus"):
        count = counter_for(profile_for(model)).message
        result = {"role": "tool", "tool_call_id": "c1", "content": [part(640, 480)]}
        empty = {**result, "content": []}
        assert count(result) - count(empty) == tokens(model, part(640, 480)) > 100


# -- sounds, videos, files ---------------------------------------------------------------------


def sound(seconds, rate=8_000):
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"\0\0" * int(seconds * rate))
    return base64.b64encode(out.getvalue()).decode()


def audio(data):
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}


def test_a_sound_costs_by_its_seconds():
    assert wav_seconds(bare(sound(30))) == pytest.approx(30, abs=0.01)
    assert tokens("gpt-4o-audio-preview", audio(sound(30))) == 301  # the header counts as sound
    assert tokens("gpt-4o-audio-preview", audio(sound(0.1))) == 10
    assert tokens("qwen3-omni-flash", audio(f"data:;base64,{sound(30)}")) == 751


def test_a_chunk_may_stand_before_the_format():
    data = base64.b64decode(sound(2))
    data = data[:12] + b"JUNK\x03\0\0\0abc\0" + data[12:]
    assert wav_seconds(bare(base64.b64encode(data).decode())) == pytest.approx(2, abs=0.01)


def test_a_sound_of_another_format_costs_by_its_bytes():
    mp3 = base64.b64encode(b"ID3" + b"\0" * 400_000).decode()
    assert tokens("gpt-4o", audio(mp3)) == 1001
    for unknown in (None, "", "https://h/a.mp3", 7):
        assert tokens("gpt-4o", audio(unknown)) == ALLOWANCES["audio"]


def test_frames_cost_half_of_what_they_would_cost_as_images():
    frame = url(png_header(640, 480))
    video = {"type": "video", "video": [frame] * 9}
    assert tokens("qwen3-vl-plus", video) == 5 * 20 * 15 + 2
    large = {"type": "video", "video": ["https://h/a.jpg"] * 9}
    assert tokens("qwen3-vl-plus", large) == 5 * 640 + 2
    assert tokens("qwen3-vl-plus", {**large, "max_pixels": 262_144}) == 5 * 256 + 2
    assert tokens("qwen3-vl-plus", {"type": "video_url", "video_url": {"url": "https://h/a"}}) == (
        tokens("gpt-4o", video)
    )


def pdf(pages, *, linearized=False, compressed=False, padding=0):
    head = f"<< /Linearized 1 /L 9 /N {pages} /T 7 >>" if linearized else "<< /Type /Catalog >>"
    tree = f"<< /Kids [ 4 0 R ] /Count {pages}\n/Type /Pages >>\n<< /Type /Pages /Count 1 >>"
    text = (
        f"%PDF-1.7\n1 0 obj {head} endobj\n{'0' * padding}\n{'' if compressed else tree}\n%%EOF\n"
    )
    return text.encode()


def document(data):
    return {"type": "file", "file": {"file_data": url(data, "application/pdf"), "filename": "a"}}


def test_a_pdf_costs_by_its_pages():
    page = ALLOWANCES["text of a page"]
    for data in (pdf(12), pdf(12, linearized=True, compressed=True), pdf(12, padding=3_000_000)):
        assert pdf_pages(data_of(url(data))) == 12
        assert tokens("gpt-4o", document(data)) == 12 * (page + 85)
        assert tokens("gpt-5.6", document(data)) == 12 * (page + 3_000)
    flat = {"type": "input_file", "file_data": url(pdf(12)), "filename": "a.pdf"}
    assert tokens("gpt-4o", flat) == 12 * (page + 85)


def test_a_pdf_that_hides_its_pages_costs_by_its_bytes():
    assert tokens("gpt-4o", document(pdf(1, compressed=True))) == ALLOWANCES["file"]
    large = tokens("gpt-4o", document(pdf(1, compressed=True, padding=1_000_000)))
    assert large == 21 * (ALLOWANCES["text of a page"] + 85)


def test_other_files_cost_an_allowance():
    text = {"type": "file", "file": {"file_data": url(b"word " * 9_000, "text/plain")}}
    assert tokens("gpt-4o", text) == 15_000
    for file in ({"file_id": "file-1"}, {"file_data": url(b"PK" * 99)}, {}):
        assert tokens("gpt-4o", {"type": "file", "file": file}) == ALLOWANCES["file"]


# -- the table in the documentation ------------------------------------------------------------


def test_the_documented_rules_are_those_of_the_profiles():
    page = (Path(__file__).parents[1] / "docs" / "media.md").read_text("utf-8")
    for profile in PROFILES:
        rule = profile.image
        unknown, square = rule.tokens(Image()), rule.tokens(Image((1024, 1024)))
        doubt = " (unverified)" if "image" in profile.unverified else ""
        row = f"| {profile.name}{doubt} | `{rule}` | {square:,} | {unknown:,} |"
        assert row in page, row
    for rule in (profile.image for profile in PROFILES):
        assert rule.source in page
        assert str(rule.checked) in page
    assert isinstance(profile_for("qwen-plus").image, Pixels)
