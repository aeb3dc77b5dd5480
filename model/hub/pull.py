"""Fetching a model from a hub into a folder, whole or not at all."""

import os
import re
import shutil
import tempfile
from pathlib import Path

from huggingface_hub import HfApi, constants

from .. import hub
from ..utils.errors import ConfigError, HubError
from . import config, snapshot
from .download import fetch
from .hub_errors import OFFLINE, downloading, patiently

OTHERS = re.compile(rf"{re.escape(hub.RESULTS_NAME)}|{hub.CARD_NAME}|figures/[\w-]+\.png")


def pull(
    repo_id: str, directory: str | os.PathLike[str], *, revision: str | None = None
) -> tuple[Path, str]:
    """Fetches weights, config card, results, model card and figures, and nothing else.

    Every file is checked against the hash that the hub gives.

    Args:
        repo_id: "owner/name" on the hub.
        directory: Where to put them; must be empty, or not exist.
        revision: Branch, tag or commit; None is the main branch.

    Returns:
        The directory, and the commit that was fetched.

    Raises:
        ConfigError: If the directory holds something, or what came is no model.
        WeightsError: If the weights are damaged.
        HubError: If the hub has no such model or cannot be reached.
        OSError: If the directory cannot be written.
    """
    directory = Path(directory).expanduser().resolve()
    if Path(repo_id).is_dir():
        raise ConfigError(f"{repo_id} is a folder here, which needs no fetching; just use it.")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConfigError(f"{directory} holds something already; name a new folder.")
    if constants.HF_HUB_OFFLINE:
        raise HubError(OFFLINE)
    card = snapshot.find_config(repo_id, revision, refresh=True)
    commit = snapshot.commit_of(card) or ""
    hub.load(repo_id, revision=commit)  # what cannot be loaded stays away
    found = {
        config.NAME: card,
        snapshot.WEIGHTS_NAME: fetch(repo_id, snapshot.WEIGHTS_NAME, commit),
    }
    for name in _others(repo_id, commit):
        found[name] = fetch(repo_id, name, commit)
    _fill(directory, found)
    return directory, commit


def _others(repo_id: str, commit: str) -> list[str]:
    """Names of the files beside the model itself."""
    with downloading(repo_id, "results.json", commit):
        there = patiently(lambda: HfApi().list_repo_files(repo_id, revision=commit))
    unwanted = f"figures/{hub.MISTAKES}"
    return sorted(name for name in there if OTHERS.fullmatch(name) and name != unwanted)


def _fill(directory: Path, found: dict[str, Path]) -> None:
    """Copies files into a folder, all beside it first; the config card comes last."""
    new = not directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=directory, prefix=".pull-") as folder:
            for name, path in found.items():
                (Path(folder) / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(path, Path(folder) / name)
            for path in sorted(Path(folder).iterdir(), key=lambda path: path.name == config.NAME):
                os.replace(path, directory / path.name)
    except BaseException:
        if new:
            shutil.rmtree(directory, ignore_errors=True)
        raise
