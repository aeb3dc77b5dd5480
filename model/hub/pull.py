"""Fetching a model from a hub into a folder, whole or not at all."""

import os
from pathlib import Path

from huggingface_hub import HfApi

from ..utils import files
from ..utils.errors import ConfigError
from ..utils.hub import asking
from . import config, snapshot
from .card import FIGURES
from .pretrained import CARD_NAME, RESULTS_NAME, load

OTHERS = (RESULTS_NAME, CARD_NAME, *FIGURES)


def pull(
    repo_id: str, directory: str | os.PathLike[str], *, revision: str | None = None
) -> tuple[Path, str]:
    """Fetches weights, config card, results, model card and figures, and nothing else.

    Every file is checked against the hash that the hub gives.

    Args:
        repo_id: "owner/name" on the hub.
        directory: Where to put them; must hold no file, or not exist.
        revision: Branch, tag or commit; None is the main branch.

    Returns:
        The directory, and the commit that was fetched.

    Raises:
        ConfigError: If the directory holds something, or what came is no model.
        WeightsError: If the weights are damaged.
        HubError: If the hub has no such model or cannot be reached.
        OSError: If the directory cannot be written.
    """
    directory = Path(os.path.expanduser(directory)).resolve()
    if Path(repo_id).is_dir():
        raise ConfigError(f"{repo_id} is a folder here, which needs no fetching; just use it.")
    if directory.is_file() or any(path.is_file() for path in directory.rglob("*")):
        raise ConfigError(f"{directory} holds something already; name a new folder.")
    source = snapshot.resolve(repo_id, revision, refresh=True)
    load(source)  # what cannot be loaded stays away
    with asking(f"Listing the files of {repo_id} failed"):
        there = HfApi().list_repo_files(repo_id, revision=source.name)
    # The config card comes last: a folder without it is not yet a model.
    others = [name for name in OTHERS if name in there]
    found = {
        directory / name: snapshot.fetch(repo_id, name, source.name).read_bytes()
        for name in (snapshot.WEIGHTS_NAME, *others, config.NAME)
    }
    for path in found:
        path.parent.mkdir(parents=True, exist_ok=True)
    files.write_together(found)
    return directory, source.name
