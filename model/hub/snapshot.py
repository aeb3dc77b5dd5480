"""Where a model lies: a folder, or a hub id, which is resolved once to a folder of the cache."""

import os
import re
from functools import partial
from pathlib import Path

from huggingface_hub import (
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils.sha import git_hash

from ..utils import files
from ..utils.errors import ConfigError, HubError
from ..utils.root import ROOT
from . import config
from .errors import asking, retry

WEIGHTS_NAME = "model.safetensors"
HUB_ID = re.compile(r"\w[\w.-]*/[\w.-]+")
MAX_WEIGHTS = 2**30  # bytes that are fetched at most; our largest network has 20 MiB
MAX_BYTES = 2**25  # of any other file


def resolve(
    model: str | os.PathLike[str], revision: str | None = None, *, refresh: bool = False
) -> Path:
    """The folder that holds a model's config.json and model.safetensors.

    Of a hub id both are downloaded unless they are in the cache, which is used without asking the
    hub. No other kind of file is fetched.

    Args:
        model: Folder, or hub id "owner/name"; a folder of that name goes first.
        revision: Branch, tag or commit on the hub; None is its main branch.
        refresh: Ask the hub whether a branch or tag has moved since it was downloaded.

    Raises:
        ConfigError: If there is no such folder or nothing in it, or the config card is wrong.
        HubError: If the hub has no such model or cannot be reached.
    """
    card = find_config(model, revision, refresh=refresh)
    if folder := _local(model, revision):
        return _existing(folder, WEIGHTS_NAME).parent
    config.load(card)  # a stranger's architecture is refused before any weights come
    return find_beside(str(model), card, WEIGHTS_NAME, most=MAX_WEIGHTS).parent


def find_config(
    model: str | os.PathLike[str], revision: str | None = None, *, refresh: bool = False
) -> Path:
    """Path of a model's config.json alone; see `resolve`."""
    if folder := _local(model, revision):
        return _existing(folder, config.NAME)
    return fetch(str(model), config.NAME, revision, refresh=refresh, most=config.MAX_BYTES)


def find_beside(model: str, card: Path, name: str, most: int = MAX_BYTES) -> Path:
    """Path of another file of a model on the hub, such as its results.json.

    Args:
        model: Hub id.
        card: What `find_config` gave; the file is taken from the same commit.
        name: Of the file.
        most: Bytes that it may have.
    """
    return fetch(model, name, card.parent.name, most=most)


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


def fetch(
    model: str, name: str, revision: str | None, *, refresh: bool = False, most: int = MAX_BYTES
) -> Path:
    """A file of a model on the hub, from the cache if it is there.

    `snapshot_download` would do for both files at once, but asks for the whole tree, takes what is
    old for new where the hub is down, and checks sizes only: a file that was changed on the way
    would be used, and kept.

    Raises:
        HubError: If it cannot be fetched, is too large, or comes damaged or changed; what came
            damaged is not kept.
    """
    at = f"{name} of {model}" + (f" at revision {revision}" if revision else "")
    with asking(f"There is no folder {model!r} here, and fetching {at} failed"):
        cached = None if refresh else try_to_load_from_cache(model, name, revision=revision)
        if isinstance(cached, str) and _intact(Path(cached)):
            return Path(cached)
        url = hf_hub_url(model, name, revision=revision, endpoint=constants.ENDPOINT)
        get = partial(hf_hub_download, model, name, revision=revision, library_name="cifarnet")
        for again in (False, True):  # what was damaged on the way may come well once more
            known = retry(partial(get_hf_file_metadata, url, library_name="cifarnet"))
            if known.size is not None and known.size > most:
                raise HubError(
                    f"{at} has {known.size:,} bytes, at most {most:,} are fetched; it is not a "
                    "model that train.py wrote."
                )
            path = Path(retry(partial(get, force_download=again)))
            if _intact(path, known.etag):
                return path
            if path.is_symlink():  # to the content, which other repositories do not share
                (path.parent / os.readlink(path)).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
    raise HubError(
        f"{at} is not the file that the hub announced: it was damaged or changed on the way, "
        "twice. It was not kept; do not use this model or this connection if it stays so."
    )


def forget_branch(repo_id: str) -> None:
    """Has the next download ask the hub where the main branch stands, as after a push."""
    folder = repo_folder_name(repo_id=repo_id, repo_type="model")
    (Path(constants.HF_HUB_CACHE) / folder / "refs" / "main").unlink(missing_ok=True)


def _intact(path: Path, announced: str | None = None) -> bool:
    """Whether a cached file has the hash that the hub announced, of whichever kind that is.

    The cache links to the content under that hash, by which it can be checked again later.
    """
    name = announced or (os.path.basename(os.readlink(path)) if path.is_symlink() else "")
    if re.fullmatch(r"[0-9a-f]{64}", name):
        return files.sha256(path) == name
    if re.fullmatch(r"[0-9a-f]{40}", name):
        return git_hash(path.read_bytes()) == name
    return True  # a hub with names of its own


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
    if isinstance(model, str) and HUB_ID.fullmatch(model):
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
