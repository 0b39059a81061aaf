"""What an embedder must do, to be tried on one's own."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from contextkit.retrieval.index import Embed
from contextkit.retrieval.index_inputs import unit_rows
from contextkit.testing.promising import promise as _promise
from contextkit.testing.promising import told_by_name as _told_by_name

if TYPE_CHECKING:
    import numpy as np


def check_embedder(embed: Embed) -> None:
    """An embedder gives each text the vector that is its own, whatever else it is given.

    It is called some twenty times, with some 250 texts in all, most of them of a few words, as the
    library calls it: with a list of at least one text, none of them blank.

    Args:
        embed: as an index takes it; one that is async in `acheck_embedder`, if what it works with
            belongs to an event loop, as an `AsyncOpenAI` does.

    Raises:
        AssertionError: says what the embedder does not do.
    """
    asyncio.run(acheck_embedder(embed))


async def acheck_embedder(embed: Embed) -> None:
    """The same in the event loop that runs."""
    import numpy as np

    async def vectors(texts: list[str]) -> np.ndarray:
        some = f"{len(texts)} texts with {texts[len(texts) // 2][:20]!a}"
        with _told_by_name(lambda: f"an embedder takes a list of {some}"):
            given = await asyncio.to_thread(embed, texts)  # as an async build calls it
            if inspect.isawaitable(given):
                given = await given
        with _told_by_name(lambda: "an embedder gives as many vectors, as rows of one array"):
            return unit_rows(given, len(texts), None)

    name = getattr(embed, "name", "")
    _promise(isinstance(name, str), what="the name is a text")
    texts = [f"{text} {number}" for number, text in enumerate(_SAID * 4)]
    together = await vectors(texts)
    again = await vectors(texts)
    _promise(_alike(together, again), what="the same texts give the same vectors")
    _promise(
        _alike(together, (await vectors(texts[::-1]))[::-1]),
        what="vectors come in the order of the texts",
    )
    for number in (0, len(texts) - 1):
        alone = await vectors(texts[number : number + 1])
        _promise(
            _alike(together[number : number + 1], alone),
            what="a text gives the same vector alone and among others",
        )
    _promise(len(np.unique(together.round(4), axis=0)) > 1, what="other texts give other vectors")
    for text in _UNUSUAL:
        found = await vectors([texts[0], text, texts[1]])
        _promise(
            found.shape[1] == together.shape[1] and _alike(together[:2], found[::2]),
            what=f"{text[:20]!a}, {len(text):,} characters, has a vector and changes no other",
        )

    for found in await asyncio.gather(*(vectors(texts) for _ in range(4))):
        _promise(_alike(together, found), what="calls at once give the same vectors")
    _promise(getattr(embed, "name", "") == name, what="the name stays the same")


def _alike(these: Any, those: Any) -> bool:
    """Whether unit rows are the same, but for the last bits of a batch computed elsewhere."""
    return these.shape == those.shape and bool((abs(these - those) < 1e-3).all())


_SAID = ["Where is my parcel?", "It rains.", "我的包裹在哪里", "def f(x): return x", "Ωμέγα 42"]
_UNUSUAL = [
    "a \0 inside",
    "\U0001f9d1\u200d\U0001f680",
    "x" * 20_000,
    "word " * 20_000,
]
