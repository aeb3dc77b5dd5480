"""Sending a model to a hub: weights, config card, results, figures and model card in one commit."""

import os
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import validate_repo_id
from torch import nn

from ..utils import files
from ..utils.errors import ConfigError, HubError
from ..utils.hub import LOG_IN, asking
from . import card, config
from .pretrained import CARD_NAME, RESULTS_NAME, load, public_figures, save_pretrained
from .snapshot import WEIGHTS_NAME

MESSAGE = "Send a model trained with cifarnet"


@dataclass(frozen=True)
class Pushed:
    """What was sent, or would be.

    Attributes:
        repo_id: "owner/name".
        files: Bytes of each file, by its path in the repository.
        commit: That holds them now; None after a dry run.
        url: Of that commit; None after a dry run.
        new: Whether a commit was made; False if the hub holds all of it already.
    """

    repo_id: str
    files: dict[str, int]
    commit: str | None = None
    url: str | None = None
    new: bool = False


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
        revision: Tag for the commit, such as "v1", that does not exist yet.
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
        stale=(RESULTS_NAME, "figures/*"),
    )
    if pushed.commit is not None:
        # The next download asks anew where the main branch stands.
        folder = repo_folder_name(repo_id=repo_id, repo_type="model")
        with suppress(OSError):  # the cache is not what was asked for
            Path(constants.HF_HUB_CACHE, folder, "refs", "main").unlink(missing_ok=True)
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


def check_token(repo_id: str) -> None:
    """Asks the hub who is sending, before hours are spent on training what it would refuse."""
    with asking(f"Sending to {repo_id} failed"):
        _check_id(repo_id)
        user = HfApi(library_name="cifarnet").whoami()
    if (user.get("auth") or {}).get("accessToken", {}).get("role") == "read":
        raise HubError(
            f"Sending to {repo_id} would fail: the token only reads. Make one that may write, then "
            f"{LOG_IN}."
        )


def send(
    content: dict[str, bytes],
    repo_id: str,
    *,
    kind: str = "model",
    private: bool = False,
    tag: str | None = None,
    message: str,
    dry_run: bool = False,
    stale: Sequence[str],
) -> Pushed:
    """Sends files to the main branch of a repository, in one commit or not at all.

    Not by `upload_folder`, which commits large folders in several parts.

    Args:
        content: Of each file, by its path in the repository.
        repo_id: "owner/name"; made if need be.
        kind: "model" or "space".
        private: Whether a repository that is made is private.
        tag: For the commit.
        message: Of the commit.
        dry_run: Only say what would be sent; the hub is not asked.
        stale: Patterns of paths that are deleted where they are not in `content`.
    """
    sizes = {name: len(data) for name, data in sorted(content.items())}
    repo: dict[str, Any] = dict(repo_id=repo_id, repo_type=kind)
    sdk = "gradio" if kind == "space" else None
    with asking(f"Sending to {repo_id} failed"):
        _check_id(repo_id)
        if dry_run:
            return Pushed(repo_id, sizes)
        api = HfApi(library_name="cifarnet")
        api.create_repo(**repo, private=private, space_sdk=sdk, exist_ok=True)
        before = api.repo_info(**repo)
        if private and not before.private:
            raise HubError(
                f"{repo_id} exists and is public; nothing was sent. Make it private there, or "
                "choose another name."
            )
        if tag and tag in [one.name for one in api.list_repo_refs(**repo).tags]:
            raise HubError(
                f"{repo_id} has a tag {tag!r} already; nothing was sent. Choose another --revision."
            )
        there = [name for name in api.list_repo_files(**repo) if name not in content]
        gone = [name for name in there if any(fnmatch(name, one) for one in stale)]
        operations: list[Any] = [CommitOperationAdd(path, data) for path, data in content.items()]
        operations += map(CommitOperationDelete, gone)
        if api.endpoint != "https://huggingface.co":
            constants.HF_HUB_DISABLE_XET = True  # a hub of one's own may have no such store
        # A commit that somebody else made meanwhile is not mixed with this one.
        asked: Any = dict(commit_message=message, parent_commit=before.sha)
        made = api.create_commit(**repo, operations=operations, **asked)
    if tag:
        with asking(
            f"{repo_id} holds the files, in commit {made.oid}, but not the tag {tag!r} on it; push "
            "again to set it"
        ):
            api.create_tag(**repo, tag=tag, revision=made.oid)
    return Pushed(repo_id, sizes, made.oid, made.commit_url, new=made.oid != before.sha)


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
    names = [config.NAME, WEIGHTS_NAME, *public_figures(folder)]
    if (folder / RESULTS_NAME).is_file():
        names.append(RESULTS_NAME)
    return {name: (folder / name).read_bytes() for name in names}, settings


@contextmanager
def own_results(folder: Path) -> Iterator[dict[str, Any]]:
    """The results.json of a folder, while something is written from it.

    Raises:
        ConfigError: If it tells of other weights than the folder's, or lacks something.
    """
    path = folder / RESULTS_NAME
    results = files.read_json(path)
    try:
        if results["weights_sha256"] != files.sha256(folder / WEIGHTS_NAME):
            raise ConfigError(
                f"The {RESULTS_NAME} in {folder} tells of other weights than those beside it; "
                "remove it, or measure the model again."
            )
        yield results
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ConfigError(
            f"{path} is not what train.py writes; remove it, or measure the model again."
        ) from None


def _contents(folder: Path, repo_id: str) -> dict[str, bytes]:
    """The files of a model, and a card that names its place on the hub, by path."""
    found, settings = model_files(folder)
    if RESULTS_NAME in found:
        figures = public_figures(folder)
        with own_results(folder) as results:
            text = card.model_card(results, settings, figures=figures, repo_id=repo_id)
    else:
        text = card.model_card(None, settings, repo_id=repo_id)
    return found | {CARD_NAME: text.encode()}


def _check_id(repo_id: str) -> None:
    """Refuses what is no "owner/name"; of a bare name the hub would make an empty repository."""
    validate_repo_id(repo_id)
    if "/" not in repo_id:
        raise HubError(f"{repo_id!r} is not a hub id: those read owner/name, as in you/{repo_id}.")
