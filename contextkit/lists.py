"""PlainLists: the history behind a list that a caller without state sends whole each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contextkit.errors import InputError
from contextkit.history import History
from contextkit.known import Known
from contextkit.messages import MessageLike
from contextkit.recall import recall
from contextkit.scope import Scope
from contextkit.store import Store


class PlainLists:
    """Finds the history behind a list, or begins one.

    Args:
        known: the histories behind the lists of this process.
        store: has what other processes decided; None for none.
        view: the name of the view.
        replayable: whether decisions about an unknown list come out as they once did.
    """

    def __init__(self, known: Known, store: Store | None, view: str, *, replayable: bool) -> None:
        self.known = known
        self.store = store
        self.view = view
        self.replayable = replayable

    def history_of(
        self, messages: Sequence[MessageLike], scope: Scope | None, *, record: bool
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
        messages = messages if isinstance(messages, list) else list(messages)
        notes: tuple[str, ...] = ()
        with self.known.lock:
            history, shared = self.known.find(scope, messages)
            if history is None:
                history = History(messages, scope=scope)
                notes = self._notes(history, recalled=self._recall(history))
            else:
                if shared < len(history) or not record:
                    history = history.fork(shared)
                if shared == len(messages) and record:
                    # Asked again: what was decided at this point stands in the fork.
                    return history, notes
                history.extend(messages[shared:])
                if any(m.role == "assistant" for m in history.messages[shared + 1 :]):
                    self._recall(history)  # another process has answered meanwhile
            if record:
                self.known.keep(scope, history)
            return history, notes

    def _recall(self, history: History) -> int:
        return recall(history, self.store, self.view) if self.store is not None else 0

    def _notes(self, history: History, *, recalled: int) -> tuple[str, ...]:
        notes = []
        if not recalled and self.known.holds_middle(history.scope, history.data):
            notes.append("the list begins in the middle of a known one: it was cut before it came")
        answered = any(message.role == "assistant" for message in history.messages)
        if answered and not recalled and not self.replayable:
            notes.append(
                "state lost: nothing is known of this conversation, so that earlier summaries, "
                "inserts and idle cuts are gone and the prefix moves once"
            )
        return tuple(notes)
