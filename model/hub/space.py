"""Sending the web page to a hub as a Space: this code, and the model that it shows."""

import os
from pathlib import Path

from ..utils.errors import ConfigError
from ..utils.root import INSTALLED, ROOT
from . import release
from .pretrained import CARD_NAME, RESULTS_NAME
from .push import Pushed, model_files, own_results, send

MESSAGE = "Send the web page of a cifarnet model"
CODE = (
    "app.py",
    "train.py",
    "pyproject.toml",
    "requirements.txt",
    "LICENSE",
    "model/**/*.py",
    "model/**/*.jinja",
    "web/**/*.py",
    "web/**/*.css",
    "web/**/*.js",
    "web/**/*.sh",
    "examples/*.p[ny]*",
    "figures/page/*.webp",
)
ROOMS = ("model/*", "web/*", "examples/*", "figures/*")  # what is there and not sent is deleted


def push_space(
    model: str | os.PathLike[str],
    repo_id: str,
    *,
    private: bool = False,
    message: str | None = None,
    dry_run: bool = False,
) -> Pushed:
    """Sends the web page, serving a model, in one commit.

    Arguments and errors are those of `push_to_hub`; the model's folder must hold its results.json,
    which the page shows.
    """
    return send(
        _contents(Path(model)),
        repo_id,
        kind="space",
        private=private,
        message=message or MESSAGE,
        dry_run=dry_run,
        stale=ROOMS,
    )


def _contents(folder: Path) -> dict[str, bytes]:
    """What such a Space consists of, by path, after checking that the model loads."""
    if INSTALLED:
        raise ConfigError(
            "The installed package does not hold all of the page's files: run `python -m model.hub "
            "push-space` in a checkout."
        )
    found, _ = model_files(folder)
    if RESULTS_NAME not in found:
        raise ConfigError(f"{folder} holds no {RESULTS_NAME}; name the folder of a finished run.")
    paths = [path for pattern in CODE for path in sorted(ROOT.glob(pattern)) if path.is_file()]
    code = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths}
    with own_results(folder):
        text = release.readme(ROOT, folder)
    return code | found | {CARD_NAME: text.encode()}
