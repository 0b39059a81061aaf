"""Every error that contextkit raises, in one tree; each carries its numbers as attributes.

ContextKitError
├── InputError             what was handed in cannot be used; `place` says where
│   ├── MessageError       a message that no provider would take, or that cannot be stored
│   └── GrammarError       messages in an order that cannot be sent
├── BudgetError            a budget that cannot be met by anybody (negative, target over limit)
│   └── BudgetExceeded     what must be kept is larger than the limit; `parts` has the tokens
├── ScopeError             a scope is missing where stored content is looked up
├── EditError              an edit that would break an invariant of the view
├── CounterError           tokens cannot be counted as asked
├── ProfileError           a profile is unknown or incomplete
├── EmbeddingError         an embedder gave no vectors, or such as cannot be used
├── IndexUnusable          an index cannot do its work; what is missing is embedded again
│   ├── IndexLocked        another process has its directory open
│   ├── IndexBusy          locked for longer than the deadline; may be tried again
│   ├── IndexUnreachable   its server does not answer; may be tried again
│   └── IndexCorrupt       it is damaged, or holds what was not stored under this scope
├── SummaryRejected        a summary that cannot stand for what it summarizes
├── CallsPaused            what failed repeatedly is not asked for a while
├── CallsUnderWay          what does not come back is not asked until some of it does
├── DeadlinePassed         what was needed from outside did not come in time
├── MissingExtra           an optional package is not installed
├── StoreError             the store cannot do its work
│   ├── StoreConflict      somebody else appended first
│   ├── StoreBusy          locked for longer than the deadline; may be tried again
│   ├── StoreCorrupt       a record cannot be read
│   │   └── StoreUnreadable    the file as a whole, or a decision in it, cannot be read
│   └── StoreSchemaError   a newer version of contextkit wrote the file
├── ReplyError             what the provider answered is not a reply that can be kept
└── ServerError            the embedded model server did not start or went away
"""

from __future__ import annotations

from collections.abc import Mapping
from os import getpid
from typing import Any


class ContextKitError(Exception):
    """Base class of everything that contextkit raises itself."""

    retryable = False


class InputError(ContextKitError):
    """Something that was handed in cannot be used; nothing was recorded.

    `place` is a path into the input, such as `messages[3].content[0].text`.
    """

    def __init__(self, what: str, *, place: str = "") -> None:
        self.place = place
        super().__init__(f"{place}: {what}" if place else what)


class MessageError(InputError):
    """A message that cannot be stored or sent: unknown role, lone surrogate, NaN, bytes."""


class GrammarError(InputError):
    """Messages whose order no provider accepts and that cannot be repaired without inventing."""


class BudgetError(ContextKitError):
    """A budget that makes no sense, such as a negative limit."""


class BudgetExceeded(BudgetError):
    """What must be kept does not fit into the limit; nothing was sent and nothing recorded.

    Attributes:
        limit: tokens allowed.
        needed: tokens that the protected parts take together.
        parts: tokens by name: `system`, `tools`, `documents` where there are any, `pins`,
            `newest turn`, `tail share`.
    """

    def __init__(self, limit: int, parts: Mapping[str, int]) -> None:
        self.limit = limit
        self.parts = dict(parts)
        self.needed = sum(parts.values())
        listed = ", ".join(f"{name} {tokens:,}" for name, tokens in parts.items() if tokens)
        super().__init__(
            f"the parts that must be kept take {self.needed:,} tokens, "
            f"{self.needed - limit:,} more than the limit of {limit:,} ({listed}). "
            f"Raise the limit, if the model's window allows it, or {self._hint()}."
        )

    def _hint(self) -> str:
        largest = max(self.parts, key=lambda name: self.parts[name], default="")
        return {
            "tail share": "give the strategies of the tail a smaller share",
            "tools": "send fewer or shorter tools",
            "documents": "send fewer or shorter documents",
            "system": "shorten the system prompt",
            "pins": "pin less",
        }.get(
            largest,
            "shorten the newest messages (ClampToolResults does so for tool results). An image or "
            "file that is known only by its address counts as the largest that its rule allows: "
            "send its data, or detail 'low'",
        )


