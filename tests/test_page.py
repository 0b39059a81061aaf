"""The page of a result: one file, nothing from outside, names are text, fits a telephone."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks import planted_logs as planted
from benchmarks.planted_logs import Talk
from contextkit.analysis.audit import audit
from contextkit.analysis.problems import Problem
from tests.made_results import EVERY_KIND, HOSTILE, made, named
from tests.support import Characters

ROOT = Path(__file__).parents[1]
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
VOID = {"meta", "img", "source", "wbr", "br", "link", "input"}


class Page(HTMLParser):
    """The elements of a page, as a browser would nest them; wrong nesting is an error."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.html = html
        self.open, self.elements, self.text = [], [], {}
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), names
        self.elements.append((tag, dict(attributes), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        for tag in set(self.open):
            self.text[tag] = self.text.get(tag, "") + data

    def all(self, tag):
        return [attributes for name, attributes, _ in self.elements if name == tag]

    def inside(self, outer, tag):
        return [one for name, one, around in self.elements if name == tag and outer in around]


def hostile():
    """A result in which every text is an attack."""
    first, *others = HOSTILE
    names = named(*HOSTILE, title=first, note=others[0])
    found = made(
        tables=[EVERY_KIND, names], names=HOSTILE[:3], finding=others[1], notes=HOSTILE,
        problems=[Problem(text, text, 3) for text in HOSTILE],
    )  # fmt: skip
    found.settings.update({text: text for text in HOSTILE})
    found.settings["nested"] = {first: [others[0], None, True, 8_000]}
    return found


@pytest.fixture(scope="module")
def page():
    return Page(made(tables=[EVERY_KIND, named("a", "b")]).html())


@pytest.mark.parametrize("result", [made(), hostile()], ids=["usual", "hostile"])
def test_a_page_has_nothing_from_outside_and_nothing_that_runs(result):
    page = Page(result.html())

    tags = {tag for tag, _, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "form", "base", "svg"}
    for tag, attributes, _ in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name != "style", tag
            if name in ("src", "srcset", "href"):
                assert value.startswith(("data:image/svg+xml;base64,", "#")), value[:40]
    assert "url(" not in page.text["style"]
    assert "@import" not in page.text["style"]


def test_the_policy_allows_the_style_and_the_plots_and_no_more(page):
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv"))

    digest = base64.b64encode(hashlib.sha256(page.text["style"].encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'", "img-src data:", f"style-src 'sha256-{digest}'",
        "base-uri 'none'", "form-action 'none'",
    ]  # fmt: skip


def test_hostile_names_are_text():
    html = hostile().html()
    page = Page(html)

    assert len(page.all("img")) == 2
    assert page.html.count("<script") == page.html.count("<!--") == 0
    assert "<script>alert(1)</script>" in page.text["li"]
    assert "<script>alert(1)</script>" in page.text["td"] + page.text["th"]
    assert r"\x1b[31mred\x00\x07\nnext" in page.text["li"]
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", html)
    html.encode()


def test_a_page_is_marked_up_for_every_reader(page):
    assert page.all("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all(
        "meta"
    )
    assert len(page.all("h1")) == len(page.all("main")) == 1
    assert len(page.inside("table", "caption")) == 2
    ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {one["aria-labelledby"] for one in page.all("div") if "aria-labelledby" in one} <= {*ids}
    assert {one["href"] for one in page.all("a")} <= {f"#{one}" for one in ids}
    assert '<td class="n">1,234,568</td>' in page.html  # no line ends within a figure
    assert [one["scope"] for one in page.inside("thead", "th")] == ["col"] * 10
    assert [one["scope"] for one in page.inside("tbody", "th")] == ["row"] * 5
    assert len(page.inside("figure", "figcaption")) == len(page.inside("picture", "img")) == 2
    assert page.all("img")[0]["alt"].startswith("Cost and context. Across: cost, less is better")


def test_a_page_has_every_figure_and_what_is_known_of_it(page):
    for text in ("1,204", "5,310", "91.4%", "1.018", "1,234,568", "0.012", "61.50"):
        assert text in page.text["td"]
    body = page.text["body"]
    for text in ("Cutting late costs least.", "mean tokens of a request", "The third is unknown.",
                 "Requests are 20 s apart.", "log.jsonl:17", "is no JSON", "8,000",
                 "contextkit 0.1.0", "not installed", "2026-11-22 12:00:00 UTC"):  # fmt: skip
        assert text in body
    assert page.all("time")[0] == {"datetime": "2026-11-22T12:00:00+00:00"}
    main, *_ = (at for at, (tag, _, _) in enumerate(page.elements) if tag == "table")
    assert main < min(at for at, (tag, _, _) in enumerate(page.elements) if tag == "figure")


def test_each_plot_is_there_wide_and_narrow(page):
    for image, narrow in zip(page.all("img"), page.all("source"), strict=True):
        assert narrow["media"] == "(max-width: 640px)"
        assert (int(image["width"]), int(narrow["width"])) == (1056, 360)
        for address in (image["src"], narrow["srcset"]):
            svg = ET.fromstring(base64.b64decode(address.partition(",")[2]))  # noqa: S314 - our own
            assert svg.tag == "{http://www.w3.org/2000/svg}svg"


def test_many_problems_are_counted_and_the_first_are_named():
    problems = [Problem("log.jsonl", "is no JSON", line) for line in range(1_000)]
    page = Page(made(plots=(), problems=problems).html())

    assert "1,000 problems in the input: 1,000 not read" in page.text["h2"]
    assert page.text["body"].count("is no JSON") == 200
    assert "… and 800 more." in page.text["p"]


def test_a_page_of_nothing_is_a_page():
    page = Page(made(tables=(), plots=(), notes=(), problems=(), finding="").html())

    assert not page.all("table")
    assert not page.all("figure")
    assert "Replay of 3 transcripts" in page.text["h1"]


def test_equal_results_give_equal_bytes_in_every_process():
    code = "from tests.made_results import made; import hashlib; r = made();"
    code += "print(hashlib.sha256(r.html().encode() + r.png('split')).hexdigest(), end='')"
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path,
            "PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1


# Notebooks


def test_in_a_notebook_tables_and_plots_are_shown_escaped():
    page = Page(hostile()._repr_html_())

    assert len(page.all("table")) == len(page.all("img")) == 2
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.all("img"))
    assert not page.all("script")
    assert "91.4%" in page.text["td"]
    assert not [name for _, one, _ in page.elements for name in one if name.startswith("on")]


def test_in_a_notebook_long_tables_are_cut_and_plots_may_be_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    page = Page(made(tables=[named(*map(str, range(60)))])._repr_html_())

    assert len(page.inside("tbody", "tr")) == 50
    assert "… and 10 more rows." in page.text["p"]
    assert "contextkit[cli]" in page.text["p"]


# As a browser shows it

MEASURE = """
const frame = document.querySelector("iframe");
frame.onload = () => {
  const page = frame.contentDocument, root = page.documentElement;
  document.title = "measured";
  document.querySelector("pre").textContent = JSON.stringify({
    page: root.scrollWidth,
    images: [...page.images].map(i => [i.naturalWidth, i.getBoundingClientRect().right]),
    boxes: [...page.querySelectorAll(".scroll")].map(b => [b.clientWidth, b.scrollWidth]),
    first: [...page.querySelectorAll("tbody th")].map(c => c.getBoundingClientRect().width),
    font: getComputedStyle(page.body).fontSize,
  });
};
"""


def rendered(html, width, folder):
    """What a browser makes of a page in a window of so many CSS pixels."""
    outer = folder / "outer.html"
    outer.write_text(
        f'<!DOCTYPE html><pre></pre><iframe width="{width}" height="900" style="border:0" '
        f'srcdoc="{escape(html)}"></iframe><script>{MEASURE}</script>'
    )
    shown = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--hide-scrollbars", f"--user-data-dir={folder / 'profile'}",
         "--window-size=1400,1000", "--virtual-time-budget=20000", "--dump-dom", outer.as_uri()],
        check=True, capture_output=True, text=True, timeout=120,
    ).stdout  # fmt: skip
    return json.loads(re.search("<pre>(.+?)</pre>", shown)[1])


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed on this machine")
@pytest.mark.parametrize("width", [400, 1280])
def test_in_a_browser_nothing_is_wider_than_the_window(width, tmp_path):
    names = ("x" * 300, "a/very/long/name/of/a/file/in/some/folder.jsonl:12", *HOSTILE)
    rows = tuple({**EVERY_KIND.rows[0], "name": name} for name in names)
    long = replace(EVERY_KIND, name="long", rows=rows)
    plots = made().plots
    many = [Problem("y" * 400, "z" * 300, 1)]
    result = made(tables=[EVERY_KIND, long], plots=plots, problems=many, finding="w" * 200)
    seen = rendered(result.html(), width, tmp_path)

    assert seen["page"] <= width
    assert [size for size, _ in seen["images"]] == [360 if width == 400 else 1056] * 2
    assert all(0 < right <= width for _, right in seen["images"])
    assert seen["font"] == "16px"
    # What is first in a row stays in view and leaves room for a figure beside it.
    assert max(seen["first"]) <= width / 2
    if width == 1280:
        assert all(inner == outer for outer, inner in seen["boxes"])


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed on this machine")
def test_in_a_browser_the_changes_of_an_audit_are_seen_whole(tmp_path):
    def two(request, n, talk):
        planted.clock(request, n, talk)
        planted.slide(request, n, talk)

    changes = [two, planted.passages, planted.image, planted.tool_added, planted.tools_order]
    talks = [Talk(n, start=n * 95.0, turns=20, change=one) for n, one in enumerate(changes)]
    log = planted.log(talks, counter=Characters())
    named = (replace(one, source=one.source.replace("log", "requests-2026-11-03")) for one in log)
    result = audit(named, counter=Characters())
    seen = rendered(result.html(), 1280, tmp_path)

    assert any(row["after"] for row in result.rows)
    assert [inner == outer for outer, inner in seen["boxes"][:2]] == [True, True]
