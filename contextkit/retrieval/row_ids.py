"""What indexes outside of this process call tenants, scopes and rows: hashes, never their names."""

from __future__ import annotations

from hashlib import blake2b

from contextkit.scope import ScopeKey


def tenant_id(scope: ScopeKey) -> str:
    """What the vectors of one tenant are kept under, and those of all histories without scope."""
    tenant = ("tenant", scope[0]) if len(scope) > 1 else ("no tenant",)
    return _digest(*tenant)


def scope_id(scope: ScopeKey) -> str:
    """Whose a row is."""
    return _digest("scope", *scope)


def row_id(scope: ScopeKey, address: str) -> str:
    """A row: the same address in another scope is another row."""
    return _digest("row", scope_id(scope), address)


def _digest(*parts: str) -> str:
    """A name for some texts, whatever they are; no two lists of texts share one."""
    digest = blake2b(digest_size=32)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8))
        digest.update(data)
    return digest.hexdigest()
