"""What a hub on loopback keeps: repositories with their commits, and what goes wrong with them."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

WRITER, READER = "hf_WriterSecret0123456789", "hf_ReaderSecret0123456789"
LARGE = {".safetensors", ".png", ".webp", ".parquet", ".onnx"}
Files = dict[str, bytes]


@dataclass
class Repo:
    """One repository: every commit with all its files, branches and tags by name."""

    private: bool = False
    commits: dict[str, Files] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    refs: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Files, message: str, branch: str = "main") -> str:
        """Adds a commit to a branch."""
        sha = hashlib.sha1(f"{len(self.commits)} {message} {sorted(files)}".encode()).hexdigest()
        self.commits[sha] = files
        self.messages.append(message)
        self.refs[branch] = sha
        return sha

    def resolve(self, revision: str) -> str | None:
        """A commit by branch, tag or its own name."""
        known = self.refs.get(revision) or self.tags.get(revision)
        return known or (revision if revision in self.commits else None)

    @property
    def files(self) -> Files:
        """What the main branch holds."""
        return self.commits[self.refs["main"]]


@dataclass
class Fault:
    """What goes wrong with requests whose line matches, such as "GET .*safetensors"."""

    line: str
    status: int = 0
    """Answered instead; 0: the request is served."""
    code: str = ""
    """By which the hub says what is wrong, such as "GatedRepo"."""
    cut: int | None = None
    """Bytes of the body after which the connection is cut, of what is sent or received."""
    lost: bool = False
    """The request is served, but its answer never arrives."""
    change: Callable[[bytes], bytes] | None = None
    """Applied to the body that is sent."""
    times: int = 1_000_000
    """How often it strikes."""


class Hub:
    """State of the server.

    Attributes:
        repos: By (type, id), such as ("model", "you/cifarnet").
        asked: Lines of all requests, such as "HEAD /you/cifarnet/resolve/main/config.json".
        faults: The first that matches strikes.
    """

    def __init__(self) -> None:
        self.repos: dict[tuple[str, str], Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.faults: list[Fault] = []
        self.endpoint = ""

    def add(self, name: str, files: Files, kind: str = "model", private: bool = False) -> Repo:
        """A repository with one commit."""
        repo = self.repos[kind, name] = Repo(private=private)
        repo.commit(files, "first")
        return repo

    def fault(self, line: str) -> Fault | None:
        """The one that strikes now."""
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.line, line):
                fault.times -= 1
                return fault
        return None


def is_large(path: str) -> bool:
    return any(path.endswith(end) for end in LARGE)


def name_of(path: str, data: bytes) -> str:
    """By which the hub knows a file's content."""
    return sha256(data) if is_large(path) else git_blob(data)


def entry_of(path: str, data: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": git_blob(data)}
    if is_large(path):
        entry["lfs"] = {"oid": sha256(data), "size": len(data), "pointerSize": 134}
    return entry


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_blob(data: bytes) -> str:
    """Git's name of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
