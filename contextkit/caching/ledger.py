"""Ledger: what requests were to read from the cache, what they read, and what that cost."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from html import escape
from threading import Lock
from typing import Any

from contextkit.caching.costs import Cost, cost_of
from contextkit.caching.faults import Cause
from contextkit.caching.forecast import Compared
from contextkit.usage import Usage

KEPT_ROWS = 1_000
"""Rows that are kept of what has no end: a chat, a wrapped client."""


@dataclass(frozen=True, slots=True)
class Row:
    """One request. Holds no content.

    Attributes:
        point: how many messages the conversation had.
        model: that answered.
        forecast: tokens that were to be read from the cache; None where that is not known.
        usage: what the provider reported.
        cost: by that; None where prices are not known.
        uncached: what it would have cost without any cache.
        cause: why less was read than was there; None where nothing was missed.
        missed: tokens.
    """

    point: int
    model: str
    forecast: int | None
    usage: Usage
    cost: Cost | None = None
    uncached: Cost | None = None
    cause: Cause | None = None
    missed: int | None = None

    @classmethod
    def of(cls, point: int, model: str, compared: Compared, usage: Usage) -> Row:
        """The row of a request that was answered."""
        profile, rules = compared.counter.profile, compared.rules
        without = replace(
            usage, cache_read_tokens=0, cache_write_tokens=None, cache_writes=None, cache_type=None
        )
        found = compared.explanation(usage)
        return cls(
            point,
            model,
            compared.forecast().cache_read_tokens,
            usage,
            cost_of(usage, profile, rules),
            cost_of(without, profile, rules),
            found.cause,
            found.tokens,
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON data."""
        return {**asdict(self), "usage": self.usage.to_json()}


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over requests.

    Attributes:
        requests: how many there were.
        input_tokens, cache_read_tokens, output_tokens: as reported.
        hit_ratio: tokens read by input tokens, where both were reported; None where nowhere.
        foretold: requests for which a forecast and a report of what was read can be compared.
        equal: those of them where both are the same.
        cost, uncached: in price units of input tokens, of the requests whose prices are known:
            with the cache as it was, and without any.
        money, uncached_money: the same by currency, replies included where their price is known.
        unknown: requests whose prices are not known.
        misses: tokens by cause.
    """

    requests: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0
    hit_ratio: float | None = None
    foretold: int = 0
    equal: int = 0
    cost: float = 0.0
    uncached: float = 0.0
    money: Mapping[str, float] | None = None
    uncached_money: Mapping[str, float] | None = None
    unknown: int = 0
    misses: Mapping[str, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON data."""
        return asdict(self)


