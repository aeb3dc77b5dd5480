"""Sending the web page to a hub as a Space: this code, and the model that it shows."""

import os
from pathlib import Path

from .. import hub
from ..utils.errors import ConfigError
from . import config, release, snapshot
from .push import own_results
from .sending import Pushed, send

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
ROOMS = ("model/", "web/", "examples/", "figures/")  # what is there and not sent, goes


def push_space(
    model: str | os.PathLike[str],
    repo_id: str,
    *,
    private: bool = False,
    message: str | None = None,
    dry_run: bool = False,
) -> Pushed:
    """Sends the web page, serving a model, in one commit.

    The Space is made if need be. What it holds already is not sent again, and makes no commit.

    Args:
        model: Folder of a trained model with its results.json.
        repo_id: "owner/name" of the Space.
        private: Whether a Space that is made is private.
        message: Of the commit.
        dry_run: Only say what would be sent.

    Raises:
        ConfigError: If the folder holds no trained model, or no results.
        WeightsError: If its weights are damaged.
        HubError: If the hub refuses, or cannot be reached.
    """
    return send(
        contents(Path(model)),
        repo_id,
        kind="space",
        private=private,
        message=message or MESSAGE,
        dry_run=dry_run,
        stale=lambda path: path.startswith(ROOMS),
    )


def contents(folder: Path) -> dict[str, bytes]:
    """What such a Space consists of, by path, after checking that the model loads.

    Args:
        folder: Of a trained model.

    Raises:
        ConfigError: If the folder holds no trained model, or no results of it.
        WeightsError: If its weights are damaged.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"There is no folder {str(folder)!r}; name that of a trained model. One on a hub is "
            "fetched by `python -m model.hub pull`."
        )
    _, settings = hub.load(folder)
    if not (folder / hub.RESULTS_NAME).is_file():
        raise ConfigError(
            f"{folder} holds no {hub.RESULTS_NAME}, which the page shows; name the folder of a "
            "finished run."
        )
    root = release.ROOT
    paths = [path for pattern in CODE for path in sorted(root.glob(pattern)) if path.is_file()]
    found = {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}
    for name in (config.NAME, snapshot.WEIGHTS_NAME, hub.RESULTS_NAME):
        found[name] = (folder / name).read_bytes()
    for figure in hub.public_figures(folder):
        found[f"figures/{figure.name}"] = figure.read_bytes()
    with own_results(folder, settings):
        found[hub.CARD_NAME] = release.readme(root, folder).encode()
    return found
