"""Report: what became of every message in one build, and why; as text, JSON, notebook HTML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from contextkit.caching.explanation import Explanation
from contextkit.caching.forecast import Forecast
from contextkit.caching.markers import Point
from contextkit.edits import Edit, kind_words
from contextkit.folding import with_part
from contextkit.groups import Entry
from contextkit.profiles import CacheRules
from contextkit.strategies.attempts import REPLACED, call_words, numbers
from contextkit.usage import Usage
from contextkit.view import View

FATES = {
    "drop": "dropped",
    "summary": "summarized",
    "clear": "cleared",
    "clamp": "clamped",
    "reasoning": "kept",
    "mend": "kept",
    "move": "moved",
    "set aside": "set aside",
}


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one message.

    Attributes:
        number: its number; None for a stub or an insert, which no message stands for.
        role: its role.
        fate: `kept`, `dropped`, `summarized`, `cleared`, `clamped`, `moved`, `set aside`, `stub`
            or `inserted`.
        tokens: what it, or what is shown for it, adds to the request.
        by: the strategy.
        reason: why, in words.
        new: whether this build decided it.
        first: the first message of those that one edit took away together; None for any other.
    """

    number: int | None
    role: str
    fate: str
    tokens: int
    by: str = ""
    reason: str = ""
    new: bool = False
    first: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What one build did.

    Attributes:
        tokens: tokens of the request by part: `system`, `tools`, `documents` where there are any,
            `history`, `total`.
        limit, target: the budget that held, in tokens.
        edits: those that this build recorded.
        failures: what was passed over, and why.
        events: what happened, in order: what each strategy did, or why not.
        warnings: what the user should know (state lost, tokens estimated, …).
        fates: one for each message, in order.
        usage: what the provider reported, once the reply is appended.
        cache: the rules of the cache that was asked for; None where none was.
        points: the cache points of the request, in order.
        forecast: what the request was to read from the provider's cache.
        explanation: why it read less than was there, once that was reported.
    """

    model: str
    view: str
    point: int
    tokens: dict[str, int]
    limit: int
    target: int
    edits: tuple[Edit, ...]
    failures: tuple[str, ...]
    warnings: tuple[str, ...]
    fates: tuple[Fate, ...]
    events: tuple[str, ...] = ()
    usage: Usage | None = None
    cache: CacheRules | None = None
    points: tuple[Point, ...] = ()
    forecast: Forecast | None = None
    explanation: Explanation | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON data. Without content, except what edits show."""
        return {
            "model": self.model,
            "view": self.view,
            "point": self.point,
            "tokens": dict(self.tokens),
            "limit": self.limit,
            "target": self.target,
            "edits": [edit.to_json() for edit in self.edits],
            "failures": list(self.failures),
            "events": list(self.events),
            "warnings": list(self.warnings),
            "messages": [asdict(fate) for fate in self.fates],
            "usage": self.usage.to_json() if self.usage else None,
            "cache": {"mode": self.cache.mode, "rules": self.cache.name} if self.cache else None,
            "points": [asdict(point) for point in self.points],
            "forecast": self.forecast.to_json() if self.forecast else None,
            "explanation": self.explanation.to_json() if self.explanation else None,
        }

    def __str__(self) -> str:
        rows = [
            f"  {'' if row[0] is None else row[0]!s:>6}  {row[1]:<10} {row[2]:<10} {row[3]:>7,}"
            f"  {row[4]}"
            for row in self._rows()
        ]
        return "\n".join([*self._lines(), *rows])

    def _lines(self) -> list[str]:
        """All but what became of each message."""
        parts = self.tokens
        names = {
            "system": "system",
            "tools": "tools and template",
            "documents": "documents",
            "history": "history",
        }
        held = {said: parts[name] for name, said in names.items() if name in parts}
        of_parts = ", ".join(f"{said} {tokens:,}" for said, tokens in held.items())
        lines = [
            f"{self.model}: {parts['total']:,} of {self.limit:,} tokens ({of_parts})",
            f"{self._sent()} of {self.point} messages sent; this build: {self._edits()}",
        ]
        if self.cache is not None and self.cache.marker:
            lines.append(f"cache points: {self._placed(self.cache)}")
        if self.forecast is not None:
            lines.append(f"forecast: {self.forecast}{self._reported()}")
        if self.usage is not None:
            lines.append(f"reported: {self.usage.to_json()}")
        missed = self.explanation or (self.forecast.loss if self.forecast else None)
        if missed is not None and missed.cause is not None:
            lines.append(str(missed))
        lines += [f"warning: {text}" for text in self.warnings]
        lines += [
            f"{'passed over' if text in self.failures else 'done'}: {text}"
            for text in self.events or self.failures
        ]
        return lines + [line for edit in self.edits for line in _summary_lines(edit)]

    def _repr_html_(self) -> str:
        """For notebooks. Holds no content of messages; all text is escaped."""
        head, *rest = self._lines()
        notes = "".join(f"<div>{escape(line)}</div>" for line in rest)
        rows = "".join(
            "<tr>"
            + "".join(f"<td>{escape('' if cell is None else str(cell))}</td>" for cell in row)
            + "</tr>"
            for row in self._rows()
        )
        share = min(100.0, 100 * self.tokens["total"] / self.limit)
        return (
            f"<div><b>{escape(head)}</b></div>"
            f'<div style="background:#ddd;width:24em"><div style="background:#48c;height:.6em;'
            f'width:{share:.1f}%"></div></div>{notes}'
            "<table><tr><th>message</th><th>role</th><th>fate</th><th>tokens</th><th>why</th></tr>"
            f"{rows}</table>"
        )

    def _placed(self, rules: CacheRules) -> str:
        if self.points:
            return ", ".join(map(str, self.points))
        if self.tokens["total"] < rules.minimum:
            return f"none, {self.tokens['total']:,} tokens are fewer than {rules.minimum:,}"
        return "none"

    def _reported(self) -> str:
        read = self.usage.cache_read_tokens if self.usage else None
        return f"; reported {read:,}" if read is not None else ""

    def _sent(self) -> int:
        gone = {"dropped", "summarized", "set aside"}
        return sum(fate.number is not None and fate.fate not in gone for fate in self.fates)

    def _edits(self) -> str:
        return kind_words(edit.kind for edit in self.edits) or "no edits"

    def _rows(self) -> Iterator[tuple[str | None, str, str, int, str]]:
        """The fates as rows; a run of like ones is one row."""
        held: list[Fate] = []
        for fate in (*self.fates, None):
            if held and (fate is None or not _alike(held[-1], fate)):
                yield _row(held)
                held = []
            if fate is not None:
                held.append(fate)


