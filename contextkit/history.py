"""History: the whole conversation as an append-only log, from which nothing is ever lost.

It holds records: messages, the settings that requests were built with, the decisions made (each
with its edits), and the usage reported. Two hashes name it: the *prefix hash* chains the messages
alone, so that two histories that begin alike share hashes as far as they do; the *record hash*
chains every record as it was written, so that a changed log shows.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from secrets import token_hex
from threading import RLock
from typing import Any, Protocol

from contextkit.edits import Decision
from contextkit.errors import EditError, InputError, StoreCorrupt
from contextkit.log_lines import chained, read_lines, write_lines
from contextkit.messages import (
    SCHEMA,
    SYSTEM_ROLES,
    Message,
    MessageLike,
    chain,
    chain_start,
)
from contextkit.originals import CHARACTERS, Page, answered, page_of
from contextkit.records import (
    Record,
    Reported,
    Settings,
    record_from_json,
    record_to_json,
)
from contextkit.scope import Scope
from contextkit.usage import Usage

MAIN = "main"
"""The view that is meant where none is named."""


class KeptFold(Protocol):
    """A fold over a history that is kept beside it and goes along into a fork."""

    def forked(self, history: History, at: int) -> KeptFold | None:
        """The fold over the first `at` messages for another history, if it can be had cheaply."""


class History:
    """One conversation: append-only messages, and what was decided and reported on the way.

    Args:
        messages: what the conversation begins with.
        system: the system prompt (text, a list of parts, or a message), put in front.
        scope: whose conversation it is. Without one, the history is a scope of its own.

    Raises:
        MessageError: with the place of a message that cannot be stored or sent.
    """

    def __init__(
        self,
        messages: Iterable[MessageLike] = (),
        *,
        system: MessageLike | None = None,
        scope: Scope | None = None,
    ) -> None:
        if scope is not None and not isinstance(scope, Scope):
            raise InputError(
                f"is a Scope(tenant, user, conversation), not {scope!r:.60}", place="History.scope"
            )
        self.scope = scope
        self.id = token_hex(8)
        self.identified = False  # whether a store knows the id
        self.records: list[Record] = []
        self.messages: list[Message] = []
        self.data: list[dict[str, Any]] = []
        self.loose: list[int] = []  # numbers of messages whose `==` says too little
        self.usages: dict[int, Usage] = {}
        self.settings: dict[str, Settings] = {}
        self.folds: dict[Hashable, KeptFold] = {}
        # What replies said that a caller's list may lose, by place and ids of tool calls.
        self.reasoning: dict[tuple[int, tuple[str, ...]], Mapping[str, Any]] = {}
        # The usage of requests whose answers come back in a caller's list, which has no usage.
        self.heard: dict[int, Usage] = {}
        # When the request was built that a message of this number answers: seconds since the epoch.
        self.times: dict[int, float] = {}
        # By view the request that the provider took last without an answer being kept.
        self.unanswered: dict[str, Any] = {}
        # By view the newest request whose usage was entered: the next one is compared with it.
        self.entered: dict[str, Any] = {}
        # Summaries by address, and by view the preparation under way: `kept_summaries`. Forks have
        # them in common: an address says all that a summary depends on.
        self.summaries: dict[str, Mapping[str, Any]] = {}
        self.preparing: dict[str, Any] = {}
        # The blocks that a provider's cache sees of messages, by counter and message. Each history
        # has its own: what is shared would live as long as any that began alike.
        self.blocks: dict[str, dict[int, Any]] = {}
        self.lock = RLock()
        self.size = 0
        self._decisions: dict[str, list[Decision]] = {}
        self._current: dict[str, Settings] = {}
        self._chains: dict[str, list[bytes]] = {}
        if system is not None:
            self.append(
                {"role": "system", "content": system} if isinstance(system, str | list) else system
            )
            if (role := self.messages[0].role) not in SYSTEM_ROLES:
                raise InputError(f"is a system message, not one of role {role!r}", place="system")
        self.extend(messages)

    def __len__(self) -> int:
        return len(self.messages)

    def __getitem__(self, number: int) -> dict[str, Any]:
        """A copy of one message by its number: also of those that no view shows any more."""
        if not isinstance(number, int):
            raise InputError(f"is the number of one message, not {number!r:.60}", place="History[]")
        return self.messages[number].copy()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (message.copy() for message in list(self.messages))

    def __repr__(self) -> str:
        return f"History({len(self.messages)} messages, {len(self.records)} records)"

    # -- growing ---------------------------------------------------------------------------

    def append(self, message: MessageLike, *, pin: bool = False, time: float | None = None) -> int:
        """Append one message, or a reply with its usage, and give its number.

        Args:
            message: a string (a user message), a dict, an SDK message, or a whole chat
                completion, whose usage is then recorded too.
            pin: protect the message from every strategy.
            time: when it was said, in seconds since the epoch. Kept with the message, for
                retrieval, which shows it; never sent by itself, and nothing is decided by it.

        Raises:
            MessageError: it cannot be stored or sent.
            InputError: the time is none.
        """
        reply, usage = _split_completion(message)
        with self.lock:
            number = len(self.messages)
            self._add(Message.of(reply, place=f"messages[{number}]", pinned=pin, time=time))
            if usage is not None:
                self._add(Reported(number, usage, self.times.get(number)))
            return number

    def extend(self, messages: Iterable[MessageLike], *, time: float | None = None) -> None:
        """Append several messages, said at one time: all of them, or on an error none."""
        if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Iterable):
            raise InputError(
                f"is a list of messages, not {type(messages).__name__}", place="messages"
            )
        with self.lock:
            start = len(self.messages)
            checked = [
                Message.of(message, place=f"messages[{start + offset}]", time=time)
                for offset, message in enumerate(messages)
            ]
            for message in checked:
                self._add(message)

    def report(self, number: int, usage: Usage, *, time: float | None = None) -> None:
        """Record the usage of the request that message `number` answered.

        Args:
            number: of the message.
            usage: what was reported.
            time: seconds since the epoch when the request was sent; by default when it was built,
                where it was built here. Only forecasts and explanations read it.
        """
        with self.lock:
            if type(number) is not int or not 0 <= number < len(self.messages):
                raise InputError(f"there is no message {number!r:.60}", place="History.report")
            if not isinstance(usage, Usage):
                raise InputError(
                    f"is a Usage, not {type(usage).__name__}: Usage.of(…) reads what was reported",
                    place="History.report",
                )
            self._add(Reported(number, usage, self.times.get(number) if time is None else time))

    def change_settings(self, settings: Settings) -> None:
        """Record settings that hold from now on, if they differ from those that hold."""
        with self.lock:
            current = self._current.get(settings.view)
            if current is None or current.hash != settings.hash:
                self._add(settings)

    def commit(self, view: str, seen: int, decisions: Iterable[Decision]) -> bool:
        """Record decisions, unless the view has got others than the `seen` ones meanwhile."""
        with self.lock:
            if self.decided(view) != seen:
                return False
            for decision in decisions:
                self._add(decision)
            return True

    def _add(self, record: Record) -> None:
        self.records.append(record)
        if isinstance(record, Message):
            if record.loose:
                self.loose.append(len(self.messages))
            self.messages.append(record)
            self.data.append(record.data)
            self.size += record.size
        elif isinstance(record, Decision):
            self._decisions.setdefault(record.view, []).append(record)
        elif isinstance(record, Settings):
            self.settings[record.hash] = record
            self._current[record.view] = record
        else:
            self.usages[record.number] = record.usage
            if record.time is not None:
                self.times[record.number] = record.time

    # -- reading ---------------------------------------------------------------------------

    def decisions(self, view: str = MAIN) -> list[Decision]:
        """The decisions of one view, in order. The history's own list: read only."""
        return self._decisions.setdefault(view, [])

    def decided(self, view: str = MAIN) -> int:
        """How many decisions a view has."""
        return len(self._decisions.get(view, ()))

    def current_settings(self, view: str = MAIN) -> Settings | None:
        """The settings that hold now."""
        return self._current.get(view)

    def prefix_hash(self, at: int | None = None, view: str = MAIN) -> str:
        """The prefix hash of the first `at` messages (all of them by default), in hex.

        h(0) = H(schema, scope, view); h(i) = H(h(i-1), normal form of message i).
        """
        return self._chain(len(self.messages) if at is None else at, view).hex()

    def check_point(self, at: int, place: str) -> None:
        """That there are so many messages.

        Raises:
            InputError: with what was given.
        """
        if type(at) is not int or not 0 <= at <= len(self.messages):
            raise InputError(
                f"{at!r:.60} is outside of 0 to {len(self.messages)} messages", place=place
            )

    def _chain(self, at: int, view: str) -> bytes:
        with self.lock:
            self.check_point(at, "prefix_hash")
            owner = self.scope.key if self.scope else (self.id,)
            hashes = self._chains.setdefault(view, [chain_start(*owner, view)])
            for number in range(len(hashes) - 1, at):
                hashes.append(chain(hashes[-1], self.messages[number]))
            return hashes[at]

    @property
    def record_hash(self) -> str:
        """Chains every record in the order and the bytes in which it was written, in hex."""
        return str(list(chained(self._lines()))[-1]["hash"])

    def expand(self, number: int, start: int = 0, characters: int = CHARACTERS) -> Page:
        """The text of a message as it came, whatever the view shows of it, a page at a time.

        Stubs, clamps and summaries name messages by these numbers. Images and other media are
        named in the text; `history[number]` has them.

        Args:
            number: of the message: its place in the log, and in a list that the log was made of.
            start: the character to begin at.
            characters: the most that the page has.

        Raises:
            InputError: there is no such message, or no such place in it.
        """
        return page_of(self.messages, number, start, characters)

    def answer_expand(self, call: Any, characters: int = CHARACTERS) -> dict[str, Any] | None:
        """The tool message that answers a model's call of `expand_tool()`, from this log alone.

        None for a call of another tool, so that `history.answer_expand(call) or own(call)`
        answers every call. What the model asks for and there is not, it is told.

        Args:
            call: a dict or an SDK object, one of `message.tool_calls`.
            characters: the most that one page has.

        Raises:
            InputError: when it is no tool call.
        """
        return answered(self.messages, call, characters)

    # -- branching -------------------------------------------------------------------------

    def fork(self, at: int | None = None) -> History:
        """Another history that shares the first `at` messages and what was decided on them.

        The messages themselves are shared, not copied; neither history sees the other grow.
        """
        with self.lock:
            at = len(self.messages) if at is None else at
            self.check_point(at, "fork")
            other = History(scope=self.scope)
            other.id, other.identified = self.id, self.identified
            other.messages = self.messages[:at]
            other.data = self.data[:at]
            other.loose = [number for number in self.loose if number < at]
            other.reasoning = {key: said for key, said in self.reasoning.items() if key[0] <= at}
            other.unanswered = dict(self.unanswered)
            other.summaries, other.preparing = self.summaries, self.preparing
            other.entered = {view: one for view, one in self.entered.items() if one.point <= at}
            other._chains = {view: hashes[: at + 1] for view, hashes in self._chains.items()}
            if at == len(self.messages):
                other.usages, other.heard = self.usages.copy(), self.heard.copy()
                other.times = self.times.copy()
                other.blocks = {counter: made.copy() for counter, made in self.blocks.items()}
                other.size = self.size
                other.records = self.records[:]
                other._decisions = {v: made[:] for v, made in self._decisions.items()}
                other._current, other.settings = dict(self._current), dict(self.settings)
            else:
                other.usages = {n: usage for n, usage in self.usages.items() if n < at}
                other.heard = {n: usage for n, usage in self.heard.items() if n <= at}
                other.times = {n: time for n, time in self.times.items() if n <= at}
                other.size = sum(message.size for message in other.messages)
                other._keep(self.records, at)
            for key, fold in self.folds.items():
                if (copied := fold.forked(other, at)) is not None:
                    other.folds[key] = copied
            return other

    def _keep(self, records: list[Record], at: int) -> None:
        """Take over those records of another history that concern its first `at` messages."""
        seen = 0
        for record in records:
            if isinstance(record, Message):
                seen += 1
                if seen <= at:
                    self.records.append(record)
            elif isinstance(record, Reported):
                if record.number < at:
                    self.records.append(record)
            elif record.point <= at:
                self._add(record)

    # -- JSON Lines ------------------------------------------------------------------------

    def _lines(self) -> list[dict[str, Any]]:
        with self.lock:
            records = self.records[:]
        header: dict[str, Any] = {"contextkit": SCHEMA, "id": self.id}
        if self.scope:
            header["scope"] = list(self.scope.key)
        return [header, *map(record_to_json, records)]

    def dumps(self) -> str:
        """The whole log as JSON Lines: header with schema version, a record a line, an end line."""
        return write_lines(self._lines())

    def dump(self, path: str | Path) -> None:
        """Write the log to a file; the file is replaced whole or not at all."""
        target = Path(path)
        partial = target.with_name(f".{target.name}.{token_hex(4)}.partial")
        try:
            partial.write_text(self.dumps(), encoding="utf-8", newline="\n")
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def loads(cls, text: str) -> History:
        """Read what `dumps` wrote.

        Raises:
            StoreCorrupt: with the line of the first record that cannot be read, is of a newer
                schema, is not what was written there, or is missing at the end.
            InputError: when it is no text.
        """
        if not isinstance(text, str):
            raise InputError(f"is a str, not {type(text).__name__}", place="History.loads")
        history = cls()
        for position, line in read_lines(text):
            if position:
                history.restore([line], position=position)
                continue
            if line.get("contextkit") != SCHEMA:
                raise StoreCorrupt(
                    f"schema {line.get('contextkit')!r} is not {SCHEMA!r}, which this version "
                    "reads",
                    position=position,
                )
            try:
                history.scope = Scope(*line["scope"]) if "scope" in line else None
            except (InputError, TypeError) as error:
                raise StoreCorrupt(f"no scope: {error}", position=position) from error
            history.id = line.get("id", "")
            if not isinstance(history.id, str):
                raise StoreCorrupt("its id is no string", position=position)
        return history

    @classmethod
    def load(cls, path: str | Path) -> History:
        """Read a file that `dump` wrote.

        Raises:
            StoreCorrupt: as `loads`, and for what is not UTF-8.
            OSError: when the file cannot be read.
        """
        try:
            content = Path(path).read_bytes()
        except TypeError as error:
            raise InputError(f"is the path of a file, not {path!r:.60}", place="path") from error
        try:
            return cls.loads(content.decode("utf-8"))
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n")
            raise StoreCorrupt("is not UTF-8", position=line) from error

    def _placed(self, record: Record) -> Record:
        """The record, if it can stand behind those that are there.

        Raises:
            InputError: when it speaks of messages that do not stand before it.
        """
        if isinstance(record, Decision | Settings):
            point: Any = record.point
            if type(point) is not int or not 0 <= point <= len(self.messages):
                raise InputError(f"point {point!r} is outside of the messages before it")
        if isinstance(record, Reported) and not 0 <= record.number < len(self.messages):
            raise InputError(f"usage of message {record.number!r}, which does not stand before it")
        return record

    def restore(self, records: Iterable[Mapping[str, Any]], *, position: int = 0) -> None:
        """Append records in their JSON form, as `record_to_json` makes them.

        Raises:
            StoreCorrupt: with the number of the record that cannot be read.
        """
        with self.lock:
            for offset, line in enumerate(records):
                try:
                    self._add(self._placed(record_from_json(line)))
                except KeyError as error:
                    raise StoreCorrupt(f"lacks {error}", position=position + offset) from error
                except (EditError, InputError, TypeError, ValueError, AttributeError) as error:
                    raise StoreCorrupt(str(error), position=position + offset) from error


def _split_completion(value: Any) -> tuple[Any, Usage | None]:
    """The message and the usage of a chat completion; any other value as it is."""
    if isinstance(value, Mapping):
        if "choices" not in value:
            return value, None
        choices, usage = value["choices"], value.get("usage")
    elif hasattr(value, "choices"):
        choices, usage = value.choices, getattr(value, "usage", None)
    else:
        return value, None
    first = choices[0] if isinstance(choices, list) and choices else None
    reply = first.get("message") if isinstance(first, Mapping) else getattr(first, "message", None)
    if reply is None:
        raise InputError("the completion holds no message", place="choices[0].message")
    return reply, Usage.of(usage)
