"""The tables of docs/profiles.md and docs/media.md, made from the shipped profiles.

python -m benchmarks.profiles_table          write them
python -m benchmarks.profiles_table --check  fail where a page says something else than the data
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from contextkit.image_rules import Image
from contextkit.profiles import CacheRules, Lifetime, Price, Profile, known_profiles
from contextkit.profiles.reading import shipped

DOCS = Path(__file__).parent.parent / "docs"
MATCHES = {
    "blocks": "longest common prefix",
    "points": "exact at a point",
    "units": "whole units",
    "slots": "what the slot holds",
}
NONE = "–"  # noqa: RUF001 - what a table shows where there is nothing


def caches() -> str:
    """All kinds of caches and how they match."""
    return _table(
        "cache | on | matched | from tokens | block | look-back | markers | readable once "
        "| replies | a hit is",
        [
            [
                _doubtful(rules, "name", rules.name),
                rules.mode,
                _doubtful(rules, "match", MATCHES[rules.match]),
                _doubtful(rules, "minimum", f"{rules.minimum:,}"),
                _doubtful(rules, "block", f"{rules.block:,}"),
                _doubtful(rules, "lookback", _lookback(rules)),
                _doubtful(rules, "points", _points(rules)),
                _doubtful(rules, "visible", f"the response {rules.visible}"),
                "too" if rules.replies else NONE,
                "promised" if rules.guaranteed else "likely",
            ]
            for rules in shipped().caches.values()
        ],
    )


def lifetimes() -> str:
    """What is paid for them, how long they live, and by what they are asked for."""
    return _table(
        "cache | read | write, by lifetime | renewed by | asked for with",
        [
            [
                rules.name,
                _doubtful(rules, "read", "by model" if rules.read is None else _ratio(rules.read)),
                _doubtful(rules, "lifetimes", ", ".join(map(_lifetime, rules.lifetimes))),
                _doubtful(rules, "renewed_by", rules.renewed_by),
                _asked_with(rules),
            ]
            for rules in shipped().caches.values()
        ],
    )


def conflicts() -> str:
    """Where sources say different things, and which value is in use."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for owner, rules in _every_cache():
        for conflict in rules.conflicts:
            used = getattr(rules, conflict.field)
            shown = ", ".join(map(_lifetime, used)) if conflict.field == "lifetimes" else used
            row = [conflict.field, _plain(shown), _plain(conflict.value), _link(conflict.source)]
            rows.setdefault((*row, str(conflict.checked)), []).append(owner)
    return _table(
        "cache | field | in use | elsewhere | there | date",
        [[", ".join(owners), *row] for row, owners in rows.items()],
    )


def sources() -> str:
    """Where each cache's facts stand."""
    return _table(
        "cache | checked | sources",
        [
            [rules.name, str(rules.checked), ", ".join(map(_link, rules.sources))]
            for rules in shipped().caches.values()
        ],
    )


def models() -> str:
    """All profiles: for which models, with which window, caches and prices."""
    return _table(
        "profile | model names | window | counted by | caches: read price | price per million: "
        "in, out | checked",
        [
            [
                profile.name,
                ", ".join(f"`{prefix}…`" for prefix in profile.models),
                _doubtful(profile, "window", f"{profile.window:,}"),
                _doubtful(profile, "vocabulary", profile.vocabulary),
                ", ".join(map(_cache_of_model, profile.caches)) or NONE,
                _doubtful(profile, "prices", "; ".join(map(_price, profile.prices)) or NONE),
                str(profile.checked),
            ]
            for profile in _by_provider()
        ],
    )


def price_sources() -> str:
    """Where prices stand, and what else decides on them."""
    rows = {
        (
            profile.provider,
            price.currency,
            price.note or NONE,
            _link(price.source),
            str(price.checked),
        )
        for profile in _by_provider()
        for price in profile.prices
    }
    return _table("provider | currency | note | source | checked", sorted(rows))


def requests() -> str:
    """What belongs to the prefix besides messages, who shares a cache, which fields report it."""
    rows: dict[tuple[str, ...], dict[str, None]] = {}
    for profile in _by_provider():
        row = (
            ", ".join(profile.order),
            ", ".join(f"`{name}`" for name in profile.keyed_by) or NONE,
            ", ".join(f"`{name}`" for name in (*profile.routing, *profile.routing_headers)) or NONE,
            profile.isolation or NONE,
            f"`{profile.usage['read']}`" if "read" in profile.usage else NONE,
            "inside" if profile.includes_cached else "beside",
        )
        owner = profile.caches[0].name if profile.provider == "other" and profile.caches else ""
        rows.setdefault(row, {})[owner or profile.provider] = None
    return _table(
        "provider | order of the prompt | also part of the prefix | routing | shared within "
        "| cached tokens in | counted",
        [[", ".join(owners), *row] for row, owners in rows.items()],
    )


