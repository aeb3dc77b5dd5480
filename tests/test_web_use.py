"""Every snippet of the page runs from any folder; the model card is shown without its machinery."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Program

from web import use
from web.models import Models

EXPECTED = {"classifier.py": "This is a ship", "timm_network.py": "[4, 10]"}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder with a picture of one's own."""
    shutil.copy(ROOT / "examples" / "ship.png", tmp_path / "photo.jpg")
    return tmp_path


def test_every_file_is_shown() -> None:
    assert {path.name for path in use.SNIPPETS.iterdir() if path.is_file()} == set(use.TITLES)


@pytest.mark.parametrize("file", EXPECTED)
def test_snippets_run(file: str, program: Program, elsewhere: Path) -> None:
    done = program("-c", use.code(file), cwd=elsewhere, env={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    assert EXPECTED[file] in done.stdout


@pytest.mark.parametrize("file", ["client.py", "curl.sh"])
def test_snippets_that_ask_the_page_run(file: str, default_url: str, elsewhere: Path) -> None:
    line = ["bash", "-eu", "-c"] if file.endswith(".sh") else [sys.executable, "-c"]
    if file.endswith(".sh") and not shutil.which("curl"):
        pytest.skip("curl is not installed")
    text = use.code(file, default_url.rstrip("/"))
    done = subprocess.run([*line, text], cwd=elsewhere, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "ship" in done.stdout


def test_code_names_the_model_that_is_served(tiny: Path) -> None:
    models = Models([tiny])
    text = use.code("classifier.py", model=use.model_argument(models))
    assert f'from_pretrained("path/to/{tiny.name}")' in text
    assert use.model_argument(Models()) == ""


def test_a_card_is_shown_without_its_machinery() -> None:
    text = use.readable((ROOT / "README.md").read_text(encoding="utf-8"))
    assert text.startswith("### cifarnet")  # below the page's own headings
    assert "#### How often it is right" in text
    for gone in ("sdk_version", "<!--", "![", "## Figures", "](#", "pip install -r"):
        assert gone not in text
    assert "(https://arxiv.org/abs/2303.02644)" in text
    assert "\n# A torch module: normalised" in text  # a comment, no heading
