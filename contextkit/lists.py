"""PlainLists: the history behind a list that a caller without state sends whole each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Self

from contextkit.errors import GrammarError, InputError
from contextkit.history import History
from contextkit.known import Known
from contextkit.messages import SYSTEM_ROLES, MessageLike
from contextkit.reasoning import with_reasoning
from contextkit.scope import Scope
from contextkit.store import Store
from contextkit.stored_decisions import recall


class PlainLists:
    """Finds the history behind a list, or begins one.

    Args:
        known: the histories behind the lists of this process.
        store: has what other processes decided; None for none.
        view: the name of the view.
        reasoning: whether reasoning that a list lost is put back.
        replayable: whether decisions about an unknown list come out as they once did.
    """

    def __init__(
        self, known: Known, store: Store | None, view: str, *, reasoning: bool, replayable: bool
    ) -> None:
        self.known = known
        self.store = store
        self.view = view
        self.reasoning = reasoning
        self.replayable = replayable

    def under(self, view: str) -> Self:
        """The same lists, decided under another view."""
        other = copy(self)
        other.view = view
        return other

    def history_of(
        self, messages: Sequence[MessageLike], scope: Scope | None
    ) -> tuple[History, tuple[str, ...]]:
        """A history that begins with these messages, and what is to be said about it.

        It is a known one, a fork of it where the list branches off, or a new one. It may be longer
        than the list when others have appended meanwhile.

        Raises:
            InputError: when it is no list of messages.
            MessageError: when a message cannot be sent; nothing is kept of the list then.
        """
        if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Sequence):
            raise InputError(
                f"is a History or a list of messages, not {type(messages).__name__}",
                place="conversation",
            )
        if not messages:
            raise GrammarError("there is no message to answer", place="messages")
        messages = messages if isinstance(messages, list) else list(messages)
        with self.known.lock:
            history, shared = self.known.find(scope, messages)
        if self.reasoning:  # not under the lock: it may read the store, and others would wait
            messages = with_reasoning(
                messages,
                shared,
                history,
                scope=scope,
                known=self.known,
                store=self.store,
                view=self.view,
            )
        with self.known.lock:
            if history is None:
                history = History(messages, scope=scope)
            else:
                if shared < len(history):
                    history = history.fork(shared)
                history.extend(messages[shared:])
            decisions = history.decisions(self.view)
            decided = decisions[-1].point if decisions else -1
            # A list of which at most the system block is known: is it a known one, changed?
            body = history.messages[:shared]
            where = None
            if all(message.role in SYSTEM_ROLES for message in body):
                where = self.known.position_of(scope, history.data)
            if shared < len(messages) or decided != shared:
                self.known.keep(scope, history)
        recalled = 0
        if self.store is not None and decided < len(messages):
            recalled = recall(history, self.store, self.view)
        answered = any(  # by somebody who knows more: another process, or this one long ago
            message.role == "assistant"
            for message in history.messages[max(shared, decided + 1) : len(messages)]
        )
        return history, () if recalled or not answered else self._notes(where)

    def _notes(self, where: str | None) -> tuple[str, ...]:
        notes = []
        if where == "start":
            notes.append(
                "the system block differs from that of the same conversation before: the prefix "
                "moves at its very beginning. What changes belongs into Volatile"
            )
        elif where == "middle":
            notes.append("the list begins in the middle of a known one: it was cut before it came")
        if not self.replayable:
            notes.append(
                "state lost: nothing is known of this conversation here. If it is continued: the "
                "summaries, inserts and idle cuts that it had are gone, and the prefix moves once. "
                "If it is only begun with earlier messages, there were none"
            )
        return tuple(notes)
