"""Mutants: breaks the core in known places, one at a time; the tests must notice each.

    python -m tests.mutants [--json] [NAME …]

Works on a copy of the package and the tests in a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
TESTS = (
    "tests/test_promises.py",
    "tests/test_promises_summaries.py",
    "tests/test_summaries.py",
    "tests/test_history.py",
    "tests/test_builder.py",
    "tests/test_edits.py",
    "tests/test_lists.py",
    "tests/test_tokens.py",
)
RETRIEVAL = (
    "tests/test_retrieval_hostile.py",
    "tests/test_retrieval.py",
    "tests/test_retrieval_failures.py",
    "tests/test_retrieval_sources.py",
    "tests/test_ranking.py",
    "tests/test_relevance.py",
    "tests/test_recall.py",
    "tests/test_corpora.py",
    "tests/test_identifiers.py",
    "tests/test_control_tokens.py",
    "tests/test_foreign_passages.py",
    "tests/test_deadlines.py",
    "tests/test_sqlite_index.py",
)


@dataclass(frozen=True)
class Mutant:
    """One break: in a file, some text becomes another.

    Attributes:
        tests: those that are run.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = TESTS


MUTANTS = (
    Mutant(
        "grouping: a drop may take half a step",
        "contextkit/groups.py",
        "        return tuple(sorted(number for group in self.groups for number in group.numbers))",
        "        return tuple(sorted(group.start for group in self.groups))",
    ),
    Mutant(
        "grouping: a result is not joined to its call",
        "contextkit/folding.py",
        'if last is None or message.data["tool_call_id"] not in last.open:',
        "if True:",
    ),
    Mutant(
        "protection: the last step is free",
        "contextkit/view.py",
        'if group.pinned or group.kind == "user" or position == last_step:',
        'if group.pinned or group.kind == "user":',
    ),
    Mutant(
        "protection: pins are free",
        "contextkit/view.py",
        "        elif not group.pinned:\n",
        "        else:\n",
    ),
    Mutant(
        "protection: the last user message may be dropped",
        "contextkit/view.py",
        'if group.pinned or group.kind == "user" or position == last_step:',
        "if group.pinned or position == last_step:",
    ),
    Mutant(
        "replay: recorded edits are not folded in",
        "contextkit/folding.py",
        "        for edit in decision.edits:\n            self.apply(edit)\n",
        "",
    ),
    Mutant(
        "replay: a point that was decided is decided again",
        "contextkit/builder.py",
        "if made and made[-1].point == end:",
        "if made and made[-1].point == end and not made[-1].edits:",
    ),
    Mutant(
        "replay: past decision points of a list are left out",
        "contextkit/deciding.py",
        "        *(number for number in range(after + 1, end) "
        'if messages[number].role == "assistant"),\n',
        "",
    ),
    Mutant(
        "scope: it is not part of the prefix hash",
        "contextkit/history.py",
        "owner = self.scope.key if self.scope else (self.id,)",
        "owner = ()",
    ),
    Mutant(
        "scope: lists are found again in any scope",
        "contextkit/known.py",
        "file = self._files.get((scope, depth,",
        "file = self._files.get((None, depth,",
    ),
    Mutant(
        "limit: nothing is cut at the limit",
        "contextkit/deciding.py",
        "if plan.fixed + view.tokens + share > self.budget.limit:\n            return False",
        "if False:\n            return False",
    ),
    Mutant(
        "limit: what must be kept is sent over the limit",
        "contextkit/deciding.py",
        "if final and plan.fixed + view.tokens + share > self.budget.limit:",
        "if False:",
    ),
    Mutant(
        "limit: the share of the tail is not reserved",
        "contextkit/deciding.py",
        "share = self.share if tail_due else 0",
        "share = 0",
    ),
    Mutant(
        "net edits: what the batch replaced is recorded too",
        "contextkit/phases.py",
        "    batch[:] = [held for held in batch if id(held) not in gone]\n",
        "",
    ),
    Mutant(
        "counting: tool calls cost nothing",
        "contextkit/tokens.py",
        'for call in data.get("tool_calls") or ():',
        "for call in ():",
    ),
    Mutant(
        "summaries: one that was written is written anew",
        "contextkit/kept_summaries.py",
        "return {address: summaries[address] for address in addresses if address in summaries}",
        "return {}",
    ),
    Mutant(
        "summaries: the first that another process wrote is not heard",
        "contextkit/kept_summaries.py",
        "stands = first if same else summary",
        "stands = summary",
    ),
    Mutant(
        "summaries: the address leaves out what stands before",
        "contextkit/strategies/segments.py",
        "canonical_json([end, covered, merge, *asked])",
        "canonical_json([covered, merge, *asked])",
    ),
    Mutant(
        "summaries: the address leaves out what lies between the first and the last message",
        "contextkit/strategies/segments.py",
        "canonical_json([end, covered, merge, *asked])",
        "canonical_json([end, covered[0], merge, *asked])",
    ),
    Mutant(
        "summaries: an earlier one is summarized again",
        "contextkit/strategies/segments.py",
        """        if span.kind != "summary":
            run.append(span)
        elif run:
            break
""",
        "        run.append(span)\n",
    ),
    Mutant(
        "summaries: one that fails fails the build",
        "contextkit/phases.py",
        "                    failure = Failure.of(strategy, error)",
        "                    raise",
    ),
    Mutant(
        "preparing: its edits are recorded",
        "contextkit/preparing.py",
        '    summaries = tuple(edit for edit in edits if edit.kind == "summary")',
        """    from contextkit.edits import Decision
    view.history._add(Decision(view.name, view.seen, tuple(edits)))
    summaries = tuple(edit for edit in edits if edit.kind == "summary")""",
    ),
    Mutant(
        "preparing: one that is cancelled stays under way",
        "contextkit/preparing.py",
        "    finally:\n        under_way.end()",
        "    finally:\n        pass\n    under_way.end()",
    ),
    Mutant(
        "preparing: a build cuts meanwhile though nothing forces it",
        "contextkit/deciding.py",
        "if not over and (figures is None or self.name in view.history.preparing):",
        "if not over and figures is None:",
    ),
    Mutant(
        "stores: the first decision of another process is not heard",
        "contextkit/stored_decisions.py",
        "        if stands != ours:",
        "        if False:",
    ),
    Mutant(
        "plans: one that is made dry calls a summarizer",
        "contextkit/dry_run.py",
        "                reply = counted.stand_in(scratch, need)",
        "                need.call()\n                reply = counted.stand_in(scratch, need)",
    ),
    *(
        Mutant(f"retrieval: {name}", f"contextkit/{file}", old, new, RETRIEVAL)
        for name, file, old, new in (
            (
                "vectors of others are not left out",
                "retrieval/recall.py",
                "return _checked(scope).key[:2]",
                "return _checked(scope).key[:1]",
            ),
            (
                "a source is not held against the scope",
                "retrieval/sources.py",
                "if scope[:1] != asking[:1] or",
                "if False and",
            ),
            (
                "the mark may stand in a text",
                "strategies/blocks.py",
                'f"{mark[:4]} {mark[4:]} ")',
                "mark)",
            ),
            (
                "control tokens stay",
                "strategies/blocks.py",
                'r"<(?=[|',
                'r"<(?=XX[|',
            ),
            (
                "another branch keeps the passages",
                "retrieval/corpora.py",
                "        del self.seen[known:]\n",
                "",
            ),
            (
                "asked again, the question is what is found",
                "retrieval/ranking.py",
                "divisors[best] = np.arange(1, len(best) + 1)",
                "pass",
            ),
            (
                "what was taken away still says the language",
                "retrieval/corpus.py",
                "                    self._languages[spoken] -= 1\n",
                "                    pass\n",
            ),
            (
                "of a pasted page all is asked",
                "retrieval/relevance.py",
                "min(sum(weights.values()), WIDEST * once)",
                "sum(weights.values())",
            ),
            (
                "letters of another identifier are found",
                "retrieval/asking.py",
                "if not _in_others(part.key, whole, postings)]",
                "]",
            ),
            (
                "a call from outside has no deadline",
                "driving.py",
                "return came.get(timeout=seconds).result()",
                "return came.get().result()",
            ),
        )
    ),
)


