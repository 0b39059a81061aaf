"""Embedders over an OpenAI-compatible API: every text its vector, or a typed error and none."""

import asyncio
import json
import logging
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import AsyncOpenAI, OpenAI

import contextkit as ck
from contextkit.errors import BudgetError, EmbeddingError, InputError
from contextkit.estimate import EstimateCounter
from contextkit.exact import TiktokenCounter
from contextkit.retrieval import readable
from contextkit.retrieval.index_inputs import unit_rows
from contextkit.testing import acheck_embedder, check_embedder
from tests.scripted_provider import Failure, words_of

QUOTED = "the launch code is 4711"


@pytest.fixture
def client(provider):
    with OpenAI(base_url=provider.base_url, api_key="none", max_retries=1) as running:
        yield running


def embedder(client: Any, **settings: Any) -> ck.OpenAIEmbedder:
    return ck.OpenAIEmbedder(client, **{"dimensions": 8} | settings)


def body(*vectors: Any, indices: Any = None) -> Failure:
    """An answer of these vectors, under these numbers."""
    numbers = range(len(vectors)) if indices is None else indices
    data = [
        {"object": "embedding", "index": number, "embedding": vector}
        for number, vector in zip(numbers, vectors, strict=True)
    ]
    return Failure(body=json.dumps({"object": "list", "data": data, "model": "m"}).encode())


def test_it_keeps_the_contract(client, provider) -> None:
    check_embedder(embedder(client))
    check_embedder(embedder(client, batch=3))

    async def with_an_async_client() -> None:
        async with AsyncOpenAI(base_url=provider.base_url, api_key="none") as running:
            await acheck_embedder(ck.OpenAIEmbedder(running, dimensions=64))

    asyncio.run(with_an_async_client())


def test_what_is_sent(client, provider) -> None:
    ck.OpenAIEmbedder(client)(["one"])
    ck.OpenAIEmbedder(client, dimensions=8)(["two"])

    assert provider.requests == [
        {"model": "text-embedding-v4", "input": ["one"], "encoding_format": "float"},
        {
            "model": "text-embedding-v4",
            "input": ["two"],
            "encoding_format": "float",
            "dimensions": 8,
        },
    ]


@pytest.mark.parametrize(
    ("model", "settings", "sizes"),
    [
        ("text-embedding-v4", {}, [10, 10, 5]),
        ("qwen3.7-text-embedding", {}, [20, 5]),
        ("text-embedding-3-small", {}, [25]),
        ("openai/text-embedding-3-large", {}, [25]),
        ("somebody's", {}, [10, 10, 5]),
        ("somebody's", {"batch": 16}, [16, 9]),
    ],
)
def test_as_many_texts_a_call_as_the_model_takes(client, provider, model, settings, sizes) -> None:
    texts = [f"text {number}" for number in range(25)]

    vectors = embedder(client, model=model, **settings)(texts)

    assert [len(request["input"]) for request in provider.requests] == sizes
    assert [text for request in provider.requests for text in request["input"]] == texts
    assert np.allclose(vectors, unit_rows([words_of(text, 8) for text in texts], 25, 8))


def test_no_call_holds_more_than_a_provider_takes(client, provider) -> None:
    texts = [f"{number} " + "sale " * 8_000 for number in range(9)]  # 8,001 tokens each

    embedder(client, model="text-embedding-3-small")(texts)

    sizes = [sum(len(text.encode()) for text in request["input"]) for request in provider.requests]
    assert max(sizes) <= 300_000
    assert [text for request in provider.requests for text in request["input"]] == texts


def test_nothing_is_asked_for_no_texts(client, provider) -> None:
    assert embedder(client)([]).shape == (0, 8)
    assert provider.requests == []


def test_vectors_are_taken_by_their_numbers(client, provider) -> None:
    provider.failures.append(body([0, 0, 3], [0, 2, 0], [1, 0, 0], indices=[2, 1, 0]))

    assert embedder(client, dimensions=3)(["a", "b", "c"]).tolist() == np.eye(3).tolist()


NAN = float("nan")


