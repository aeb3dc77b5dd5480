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
from .hub_errors import ATTEMPTS, FORBIDDEN, need_token, patiently, refusal, sending

MAIN = "main"


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
        stale: Whether a path that is there, and not in `content`, goes.

    Raises:
        HubError: If there is no token, the hub refuses, or cannot be reached.
    """
    sizes = {name: len(data) for name, data in sorted(content.items())}
    with sending(repo_id):
        check_id(repo_id)
        if dry_run:
            return Pushed(repo_id, sizes)
        need_token()
        push = _Push(repo_id, kind, content, stale)
        push.make_repository(private)
        before = push.head()
        if tag is not None:
            push.check_tag(tag, before)
        commit = push.commit(message)
    if tag is not None:
        push.tag(tag, commit)
    return Pushed(repo_id, sizes, commit, push.url(commit), new=commit != before)


def check_id(repo_id: str) -> None:
    """Refuses what is no "owner/name"; of a bare name the hub would make an empty repository.

    Raises:
        HubError: naming the id.
        HFValidationError: If a part of it is none.
    """
    validate_repo_id(repo_id)
    if "/" not in repo_id:
        raise HubError(f"{repo_id!r} is not a hub id: those read owner/name, as in you/{repo_id}.")


def check_token(repo_id: str) -> None:
    """Asks the hub who is sending, before much time is spent on what is to be sent.

    Raises:
        HubError: If the id is none, there is no token, the hub does not know it, or it only reads.
    """
    with sending(repo_id):
        check_id(repo_id)
        need_token()
        user = patiently(lambda: HfApi(library_name="cifarnet").whoami())
    if (user.get("auth") or {}).get("accessToken", {}).get("role") == "read":
        raise HubError(refusal(repo_id, FORBIDDEN))


class _Push:
    """The requests of one push; each may be repeated without harm."""

    def __init__(
        self, repo_id: str, kind: str, content: dict[str, bytes], stale: Callable[[str], bool]
    ) -> None:
        self.repo: Any = {"repo_id": repo_id, "repo_type": kind}
        self.content, self.stale = content, stale
        self.api = HfApi(library_name="cifarnet")

    def url(self, commit: str) -> str:
        kind = "" if self.repo["repo_type"] == "model" else f"{self.repo['repo_type']}s/"
        return f"{self.api.endpoint}/{kind}{self.repo['repo_id']}/commit/{commit}"

    def make_repository(self, private: bool) -> None:
        sdk = "gradio" if self.repo["repo_type"] == "space" else None
        patiently(
            lambda: self.api.create_repo(**self.repo, private=private, space_sdk=sdk, exist_ok=True)
        )
        if private and not patiently(lambda: self.api.repo_info(**self.repo)).private:
            raise HubError(
                f"{self.repo['repo_id']} exists and is public; nothing was sent. Make it private "
                "there, or choose another name."
            )

    def head(self) -> str:
        return patiently(lambda: self.api.repo_info(**self.repo, revision=MAIN)).sha or ""

    def check_tag(self, tag: str, head: str) -> None:
        """Refuses to move a tag, or to give a name to other content than it stands for.

        Raises:
            HubError: naming the tag and what it stands for.
        """
        there = self.tagged(tag)
        if there is not None and (there != head or self.changes(head)):
            raise HubError(
                f"{self.repo['repo_id']} has a tag {tag!r} already, at another commit "
                f"({there}); nothing was sent. Choose another --revision."
            )

    def tagged(self, tag: str) -> str | None:
        refs = patiently(lambda: self.api.list_repo_refs(**self.repo))
        return next((one.target_commit for one in refs.tags if one.name == tag), None)

    def changes(self, head: str) -> list[Any]:
        """What makes a commit hold the content, and nothing that is stale."""
        tree = patiently(
            lambda: list(self.api.list_repo_tree(**self.repo, revision=head, recursive=True))
        )
        had = {one.path: one for one in tree if isinstance(one, RepoFile)}
        added = [
            CommitOperationAdd(path, data)
            for path, data in self.content.items()
            if path not in had or not _same(data, had[path])
        ]
        gone = [path for path in had if path not in self.content and self.stale(path)]
        return [*added, *map(CommitOperationDelete, gone)]

    def commit(self, message: str) -> str:
        """The commit that holds the content, a new one only if the main branch does not."""

        def once() -> str:
            # Asked anew each time: a commit whose answer was lost on the way is not made twice,
            # and one that somebody else made meanwhile is not mixed with this one.
            head = self.head()
            operations = self.changes(head)
            if not operations:
                return head
            asked: Any = dict(commit_message=message, parent_commit=head)
            return self.api.create_commit(**self.repo, operations=operations, **asked).oid

        try:
            return patiently(once, ATTEMPTS - 1)  # the library tries uploads again by itself
        except ConnectionError:  # of the Xet client: a hub of one's own may have no such store
            if constants.HF_HUB_DISABLE_XET or constants.HF_HUB_OFFLINE:
                raise
            constants.HF_HUB_DISABLE_XET = True
            return patiently(once, ATTEMPTS - 1)

    def tag(self, tag: str, commit: str) -> None:
        named: Any = {"tag": tag, "revision": commit}
        try:
            with sending(self.repo["repo_id"]):
                patiently(lambda: self.api.create_tag(**self.repo, **named, exist_ok=True))
                if self.tagged(tag) != commit:
                    raise HubError("Somebody else set it meanwhile; choose another --revision.")
        except HubError as error:
            raise HubError(
                f"{self.repo['repo_id']} holds the files, in commit {commit}, but not the tag "
                f"{tag!r} on it; push again to set it. {error}"
            ) from None


def _same(data: bytes, there: RepoFile) -> bool:
    """Whether a file is there already, by the hashes that the hub tells."""
    if there.lfs is not None:
        return hashlib.sha256(data).hexdigest() == there.lfs.sha256
    return git_hash(data) == there.blob_id
