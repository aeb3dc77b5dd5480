"""Sending a model to a hub: weights, config card, results, figures and model card together."""

import os
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from torch import nn

from .. import hub
from ..utils import files
from ..utils.errors import ConfigError, HubError
from . import card, config, snapshot
from .download import forget_branch
from .sending import Pushed, send

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
    results and figures of an earlier model go. Needs a token that may write, from `hf auth login`
    or HF_TOKEN; HF_ENDPOINT names another hub.

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
            hub.save_pretrained(model, folder)
            content = contents(folder, repo_id)
    else:
        content = contents(model, repo_id)
    pushed = send(
        content,
        repo_id,
        private=private,
        tag=revision,
        message=message or MESSAGE,
        dry_run=dry_run,
        stale=_belonged_to_a_model,
    )
    if pushed.commit is not None:
        with suppress(OSError):  # the cache is not what was asked for
            forget_branch(repo_id)
    return pushed


def push_run(directory: Path, repo_id: str) -> Pushed:
    """Sends a finished run, and says how to do so later where that fails.

    Raises:
        HubError: If the hub refuses, or cannot be reached.
    """
    try:
        return push_to_hub(directory, repo_id)
    except HubError as error:
        later = f"python -m model.hub push {shlex.quote(str(directory))} {repo_id}"
        raise HubError(
            f"{error}\nThe model is safe in {directory}; send it by\n  {later}"
        ) from None


def contents(folder: str | os.PathLike[str], repo_id: str) -> dict[str, bytes]:
    """What a model consists of, by path in the repository, after checking that it loads.

    Args:
        folder: Of a trained model.
        repo_id: Which the model card names.

    Raises:
        ConfigError: If the folder holds no trained model, or the results of another one.
        WeightsError: If its weights are damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ConfigError(f"There is no folder {str(folder)!r}; name that of a trained model.")
    _, settings = hub.load(folder)
    found = {name: (folder / name).read_bytes() for name in (config.NAME, snapshot.WEIGHTS_NAME)}
    figures = hub.public_figures(folder)
    found |= {f"figures/{path.name}": path.read_bytes() for path in figures}
    results = folder / hub.RESULTS_NAME
    if results.is_file():
        found[hub.RESULTS_NAME] = results.read_bytes()
        names = [path.name for path in figures]
        with own_results(folder, settings) as told:
            text = card.model_card(told, settings, figures=names, repo_id=repo_id)
    else:
        text = card.model_card(None, settings, repo_id=repo_id)
    found[hub.CARD_NAME] = text.encode()
    return found


@contextmanager
def own_results(folder: Path, settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The results.json of a folder, while something is written from it.

    Args:
        folder: Of a trained model.
        settings: Its config card.

    Raises:
        ConfigError: If they tell of other weights, or lack something.
    """
    path = folder / hub.RESULTS_NAME
    results, here = files.read_json(path), files.sha256(folder / snapshot.WEIGHTS_NAME)
    try:
        told = (results["model"]["architecture"], results["dataset"]["label_names"])
        same_kind = told == (settings["architecture"], settings.get("label_names"))
        if results.get("weights_sha256", here) != here or not same_kind:
            raise ConfigError(
                f"The {hub.RESULTS_NAME} in {folder} tells of other weights than those beside it; "
                "remove it, or measure the model again."
            )
        yield results
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ConfigError(
            f"{path} is not what train.py writes; remove it, or measure the model again."
        ) from None


def _belonged_to_a_model(path: str) -> bool:
    return path == hub.RESULTS_NAME or (path.startswith("figures/") and path.endswith(".png"))
