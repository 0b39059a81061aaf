"""The simulator against the embedded server: what it foretells is what the server reports.

A sample of `python -m benchmarks.simulator_exact`, which holds ten times as many requests.
"""

import pytest

from benchmarks.simulator_exact import WINDOW, Run, measure
from contextkit.providers.local import LocalServer

LONG = "the river, the bridge, the lamp, the north, the hill, the sea, the wind, the snow, the road"


@pytest.mark.parametrize("slots", [1, 2])
def test_every_request_of_interleaved_conversations_is_foretold_to_the_token(slots):
    run = measure(slots, requests=40)  # so many that turns are dropped, too

    assert run.others == []
    assert run.requests >= 40
    assert 0 < run.cached_tokens < run.input_tokens
    assert {"drop", "insert", "tool", "edited", "summary requests"} <= run.edits.keys()


def test_the_slot_that_takes_a_request_is_foretold():
    """By what remains in the others: of equal shares, of never used, of refused ones."""
    one, two = (f"{LONG} {name}: {LONG}" for name in ("one", "two"))
    with LocalServer(n_ctx=WINDOW, slots=2) as server:
        run = Run(server)
        for text in (one, f"Not {two}", "Hello", one, f"Not {two}", one):
            run.ask([{"role": "user", "content": text}])
        run.refuse()
        for text in (f"Or {two}", one, f"Not {two}", f"Or {two}"):
            run.ask([{"role": "user", "content": text}])

    assert run.result.others == []
    assert run.result.refused == 1
