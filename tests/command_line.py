"""The command line as a user has it: in a process of its own, in a folder of its own."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
CODE = "from contextkit.cli import main; main()"


def command(*arguments, without=()):
    """The words that run `contextkit` with some arguments, and without some packages."""
    hide = f"import sys; sys.modules.update(dict.fromkeys({list(without)})); " if without else ""
    return [sys.executable, "-c", hide + CODE, *map(str, arguments)]


def environment(**more):
    """The present environment, in which the package is found from any folder."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, **more}


def run(*arguments, folder, typed="", without=(), **more):
    """Run a command to its end and give what it printed."""
    return subprocess.run(
        command(*arguments, without=without),
        cwd=folder,
        env=environment(**more),
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def free_port():
    """A port at which nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def nobody_listens(port):
    """Whether nobody listens there, or will have stopped to before long."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            return True
        time.sleep(0.02)
    return False