def survives(mutant: Mutant, folder: Path) -> bool | None:
    """Whether the tests pass although the core is broken; None where the text is not found."""
    target = folder / mutant.file
    source = (ROOT / mutant.file).read_text(encoding="utf-8")
    if source.count(mutant.old) != 1:
        return None
    target.write_text(source.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-n", "2"]
            + [test for test in mutant.tests if (folder / test).exists()],
            cwd=folder,
            capture_output=True,
            check=False,
        )
    finally:
        target.write_text(source, encoding="utf-8")
    if run.returncode not in (0, 1, 2):
        raise SystemExit(run.stdout.decode() + run.stderr.decode())
    return run.returncode == 0


def main() -> int:
    """Try all mutants, or those whose name holds one of the words given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")
    parser.add_argument("words", nargs="*", help="only mutants whose name holds one of these")
    args = parser.parse_args()
    chosen = [m for m in MUTANTS if not args.words or any(w in m.name for w in args.words)]
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in (
            "contextkit",
            "benchmarks",
            "tests",
            "docs",
            "README.md",
            "pyproject.toml",
            "Makefile",
        ):
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy(source, folder / name)
        for mutant in chosen:
            outcome = survives(mutant, folder)
            word = {None: "not found", True: "SURVIVED", False: "caught"}[outcome]
            results.append({**asdict(mutant), "outcome": word})
            if not args.json:
                sys.stdout.write(f"{word:<10} {mutant.name}\n")
                sys.stdout.flush()
    if args.json:
        sys.stdout.write(json.dumps(results, indent=2) + "\n")
    bad = sum(result["outcome"] != "caught" for result in results)
    if not args.json:
        sys.stdout.write(f"{len(results) - bad} caught, {bad} not\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