class ScopeError(ContextKitError):
    """Content would be looked up by address without a scope to look it up in."""


class EditError(ContextKitError):
    """An edit that touches what is protected, half a group, or half an earlier edit."""


class CounterError(ContextKitError):
    """Tokens cannot be counted as asked."""


class ProfileError(ContextKitError):
    """A profile that is unknown or lacks what is asked of it."""


class EmbeddingError(ContextKitError):
    """An embedder, or an index, gave vectors that cannot be used, or none; none is stored.

    Attributes:
        texts: how many texts it was given.
        rows: how many vectors came, where it is another number.
        row: the first vector that cannot be used, counted from 0.
        dimension: of the vectors that came.
        expected: the dimension that they should have.
        status: the HTTP status that a provider answered with.
        retryable: whether the same may succeed later.
    """

    def __init__(
        self,
        what: str,
        *,
        texts: int | None = None,
        rows: int | None = None,
        row: int | None = None,
        dimension: int | None = None,
        expected: int | None = None,
        status: int | None = None,
        retryable: bool = False,
    ) -> None:
        self.texts = texts
        self.rows = rows
        self.row = row
        self.dimension = dimension
        self.expected = expected
        self.status = status
        self.retryable = retryable
        super().__init__(what)


class SummaryRejected(ContextKitError):
    """What a summarizer gave cannot stand for the messages: empty, too long, not shorter.

    Attributes:
        tokens: of the text; None where it was not the length.
        allowed: the most that they may be.
        again: whether another attempt, told of this one, can help.
        usage, model: of the call that gave it (`Usage`), where a summarizer that rejects an answer
            itself knows them: it was paid for.
    """

    def __init__(
        self,
        what: str,
        *,
        tokens: int | None = None,
        allowed: int | None = None,
        again: bool = False,
    ) -> None:
        self.tokens = tokens
        self.allowed = allowed
        self.again = again
        self.usage: Any = None
        self.model = ""
        super().__init__(what)


class CallsPaused(ContextKitError):
    """A summarizer or an embedder failed so often in a row that it is not asked for a while.

    Attributes:
        failures: how often.
        seconds: until it is asked again.
    """

    def __init__(self, failures: int, seconds: float) -> None:
        self.failures = failures
        self.seconds = seconds
        super().__init__(f"failed {failures} times in a row: it is asked again in {seconds:,.0f} s")


class CallsUnderWay(ContextKitError):
    """So many calls of a source have not come back that it is not asked until some have.

    Attributes:
        calls: how many.
    """

    retryable = True

    def __init__(self, calls: int) -> None:
        self.calls = calls
        super().__init__(
            f"was not asked: {calls} calls of it have not come back. Where it hangs, it needs a "
            "timeout of its own"
        )


class DeadlinePassed(ContextKitError):
    """Something from outside was not there in time; nobody waits for it any more.

    Attributes:
        what: was waited for.
        seconds: how long.
    """

    def __init__(self, what: str, seconds: float) -> None:
        self.what = what
        self.seconds = seconds
        super().__init__(f"the {what} did not come within {seconds:g} s")


class MissingExtra(ContextKitError, ImportError):
    """A package of an optional extra is not installed.

    Attributes:
        package: the package that is missing.
        extra: the extra that brings it, or needs it.
        command: what installs it.
    """

    def __init__(self, package: str, extra: str, purpose: str, *, command: str = "") -> None:
        self.package = package
        self.extra = extra
        self.command = command or f"pip install 'contextkit[{extra}]'"
        super().__init__(f"{purpose} needs the package {package!r}: {self.command}")


class StoreError(ContextKitError):
    """The store cannot do what was asked; the conversation is as it was before."""


class StoreConflict(StoreError):
    """Somebody else appended to the conversation first.

    Attributes:
        expected: the version that the caller had seen.
        found: the version that the store has.
    """

    retryable = True

    def __init__(self, expected: int, found: int) -> None:
        self.expected = expected
        self.found = found
        super().__init__(
            f"the conversation has {found} records, not {expected}: somebody else appended first. "
            "Load it again (talk.reload()) and repeat the turn."
        )


