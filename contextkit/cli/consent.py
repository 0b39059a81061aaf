"""What a command that spends the user's money asks before it sends anything."""

from __future__ import annotations

import sys

from contextkit.profiles import CacheRules


def consent(
    model: str, tokens: int, *, most: int, money: tuple[float, str] | None, more: str = ""
) -> bool:
    """Say what will be sent, and ask whether to go on; the end of the input is a no.

    Args:
        model: that it is sent to.
        tokens: of input and output, about so many.
        most: never more than so many.
        money: what that costs, and the currency; None where prices are not known.
        more: what else there is to know, such as a time.
    """
    price = "its price is not known" if money is None else f"about {money[0]:,.3f} {money[1]}"
    sys.stderr.write(
        f"This will send about {tokens:,} tokens to {model} ({price}), never more than {most:,}"
        f"{more}. Go on? [y/N] "
    )
    sys.stderr.flush()
    try:
        answer = sys.stdin.readline()
    finally:
        if not sys.stdin.isatty():
            sys.stderr.write("\n")
    return answer.strip().lower() in ("y", "yes")


def other_api(rules: CacheRules | None) -> str:
    """What is to be said before a cache is asked for in an API that it may not have; else empty."""
    if rules is None or not rules.api:
        return ""
    by = f"the header {', '.join(rules.headers)}" if rules.headers else "what asks for it"
    return (
        f"chat completions are sent, over which {by} may do nothing: the {rules.mode} cache is "
        f"documented for the {rules.api} API. The forecast is by the rules of the {rules.mode} "
        "cache: where it does nothing, less is read and written than forecast"
    )
