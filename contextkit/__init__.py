"""contextkit: builds the messages array of each request to a stateless LLM chat API.

Within a token budget, with pluggable strategies, and without moving the prefix that the provider
has in its cache. The names below are the whole public surface; each is imported when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextkit.analysis.audit import audit
    from contextkit.analysis.exam import exam
    from contextkit.analysis.replay import replay
    from contextkit.async_chat import AsyncChat
    from contextkit.budget import Budget
    from contextkit.builder import ContextBuilder
    from contextkit.caching.explanation import explain
    from contextkit.caching.ledger import Ledger
    from contextkit.caching.prefix import PrefixStabilizer
    from contextkit.chat import Chat
    from contextkit.context import Context
    from contextkit.edits import Edit
    from contextkit.errors import BudgetExceeded, ContextKitError
    from contextkit.history import History
    from contextkit.originals import expand_tool
    from contextkit.profiles import Profile, load_profiles, profile_for
    from contextkit.retrieval.chroma import ChromaIndex
    from contextkit.retrieval.chroma_server import ChromaServerIndex
    from contextkit.retrieval.documents import Documents
    from contextkit.retrieval.embedders import OpenAIEmbedder
    from contextkit.retrieval.feeding import afeed, feed
    from contextkit.retrieval.index import VectorIndex
    from contextkit.retrieval.minilm import LocalEmbedder
    from contextkit.retrieval.recall import Recall
    from contextkit.retrieval.sqlite import SQLiteIndex
    from contextkit.schedules import AtLimit, Schedule, WhenItPays
    from contextkit.scope import Scope
    from contextkit.storage.sqlite import SQLiteStore
    from contextkit.strategies.base import Need, Strategy
    from contextkit.strategies.media import ClearMedia
    from contextkit.strategies.retrieval import Retrieve
    from contextkit.strategies.summarization import SummarizeOldest
    from contextkit.strategies.tool_results import ClampToolResults, ClearToolResults
    from contextkit.strategies.truncation import DropOldest, KeepLast
    from contextkit.strategies.volatile import Volatile
    from contextkit.summarizing.extractive import ExtractiveSummarizer
    from contextkit.summarizing.model import ModelSummarizer
    from contextkit.usage import Usage
    from contextkit.view import View, fold
    from contextkit.wrapping import wrap

__version__ = "0.1.0"

_MODULES = {
    "AsyncChat": "async_chat",
    "AtLimit": "schedules",
    "Budget": "budget",
    "BudgetExceeded": "errors",
    "Chat": "chat",
    "ChromaIndex": "retrieval.chroma",
    "ChromaServerIndex": "retrieval.chroma_server",
    "ClampToolResults": "strategies.tool_results",
    "ClearMedia": "strategies.media",
    "ClearToolResults": "strategies.tool_results",
    "Context": "context",
    "ContextBuilder": "builder",
    "ContextKitError": "errors",
    "Documents": "retrieval.documents",
    "DropOldest": "strategies.truncation",
    "Edit": "edits",
    "ExtractiveSummarizer": "summarizing.extractive",
    "History": "history",
    "KeepLast": "strategies.truncation",
    "Ledger": "caching.ledger",
    "LocalEmbedder": "retrieval.minilm",
    "ModelSummarizer": "summarizing.model",
    "Need": "strategies.base",
    "OpenAIEmbedder": "retrieval.embedders",
    "PrefixStabilizer": "caching.prefix",
    "Profile": "profiles",
    "Recall": "retrieval.recall",
    "Retrieve": "strategies.retrieval",
    "SQLiteIndex": "retrieval.sqlite",
    "SQLiteStore": "storage.sqlite",
    "Schedule": "schedules",
    "Scope": "scope",
    "Strategy": "strategies.base",
    "SummarizeOldest": "strategies.summarization",
    "Usage": "usage",
    "VectorIndex": "retrieval.index",
    "View": "view",
    "Volatile": "strategies.volatile",
    "WhenItPays": "schedules",
    "afeed": "retrieval.feeding",
    "audit": "analysis.audit",
    "exam": "analysis.exam",
    "expand_tool": "originals",
    "explain": "caching.explanation",
    "feed": "retrieval.feeding",
    "fold": "view",
    "load_profiles": "profiles",
    "profile_for": "profiles",
    "replay": "analysis.replay",
    "wrap": "wrapping",
}

__all__ = [
    "AsyncChat",
    "AtLimit",
    "Budget",
    "BudgetExceeded",
    "Chat",
    "ChromaIndex",
    "ChromaServerIndex",
    "ClampToolResults",
    "ClearMedia",
    "ClearToolResults",
    "Context",
    "ContextBuilder",
    "ContextKitError",
    "Documents",
    "DropOldest",
    "Edit",
    "ExtractiveSummarizer",
    "History",
    "KeepLast",
    "Ledger",
    "LocalEmbedder",
    "ModelSummarizer",
    "Need",
    "OpenAIEmbedder",
    "PrefixStabilizer",
    "Profile",
    "Recall",
    "Retrieve",
    "SQLiteIndex",
    "SQLiteStore",
    "Schedule",
    "Scope",
    "Strategy",
    "SummarizeOldest",
    "Usage",
    "VectorIndex",
    "View",
    "Volatile",
    "WhenItPays",
    "afeed",
    "audit",
    "exam",
    "expand_tool",
    "explain",
    "feed",
    "fold",
    "load_profiles",
    "profile_for",
    "replay",
    "wrap",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
