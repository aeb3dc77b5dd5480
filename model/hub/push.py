"""Sending a model to a hub: weights, config card, results, figures and model card together."""

import os
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from torch import nn

from ..utils import files
from ..utils.errors import ConfigError, HubError
from . import card, config
from .pretrained import CARD_NAME, RESULTS_NAME, load, public_figures, save_pretrained
from .sending import Pushed, send
from .snapshot import WEIGHTS_NAME, forget_branch

MESSAGE = "Send a model trained with cifarnet"


def push_to_hub(
    model: str | os.PathLike[str] | nn.Module,
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    message: str | None = None,
    dry_run: bool = False,
) -> Pushed:
    """Sends weights, config card, results, figures and model card in one commit.

    The repository is made if need be. What it holds already is not sent again, and makes no commit;
    results and figures of an earlier model are deleted. Needs a token that may write, from
    `hf auth login` or HF_TOKEN; HF_ENDPOINT names another hub.

    Args:
        model: Folder of a trained model, or a network built by timm.
        repo_id: "owner/name" on the hub.
        private: Whether a repository that is made is private.
        revision: Tag for the commit, such as "v1".
        message: Of the commit.
        dry_run: Only say what would be sent.

    Raises:
        ConfigError: If the folder holds no trained model.
        WeightsError: If its weights are damaged.
        HubError: If the hub refuses, or cannot be reached.
    """
    if isinstance(model, nn.Module):
        with tempfile.TemporaryDirectory() as folder:
            content = _contents(save_pretrained(model, folder), repo_id)
    else:
        content = _contents(Path(model), repo_id)
    pushed = send(
        content,
        repo_id,
        private=private,
        tag=revision,
        message=message or MESSAGE,
        dry_run=dry_run,
        stale=lambda path: path == RESULTS_NAME or path.startswith("figures/"),
    )
    if pushed.commit is not None:
        with suppress(OSError):  # the cache is not what was asked for
            forget_branch(repo_id)
    return pushed


def push_run(directory: Path, repo_id: str) -> Pushed:
    """Sends a finished run, and says how to do so later where that fails."""
    try:
        return push_to_hub(directory, repo_id)
    except HubError as error:
        later = f"python -m model.hub push {shlex.quote(str(directory))} {repo_id}"
        raise HubError(
            f"{error}\nThe model is safe in {directory}; send it by\n  {later}"
        ) from None


def _contents(folder: Path, repo_id: str) -> dict[str, bytes]:
    """The files of a model, and a card that names its place on the hub, by path."""
    found, settings = model_files(folder)
    if RESULTS_NAME in found:
        figures = [path.name for path in public_figures(folder)]
        with own_results(folder, settings) as results:
            text = card.model_card(results, settings, figures=figures, repo_id=repo_id)
    else:
        text = card.model_card(None, settings, repo_id=repo_id)
    return found | {CARD_NAME: text.encode()}


def model_files(folder: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files of a trained model but its card, by path, and its config card.

    Raises:
        ConfigError: If the folder holds no trained model.
        WeightsError: If its weights are damaged.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"There is no folder {str(folder)!r}; name that of a trained model. One on a hub is "
            "fetched by `python -m model.hub pull`."
        )
    _, settings = load(folder)
    paths = [folder / name for name in (config.NAME, WEIGHTS_NAME)]
    paths += [path for path in [folder / RESULTS_NAME] if path.is_file()]
    paths += public_figures(folder)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}, settings


@contextmanager
def own_results(folder: Path, settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The results.json of a folder, while something is written from it.

    Raises:
        ConfigError: If it tells of other weights than the folder's, or lacks something.
    """
    path = folder / RESULTS_NAME
    results, here = files.read_json(path), files.sha256(folder / WEIGHTS_NAME)
    try:
        about = (results["model"]["architecture"], results["dataset"]["label_names"])
        same_kind = about == (settings["architecture"], settings.get("label_names"))
        if results.get("weights_sha256", here) != here or not same_kind:
            raise ConfigError(
                f"The {RESULTS_NAME} in {folder} tells of other weights than those beside it; "
                "remove it, or measure the model again."
            )
        yield results
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ConfigError(
            f"{path} is not what train.py writes; remove it, or measure the model again."
        ) from None
