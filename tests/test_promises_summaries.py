"""The promises with summaries, failures, preparation and clearing interleaved."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import given, settings

from tests.conversations import Choices, choices
from tests.interleaved import RUNNER, WAYS, Play

EXAMPLES = settings.default.max_examples if settings.default else 100


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    """What is passed over is told to the log of the process, tens of thousands of times here."""
    log = logging.getLogger("contextkit")
    level = log.level
    log.setLevel(logging.ERROR)
    yield
    log.setLevel(level)
    RUNNER.close()


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=max(1, EXAMPLES // len(WAYS)))
@given(choose=choices(1_200))
def test_all_promises_hold_whatever_happens_in_between(way: str, choose: Choices) -> None:
    Play(choose, way).run()
