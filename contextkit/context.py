"""Context: one built request, with what it takes and how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from contextkit.caching.blocks import Block, blocks_of
from contextkit.edits import Decision, Edit
from contextkit.messages import copy_json
from contextkit.report import Report, fates_of
from contextkit.tokens import RequestCounter
from contextkit.view import View


@dataclass(frozen=True, slots=True, repr=False)
class Context:
    """What a build gives: splat `request()` into `client.chat.completions.create`.

    Attributes:
        model: the model's name.
        tokens: tokens of the whole request by the declared counter.
        limit, target: the budget that held.
        fixed: tokens of tools, response format and template, a part of `tokens`.
        view: what the model sees; its own copy. Shared data: read only.
        decision: what was decided at this decision point.
        edits: the edits that this build recorded; none when the point was decided before.
        failures: what this build passed over, and why.
        options: further parameters of the request that are counted, such as `response_format`.
        counter: counted the tokens; it has the profile.
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
    counter: RequestCounter
    _kept: dict[str, Any] = field(default_factory=dict, init=False, compare=False)

    def __repr__(self) -> str:
        return (
            f"Context({len(self.view.messages)} messages, {self.tokens:,} of {self.limit:,} tokens)"
        )

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages array, as copies that may be changed."""
        return [copy_json(message) for message in self.view.messages]

    @property
    def tools(self) -> list[dict[str, Any]]:
        """The tools in their frozen order, as copies."""
        return [copy_json(tool) for tool in self.tool_list]

    def request(self) -> dict[str, Any]:
        """The parameters of `chat.completions.create`, as copies that may be changed."""
        request: dict[str, Any] = {"model": self.model, "messages": self.messages}
        if self.tool_list:
            request["tools"] = self.tools
        request.update(copy_json(dict(self.options)))
        return request

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The request as a provider's cache sees it: tools, then a block for each content part.

        The tokens of all blocks are `tokens`. Costs the length of the request, once.
        """
        if "blocks" not in self._kept:
            request = {"messages": self.view.messages, "tools": self.tool_list, **self.options}
            each = [entry.tokens for entry in self.view.entries]
            self._kept["blocks"] = blocks_of(request, self.counter, fixed=self.fixed, tokens=each)
        blocks: tuple[Block, ...] = self._kept["blocks"]
        return blocks

    @property
    def prefix_hash(self) -> str:
        """The prefix hash of the conversation at this decision point, in hex."""
        return self.view.history.prefix_hash(self.decision.point, self.view.name)

    @property
    def report(self) -> Report:
        """What became of every message, and why. Costs the length of the history."""
        point = self.decision.point
        view = self.view
        return Report(
            model=self.model,
            view=view.name,
            point=point,
            tokens={
                "system": view.system_tokens,
                "tools": self.fixed,
                "history": view.body_tokens,
                "total": self.tokens,
            },
            limit=self.limit,
            target=self.target,
            edits=self.edits,
            failures=self.failures,
            warnings=(*self.notes, *_control_tokens(view, self.counter)),
            fates=fates_of(view, self.edits),
            usage=view.history.usages.get(point),
        )

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