def images() -> str:
    """How each profile counts images."""
    rows = []
    for profile in known_profiles().values():
        if (rule := profile.image) is not None:
            name = profile.name + (" (unverified)" if "image" in profile.unverified else "")
            square, unknown = rule.tokens(Image((1024, 1024))), rule.tokens(Image())
            rows.append([name, f"`{rule}`", f"{square:,}", f"{unknown:,}"])
    return _table("profile | rule | 1024 × 1024 | by address", rows, right=(2, 3))  # noqa: RUF001 - as one writes sizes


PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "profiles.md": {
        "caches": caches,
        "lifetimes": lifetimes,
        "requests": requests,
        "conflicts": conflicts,
        "sources": sources,
        "models": models,
        "price_sources": price_sources,
    },
    "media.md": {"images": images},
}


def written(page: str, text: str) -> str:
    """A page with every table as the data say."""
    for name, table in PAGES[page].items():
        block = re.compile(rf"(<!-- profiles: {name} -->\n).*?(<!-- /profiles -->)", re.DOTALL)
        text, found = block.subn(lambda one, table=table: f"{one[1]}{table()}\n{one[2]}", text)
        if found != 1:
            raise ValueError(f"{page} has {found} places for the table {name}")
    return text


def main() -> int:
    """Write the tables, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = []
    for page in PAGES:
        before = (DOCS / page).read_text(encoding="utf-8")
        after = written(page, before)
        if before != after:
            stale.append(page)
            if not check:
                (DOCS / page).write_text(after, encoding="utf-8")
    if check and stale:
        sys.stderr.write(f"{', '.join(stale)}: not what the profiles say\n")
    return int(check and bool(stale))


def _table(head: str, rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> str:
    columns = head.count("|") + 1
    line = "|".join("---:" if number in right else "---" for number in range(columns))
    return "\n".join([f"| {head} |", f"|{line}|", *(f"| {' | '.join(row)} |" for row in rows)])


def _by_provider() -> list[Profile]:
    return sorted(known_profiles().values(), key=lambda profile: profile.provider)


def _doubtful(entry: CacheRules | Profile, field: str, text: str) -> str:
    """A value, with a question mark where it is a careful guess."""
    return f"{text}\N{NO-BREAK SPACE}?" if field in entry.unverified else text


def _every_cache() -> Iterable[tuple[str, CacheRules]]:
    """The kinds of caches, then those of models that have figures of their own."""
    general = shipped().caches
    yield from general.items()
    for profile in known_profiles().values():
        for rules in profile.caches:
            if rules.conflicts != general[rules.name].conflicts:
                yield f"{rules.name} of {profile.name}", rules


def _cache_of_model(rules: CacheRules) -> str:
    general = shipped().caches[rules.name]
    text = f"{rules.name}: {_doubtful(rules, 'read', _ratio(rules.read))}"
    if rules.minimum != general.minimum:
        text += f" from {_doubtful(rules, 'minimum', f'{rules.minimum:,}')}"
    return text


def _lookback(rules: CacheRules) -> str:
    if rules.match != "points":
        return NONE
    return "all" if rules.lookback is None else f"{rules.lookback} {rules.lookback_of}"


def _points(rules: CacheRules) -> str:
    automatic = " and an automatic one" if rules.automatic else ""
    if not rules.points:
        return "an automatic one" if rules.automatic else NONE
    return f"{rules.points}{automatic}; more: {rules.overflow}"


def _asked_with(rules: CacheRules) -> str:
    parts = [f"`{_plain(dict(rules.marker))}`"] if rules.marker else []
    parts += [f"`{name}: {value}`" for name, value in rules.headers.items()]
    parts += [f"parameters `{_plain(dict(rules.parameters))}`"] if rules.parameters else []
    parts += [f"lifetime: `{rules.marker_ttl}` in the marker"] if rules.marker_ttl else []
    parts += [f"lifetime: `{rules.ttl_parameter}`"] if rules.ttl_parameter else []
    return ", ".join(parts) or NONE


def _lifetime(lifetime: Lifetime) -> str:
    name = f"{lifetime.name}: " if lifetime.name else ""
    return name + _ratio(lifetime.write)


def _ratio(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"


def _price(price: Price) -> str:
    output = "unknown" if price.output is None else f"{price.output:g}"
    above = f" above {price.above:,}" if price.above else ""
    return f"{price.input:g}, {output} {price.currency}{above}"


def _plain(value: object) -> str:
    return "unknown" if value is None else str(value).replace("'", '"')


def _link(address: str) -> str:
    found = re.fullmatch(r"https://(?:www\.)?([^/]+)(.*)", address)
    return f"[{found[1]}]({address})" if found else address


if __name__ == "__main__":
    sys.exit(main())