def _summary_lines(edit: Edit) -> Iterator[str]:
    """What a summary stands for, what the check of it found, and what it cost; short lines."""
    said = edit.provenance
    if edit.kind == "summary":
        yield f"summary of {_numbered(edit)}{_by(said)}: {edit.reason}"
        if said.get("ahead") is True:
            yield "    written ahead of this cut"
        if facts := numbers(said, "facts"):
            needed = {"added": "added word for word", "lost": "without room"}
            found = [f"{facts[key]:,} {name}" for key, name in needed.items() if key in facts]
            if found:
                yield f"    facts that must be kept: {', '.join(found)}"
            if "unsupported" in facts:
                yield f"    facts that the messages do not have: {facts['unsupported']:,}"
        if prices := _prices(said):
            yield f"    the call in price units: {', '.join(prices)}"
        if words := call_words(said):
            yield f"    {'; '.join(words)}"
    replaced = said.get(REPLACED)
    for calls in replaced if isinstance(replaced, list) else ():
        if isinstance(calls, Mapping):
            words = call_words(calls) or ["what it took was not reported"]
            yield f"    a summary{_by(calls)} that gave way in this very cut: {'; '.join(words)}"


def _numbered(edit: Edit) -> str:
    first, last = edit.covers[0], edit.covers[-1]
    return f"message {first}" if first == last else f"messages {first} to {last}"


