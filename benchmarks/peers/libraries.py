"""The libraries that are measured, with the settings that each is given. Imports none of them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

from benchmarks.peers.library import Library, Setting

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".venv-peers"

Counts = Literal["tokens", "estimate", "messages", "nothing"]


@dataclass(frozen=True)
class Peer:
    """A library with one way of using it.

    Attributes:
        name: in tables.
        made: module and class of its adapter.
        package: whose version is reported; empty for what is written by hand.
        environment: that it is installed in; empty for the one of the project.
        counts: what its limit is in.
        cuts: `slides` (drops the oldest at every request once full), `drops from the middle` (at
            every request, too), `chunks` (drops much, seldom), `summarizes`, or `never`.
        settings: what it is given, in words.
    """

    name: str
    made: str
    package: str
    environment: str
    counts: Counts
    cuts: Literal["slides", "drops from the middle", "chunks", "summarizes", "never"]
    settings: str

    def library(self, setting: Setting) -> Library:
        """A new conversation. Only in the peer's own environment."""
        module, _, name = self.made.partition(":")
        if "." not in module:
            module = f"benchmarks.peers.adapters.{module}"
        made: Library = getattr(import_module(module), name)(setting)
        return made

    @property
    def by_hand(self) -> bool:
        """Whether it is a reference point and no library."""
        return not self.package

    @property
    def python(self) -> Path | None:
        """The interpreter of its environment; None for the one that runs."""
        return ENVIRONMENTS / self.environment / "bin" / "python" if self.environment else None


OURS = "contextkit"
OURS_SUMMARIZING = "contextkit, SummarizeOldest"

PEERS = (
    Peer(
        OURS, "contextkit:ContextKit", "contextkit", "", "tokens", "chunks",
        "`Budget(limit)`, or with a target where a table says so; every other setting as it comes",
    ),
    Peer(
        OURS_SUMMARIZING, "contextkit:Summarizing", "contextkit", "", "tokens", "summarizes",
        "`compaction=[SummarizeOldest(stand-in), DropOldest()]`",
    ),
    Peer(
        "append only", "by_hand:AppendOnly", "", "", "nothing", "never",
        "no limit: the hit ratio that no limit can pass",
    ),
    Peer(
        "sliding window by hand", "by_hand:SlidingWindow", "", "", "tokens", "slides",
        "counts remembered; the oldest messages dropped until the rest fits, no result first",
    ),
    Peer(
        "drop half by hand", "by_hand:DropHalf", "", "", "tokens", "chunks",
        "counts remembered; the older half dropped when the limit is reached",
    ),
    Peer(
        "LangChain trim_messages", "langchain:Trimming", "langchain-core", "current",
        "tokens", "slides",
        '`max_tokens=limit, strategy="last", include_system=True, start_on="human"`, a counter '
        "with the model's vocabulary after LangChain's recipe",
    ),
    Peer(
        "LangChain trim_messages, approximate", "langchain:TrimmingApproximately",
        "langchain-core", "current", "estimate", "slides",
        "the same with `count_tokens_approximately`",
    ),
    Peer(
        "LangChain SummarizationMiddleware", "langchain:Summarizing", "langchain", "current",
        "tokens", "summarizes",
        '`trigger=("tokens", room)`, `keep=("tokens", room // 2)`, the same counter; room: the '
        "limit less the system prompt; otherwise as it comes, so the summarizer reads no more "
        "than 4,000 tokens",
    ),
    Peer(
        "LangChain SummarizationMiddleware, approximate", "langchain:SummarizingApproximately",
        "langchain", "current", "estimate", "summarizes",
        "the same with its own default counter, `count_tokens_approximately`",
    ),
    Peer(
        "LlamaIndex Memory", "llama_index:WithMemory", "llama-index-core", "current",
        "tokens", "chunks",
        "`token_limit=room, token_flush_size=room // 10, tokenizer_fn=` the model's vocabulary; "
        "no blocks; its share for the history as it comes (0.7)",
    ),
    Peer(
        "LlamaIndex ChatMemoryBuffer", "llama_index:WithBuffer", "llama-index-core", "current",
        "tokens", "slides", "`token_limit=room, tokenizer_fn=` the model's vocabulary",
    ),
    Peer(
        "litellm trim_messages", "litellm:Trimming", "litellm", "held-back", "tokens", "slides",
        '`model="gpt-4o", max_tokens=limit`; it takes no counter and counts by its own',
    ),
    Peer(
        "autogen TokenLimited", "autogen:TokenLimited", "autogen-core", "current",
        "tokens", "drops from the middle",
        "`token_limit=room, tool_schema=tools`, a client that counts like contextkit",
    ),
    Peer(
        "autogen Buffered", "autogen:Buffered", "autogen-core", "current", "messages", "slides",
        "`buffer_size=window`; window: the messages that take about as much as the limit",
    ),
    Peer(
        "Semantic Kernel", "semantic_kernel:Truncating", "semantic-kernel", "held-back",
        "messages", "slides", "`ChatHistoryTruncationReducer(target_count=window)`",
    ),
    Peer(
        "Semantic Kernel, threshold", "semantic_kernel:TruncatingInSteps", "semantic-kernel",
        "held-back", "messages", "chunks",
        "`target_count=2/3 window, threshold_count=1/3 window`",
    ),
    Peer(
        "openai-agents get_items", "openai_agents:Session", "openai-agents", "current",
        "messages", "slides",
        '`SQLiteSession(…, ":memory:").get_items(limit=window)`, and what its runner drops then',
    ),
    Peer(
        "strands SlidingWindow", "strands:SlidingWindow", "strands-agents", "current",
        "messages", "slides",
        "`SlidingWindowConversationManager(window_size=window, per_turn=True)`",
    ),
    Peer(
        "pydantic-ai keep last n", "pydantic_ai:KeepLast", "pydantic-ai-slim", "current",
        "messages", "slides", "a history processor `messages[-window:]`",
    ),
)  # fmt: skip

FLOOR = Peer(
    "floor", "by_hand:Floor", "", "", "tokens", "slides",
    "encode the new messages, slice the list",
)  # fmt: skip

CLEARING = (
    Peer(
        "LangChain ClearToolUsesEdit", "langchain:Clearing", "langchain", "current",
        "tokens", "slides", "`trigger=limit, keep=3`, a counter with the model's vocabulary",
    ),
    Peer(
        "LangChain ClearToolUsesEdit, clear_at_least", "langchain:ClearingAtLeast", "langchain",
        "current", "tokens", "slides", "the same with `clear_at_least=limit // 2`",
    ),
)  # fmt: skip
"""Those that clear tool results, and do nothing else: for `benchmarks.tool_loop`."""


def peer(name: str) -> Peer:
    """The peer of a name; `fake:NAME` is one of those in `tests.fake_libraries`."""
    if name.startswith("fake:"):
        return Peer(name, f"tests.fake_libraries:{name[5:]}", "", "", "tokens", "slides", "")
    return next(one for one in (*PEERS, *CLEARING, FLOOR) if one.name == name)
