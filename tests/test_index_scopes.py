"""No index gives, takes or deletes anything beyond its scope, whatever scopes and addresses say.

Classes of what is tried, each drawn at random: operators and filters, as JSON has them; None, empty
and other types; parts that join to the same text; wildcards; quotes, SQL, shell and format strings;
paths; NUL, line ends and other controls; Unicode that looks or folds alike, lone surrogates; long
texts; the hashes by which rows, scopes and tenants are kept.
"""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import contextkit as ck
from contextkit.errors import InputError, ScopeError
from contextkit.retrieval.row_ids import row_ids, scope_id, tenant_id
from tests.chroma_process import ChromaProcess

SOAK = os.environ.get("CONTEXTKIT_SOAK")
KINDS = {"memory": 200, "sqlite": 60, "chroma": 25, "server": 25}

HOSTILE = [
    "$ne", '{"$ne": "x"}', '{"$or": [{}]}', "$in", "where", "null", "None", "", " ", "0", "true",
    "%", "_", "*", "?", ".*", "[a-z]", "'", '"', "' OR 1=1 --", "'); DROP TABLE rows; --", "{0}",
    "%s", "$(id)", "`id`", "..", "../..", "/", "\\", "/etc/passwd", "C:\\x", "a\0", "\0", "\r",
    "\x1b[0m", "\u2028", "\ufeff", "\u200b", "\u202e", "é", "e\u0301", "ﬁ", "fi", "ß", "ss", "SS",
    "İ", "i", "I", "\u0131", "\ud800", "\udfff", "🐢", "K", "K", "\u0430", "a", "A",
    "x" * 5_000, "x" * 5_001, "t", "tenant", "no tenant", "scope", "row",
]  # fmt: skip
PARTS = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=6), st.text("ab", max_size=3))
ADDRESSES = st.lists(PARTS, min_size=1, max_size=4)
NAMED = PARTS.filter(lambda part: part.encode(errors="replace").decode() == part != "")
NOTHING = st.just("")
SCOPES = st.one_of(
    st.tuples(NAMED, NAMED, NAMED),
    st.tuples(NAMED, NAMED, NOTHING),
    st.tuples(NAMED, NOTHING, NOTHING),
    st.tuples(NAMED),
)


