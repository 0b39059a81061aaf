"""Results made up for tests of what shows them: each kind of value, plots, hostile names."""

from contextkit.analysis.problems import Problem
from contextkit.analysis.results import Column, Frontier, Point, Result, Split, Table

# Each would do harm where it is not escaped: in HTML, in an attribute, in Markdown, on a terminal.
HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "a|b`c*d[e](http://example.com)_f_",
    "\u202egnp.exe",
    "\x1b[31mred\x00\x07\nnext",
    "\udce9t\udce9.jsonl",
    "</style></title><!--",
    "$x$ and $y_{",
)
EVERY_KIND = Table(
    "kinds",
    "Every kind",
    (
        Column("name", "name"),
        Column("count", "requests", "count"),
        Column("number", "mean request", "number", "mean tokens of a request", "tokens"),
        Column("share", "hit ratio", "share"),
        Column("ratio", "cost / optimum", "ratio"),
        Column("units", "cost", "units", "1 is an uncached input token"),
        Column("money", "money", "money", unit="USD"),
        Column("seconds", "took", "seconds"),
    ),
    (
        {
            "name": "first",
            "count": 1_204,
            "number": 5_310.25,
            "share": 0.9137,
            "ratio": 1.0184,
            "units": 1_234_567.8,
            "money": 0.0123,
            "seconds": 61.5,
        },
        {
            "name": "second",
            "count": 0,
            "number": 12.5,
            "share": 0.0,
            "money": 12.5,
            "seconds": 0.25,
        },
        {},
    ),
    "The third is unknown.",
)


def run(requests, limit=8_000):
    """Tokens of requests that grow by 100 from 1,000 and are cut at the limit."""
    parts = {"cached": [], "written": [], "new": []}
    tokens, before = 1_000, 0
    for _ in range(requests):
        parts["cached"].append(before)
        parts["written"].append((tokens - before) // 2)
        parts["new"].append(tokens - before - (tokens - before) // 2)
        before, tokens = tokens, tokens + 100
        if tokens > limit:
            before, tokens = 500, limit // 2
    return parts


def made(*, tables=(EVERY_KIND,), plots=None, names=("keep", "cut", "summarize"), **more):
    """A result with both plots: of two conditions, and of two runs."""
    if plots is None:
        points = [Point(name, 100.0 + 90 * n, 30.0 + 20 * n) for n, name in enumerate(names)]
        worse = Point(f"{names[0]} later", 400.0, 31.0)
        plots = (
            Frontier(
                "frontier",
                "Cost and context",
                "cost",
                "messages kept, %",
                {"warm": [*points, worse], "cold": points},
            ),
            Split("split", "Tokens", "request", {"one": run(30), "two": run(90)}, 8_000),
        )
    more.setdefault("notes", ("Requests are 20 s apart.",))
    more.setdefault("problems", (Problem("log.jsonl", "is no JSON", 17),))
    more.setdefault("finding", "Cutting late costs least.")
    return Result(
        "replay", "Replay of 3 transcripts", {"limit": 8_000, "policies": list(names)},
        tuple(tables), tuple(plots), date="2026-11-22T12:00:00+00:00",
        versions={"contextkit": "0.1.0", "tiktoken": None}, **more,
    )  # fmt: skip


def named(*names, title="Names", note=""):
    """A table of texts."""
    columns = (Column("name", "name"), Column("count", "count", "count"))
    return Table("names", title, columns, tuple({"name": n, "count": 1} for n in names), note)
