"""Every snippet of the page runs as it stands; the model card is shown without its machinery."""

import shutil
import subprocess

import pytest
from conftest import ROOT, Program

from web import use

LIVE = [s for s in use.ALL if use.ADDRESS in use.code(s)]
LOCAL = [s for s in use.ALL if s not in LIVE]
CARD = """---
license: apache-2.0
---

# cifarnet

<!-- summary -->
Right on **93%**. See [the paper](https://example.org) and [the code](train.py).
<!-- /summary -->

![matrix](figures/matrix.png)

## Try it

```sh
# a comment, no heading
```

## Figures

![curves](figures/curves.png)

![far](https://example.org/x.png)

## Sources

- Page
"""


def test_every_file_is_shown() -> None:
    files = {path.name for path in use.SNIPPETS.iterdir() if path.is_file()}
    assert files == {snippet.file for snippet in use.ALL}
    assert {s.file for s in LIVE} == {"client.py", "curl.sh"}


@pytest.mark.parametrize("snippet", LOCAL, ids=lambda s: s.file)
def test_snippets_run(snippet: use.Snippet, program: Program) -> None:
    done = program("-c", use.code(snippet))
    assert done.returncode == 0, done.stderr
    expected = {"classifier.py": "ship", "timm_network.py": "[4, 10]"}
    assert expected[snippet.file] in done.stdout


@pytest.mark.parametrize("snippet", LIVE, ids=lambda s: s.file)
def test_snippets_that_ask_the_page_run(
    snippet: use.Snippet, program: Program, default_url: str
) -> None:
    text = use.code(snippet, default_url.rstrip("/"))
    if snippet.file.endswith(".sh"):
        if not shutil.which("curl"):
            pytest.skip("curl is not installed")
        done = subprocess.run(
            ["bash", "-eu", "-c", text], cwd=ROOT, capture_output=True, text=True, timeout=120
        )
    else:
        done = program("-c", text)
    assert done.returncode == 0, done.stderr
    assert "ship" in done.stdout


def test_a_card_is_shown_without_its_machinery() -> None:
    text = use.readable(CARD)
    assert text.startswith("### cifarnet")  # below the page's own headings
    assert "#### Try it" in text
    for gone in ("apache", "<!--", "![", "figures/", "Figures", "(train.py)"):
        assert gone not in text
    assert "[the paper](https://example.org)" in text
    assert "and the code." in text
    assert "\n# a comment, no heading\n" in text


def test_the_default_card_is_shown() -> None:
    text = use.readable((ROOT / "README.md").read_text(encoding="utf-8"))
    assert "Intended use and limits" in text
    assert "![" not in text
    assert not text.startswith("---")