class Ledger:
    """Requests with forecast, reported usage, cost and the cause of misses; safe between threads.

    Args:
        rows: that it begins with.
        last: rows that are kept, the newest; the totals count all. None keeps all.

    Example:
        >>> from contextkit import Ledger, Usage
        >>> from contextkit.caching.ledger import Row
        >>> ledger = Ledger()
        >>> ledger.add(Row(2, "qwen-plus", 0, Usage(input_tokens=1500, cache_read_tokens=0)))
        >>> ledger.add(Row(4, "qwen-plus", 1408, Usage(input_tokens=1600, cache_read_tokens=1408)))
        >>> round(ledger.totals.hit_ratio, 3)
        0.454
    """

    def __init__(self, rows: Iterable[Row] = (), *, last: int | None = None) -> None:
        self._rows: deque[Row] = deque(maxlen=last)
        self._sums: Counter[str] = Counter()
        self._exact: dict[str, float] = {"cost": 0.0, "uncached": 0.0}
        self._money: dict[str, dict[str, float]] = {"money": {}, "uncached_money": {}}
        self._misses: Counter[str] = Counter()
        self._lock = Lock()
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> None:
        """Enter a request."""
        usage, read = row.usage, row.usage.cache_read_tokens
        with self._lock:
            self._rows.append(row)
            self._sums["requests"] += 1
            for name in ("input_tokens", "cache_read_tokens", "output_tokens"):
                self._sums[name] += getattr(usage, name) or 0
            if read is not None and usage.input_tokens is not None:
                self._sums["whole"] += usage.input_tokens
                self._sums["read"] += read
            if read is not None and row.forecast is not None:
                self._sums["foretold"] += 1
                self._sums["equal"] += read == row.forecast
            if row.cause is not None:
                self._misses[row.cause] += row.missed or 0
            if row.cost is None or row.uncached is None:
                self._sums["unknown"] += 1
                return
            for name, cost in (("cost", row.cost), ("uncached", row.uncached)):
                self._exact[name] += cost.input
            for name, cost in (("money", row.cost), ("uncached_money", row.uncached)):
                if cost.money is not None:
                    held = self._money[name]
                    held[cost.currency] = held.get(cost.currency, 0.0) + cost.money

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows that are kept, the oldest first."""
        with self._lock:
            return tuple(self._rows)

    @property
    def totals(self) -> Totals:
        """The sums over all requests, also those whose rows are not kept any more."""
        with self._lock:
            sums = self._sums
            return Totals(
                **{name: sums[name] for name in ("requests", "foretold", "equal", "unknown")},
                input_tokens=sums["input_tokens"],
                cache_read_tokens=sums["cache_read_tokens"],
                output_tokens=sums["output_tokens"],
                hit_ratio=sums["read"] / sums["whole"] if sums["whole"] else None,
                cost=self._exact["cost"],
                uncached=self._exact["uncached"],
                money=dict(self._money["money"]),
                uncached_money=dict(self._money["uncached_money"]),
                misses=dict(self._misses.most_common()),
            )

    def __len__(self) -> int:
        return self._sums["requests"]

    def __repr__(self) -> str:
        return f"Ledger({len(self)} requests)"

    def to_json(self) -> dict[str, Any]:
        """As JSON data. Without content."""
        return {"totals": self.totals.to_json(), "rows": [row.to_json() for row in self.rows]}

    def __str__(self) -> str:
        widths = (6, 24, 9, 9, 9, 9, 12)
        lines = _said(self.totals)
        for cells in (_HEAD, *map(_cells, self.rows)):
            *figures, cause = cells
            padded = [
                f"{cell:<{width}}" if place == 1 else f"{cell:>{width}}"
                for place, (cell, width) in enumerate(zip(figures, widths, strict=True))
            ]
            lines.append(f"{'  '.join(padded)}  {cause}".rstrip())
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """For notebooks."""
        head, *rest = _said(self.totals)
        rows = "".join(
            "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
            for tag, cells in (("th", _HEAD), *(("td", _cells(row)) for row in self.rows))
        )
        notes = "".join(f"<div>{escape(line)}</div>" for line in rest)
        return f"<div><b>{escape(head)}</b></div>{notes}<table>{rows}</table>"


_HEAD = ("point", "model", "forecast", "read", "input", "output", "cost", "missed")


def _cells(row: Row) -> tuple[str, ...]:
    usage = row.usage
    cost = ""
    if row.cost is not None:
        known = row.cost.money is not None
        cost = f"{row.cost.money:.6f} {row.cost.currency}" if known else f"{row.cost.input:,.0f}"
    tokens = (row.forecast, usage.cache_read_tokens, usage.input_tokens, usage.output_tokens)
    missed = f"{row.missed:,}: {row.cause}" if row.cause is not None else ""
    figures = ("" if count is None else f"{count:,}" for count in tokens)
    return (str(row.point), row.model, *figures, cost, missed)


def _said(totals: Totals) -> list[str]:
    """The totals in lines."""
    count = "1 request" if totals.requests == 1 else f"{totals.requests:,} requests"
    ratio = "not reported" if totals.hit_ratio is None else f"{totals.hit_ratio:.1%}"
    read = f"{totals.cache_read_tokens:,} of {totals.input_tokens:,} input tokens"
    lines = [f"{count}: {read} read from the cache ({ratio}), {totals.output_tokens:,} of output"]
    for currency, spent in (totals.money or {}).items():
        without = (totals.uncached_money or {}).get(currency, 0.0)
        lines.append(f"cost: {spent:.6f} {currency}; without a cache {without:.6f} {currency}")
    if not totals.money and totals.uncached:
        lines.append(
            f"cost of input: {totals.cost:,.0f} times that of an input token; without a cache "
            f"{totals.uncached:,.0f}"
        )
    if totals.unknown:
        lines.append(f"prices not known: {totals.unknown:,} of the requests")
    if totals.foretold:
        lines.append(f"forecast equal: {totals.equal:,} of {totals.foretold:,}")
    lines += [
        f"missed: {tokens:,} tokens, {cause}" for cause, tokens in (totals.misses or {}).items()
    ]
    return lines
