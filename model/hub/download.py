"""One file from the hub's cache or the hub, checked against what the hub announced."""

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
from ..utils.errors import HubError
from .hub_errors import downloading, patiently

SHA256, SHA1 = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")
MAX_BYTES = 2**25  # of a file whose size nothing else tells


def fetch(
    model: str, name: str, revision: str | None, *, refresh: bool = False, most: int = MAX_BYTES
) -> Path:
    """A file of a model, from the cache without asking the hub if it is there.

    Args:
        model: Hub id.
        name: Of the file in the repository.
        revision: Branch, tag or commit; None is the main branch.
        refresh: Ask the hub whether a branch or tag has moved since it was downloaded.
        most: Bytes from which on the file is not fetched.

    Raises:
        HubError: If it cannot be fetched, is too large, or comes damaged or changed; what came
            damaged is not kept.
    """
    with downloading(model, name, revision):
        cached = None if refresh else try_to_load_from_cache(model, name, revision=revision)
        if isinstance(cached, str) and _has(Path(cached), _linked(Path(cached))):
            return Path(cached)
        for again in (False, True):  # what was damaged on the way may come well once more
            etag = patiently(lambda: _announced(model, name, revision, most))
            path = Path(patiently(partial(_got, model, name, revision, again)))
            if _has(path, etag):
                return path
            _forget(path)
    raise HubError(
        f"{name} of {model} is not the file that the hub announced: it was damaged or changed on "
        "the way, twice. It was not kept; do not use this model or this connection if it stays so."
    )


def _announced(model: str, name: str, revision: str | None, most: int) -> str | None:
    """The hash that the hub gives for a file.

    Raises:
        HubError: If it is too large.
    """
    url = hf_hub_url(model, name, revision=revision, endpoint=constants.ENDPOINT)
    known = get_hf_file_metadata(url, library_name="cifarnet")
    if known.size is not None and known.size > most:
        raise HubError(
            f"{name} of {model} has {known.size:,} bytes, at most {most:,} were expected; it was "
            "not fetched. It is not a model that train.py wrote."
        )
    return known.etag


def _got(model: str, name: str, revision: str | None, again: bool) -> str:
    return hf_hub_download(
        model, name, revision=revision, force_download=again, library_name="cifarnet"
    )


def forget_branch(repo_id: str) -> None:
    """Has the next download ask the hub where the main branch stands, as after a push."""
    folder = repo_folder_name(repo_id=repo_id, repo_type="model")
    (Path(constants.HF_HUB_CACHE) / folder / "refs" / "main").unlink(missing_ok=True)


def _linked(path: Path) -> str | None:
    """The hash by which the cache knows a file; None in a cache without links."""
    return os.path.basename(os.readlink(path)) if path.is_symlink() else None


def _has(path: Path, expected: str | None) -> bool:
    """Whether a file's content has the hash that the hub gave, of whichever kind it is."""
    if expected is None:
        return True
    if SHA256.fullmatch(expected):
        return files.sha256(path) == expected
    if SHA1.fullmatch(expected):
        return git_hash(path.read_bytes()) == expected
    return True  # a hub with names of its own


def _forget(path: Path) -> None:
    """Takes a file from the cache; what other repositories share stays."""
    if path.is_symlink():
        (path.parent / os.readlink(path)).unlink(missing_ok=True)
    path.unlink(missing_ok=True)
