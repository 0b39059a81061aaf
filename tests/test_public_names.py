"""The public names, pinned: whoever adds, renames or removes one does it here too."""

import tomllib
from pathlib import Path

import contextkit

NAMES = [
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


def test_the_public_names_are_these_and_sorted() -> None:
    assert contextkit.__all__ == NAMES


def test_every_public_name_is_there_and_says_what_it_is() -> None:
    undocumented = [name for name in NAMES if not (getattr(contextkit, name).__doc__ or "").strip()]

    assert undocumented == []


def test_dir_shows_the_public_names() -> None:
    assert set(NAMES) <= set(dir(contextkit))


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    assert not hasattr(contextkit, "ContextManager")


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))

    assert contextkit.__version__ == project["project"]["version"]
