"""KeptSummaries: summaries by their address, so that one is written once, and can be ahead of time.

The address says what a summary stands for and who was asked how (`strategies.summarization`); what
is kept there is never another text, in this process or through a store in any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import suppress
from dataclasses import dataclass
from threading import get_ident
from typing import Any

from contextkit.history import History
from contextkit.store import Store

LONGEST_WAIT = 60.0
"""Seconds that a build waits for a preparation at most: as long as a summarizer may take."""


class Preparing:
    """A preparation under way; a view of a conversation has one at a time."""

    def __init__(self, history: History, view: str) -> None:
        self._history, self._view = history, view
        self._thread = get_ident()
        self._ended: Future[None] = Future()
        self._ended.set_running_or_notify_cancel()  # nobody who waits for it can cancel it

    @classmethod
    def begin(cls, history: History, view: str) -> Preparing | None:
        """The preparation that begins; None where another one is under way."""
        own = cls(history, view)
        return own if history.preparing.setdefault(view, own) is own else None

    def end(self) -> None:
        """Let go on whoever waits."""
        if self._history.preparing.get(self._view) is self:
            del self._history.preparing[self._view]
        with suppress(InvalidStateError):  # it was given up before
            self._ended.set_result(None)

    def wait(self) -> None:
        """Wait for its end, unless it can only go on in this very thread.

        One that takes too long is given up: its event loop may have been left.
        """
        if get_ident() != self._thread and wait([self._ended], LONGEST_WAIT).not_done:
            self.end()

    async def wait_async(self) -> None:
        """Wait for its end, in no thread: it may need the very one."""
        import asyncio

        ended = asyncio.wrap_future(self._ended)
        if (await asyncio.wait([ended], timeout=LONGEST_WAIT))[1]:
            self.end()


@dataclass(frozen=True, slots=True)
class KeptSummaries:
    """The summaries of a view of one conversation that were written, used or not.

    Attributes:
        history: the conversation.
        store: has those of other processes; None for none.
        view: the name of the view.
        waits: whether to wait for a preparation under way; it itself does not.
    """

    history: History
    store: Store | None
    view: str
    waits: bool = True

    @property
    def ahead(self) -> bool:
        """Whether it is for a preparation, after which more requests come before the cut."""
        return not self.waits

    @property
    def elsewhere(self) -> bool:
        """Whether there may be more than is `held`."""
        return self._stored or self.under_way is not None

    @property
    def under_way(self) -> Preparing | None:
        """The preparation that is to be waited for."""
        preparing: Preparing | None = self.history.preparing.get(self.view)
        return preparing if self.waits else None

    @property
    def _stored(self) -> bool:
        return self.store is not None and self.history.scope is not None

    def held(self, addresses: Sequence[str]) -> dict[str, Any]:
        """What this process has at some addresses."""
        summaries = self.history.summaries
        return {address: summaries[address] for address in addresses if address in summaries}

    def find(self, addresses: Sequence[str]) -> dict[str, Any]:
        """What there is at some addresses, here or in the store. May block."""
        found = self.held(addresses)
        if not found and self.store is not None and self.history.scope is not None:
            stored = self.store.decisions(self.history.scope, self.view, addresses)
            found = {address: data for address, data in stored.items() if is_summary(data)}
        return found

    def keep(self, address: str, summary: Mapping[str, Any]) -> Mapping[str, Any]:
        """Keep a summary, and give the one that stands: the first one that was kept. May block."""
        if self.store is None or self.history.scope is None:
            return self.history.summaries.setdefault(address, summary)
        # The store first: what it could not keep may be another text there by and by.
        first = self.store.decide(self.history.scope, self.view, address, summary)
        same = is_summary(first) and first["last"] == summary["last"]
        stands = first if same else summary
        self.history.summaries[address] = stands
        return stands


def is_summary(data: Any) -> bool:
    """Whether data is a summary as `keep` was given it: a store may hold anything."""
    if not isinstance(data, Mapping):
        return False
    said = data.get("provenance")
    return (
        type(data.get("last")) is int
        and isinstance(data.get("text"), str)
        and bool(data["text"].strip())
        and isinstance(said, Mapping)
        and type(said.get("tokens_in")) is type(said.get("tokens_out")) is int
    )
