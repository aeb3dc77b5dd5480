"""Where a model's two files lie: in a local folder, or on the hub, from where they are fetched."""

import os
import re
from pathlib import Path

from ..utils.errors import ConfigError
from ..utils.root import ROOT
from . import config
from .download import fetch

WEIGHTS_NAME = "model.safetensors"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
COMMIT = re.compile(r"[0-9a-f]{40}")


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
    return fetch(str(model), config.NAME, revision, refresh=refresh, most=config.MAX_BYTES)


def find_weights(model: str | os.PathLike[str], card: Path, most: int) -> Path:
    """Path of the model.safetensors that belongs to a config.json.

    Args:
        model: As given to `find_config`.
        card: What `find_config` gave.
        most: Bytes that a file on the hub may have.

    Raises:
        ConfigError: If the folder lacks it.
        HubError: If the hub lacks it or cannot be reached.
    """
    if folder := _local(model, None):
        return _existing(folder, WEIGHTS_NAME)
    return fetch(str(model), WEIGHTS_NAME, commit_of(card), most=most)


def commit_of(card: Path) -> str | None:
    """The commit of a downloaded config.json: a branch may move between two downloads."""
    return card.parent.name if COMMIT.fullmatch(card.parent.name) else None


def default_model() -> Path:
    """The folder of the weights that come with the code.

    Raises:
        ConfigError: If none came with it.
    """
    if not (ROOT / WEIGHTS_NAME).is_file():
        raise ConfigError(
            "No weights came with this code; train some with `accelerate launch train.py`, then "
            "name their folder or a hub id by --model."
        )
    return ROOT


def find_beside(model: str, card: Path, name: str) -> Path:
    """Path of another file of a model on the hub, such as its results.json.

    Args:
        model: Hub id.
        card: What `find_config` gave.
        name: Of the file.

    Raises:
        HubError: If the model has none, or the hub cannot be reached.
    """
    return fetch(model, name, commit_of(card))


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
    from ..checkpoint import NAME  # where nothing is wrong, nobody waits for what it needs

    if (folder / NAME).is_file():
        raise ConfigError(
            f"{folder} holds no {name} yet: its training did not come to its end. Go on with it: "
            f"accelerate launch train.py --resume {folder}"
        )
    raise ConfigError(
        f"{folder} holds no {name}; name a folder that train.py wrote, with {config.NAME} and "
        f"{WEIGHTS_NAME}."
    )