@pytest.mark.parametrize(
    ("answer", "says", "numbers"),
    [
        (body([1, 0]), "gave 1 vectors for 2 texts", {"texts": 2, "rows": 1}),
        (body([1, 0], [0, 1], [1, 1]), "gave 3 vectors for 2 texts", {"texts": 2, "rows": 3}),
        (body([1, 0], [0, 1], indices=[0, 0]), "not 0 to 1", {"texts": 2}),
        (body([1, 0], [0, 1], indices=[1, 2]), "not 0 to 1", {"texts": 2}),
        (body([1, 0], [0, 1], indices=[None, None]), "not 0 to 1", {"texts": 2}),
        (body([1, 0], [0, 1], indices=[[], {}]), "not 0 to 1", {"texts": 2}),
        (body([1, 0], [NAN, 1]), "zeros, NaN or infinity", {"row": 1, "texts": 2}),
        (body([1, 0], [1e300, 1]), "zeros, NaN or infinity", {"row": 1}),
        (body([0, 0], [0, 1]), "zeros, NaN or infinity", {"row": 0, "dimension": 2}),
        (body([1, 0, 0], [0, 1, 0]), "gave 3 dim.*not 2", {"dimension": 3, "expected": 2}),
        (body([1, 0], [0, 1, 0]), "no array of numbers", {"texts": 2}),
        (body([1, 0], ["x", QUOTED]), "no array of numbers", {"texts": 2}),
        (body([1, 0], None), "no array of numbers", {"texts": 2}),
        (Failure(body=b"{}"), "answered with no vectors", {"texts": 2}),
        (Failure(body=b'{"data": {}}'), "answered with no vectors", {"texts": 2}),
        (Failure(body=b"[]"), "answered with no vectors", {"texts": 2}),
        (Failure(body=b"<html>"), "no vectors", {"texts": 2}),
    ],
)
def test_what_is_no_usable_answer_is_refused_whole(client, provider, answer, says, numbers) -> None:
    provider.failures.append(answer)
    index = ck.VectorIndex(embed := embedder(client, dimensions=2))

    with pytest.raises(EmbeddingError, match=says) as caught:
        index.add(("here",), ["a", "b"], embed([QUOTED, "two"]))

    assert {name: getattr(caught.value, name) for name in numbers} == numbers
    assert not caught.value.retryable
    assert QUOTED not in str(caught.value)


def test_one_call_of_several_with_another_dimension_is_refused(client, provider) -> None:
    provider.failures += [body([1, 0, 0]), body([1, 0])]

    with pytest.raises(EmbeddingError, match="gave 2 dimensions, not 3"):
        ck.OpenAIEmbedder(client, "somebody's", batch=1)(["one", "two"])


def test_too_many_requests_are_tried_again_by_the_client(client, provider) -> None:
    provider.failures.append(Failure(429, headers={"Retry-After-Ms": "1"}))

    assert embedder(client)(["one"]).shape == (1, 8)
    assert len(provider.requests) == 2


@pytest.mark.parametrize(
    ("failure", "says", "status", "retryable"),
    [
        (Failure(429), "RateLimitError, HTTP 429, code scripted", 429, True),
        (Failure(500), "InternalServerError, HTTP 500", 500, True),
        (Failure(400), "BadRequestError, HTTP 400", 400, False),
        (Failure(401), "AuthenticationError", 401, False),
        (Failure(cut_after=0), "APIConnectionError", None, True),
        (Failure(body=b'{"data": [1, 2, 3, 4]}', torn=True), "APIConnectionError", None, True),
    ],
)
def test_failures_are_typed(provider, failure, says, status, retryable) -> None:
    def fail(kind: Any) -> None:
        client = kind(base_url=provider.base_url, api_key="none", max_retries=0)
        found = embedder(client, batch=1)([QUOTED, "two"])
        if kind is AsyncOpenAI:
            asyncio.run(_awaited(found, client))

    for calls, kind in enumerate((OpenAI, AsyncOpenAI), 1):
        provider.failures.append(failure)

        with pytest.raises(EmbeddingError, match=says) as caught:
            fail(kind)

        assert (caught.value.status, caught.value.retryable) == (status, retryable)
        assert len(provider.requests) == calls  # the second text was not asked for


async def _awaited(found: Any, client: AsyncOpenAI) -> Any:
    async with client:
        return await found


def test_the_words_of_a_provider_are_not_passed_on(client, provider) -> None:
    said = {"error": {"message": f"refused: {QUOTED}", "code": QUOTED, "param": "input"}}
    provider.failures.append(Failure(400, body=json.dumps(said).encode()))

    with pytest.raises(EmbeddingError, match="param input") as caught:
        embedder(client)([QUOTED])

    assert QUOTED not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__  # nor in a traceback


def test_a_slow_provider_is_given_up(client, provider) -> None:
    provider.failures += [Failure(held=True), Failure(held=True)]

    with pytest.raises(EmbeddingError, match="APITimeoutError") as caught:
        embedder(client, timeout=0.05)(["one"])

    assert caught.value.retryable


def test_blank_texts_are_not_sent_blank(client, provider) -> None:
    vectors = embedder(client)(["", "word", " \n\t\u3000"])

    assert provider.requests[0]["input"] == [".", "word", "."]
    assert np.array_equal(vectors[0], vectors[2])


def test_half_a_character_is_sent_as_a_question_mark(client, provider) -> None:
    embedder(client)(["half \ud800 of a pair \U0001f600"])

    assert provider.requests[0]["input"] == ["half ? of a pair \U0001f600"]


def test_of_a_long_text_the_beginning_is_embedded_and_the_log_says_so(
    client, provider, caplog
) -> None:
    long = "Ein Satz mit Wörtern, Zahlen wie 4711 und 你好。 " * 3_000
    with caplog.at_level(logging.INFO, "contextkit"):
        embedder(client)(["short", long])

    sent = provider.requests[0]["input"][1]
    tokens = TiktokenCounter("qwen").count(sent)
    assert long.startswith(sent)
    assert sent[-1] in " ,。"
    assert 8_192 * 0.9 < tokens <= 8_192
    assert "of 1 of 2 texts the beginning is embedded" in caplog.text
    assert "Satz" not in caplog.text


