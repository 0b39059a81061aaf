"""What indexes outside of this process call tenants, scopes and rows: hashes, never their names."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from contextkit.scope import ScopeKey


def tenant_id(scope: ScopeKey) -> str:
    """What the vectors of one tenant are kept under, and those of all histories without scope."""
    tenant = ("tenant", scope[0]) if len(scope) > 1 else ("no tenant",)
    return _digest(*tenant)


def scope_id(scope: ScopeKey) -> str:
    """Whose a row is."""
    return _digest("scope", *scope)


def row_ids(scope: ScopeKey, addresses: Iterable[str]) -> list[str]:
    """Rows: the same address in another scope is another row."""
    owner = bytes.fromhex(scope_id(scope))
    texts = (address.encode("utf-8", "surrogatepass") for address in addresses)
    return [blake2b(owner + text, digest_size=32, person=b"row").hexdigest() for text in texts]


def _digest(*parts: str) -> str:
    """A name for some texts, whatever they are; no two lists of texts share one."""
    digest = blake2b(digest_size=32)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8))
        digest.update(data)
    return digest.hexdigest()
