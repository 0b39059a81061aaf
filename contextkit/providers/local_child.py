"""The child process of LocalServer: llama.cpp's server, until the caller is gone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path


def serve() -> None:
    """Take the settings from stdin, serve until the caller is gone."""
    # Ctrl-C reaches the whole terminal; what it means for the server is the caller's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    settings = json.loads(sys.stdin.readline())
    ready = Path(settings["ready"])
    threading.Thread(target=_leave_at_end_of_input, args=(ready.parent,), daemon=True).start()

    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["gguf"]
    params.model_alias = {settings["model"]}
    params.hostnames = [settings["host"]]
    params.port = settings["port"]
    params.n_ctx = settings["n_ctx"] * settings["slots"]  # llama.cpp divides it among the slots
    params.n_parallel = settings["slots"]
    params.cache_ram_mib = settings["ram_cache"]
    params.cpuparams.n_threads = settings["threads"]
    params.cpuparams_batch.n_threads = settings["threads"]
    params.n_gpu_layers = 0
    params.use_jinja = True
    params.chat_template = settings["chat_template"]
    params.endpoint_slots = True
    params.endpoint_metrics = True
    params.offline = True
    params.ui = False
    params.cors_origins = f"http://{settings['host']}"  # no web page may ask, as any may by default
    server = xllamacpp.Server(params)

    draft = ready.with_suffix(".draft")
    draft.write_text(server.listening_address, "utf-8")
    draft.replace(ready)
    # A fork of the caller may hold the pipe open after the caller itself has died.
    while os.getppid() == parent:
        time.sleep(1)
    _leave(ready.parent)


def _leave_at_end_of_input(folder: Path) -> None:
    sys.stdin.read()
    _leave(folder)


def _leave(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # the caller did not live to do it
    os._exit(0)  # at once: llama.cpp would first finish what it is computing


if __name__ == "__main__":
    serve()
