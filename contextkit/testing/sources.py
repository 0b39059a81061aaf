"""What a source must do, to be tried on one's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from contextkit.errors import ScopeError
from contextkit.retrieval.index_inputs import scope_key
from contextkit.retrieval.passages import Passage
from contextkit.retrieval.sources import Source, check_blocking, check_scopes
from contextkit.scope import Scope
from contextkit.strategies.blocks import check_name
from contextkit.testing.promising import promise as _promise
from contextkit.testing.promising import told_by_name as _told_by_name


def check_source(source: Source, scope: Scope) -> None:
    """A source gives its passages, and from then on only what changed; each is somebody's.

    Args:
        source: with some passages for the scope; nothing is changed while it is tried.
        scope: of a conversation that may ask it.

    Raises:
        AssertionError: says what the source does not do.
        InputError: its name cannot stand in a delimiter, or it is async.
    """
    check_name(source.name, "Source.name")
    check_blocking(source, "Source")
    owner = source.owner(scope)
    given: Any = owner
    named = isinstance(given, tuple) and all(isinstance(part, str) for part in given)
    _promise(named and len(owner) > 0, what="an owner is a tuple of texts")
    _promise(source.owner(scope) == owner, what="the same scope has the same owner")
    first = source.read(scope)
    _promise(bool(first.added), what="there are passages for the scope, or nothing can be tried")
    _promise(first.kept == 0, what="of nothing that was read, nothing is kept")
    again = source.read(scope)
    _promise(list(again.added) == list(first.added), what="the same is read again in its order")
    for passage in first.added:
        _check_passage(passage)
    own = _is_for(first.added, scope)
    _promise(own, what="a passage is of the tenant that asks, and where it names a user, of that")
    keys = [passage.key for passage in first.added]
    _promise(len(set(keys)) == len(keys), what="no two passages have the same place")
    later = source.read(scope, first.mark)
    _promise(
        (later.kept, list(later.added)) == (len(keys), []),
        what="where nothing changed all is kept, and nothing is added",
    )
    stranger = Scope(f"{scope.tenant}, another", f"{scope.user}, another", scope.conversation)
    colleague = Scope(scope.tenant, f"{scope.user}, another", scope.conversation)
    for other in (stranger, colleague):
        shared = source.owner(other) == owner
        given_ = first.added if shared else source.read(other).added
        if not shared and other is stranger:
            apart = {passage.key for passage in given_}.isdisjoint(keys)
            _promise(apart, what="another owner is not given what is of this one")
        _promise(_is_for(given_, other), what="nobody is given what is of another tenant or user")


def _is_for(passages: Iterable[Passage], scope: Scope) -> bool:
    """Whether passages are for the eyes of a conversation."""
    try:
        check_scopes((passage.scope for passage in passages), scope.key)
    except ScopeError:
        return False
    return True


def _check_passage(passage: Passage) -> None:
    _promise(isinstance(passage, Passage), what="what is read are passages")
    _promise(bool(passage.text.strip()), what="a passage has a text")
    with _told_by_name(lambda: "the text of a passage is one that can be sent"):
        passage.text.encode()
    with _told_by_name(lambda: "a passage says in whose scope its vector is kept"):
        scope_key(passage.scope)
