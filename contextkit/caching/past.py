"""Past: the ledger of a conversation, made from its log alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from contextkit.caching.answers import answered, edits_since, reply_at, seconds_between
from contextkit.caching.blocks import Made
from contextkit.caching.consecutive import Asked
from contextkit.caching.forecast import asked_with, beside, moved_by
from contextkit.caching.ledger import Ledger, Row
from contextkit.edits import Decision
from contextkit.errors import ProfileError
from contextkit.folding import Pin, pin_system
from contextkit.history import History
from contextkit.profiles import profile_for
from contextkit.rendering import Rendering
from contextkit.tokens import RequestCounter, counter_for
from contextkit.view import View


def ledger_of(
    history: History,
    counters: Mapping[str, RequestCounter] | None = None,
    *,
    pin: Pin = pin_system,
) -> Ledger:
    """The ledger of a conversation: every request whose usage was recorded.

    Costs what building all of them anew would. Of streams that were left the log knows nothing,
    although the provider may have their prompts in its cache.

    Args:
        history: the log.
        counters: by model; others by the profile of their name. The requests to a model without
            one are left out.
        pin: the builder's; which messages it protects says where cache points stood.
    """
    known = dict(counters or {})
    with history.lock:
        records = history.records[:]
    past = _Past(history, known, pin)
    rows = (past.row(decision, number) for decision, number in answered(records))
    return Ledger(row for row in rows if row is not None)


class _Request(NamedTuple):
    """A request that was answered."""

    decision: Decision
    settings: Mapping[str, Any]
    counter: RequestCounter
    asked: Asked


class _Past:
    """Goes through the requests of a log in order, and folds each view once."""

    def __init__(self, history: History, counters: dict[str, RequestCounter], pin: Pin) -> None:
        self.history = history
        self.pin = pin
        self.counters = counters
        self.views: dict[tuple[str, str], View] = {}
        self.last: dict[str, _Request] = {}
        self.newest: _Request | None = None
        self.made: dict[str, Made] = {}
        self.renderings: dict[tuple[str, str], Rendering] = {}

    def row(self, decision: Decision, number: int) -> Row | None:
        """The row of a request; None where nothing is known of its model or usage."""
        settings = self.history.settings.get(decision.settings)
        model = settings.data.get("model") if settings else None
        if settings is None or model is None or (counter := self._counter(model)) is None:
            return None
        asked = self._asked(decision, settings.data, counter)
        before = self.last.get(decision.view, self.newest)
        self.newest = self.last[decision.view] = _Request(decision, settings.data, counter, asked)
        usage = self.history.usages.get(number)
        if usage is None:
            return None
        rules = self._rendering(decision, settings.data, counter).rules
        if before is None:
            compared = beside(None, asked, counter, asked=rules)
        else:
            last, earlier = before.decision, before.asked
            if before.counter.name != counter.name:  # of another model: counted as this one counts
                earlier = self._asked(last, before.settings, counter)
            compared = beside(
                earlier,
                asked,
                counter,
                reply=reply_at(self.history, last.point),
                elapsed=seconds_between(self.history, last, decision),
                moved=moved_by(edits_since(self.history, last, decision), last.point),
                asked=rules,
            )
        return Row.of(decision.point, model, compared, usage)

    def _counter(self, model: str) -> RequestCounter | None:
        if model not in self.counters:
            try:
                self.counters[model] = counter_for(profile_for(model))
            except ProfileError:
                return None
        return self.counters[model]

    def _asked(
        self, decision: Decision, settings: Mapping[str, Any], counter: RequestCounter
    ) -> Asked:
        key = (decision.view, counter.name)
        if key not in self.views:
            self.views[key] = View(self.history, decision.view, counter.message, self.pin)
        view = self.views[key]
        view.advance(decision.point)
        around = {key: settings.get(key) for key in ("model", "tools", "response_format")}
        rendering = self._rendering(decision, settings, counter)
        made = self.made.setdefault(counter.name, {})
        return asked_with(
            view, rendering, around, counter, limit=settings.get("limit", 0), made=made
        )

    def _rendering(
        self, decision: Decision, settings: Mapping[str, Any], counter: RequestCounter
    ) -> Rendering:
        key = (decision.settings, counter.name)
        if key not in self.renderings:
            self.renderings[key] = Rendering.of(settings, counter)
        return self.renderings[key]
