"""Where a model's two files lie: in a local folder, or on the hub, from where they are fetched."""

import os
import re
from pathlib import Path
from typing import Any

from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils.sha import git_hash

from model import config, files
from model.errors import ConfigError, HubError
from model.hub_errors import downloading, patiently

WEIGHTS_NAME = "model.safetensors"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
SHA256, SHA1 = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")
COMMIT = SHA1


def find_config(
    model: str | os.PathLike[str], revision: str | None = None, *, refresh: bool = False
) -> Path:
    """Path of a model's config.json, downloaded if need be.

    What is in the download cache is taken from there without asking the hub.

    Args:
        model: Folder, or hub id "owner/name"; a folder of that name goes first.
        revision: Branch, tag or commit on the hub; None is its main branch.
        refresh: Ask the hub whether a branch or tag has moved since it was downloaded.

    Raises:
        ConfigError: If there is no such folder, or nothing in it.
        HubError: If the hub has no such model or cannot be reached.
    """
    if folder := _local(model, revision):
        return _existing(folder, config.NAME)
    return _download(str(model), config.NAME, revision, refresh)


def find_weights(model: str | os.PathLike[str], card: Path) -> Path:
    """Path of the model.safetensors that belongs to a config.json.

    Args:
        model: As given to `find_config`.
        card: What `find_config` gave.

    Raises:
        ConfigError: If the folder lacks it.
        HubError: If the hub lacks it or cannot be reached.
    """
    if folder := _local(model, None):
        return _existing(folder, WEIGHTS_NAME)
    return _download(str(model), WEIGHTS_NAME, commit_of(card))


def commit_of(card: Path) -> str | None:
    """The commit of a downloaded config.json: a branch may move between two downloads."""
    return card.parent.name if COMMIT.fullmatch(card.parent.name) else None


def default_model(root: Path) -> Path:
    """The folder of the weights that come with the code.

    Raises:
        ConfigError: If none came with it.
    """
    if not (root / WEIGHTS_NAME).is_file():
        raise ConfigError(
            "No weights came with this code; train some with `accelerate launch train.py`, then "
            "name their folder or a hub id by --model."
        )
    return root


def find_results(model: str) -> Path:
    """Path of the results.json of a model on the hub, of the commit that `find_config` gives.

    Raises:
        HubError: If the model has none, or the hub cannot be reached.
    """
    return _download(model, "results.json", commit_of(find_config(model)))


def _local(model: str | os.PathLike[str], revision: str | None) -> Path | None:
    """The folder, None for a hub id, or an error for anything else."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise ConfigError(
                f"revision={revision!r} was given with the local folder {folder}; revisions exist "
                "on the hub only, leave it out."
            )
        return folder
    if folder.is_file():
        raise ConfigError(f"{folder} is a file; name the folder that holds {config.NAME}.")
    if isinstance(model, str) and HUB_ID.fullmatch(model) and model[0] not in ".-":
        return None
    raise ConfigError(
        f"There is no folder {str(model)!r}, and it is not a hub id either (those read "
        "owner/name); name the folder of a training run or a hub id."
    )


def _existing(folder: Path, name: str) -> Path:
    if (folder / name).is_file():
        return folder / name
    raise ConfigError(
        f"{folder} holds no {name}; name a folder that train.py wrote, with {config.NAME} and "
        f"{WEIGHTS_NAME}."
    )


def _download(model: str, name: str, revision: str | None, refresh: bool = False) -> Path:
    """A file from the cache or the hub, after checking that it is what the hub announced.

    Raises:
        HubError: If it cannot be fetched, or comes damaged or changed; then it is not kept.
    """
    for _ in range(2):  # what was damaged on the way, or on the disk, may come well once more
        with downloading(model, name, revision):
            path = _fetch(model, name, revision, refresh)
        if _is_whole(path):
            return path
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    raise HubError(
        f"{name} of {model} is not the file that the hub announced: it was damaged or changed on "
        "the way, twice. It was not kept; do not use this model or this connection if it stays so."
    )


def _fetch(model: str, name: str, revision: str | None, refresh: bool) -> Path:
    cached = None if refresh else try_to_load_from_cache(model, name, revision=revision)
    if isinstance(cached, str):
        return Path(cached)
    options: Any = {"revision": revision, "library_name": "cifarnet"}
    return Path(patiently(lambda: hf_hub_download(model, name, **options)))


def _is_whole(path: Path) -> bool:
    """Whether a downloaded file has the hash that the hub gave; the cache names files by it."""
    expected = path.resolve().name
    if SHA256.fullmatch(expected):
        return files.sha256(path) == expected
    if SHA1.fullmatch(expected):
        return git_hash(path.read_bytes()) == expected
    return True  # a cache without links, or a hub with names of its own


def forget_branch(repo_id: str) -> None:
    """Has the next download ask the hub where the main branch stands, as after a push."""
    folder = repo_folder_name(repo_id=repo_id, repo_type="model")
    (Path(constants.HF_HUB_CACHE) / folder / "refs" / "main").unlink(missing_ok=True)
