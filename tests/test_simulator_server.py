"""The simulator against the embedded server: what it foretells is what the server reports.

A sample of `python -m benchmarks.simulator_exact`, which holds ten times as many requests.
"""

import pytest

from benchmarks.simulator_exact import measure


@pytest.mark.parametrize("slots", [1, 2])
def test_every_request_of_interleaved_conversations_is_foretold_to_the_token(slots):
    run = measure(slots, requests=24)

    assert run.others == []
    assert run.requests >= 24
    assert 0 < run.cached_tokens < run.input_tokens
    assert {"drop", "insert", "tool", "edited", "summary requests"} <= run.edits.keys()
    assert run.refused > 0
