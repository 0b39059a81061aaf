"""Context: one built request, with what it takes and how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from contextkit.caching.blocks import Block, Made
from contextkit.caching.consecutive import Asked
from contextkit.caching.forecast import Compared, Entered, Forecast, compared
from contextkit.caching.ledger import Row
from contextkit.caching.markers import Marked, Point, marked_request, marker_warnings
from contextkit.caching.routing import routing_of
from contextkit.edits import Decision, Edit
from contextkit.messages import copy_json
from contextkit.profiles import CacheRules
from contextkit.rendering import Rendering
from contextkit.report import Report, fates_of
from contextkit.tokens import RequestCounter
from contextkit.usage import Usage
from contextkit.view import View


@dataclass(frozen=True, slots=True, repr=False)
class Context:
    """What a build gives: splat `request()` into `client.chat.completions.create`.

    Attributes:
        model: the model's name.
        tokens: tokens of the whole request by the declared counter.
        limit, target: the budget that held.
        fixed: tokens of tools, response format, template and documents, a part of `tokens`.
        view: what the model sees; its own copy. Shared data: read only.
        decision: what was decided at this decision point.
        edits: the edits that this build recorded; none when the point was decided before.
        failures: what this build passed over, and why.
        events: what happened in this build, in order: what each strategy did, or why not.
        options: further parameters of the request that are counted, such as `response_format`.
        counter: counted the tokens; it has the profile.
        rendering: what the request has that the view has not: documents, content blocks, markers.
        again: whether this point was decided before, and the request so probably sent.
        time: when it was built, in seconds since the epoch: what forecasts and explanations take
            for the time when it is sent, where the schedule has no clock. Nothing is decided by it.
        earlier: when it was built before, where it was (`again`) and that is known.
    """

    model: str
    tokens: int
    limit: int
    target: int
    fixed: int
    view: View
    decision: Decision
    edits: tuple[Edit, ...]
    tool_list: tuple[dict[str, Any], ...]
    options: Mapping[str, Any]
    notes: tuple[str, ...]
    failures: tuple[str, ...]
    events: tuple[str, ...]
    counter: RequestCounter
    rendering: Rendering
    again: bool = False
    time: float | None = field(default=None, compare=False)
    earlier: float | None = field(default=None, compare=False)
    _kept: dict[str, Any] = field(default_factory=dict, init=False, compare=False)

    def __repr__(self) -> str:
        number = len(self.view.messages) + len(self.rendering.documents)
        return f"Context({number} messages, {self.tokens:,} of {self.limit:,} tokens)"

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages array, as copies that may be changed."""
        return [copy_json(message) for message in self.sent]

    @property
    def sent(self) -> list[dict[str, Any]]:
        """The same, shared with the log: read only."""
        if self._marks:
            return self.rendering.taking_turns(self._marked.messages)
        rendered = self.rendering.messages(len(self.view.system), self.view.messages)
        return self.rendering.taking_turns(rendered)

    @property
    def tools(self) -> list[dict[str, Any]]:
        """The tools in their frozen order, as copies."""
        return [copy_json(tool) for tool in self.tool_list]

    def request(self) -> dict[str, Any]:
        """The parameters of `chat.completions.create`, as copies that may be changed.

        With the routing keys of the profile, where the conversation has a scope.
        """
        request: dict[str, Any] = {"model": self.model, "messages": self.messages}
        if self.tool_list:
            request["tools"] = self.tools
        request.update(copy_json(dict(self.options)))
        request.update(self.routing)
        return request

    @property
    def routing(self) -> dict[str, Any]:
        """Parameters of the request that lead it to its cache: routing keys, headers."""
        return routing_of(self.counter.profile, self.rendering, self.view.history.scope)

    @property
    def cache(self) -> CacheRules | None:
        """The rules of the cache that this request uses: the one asked for, or the implicit one."""
        return self.rendering.rules or self.counter.profile.cache()

    @property
    def points(self) -> tuple[Point, ...]:
        """The cache points of the request, in order: those placed here, and the caller's own."""
        return self._marked.points

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The request as a provider's cache sees it: tools, then a block for each content part.

        The tokens of all blocks are `tokens`. Costs the length of the request, once.
        """
        return self._marked.blocks

    @property
    def _marks(self) -> bool:
        """Whether markers are to be placed."""
        return self.rendering.rules is not None and bool(self.rendering.rules.marker)

    @property
    def _made(self) -> Made:
        """The blocks of the messages of this conversation, which are made once."""
        return self.view.history.blocks.setdefault(self.counter.name, {})

    @property
    def _marked(self) -> Marked:
        """The request with its markers; made once."""
        if "marked" not in self._kept:
            around = {"tools": self.tool_list, **self.options}
            fixed = self.fixed - self.rendering.tokens
            self._kept["marked"] = marked_request(
                self.view,
                self.rendering,
                around,
                self.counter,
                self.limit,
                fixed=fixed,
                made=self._made,
            )
        kept: Marked = self._kept["marked"]
        return kept

    @property
    def asked(self) -> Asked:
        """The request with its blocks, for forecasts and explanations. Shared: read only."""
        if "asked" not in self._kept:
            request = {
                "model": self.model,
                "messages": self._marked.messages,
                "tools": list(self.tool_list),  # as settings have them, to which it is compared
                **self.options,
            }
            self._kept["asked"] = Asked(request, self._marked.blocks)
        asked: Asked = self._kept["asked"]
        return asked

    @property
    def compared(self) -> Compared:
        """The request beside the one before it, as the log has it."""
        if "compared" not in self._kept:
            self._kept["compared"] = compared(
                self.asked,
                self.view,
                self.decision,
                self.counter,
                rendering=self.rendering,
                again=self.again,
                edits=self.edits,
                time=self.time,
                earlier=self.earlier,
                made=self._made,
            )
        found: Compared = self._kept["compared"]
        return found

    @property
    def forecast(self) -> Forecast:
        """What the request will read from the provider's cache, and cost.

        Costs the length of the request, once; of the history, where the prefix moved.
        """
        if "forecast" not in self._kept:
            self._kept["forecast"] = self.compared.forecast()
        forecast: Forecast = self._kept["forecast"]
        return forecast

    def entered(self, usage: Usage) -> Row:
        """The row for the ledger of this request, which was answered.

        The next request is compared with it as it was sent, without folding the log again.
        """
        row = Row.of(self.decision.point, self.model, self.compared, usage)
        history = self.view.history
        with history.lock:  # a fork copies it
            history.entered[self.view.name] = Entered(self.decision.point, self.asked, self.counter)
        return row

    @property
    def prefix_hash(self) -> str:
        """The prefix hash of the conversation at this decision point, in hex."""
        return self.view.history.prefix_hash(self.decision.point, self.view.name)

    @property
    def report(self) -> Report:
        """What became of every message, and why. Costs the length of the history."""
        point = self.decision.point
        view = self.view
        documents = self.rendering.tokens
        usage = view.history.usages.get(point)
        return Report(
            model=self.model,
            view=view.name,
            point=point,
            tokens={
                "system": view.system_tokens,
                "tools": self.fixed - documents,
                **({"documents": documents} if documents else {}),
                "history": view.body_tokens,
                "total": self.tokens,
            },
            limit=self.limit,
            target=self.target,
            edits=self.edits,
            failures=self.failures,
            events=self.events,
            warnings=(
                *self.notes,
                *_control_tokens(view, self.counter),
                *marker_warnings(view, self.rendering),
                *self._cold(),
            ),
            cache=self.rendering.rules,
            points=self.points if self._marks else (),
            fates=fates_of(view, self.edits),
            usage=usage,
            forecast=self.forecast,
            explanation=self.compared.explanation(usage) if usage is not None else None,
        )

    def _cold(self) -> tuple[str, ...]:
        """What is said before a request that another model answers than the one before."""
        loss = self.forecast.loss
        return (str(loss),) if loss.cause == "model changed" else ()

    def _repr_html_(self) -> str:
        return self.report._repr_html_()


def _control_tokens(view: View, counter: RequestCounter) -> tuple[str, ...]:
    """Warnings of strings in the messages that the provider would take for control tokens."""
    if counter.profile.special_tokens != "control":
        return ()
    found = {token for entry in view.entries for token in counter.special_tokens_in(entry.data)}
    return tuple(
        f"{token!r} stands in a message and acts as a control token on this server"
        for token in sorted(found)
    )
