"""Run the backend: `python -m examples.fastapi_chat`."""

from __future__ import annotations

import argparse
import os

import uvicorn

from examples.fastapi_chat.app import create_app
from examples.fastapi_chat.settings import Settings


def main() -> None:
    """Serve until Ctrl-C or SIGTERM; replies that have begun are finished first."""
    parser = argparse.ArgumentParser(prog="python -m examples.fastapi_chat", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s, this machine")
    parser.add_argument(
        "--port", default=8000, type=int, help="default: %(default)s; 0: a free one"
    )
    arguments = parser.parse_args()
    try:
        settings = Settings.of(os.environ)
    except ValueError as error:
        parser.error(str(error))
    uvicorn.run(
        create_app(settings),
        host=arguments.host,
        port=arguments.port,
        timeout_graceful_shutdown=30,
    )


if __name__ == "__main__":
    main()