def _by(said: Mapping[str, Any]) -> str:
    """Who wrote a summary, as far as its provenance tells: the model, or else the callable."""
    name = said.get("model") or said.get("summarizer")
    return f" by {name}" if isinstance(name, str) and name else ""


def _prices(said: Mapping[str, Any]) -> list[str]:
    """What each way to ask costs, where that of any is known or one was taken."""
    held = said.get("price")
    told = []
    for way, price in held.items() if isinstance(held, Mapping) else ():
        known = type(price) in (int, float)
        asked = way == said.get("asked")
        if known or asked:
            amount = f" {price:,.0f}" if known else ": price not known"
            told.append(f"{way}{amount}{' (asked)' if asked else ''}")
    return told


def _alike(one: Fate, other: Fate) -> bool:
    return (
        one.number is not None
        and other.number == one.number + 1
        and (one.fate, one.by, one.reason, one.new, one.first)
        == (other.fate, other.by, other.reason, other.new, other.first)
        and one.role not in ("system", "developer")
        and other.role not in ("system", "developer")
    )


def _row(held: list[Fate]) -> tuple[str | None, str, str, int, str]:
    first, last = held[0], held[-1]
    number = None if first.number is None else str(first.number)
    if first is not last:
        number = f"{first.number}-{last.number}"
    roles = {fate.role for fate in held}
    why = f"{first.reason} ({first.by})" if first.by else first.reason
    return (
        number,
        roles.pop() if len(roles) == 1 else "several",
        first.fate,
        sum(fate.tokens for fate in held),
        f"{why}{'; now' if first.new else ''}",
    )


def _taken(view: View, entry: Entry) -> list[int]:
    """The tokens of each block that was inserted into a message."""
    taken: list[int] = []
    if entry.inserts:
        data: Mapping[str, Any] = view.history.messages[entry.number].data
        before = view.count(data)
        for insert in entry.inserts:
            data = with_part(data, insert.shows[0])
            after = view.count(data)
            taken.append(after - before)
            before = after
    return taken


def fates_of(view: View, edits: tuple[Edit, ...]) -> tuple[Fate, ...]:
    """What became of every message of a view; `edits` are those of the present build."""
    now = {id(edit) for edit in edits}
    rows: dict[int, list[Fate]] = {}

    def put(number: int, fate: Fate) -> None:
        rows.setdefault(number, []).append(fate)

    def of(number: int | None, role: str, edit: Edit, fate: str, tokens: int) -> Fate:
        first = edit.covers[0] if len(edit.covers) > 1 else None
        return Fate(number, role, fate, tokens, edit.by, edit.reason, id(edit) in now, first)

    messages = view.history.messages
    for entry in view.system:
        put(entry.number, Fate(entry.number, entry.role, "kept", entry.tokens))
    for group in view.groups:
        for entry in group.entries:
            edit = entry.edit
            taken = _taken(view, entry)
            if edit is None or not entry.numbers:
                number = entry.numbers[0] if entry.numbers else None
                if edit is not None:
                    put(group.start, of(None, entry.role, edit, "stub", entry.tokens))
                else:
                    reason = "pinned" if group.pinned else ""
                    own = entry.tokens - sum(taken)
                    fate = Fate(number, entry.role, "kept", own, reason=reason)
                    put(entry.number, fate)
            else:
                for place, number in enumerate(entry.numbers):
                    tokens = entry.tokens - sum(taken) if place == 0 else 0
                    put(number, of(number, messages[number].role, edit, FATES[edit.kind], tokens))
            for insert, tokens in zip(entry.inserts, taken, strict=True):
                put(entry.number, of(None, "user", insert, "inserted", tokens))
    for edit in view.hidden:
        for number in edit.covers:
            put(number, of(number, messages[number].role, edit, FATES[edit.kind], 0))
    return tuple(fate for number in sorted(rows) for fate in rows[number])
