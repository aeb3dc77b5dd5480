"""Fetching a model from a hub into a folder, whole or not at all."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download

from model import config, hub, snapshot
from model.errors import ConfigError
from model.hub_errors import downloading, patiently

WANTED = [
    config.NAME,
    snapshot.WEIGHTS_NAME,
    hub.RESULTS_NAME,
    hub.CARD_NAME,
    "figures/*.png",
]


def pull(
    repo_id: str, directory: str | os.PathLike[str], *, revision: str | None = None
) -> tuple[Path, str]:
    """Fetches weights, config card, results, model card and figures, and nothing else.

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
    """
    directory = Path(directory).expanduser()
    if Path(repo_id).is_dir():
        raise ConfigError(f"{repo_id} is a folder here, which needs no fetching; just use it.")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConfigError(f"{directory} holds something already; name a new folder.")
    card = snapshot.find_config(repo_id, revision, refresh=True)
    commit = card.parent.name
    hub.load(repo_id, revision=commit)  # what cannot be loaded stays away
    options: Any = dict(revision=commit, allow_patterns=WANTED, library_name="cifarnet")
    with downloading(repo_id, "results or figures", commit):
        fetched = Path(patiently(lambda: snapshot_download(repo_id, **options)))
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".pull-") as folder:
        whole = Path(folder) / "model"
        shutil.copytree(fetched, whole, ignore=_unwanted)
        if directory.exists():
            directory.rmdir()
        whole.rename(directory)
    return directory, commit


def _unwanted(folder: str, names: list[str]) -> set[str]:
    """A snapshot may hold what others fetched into the same cache."""
    known = {Path(name).name for name in WANTED} | {"figures"}
    return {name for name in names if name not in known and not name.endswith(".png")}