@given(
    st.text(st.sampled_from("ab .\n你é\U0001f600"), max_size=400),
    st.integers(1, 60),
    st.sampled_from(["qwen", "cl100k_base", "unknown"]),
)
def test_a_beginning_is_one_and_within_the_bound(text, tokens, vocabulary) -> None:
    found = readable.beginning(text, tokens, vocabulary)

    counter = EstimateCounter() if vocabulary == "unknown" else TiktokenCounter(vocabulary)
    assert text.startswith(found)
    if len(text.encode()) > tokens:
        assert counter.count(found) <= tokens
        most = tokens / (1 + counter.error)
        assert found == text or counter.count(text) > most or len(text) > 16 * tokens
    else:
        assert found == text


@pytest.mark.parametrize(
    ("model", "settings", "name"),
    [
        ("text-embedding-v4", {}, "text-embedding-v4:1024"),
        ("text-embedding-v4", {"dimensions": 1_024}, "text-embedding-v4:1024"),
        ("text-embedding-v4", {"dimensions": 64}, "text-embedding-v4:64"),
        ("text-embedding-3-large", {}, "text-embedding-3-large:3072"),
        ("somebody's", {}, "somebody's"),
        ("somebody's", {"dimensions": 5}, "somebody's:5"),
    ],
)
def test_the_name_says_model_and_dimension(client, model, settings, name) -> None:
    assert ck.OpenAIEmbedder(client, model, **settings).name == name


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda client: ck.OpenAIEmbedder(None), InputError),
        (lambda client: ck.OpenAIEmbedder(client, ""), InputError),
        (lambda client: ck.OpenAIEmbedder(client, None), InputError),
        (lambda client: ck.OpenAIEmbedder(client, dimensions=0), BudgetError),
        (lambda client: ck.OpenAIEmbedder(client, batch=True), BudgetError),
        (lambda client: ck.OpenAIEmbedder(client, tokens=1.5), BudgetError),
        (lambda client: ck.OpenAIEmbedder(client, timeout=0), BudgetError),
        (lambda client: ck.OpenAIEmbedder(client, timeout=NAN), BudgetError),
        (lambda client: embedder(client)("one text"), InputError),
        (lambda client: embedder(client)(["one", None]), InputError),
        (lambda client: embedder(client)({"one"}), InputError),
    ],
)
def test_what_cannot_work_is_refused(client, provider, make, error) -> None:
    with pytest.raises(error):
        make(client)

    assert provider.requests == []


def test_neither_client_nor_key_is_shown(provider) -> None:
    with OpenAI(base_url=provider.base_url, api_key="sk-4711") as client:
        assert "4711" not in repr(ck.OpenAIEmbedder(client))


class Words:
    """A user's own callable."""

    name = "words"

    def __call__(self, texts):
        return [words_of(text.encode("utf-8", "replace").decode(), 64) for text in texts]


class Shuffled(Words):
    def __call__(self, texts):
        return super().__call__(sorted(texts))


class Same(Words):
    def __call__(self, texts):
        return [[1.0, 0.0] for _ in texts]


class Centred(Words):
    """Gives a text another vector in other company."""

    def __call__(self, texts):
        rows = np.array(super().__call__(texts)).reshape(len(texts), 64)
        return rows + 0.1 * rows.sum(axis=0) + 0.01


class Restless(Words):
    calls = 0

    def __call__(self, texts):
        self.calls += 1
        return np.array(super().__call__(texts)).reshape(len(texts), 64) + self.calls


class Nameless(Words):
    name = 4711


def no_long_texts(texts):
    if max(map(len, texts)) > 9_999:
        raise OverflowError("too long")
    return Words()(texts)


def strict(texts):
    """Takes what the docs say, and nothing else."""
    assert isinstance(texts, list)
    assert all(text.strip() and text.encode() for text in texts)
    return Words()(texts)


def test_a_callable_keeps_the_contract_and_the_contract_catches() -> None:
    check_embedder(Words())
    check_embedder(strict)

    async def later(texts):
        return Words()(texts)

    check_embedder(later)
    for broken, says in [
        (Shuffled(), "order|alone"),
        (Same(), "other texts"),
        (Centred(), "alone|changes no other|order"),
        (Restless(), "same texts"),
        (Nameless(), "name"),
        (lambda texts: Words()(texts)[:-1], "as many vectors"),
        (lambda texts: [["x"]] * len(texts), "gives as many vectors.*not EmbeddingError"),
        (lambda texts: 1 / 0, "takes a list of 20 texts with.*not ZeroDivisionError"),
        (no_long_texts, r"3 texts with 'x{20}', not OverflowError"),
    ]:
        with pytest.raises(AssertionError, match=says):
            check_embedder(broken)
