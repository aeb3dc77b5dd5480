"""Random and searched-for inputs: only our named errors come out of reading pictures and models."""

import json
import shutil
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_model import NAMES, make_network

from benchmarks.fuzz import TARGETS, search
from model.hub import from_pretrained, save_pretrained
from model.utils.errors import CifarnetError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
BOUNDED = settings(
    max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pretrained(make_network(), tmp_path_factory.mktemp("m") / "good", label_names=NAMES)


def _places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all values in JSON."""
    keys: Any = ()
    if isinstance(content, dict):
        keys = content.keys()
    elif isinstance(content, list):
        keys = range(len(content))
    return [path, *(place for key in keys for place in _places(content[key], (*path, key)))]


@BOUNDED
@given(data=st.data(), value=JSON)
def test_any_value_anywhere_in_a_config(good: Path, data: st.DataObject, value: Any) -> None:
    content = json.loads((good / "config.json").read_text())
    place = data.draw(st.sampled_from(_places(content)))
    if place:
        inner = content
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value
    else:
        content = value
    changed = good.with_name("changed")
    shutil.copytree(good, changed, dirs_exist_ok=True)
    (changed / "config.json").write_text(json.dumps(content))
    with suppress(CifarnetError):
        from_pretrained(changed)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("atheris") is None, reason="needs `pip install atheris`")
@pytest.mark.parametrize("target", TARGETS)
def test_a_guided_search_finds_nothing(target: str, tmp_path: Path) -> None:
    found = search(target, seconds=20, folder=tmp_path)
    assert not found["broke"], found["broke"]
    assert found["runs"] > 100
    assert found["features"] > 100
