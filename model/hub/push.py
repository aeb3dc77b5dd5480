"""Sending a model to a hub: everything in one commit, or nothing."""

import hashlib
import os
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    OfflineModeIsEnabled,
)
from huggingface_hub.hf_api import RepoFile, RepoFolder
from huggingface_hub.utils import validate_repo_id
from torch import nn

from model import card, config, files, hub, snapshot
from model.errors import ConfigError, HubError

MESSAGE = "Send a model trained with cifarnet"
ATTEMPTS = 4
FIRST_WAIT = 1.0  # seconds before the second attempt; doubles each time
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, TOO_MANY, SERVER_ERROR = 401, 403, 404, 429, 500
Result = TypeVar("Result")


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

    The repository is made if need be. What it holds already is not sent again, and makes no commit.
    Needs a token that may write, from `hf auth login` or HF_TOKEN; HF_ENDPOINT names another hub.

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
            return _push(contents(folder), repo_id, private, revision, message, dry_run)
    return _push(contents(model), repo_id, private, revision, message, dry_run)


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


def check(repo_id: str) -> None:
    """Asks the hub who is sending, before much time is spent on what is to be sent.

    Raises:
        HubError: If the id is none, there is no token, or the hub does not know it.
    """
    with explained(repo_id):
        validate_repo_id(repo_id)
        _must_have_token()
        _patiently(lambda: HfApi(library_name="cifarnet").whoami())


def _must_have_token() -> None:
    if get_token() is None:
        raise HubError(
            "Sending needs a token that may write: run `hf auth login`, or set HF_TOKEN."
        )


def contents(folder: str | os.PathLike[str]) -> dict[str, bytes]:
    """What a model consists of, by path in the repository, after checking that it loads.

    Raises:
        ConfigError: If the folder holds no trained model.
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
        text = card.model_card(
            files.read_json(results), settings, figures=[path.name for path in figures]
        )
        found[hub.CARD_NAME] = text.encode()
    return found


def _push(
    content: dict[str, bytes],
    repo_id: str,
    private: bool,
    revision: str | None,
    message: str | None,
    dry_run: bool,
) -> Pushed:
    sizes = {name: len(data) for name, data in sorted(content.items())}
    if dry_run:
        return Pushed(repo_id, sizes)
    api = HfApi(library_name="cifarnet")
    with explained(repo_id):
        _must_have_token()
        _patiently(lambda: api.create_repo(repo_id, private=private, exist_ok=True))
        if private and not _patiently(lambda: api.model_info(repo_id)).private:
            raise HubError(
                f"{repo_id} exists and is public; nothing was sent. Make it private there, or "
                "choose another name."
            )
        refs = _patiently(lambda: api.list_repo_refs(repo_id))
        head = next(one.target_commit for one in refs.branches if one.name == "main")
        tags = {one.name: one.target_commit for one in refs.tags}
        there = _patiently(lambda: list(api.list_repo_tree(repo_id, recursive=True)))
        operations = _changes(content, there)
        if revision in tags and (operations or tags[revision] != head):
            raise HubError(
                f"{repo_id} has a tag {revision!r} already, at another commit "
                f"({tags[revision][:8]}); nothing was sent. Choose another --revision."
            )
        commit, url = head, f"{api.endpoint}/{repo_id}/commit/{head}"
        if operations:
            info = _patiently(
                lambda: api.create_commit(repo_id, operations, commit_message=message or MESSAGE)
            )
            commit, url = info.oid, info.commit_url
        if revision is not None and revision not in tags:
            _patiently(lambda: api.create_tag(repo_id, tag=revision, revision=commit))
    return Pushed(repo_id, sizes, commit, url, new=bool(operations))


def _changes(content: dict[str, bytes], there: Sequence[RepoFile | RepoFolder]) -> list[Any]:
    """What makes a repository hold this content, and no figures of a model before it."""
    had = {one.path: one for one in there if isinstance(one, RepoFile)}
    stale = [
        path
        for path in had
        if path.startswith("figures/") and path.endswith(".png") and path not in content
    ]
    added = [
        CommitOperationAdd(path, data)
        for path, data in content.items()
        if path not in had or not _same(data, had[path])
    ]
    return [*added, *(CommitOperationDelete(path) for path in stale)]


def _same(data: bytes, there: RepoFile) -> bool:
    """Whether a file is there already, by the hashes that the hub tells."""
    if there.lfs is not None:
        return hashlib.sha256(data).hexdigest() == there.lfs.sha256
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest() == there.blob_id


def _patiently(ask: Callable[[], Result]) -> Result:
    """Asks again, a little later each time, where the hub or the line is only overloaded."""
    for attempt in range(ATTEMPTS):
        try:
            return ask()
        except (HfHubHTTPError, HTTPError, RuntimeError) as error:
            cause = _cause(error)
            status = cause.response.status_code if isinstance(cause, HfHubHTTPError) else 0
            final = 0 < status < SERVER_ERROR and status != TOO_MANY
            if final or cause is None or attempt == ATTEMPTS - 1:
                raise (cause or error) from None
        time.sleep(FIRST_WAIT * 2**attempt)
    raise AssertionError("unreachable")


def _cause(error: BaseException | None) -> HfHubHTTPError | HTTPError | None:
    """What the hub or the line said; the library wraps it where it sends large files."""
    while error is not None and not isinstance(error, HfHubHTTPError | HTTPError):
        error = error.__cause__
    return error


@contextmanager
def explained(repo_id: str) -> Iterator[None]:
    """Turns what the hub's library raises into one sentence; tokens are never part of it.

    Raises:
        HubError: naming what went wrong and what to do.
    """
    try:
        yield
    except HFValidationError:
        raise HubError(
            f"{repo_id!r} is no valid hub id; it reads owner/name, of letters, digits, - _ and ."
        ) from None
    except OfflineModeIsEnabled:
        raise HubError(
            "HF_HUB_OFFLINE forbids to ask the hub; unset it to send or fetch a model."
        ) from None
    except HfHubHTTPError as error:
        raise HubError(_refusal(repo_id, error.response.status_code)) from None
    except HTTPError as error:
        raise HubError(
            f"The connection to the hub broke ({type(error).__name__}). Check HF_ENDPOINT and "
            "the line, and try again: what has arrived is not sent twice."
        ) from None


def _refusal(repo_id: str, status: int) -> str:
    known = {
        UNAUTHORIZED: "The hub does not accept the token: it is wrong or has expired. Make a new "
        "one that may write, then run `hf auth login` or set HF_TOKEN.",
        FORBIDDEN: f"The token may not write to {repo_id}: use one with write access, or an owner "
        "that is yours.",
        NOT_FOUND: f"The hub knows no {repo_id}, or hides it from this token: check the name.",
    }
    later = f"The hub answered {status} for {repo_id}. Try again later."
    return known.get(status, later)
