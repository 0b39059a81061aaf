"""Strategy: looks at a view and proposes edits, or states a need for something from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from math import isfinite
from typing import Any, Protocol

from contextkit.edits import Edit
from contextkit.figures import NO_CALLS, Calls
from contextkit.groups import Span
from contextkit.kept_summaries import Preparing
from contextkit.view import View


@dataclass(frozen=True, slots=True)
class Need:
    """Something from outside that a strategy needs before it can propose its edits.

    Attributes:
        call: gets it; may give an awaitable, which only the async driver accepts. There it is
            called in a thread, so that nobody else waits for it.
        finish: turns what came into edits, or states what is needed next.
        what: names it for the report, such as `summary` or `embeddings`.
        covers: what its edit will cover, as far as that is known; in a plan made dry, where
            nothing is called, a message of `shows` tokens stands there.
        shows: the most tokens that the edit will show in its place.
        calls: tokens of the model call, by which a cut is priced before it is made.
        after: what is under way and has to end before `call`.
        seconds: that `call` may take; then it has failed, and goes on unheard.
        otherwise: what is proposed where `call` failed, or what it gave could not be used; the
            failure is reported all the same.
    """

    call: Callable[[], Any]
    finish: Callable[[Any], Iterable[Edit] | Need]
    what: str
    covers: tuple[Span, ...] = ()
    shows: int = 0
    calls: Calls = NO_CALLS
    after: Preparing | None = None
    seconds: float | None = None
    otherwise: Callable[[Exception], Iterable[Edit] | Need | None] | None = None


class Strategy(Protocol):
    """One way to change what the model sees. A frozen dataclass with this method is enough.

    Which edits it may propose depends on the phase in which it is used:

        arrival      `clamp` on messages not sent yet (`view.new`)
        compaction   `drop`, `summary`, `clear` on what `view.free` holds
        tail         `insert` at the last user message, within its own `share` of tokens
    """

    def propose(self, view: View, goal: int) -> Iterable[Edit] | Need | None:
        """Propose edits; none, where there is nothing to do.

        Args:
            view: what the model would see now.
            goal: tokens to free in the compaction phase, 0 in the others.
        """


def describe(value: Any) -> Any:
    """A strategy, schedule or callable as JSON data that is the same in every process.

    Recorded with the settings, so that a change of them shows. Callables go by their name; a source
    by its type, with what it says of itself in `settings`.
    """
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        items = [describe(item) for item in value]
        return sorted(items, key=repr) if isinstance(value, set | frozenset) else items
    if is_dataclass(value) and not isinstance(value, type):
        described: dict[str, Any] = {"type": type(value).__name__}
        for field in fields(value):
            if field.repr:
                described[field.name] = describe(getattr(value, field.name))
        return described
    name = getattr(value, "__qualname__", None)
    if isinstance(name, str):
        return name
    settings = getattr(value, "settings", None)
    if isinstance(settings, Mapping):
        return {
            "type": type(value).__name__,
            **{str(name): describe(setting) for name, setting in settings.items()},
        }
    return type(value).__name__


def name_of(strategy: Any) -> str:
    """What a strategy is called in reports and records."""
    return type(strategy).__name__


def told_name(strategy: Any) -> str:
    """The same with its summarizer or source: several may stand one after the other."""
    summarizer = getattr(strategy, "summarizer", None)
    source = getattr(getattr(strategy, "source", None), "name", None)
    name = name_of(strategy)
    if summarizer is not None:
        return f"{name} ({name_of_callable(summarizer)})"
    return f"{name} ({source})" if isinstance(source, str) else name


def name_of_callable(called: Any) -> str:
    """What a callable, such as a summarizer, is called in reports and records."""
    name = getattr(called, "__qualname__", None)
    return name if isinstance(name, str) and name else type(called).__name__
