"""Files go to a repository on a hub in one commit, or not at all."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import validate_repo_id
from huggingface_hub.utils.sha import git_hash

from ..utils.errors import HubError
from .errors import LOG_IN, asking, need_token, retry


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


def send(
    content: dict[str, bytes],
    repo_id: str,
    *,
    kind: str = "model",
    private: bool = False,
    tag: str | None = None,
    message: str,
    dry_run: bool = False,
    stale: Callable[[str], bool],
) -> Pushed:
    """Sends files to the main branch of a repository, which is made if need be.

    What the repository holds already is not sent again, and makes no commit.

    Args:
        content: Of each file, by its path in the repository.
        repo_id: "owner/name".
        kind: "model" or "space".
        private: Whether a repository that is made is private.
        tag: For the commit; one that exists may only stand for the same content.
        message: Of the commit.
        dry_run: Only say what would be sent; the hub is not asked.
        stale: Whether a path that is there, and not in `content`, is deleted.
    """
    sizes = {name: len(data) for name, data in sorted(content.items())}
    with asking(f"Sending to {repo_id} failed"):
        check_id(repo_id)
        if dry_run:
            return Pushed(repo_id, sizes)
        need_token()
        api = HfApi(library_name="cifarnet")
        repo: dict[str, Any] = dict(repo_id=repo_id, repo_type=kind)
        make: Any = dict(private=private, space_sdk="gradio" if kind == "space" else None)
        retry(lambda: api.create_repo(**repo, **make, exist_ok=True))
        before = retry(lambda: api.repo_info(**repo))
        if private and not before.private:
            raise HubError(
                f"{repo_id} exists and is public; nothing was sent. Make it private there, or "
                "choose another name."
            )
        tagged = tag and _tagged(api, repo, tag)
        if tagged and (tagged != before.sha or _changes(api, repo, tagged, content, stale)):
            raise HubError(
                f"{repo_id} has a tag {tag!r} already, at another commit ({tagged}); nothing was "
                "sent. Choose another --revision."
            )
        commit = _commit(api, repo, content, stale, message)
    if tag and not tagged:
        _set_tag(api, repo, tag, commit)
    place = repo_id if kind == "model" else f"{kind}s/{repo_id}"
    url = f"{api.endpoint}/{place}/commit/{commit}"
    return Pushed(repo_id, sizes, commit, url, new=commit != before.sha)


def check_id(repo_id: str) -> None:
    """Refuses what is no "owner/name"; of a bare name the hub would make an empty repository."""
    validate_repo_id(repo_id)
    if "/" not in repo_id:
        raise HubError(f"{repo_id!r} is not a hub id: those read owner/name, as in you/{repo_id}.")


def check_token(repo_id: str) -> None:
    """Asks the hub who is sending, before hours are spent on training what it would refuse."""
    with asking(f"Sending to {repo_id} failed"):
        check_id(repo_id)
        need_token()
        user = retry(lambda: HfApi(library_name="cifarnet").whoami())
    if (user.get("auth") or {}).get("accessToken", {}).get("role") == "read":
        raise HubError(
            f"Sending to {repo_id} would fail: the token only reads. Make one that may write, then "
            f"{LOG_IN}."
        )


def _commit(
    api: HfApi,
    repo: dict[str, Any],
    content: dict[str, bytes],
    stale: Callable[[str], bool],
    message: str,
) -> str:
    """The commit that holds the content, a new one only if the main branch does not.

    Not `upload_folder`: with hf_xet that commits large folders in several parts.
    """

    def once() -> str:
        # Asked anew each time: a commit whose answer was lost on the way is not made twice, and
        # one that somebody else made meanwhile is not mixed with this one.
        head = api.repo_info(**repo).sha or ""
        operations = _changes(api, repo, head, content, stale)
        if not operations:
            return head
        asked: Any = dict(commit_message=message, parent_commit=head)
        return api.create_commit(**repo, operations=operations, **asked).oid

    try:
        return retry(once)
    except ConnectionError:  # of the Xet client: a hub of one's own may have no such store
        if constants.HF_HUB_DISABLE_XET or constants.HF_HUB_OFFLINE:
            raise
        constants.HF_HUB_DISABLE_XET = True
        return retry(once)


def _changes(
    api: HfApi,
    repo: dict[str, Any],
    commit: str,
    content: dict[str, bytes],
    stale: Callable[[str], bool],
) -> list[Any]:
    """What makes a commit hold the content, and nothing that is stale.

    `create_commit` leaves out what is there already, but tells only afterwards whether that was
    everything; a tag that exists must be refused before anything is sent.
    """
    tree = retry(lambda: list(api.list_repo_tree(**repo, revision=commit, recursive=True)))
    had = {one.path: one for one in tree if isinstance(one, RepoFile)}
    added = [
        CommitOperationAdd(path, data)
        for path, data in content.items()
        if path not in had or not _same(data, had[path])
    ]
    gone = [path for path in had if path not in content and stale(path)]
    return [*added, *map(CommitOperationDelete, gone)]


def _same(data: bytes, there: RepoFile) -> bool:
    """Whether a file is there already, by the hashes that the hub tells."""
    if there.lfs is not None:
        return hashlib.sha256(data).hexdigest() == there.lfs.sha256
    return git_hash(data) == there.blob_id


def _tagged(api: HfApi, repo: dict[str, Any], tag: str) -> str | None:
    """The commit that a tag stands for."""
    refs = retry(lambda: api.list_repo_refs(**repo))
    return next((one.target_commit for one in refs.tags if one.name == tag), None)


def _set_tag(api: HfApi, repo: dict[str, Any], tag: str, commit: str) -> None:
    with asking(
        f"{repo['repo_id']} holds the files, in commit {commit}, but not the tag {tag!r} on it; "
        "push again to set it"
    ):
        retry(lambda: api.create_tag(**repo, tag=tag, revision=commit, exist_ok=True))
        if _tagged(api, repo, tag) != commit:  # exist_ok says nothing of where it is
            raise ValueError(f"Somebody else set {tag} meanwhile; choose another --revision")