@st.composite
def neighbours(draw: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Two scopes that differ, often by little."""
    one = draw(SCOPES)
    part = draw(st.integers(0, len(one) - 1))
    text = one[part]
    other = draw(
        st.one_of(
            SCOPES,
            PARTS.map(lambda new: (*one[:part], new, *one[part + 1 :])),
            st.just(("".join(one),)),
            st.just(tuple("".join(one))),
            st.just((*one, "")),
            st.just(one[:-1]),
            st.just(one[::-1]),
            st.integers(0, len(text)).map(
                lambda at: (*one[:part], text[:at], text[at:], *one[part + 1 :])
            ),
            st.sampled_from([str.upper, str.lower, str.casefold, str.strip, str.title]).map(
                lambda change: tuple(change(each) for each in one)
            ),
            st.just((tenant_id(one), scope_id(one))),
        )
    )
    assume(other and other != one)
    return one, other


NOBODIES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=4), st.binary(max_size=4),
    st.lists(PARTS, max_size=3), st.dictionaries(PARTS, PARTS, max_size=2), st.just(()),
    st.tuples(PARTS, st.one_of(st.none(), st.integers(), st.dictionaries(PARTS, PARTS, max_size=1))
    ), st.tuples(st.lists(PARTS, max_size=2)), st.sets(PARTS, max_size=2),
    st.tuples(NOTHING), st.tuples(PARTS, PARTS), st.tuples(PARTS, PARTS, PARTS, PARTS),
    st.tuples(NOTHING, PARTS, PARTS), st.tuples(NAMED, NOTHING, NAMED),
)  # fmt: skip
FILTERS = st.one_of(
    st.none(), st.text(max_size=4), st.integers(), st.binary(max_size=4), st.sets(PARTS),
    st.dictionaries(PARTS, PARTS, max_size=2),
    st.lists(st.one_of(st.none(), st.integers(), st.dictionaries(PARTS, PARTS)), min_size=1),
)  # fmt: skip


@pytest.fixture(scope="module", params=KINDS)
def indexed(request: Any, tmp_path_factory: Any) -> Iterator[tuple[Any, int]]:
    kind = request.param
    path = tmp_path_factory.mktemp(kind) / "index"
    tries = int(SOAK) if SOAK else KINDS[kind]
    if kind == "chroma":
        with ck.ChromaIndex(len, path) as index:
            yield index, tries
    elif kind == "server":
        with ChromaProcess(path) as server:
            yield ck.ChromaServerIndex(len, server.client()), tries
    else:
        yield ck.VectorIndex(len) if kind == "memory" else ck.SQLiteIndex(len, path), tries


def tried(tries: int) -> Any:
    return settings(max_examples=tries, suppress_health_check=list(HealthCheck))


def test_a_foreign_scope_sees_and_deletes_nothing(indexed: Any) -> None:
    index, tries = indexed

    @tried(tries)
    @given(scopes=neighbours(), addresses=ADDRESSES, theirs=st.lists(PARTS, max_size=3))
    def check(scopes: Any, addresses: list[str], theirs: list[str]) -> None:
        mine, other = scopes
        index.forget(mine)  # what a failed try has left, when hypothesis makes it smaller
        units = np.eye(len(addresses), 4, dtype=np.float32)
        try:
            index.forget(other)
        except ScopeError:  # nothing can have it
            for refused in (
                lambda: index.vectors(other, addresses),
                lambda: index.add(other, addresses, units),
            ):
                with pytest.raises(ScopeError):
                    refused()
            return
        index.add(mine, addresses, units)
        asked = [*addresses, *theirs, *row_ids(mine, addresses), *row_ids(other, addresses)]
        assert index.vectors(other, [*asked, scope_id(mine), tenant_id(mine)]) == {}
        assert index.forget(other) == 0
        found = index.vectors(mine, asked)
        assert list(found) == list(dict.fromkeys(addresses))
        last = dict(zip(addresses, units, strict=True))
        for address, vector in found.items():
            assert np.array_equal(vector, last[address])
        index.add(other, addresses[:1], -units[:1])
        assert np.array_equal(index.vectors(other, addresses)[addresses[0]], -units[0])
        assert np.array_equal(index.vectors(mine, addresses)[addresses[0]], last[addresses[0]])
        assert index.forget(other) == 1
        assert index.forget(mine) == len(set(addresses))

    check()


def test_what_is_no_scope_or_no_address_is_refused(indexed: Any) -> None:
    index, tries = indexed
    kept = ("t", "u", "c")
    index.add(kept, ["a", "b"], [[1.0, 0.0], [0.0, 1.0]])

    @tried(tries)
    @given(nobody=NOBODIES, filters=FILTERS)
    def check(nobody: Any, filters: Any) -> None:
        for refused in (
            lambda: index.vectors(nobody, ["a"]),
            lambda: index.add(nobody, ["a"], [[1.0, 0.0]]),
            lambda: index.forget(nobody),
        ):
            with pytest.raises(ScopeError):
                refused()
        for refused in (
            lambda: index.vectors(kept, filters),
            lambda: index.add(kept, filters, [[1.0, 0.0]]),
        ):
            with pytest.raises(InputError):
                refused()

    check()
    assert index.forget(kept) == 2


def test_an_error_tells_nothing_of_whom_it_concerns(indexed: Any) -> None:
    index, _ = indexed
    for bad in (["secret"], {"user": "secret"}, ("t", None, "secret"), ("t", "secret"), b"secret"):
        with pytest.raises(ScopeError) as caught:
            index.vectors(bad, ["a"])
        assert "secret" not in str(caught.value)
        with pytest.raises(InputError) as refused:
            index.vectors(("t", "u", "c"), {"secret": bad})
        assert "secret" not in str(refused.value)