class StoreBusy(StoreError):
    """The store stayed locked for longer than the deadline (seconds); try again."""

    retryable = True

    def __init__(self, path: str, seconds: float) -> None:
        self.path = path
        self.seconds = seconds
        super().__init__(f"{path} stayed locked for {seconds:g} s by another writer: try again.")


class StoreCorrupt(StoreError):
    """A stored record cannot be read.

    Attributes:
        position: the number of the record, counted from 0.
    """

    def __init__(self, what: str, *, position: int) -> None:
        self.position = position
        super().__init__(f"record {position}: {what}")


class ServerError(ContextKitError):
    """The embedded model server did not start, or went away.

    Attributes:
        port: the port asked for, if it is the port that could not be had.
        exit_code: of the server's process, if it has ended.
        log: the last lines that it wrote.
    """

    def __init__(
        self, what: str, *, port: int = 0, exit_code: int | None = None, log: str = ""
    ) -> None:
        self.port = port
        self.exit_code = exit_code
        self.log = log
        said = f"the embedded model server {what}"
        if exit_code is not None:
            said += f" (exit code {exit_code})"
        if log:
            said += f"; its log ends with\n{log}"
        super().__init__(said)


class StoreUnreadable(StoreCorrupt):
    """The store as a whole, or a decision in it, cannot be read; `position` is -1."""

    def __init__(self, what: str) -> None:
        self.position = -1
        StoreError.__init__(self, what)


class StoreSchemaError(StoreError):
    """A newer version of contextkit wrote the store; nothing was read or changed.

    Attributes:
        path: the store.
        found: its schema version.
        known: the newest that this version of contextkit knows.
    """

    def __init__(self, path: str, found: int, known: int) -> None:
        self.path = path
        self.found = found
        self.known = known
        super().__init__(
            f"{path} has schema {found}, and this version of contextkit knows them up to {known}: "
            "upgrade contextkit."
        )


class ReplyError(ContextKitError):
    """What the provider answered is not a reply that can be kept; nothing of the turn was.

    Attributes:
        partial: the text that had come.
    """

    retryable = True

    def __init__(self, what: str, *, partial: str = "") -> None:
        self.partial = partial
        super().__init__(what)


class IndexUnusable(ContextKitError):
    """An index cannot do its work; histories are not touched, and builds go on without it.

    Attributes:
        path: its directory, or the file in it that cannot be used, or its server.
    """

    def __init__(self, path: str, what: str) -> None:
        self.path = path
        super().__init__(f"{path} {what}")


class IndexLocked(IndexUnusable):
    """The directory of the index is open elsewhere; it takes one process at a time.

    Attributes:
        pid: the process that has it open, None where that is not known.
    """

    retryable = True

    def __init__(self, path: str, pid: int | None) -> None:
        self.pid = pid
        by = "this process already" if pid == getpid() else f"process {pid}"
        by = "another process" if pid is None else by
        super().__init__(
            path,
            f"is open in {by}, and one process at a time may have it, with one index that its "
            "threads share: close it there, or give each process a directory of its own.",
        )


class IndexBusy(IndexUnusable):
    """The index stayed locked for longer than the deadline (seconds); try again."""

    retryable = True

    def __init__(self, path: str, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(path, f"stayed locked for {seconds:g} s by another writer: try again.")


class IndexUnreachable(IndexUnusable):
    """The server of the index does not answer: it is down, restarting or too slow; try again."""

    retryable = True


class IndexCorrupt(IndexUnusable):
    """The index is damaged, or holds what was not stored under this scope; nothing was given."""

    def __init__(self, path: str, what: str, *, delete: str = "the directory") -> None:
        super().__init__(
            path,
            f"{what}: it is damaged, or somebody else wrote to it. Delete {delete}, with no index "
            "open on it; what is missing is embedded again.",
        )
