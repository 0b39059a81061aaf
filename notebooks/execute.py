"""Execute the notebooks and keep their outputs in them: `make notebooks`.

python -m notebooks.execute                        all of them, in place
python -m notebooks.execute FILE... --into FOLDER  some of them, and leave the files as they are

A notebook that fails leaves its file as it was. What tells nothing about the result is not kept:
times of execution, random names of cells, versions of the tools that executed it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import nbformat
import zmq
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

FOLDER = Path(__file__).parent
CELL_TIMEOUT = 600  # seconds; only so that a hang fails instead of lasting for ever


def execute(path: Path) -> nbformat.NotebookNode:
    """The notebook as it is after its code cells were run in a new kernel, from first to last.

    The kernel is this interpreter, on the contextkit that this process would import, and without
    the settings of whoever runs it: neither another kernel of theirs nor a start-up script of
    their IPython plays a part.

    Raises:
        CellExecutionError: a cell failed.
        CellTimeoutError: a cell took longer than `CELL_TIMEOUT`.
        DeadKernelError: the kernel ended.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory(prefix="notebook-") as folder:
        kernel = AsyncKernelManager(
            kernel_name="python3",
            # No folder to look in: then it makes one of the interpreter that runs this.
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
            connection_file=str(Path(folder, "kernel.json")),
            transport_encryption="auto" if zmq.has("curve") else "disabled",
        )
        client = NotebookClient(
            notebook,
            km=kernel,
            timeout=CELL_TIMEOUT,
            record_timing=False,
            coalesce_streams=True,  # or how a cell's prints are split would be a matter of time
            resources={"metadata": {"path": str(path.parent)}},
        )
        found = [str(FOLDER.parent), os.environ.get("PYTHONPATH")]
        # What is kept are the figures of the sample, whatever data somebody measures on.
        own = {name: value for name, value in os.environ.items() if name != "CONTEXTKIT_DATA"}
        client.execute(
            cleanup_kc=True,  # or the kernel, which is ours, would live on
            env={
                **own,
                "IPYTHONDIR": folder,
                "PYTHONPATH": os.pathsep.join(filter(None, found)),
            },
        )
    return normalised(notebook)


def normalised(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The same notebook with nothing in it that differs from one execution to the next by itself.

    Its metadata say for which sources the outputs are (`sources_digest`), so that a cell that was
    edited and not executed can be found.
    """
    for number, cell in enumerate(notebook.cells, start=1):
        cell["id"] = f"cell-{number:02}"
        tags = cell.metadata.get("tags")
        cell["metadata"] = {"tags": tags} if tags else {}
        for output in cell.get("outputs", ()):
            if "metadata" in output:
                output["metadata"] = {}
    notebook["nbformat"], notebook["nbformat_minor"] = 4, 5
    notebook["metadata"] = {
        "executed": sources_digest(notebook),
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    checked = nbformat.from_dict(notebook)
    nbformat.validate(checked)
    return checked


def sources_digest(notebook: Mapping[str, Any]) -> str:
    """A name for the code of a notebook: two have the same if their code cells are alike."""
    code = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return sha256("\0".join(code).encode()).hexdigest()[:16]


def main() -> int:
    """Execute what was asked for; 1 if a notebook failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path, help="notebooks; all of them by default")
    parser.add_argument("--into", type=Path, help="folder for the executed ones")
    given = parser.parse_args()
    # A new machine builds its list of fonts now, and not with a remark in somebody's output.
    import matplotlib.font_manager  # noqa: F401

    failed = 0
    for path in given.files or sorted(FOLDER.glob("*.ipynb")):
        try:
            notebook = execute(path.resolve())
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            sys.stderr.write(f"{path.name}: {error}\n")
            failed = 1
            continue
        kept = (given.into or path.parent) / path.name
        kept.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
        sys.stdout.write(f"{kept}: executed\n")
    return failed


if __name__ == "__main__":
    sys.exit(main())
