"""What holds for every test: no way off the machine, no key, one setting for hypothesis."""

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

OFFLINE = str(Path(__file__).parent / "offline")
sys.path.insert(0, OFFLINE)
import no_network  # noqa: E402, F401 - importing it closes the way out of this process

# The same for the processes that tests start.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [OFFLINE, os.environ.get("PYTHONPATH")]))

# Neither somebody's key nor a proxy may change what a test does.
for name in list(os.environ):
    if name.startswith(("OPENAI_", "DASHSCOPE_")) or name.lower().endswith("_proxy"):
        del os.environ[name]

# One test may take as long as it needs on a busy machine; what counts is what it finds.
settings.register_profile(
    "default",
    max_examples=100,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
if soak := os.environ.get("CONTEXTKIT_SOAK"):
    settings.register_profile("soak", settings.get_profile("default"), max_examples=int(soak))
settings.load_profile("soak" if soak else "default")


@pytest.fixture
def quiet_log() -> Iterator[None]:
    """What is passed over is told to the log of the process; in a soak a million times."""
    log = logging.getLogger("contextkit")
    level = log.level
    log.setLevel(logging.ERROR)
    yield
    log.setLevel(level)


@pytest.fixture
def provider() -> Iterator:
    """A provider on loopback that answers what it is told to."""
    from tests.scripted_provider import ScriptedProvider

    with ScriptedProvider() as running:
        yield running
