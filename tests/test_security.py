"""What the code must never do, looked for in its syntax: unpickle, trust others, run shells."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

SOURCES = [
    path
    for path in sorted([*ROOT.glob("*.py"), *ROOT.glob("*/**/*.py")])
    if path.relative_to(ROOT).parts[0] not in ("tests", "runs", "venv", ".venv")
]
PICKLING = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
CALLS = {"eval", "exec", "torch.load", "yaml.load", "yaml.unsafe_load", "os.system", "os.popen"}
KEYWORDS = {"trust_remote_code", "allow_pickle", "shell"}


def _called(node: ast.Call) -> str:
    """What is called, as it is written."""
    return ast.unparse(node.func)


def findings(source: str) -> Iterator[str]:
    """Everything in a module that is on the list."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = {alias.name.split(".")[0] for alias in node.names}
            yield from sorted(names & PICKLING)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from {node.module.split(".")[0]} & PICKLING
        elif isinstance(node, ast.Call):
            if _called(node) in CALLS:
                yield _called(node)
            for keyword in node.keywords:
                off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                if keyword.arg in KEYWORDS and not off:
                    yield f"{keyword.arg}={ast.unparse(keyword.value)}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_foreign_is_unpickled_or_run(path: Path) -> None:
    assert list(findings(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import dill as safe",
        "torch.load(path)",
        "load(id, trust_remote_code=True)",
        "load(id, trust_remote_code=wish)",
        "np.load(path, allow_pickle=True)",
        "run(text, shell=True)",
        "eval(text)",
    ],
)
def test_the_search_finds_what_it_is_for(source: str) -> None:
    assert len(list(findings(source))) == 1


@pytest.mark.parametrize("source", ["network.eval()", "load(id, trust_remote_code=False)", "x = 1"])
def test_the_search_finds_nothing_else(source: str) -> None:
    assert list(findings(source)) == []
