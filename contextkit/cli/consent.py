"""What a command that spends the user's money asks before it sends anything."""

from __future__ import annotations

import sys

from contextkit.profiles import Profile


def consent(model: str, tokens: int, *, most: int, profile: Profile | None, more: str = "") -> bool:
    """Say what will be sent, and ask whether to go on; the end of the input is a no.

    Args:
        model: that it is sent to.
        tokens: about so many.
        most: never more than so many.
        profile: for the price, where it has one.
        more: what else there is to know, such as a time.
    """
    sys.stderr.write(
        f"This will send about {tokens:,} tokens to {model}{_money(tokens, profile)}, "
        f"never more than {most:,}{more}. Go on? [y/N] "
    )
    sys.stderr.flush()
    try:
        answer = sys.stdin.readline()
    finally:
        if not sys.stdin.isatty():
            sys.stderr.write("\n")
    return answer.strip().lower() in ("y", "yes")


def _money(tokens: int, profile: Profile | None) -> str:
    price = profile.price(1) if profile else None
    if price is None:
        return " (its price is not known)"
    return f" (about {tokens * price.input / 1e6:,.2f} {price.currency} as uncached input)"
