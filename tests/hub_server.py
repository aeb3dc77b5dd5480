"""A hub on loopback: speaks the Hugging Face hub's protocol, stores commits, can be made to fail.

It knows nothing of the project. Tests start it, point HF_ENDPOINT at it, and look into `hub.repos`.
"""

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from hub_state import READER, WRITER, Files, Hub, Repo, entry_of, is_large, name_of, sha256


@contextmanager
def running() -> Iterator[Hub]:
    """A hub that listens on a free port of this machine."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Refused(Exception):
    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        self.status, self.code, self.message = status, code, message


class _Cut(Exception):
    pass


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _serve(self) -> None:
        path = unquote(urlsplit(self.path).path)
        line = f"{self.command} {path}"
        self.hub.asked.append(line)
        self.fault = self.hub.fault(line)
        try:
            self.body = self._received()
            if self.fault and self.fault.status:
                raise _Refused(self.fault.status, self.fault.code, "made to fail")
            for pattern, answer in ROUTES:
                if found := re.fullmatch(pattern, line):
                    answer(self, **{k: v for k, v in found.groupdict().items() if v is not None})
                    return
            raise _Refused(404, "EntryNotFound", f"no route for {line}")
        except _Refused as refused:
            # A careless hub repeats the token: whoever prints what it says gives it away.
            told = f"{refused.message} {self.headers.get('Authorization')}"
            self._json({"error": told}, refused.status, refused.code)
        except _Cut:
            self.close_connection = True

    do_HEAD = do_GET = do_POST = do_PUT = _serve

    def _received(self) -> bytes:
        count = int(self.headers.get("Content-Length") or 0)
        if self.fault and self.command in ("PUT", "POST") and self.fault.cut is not None:
            self.rfile.read(min(self.fault.cut, count))
            raise _Cut
        return self.rfile.read(count)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        if self.fault and self.fault.lost:
            raise _Cut
        whole = body
        if self.fault and self.fault.change and self.command == "GET":
            whole = self.fault.change(body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = self.fault.cut if self.fault else None
        self.wfile.write(whole if cut is None else whole[:cut])
        if cut is not None:
            raise _Cut

    def _json(self, content: Any, status: int = 200, code: str = "") -> None:
        headers = {"Content-Type": "application/json"}
        if code:
            headers["X-Error-Code"] = code
        self._send(status, headers, json.dumps(content).encode())

    def _user(self) -> str | None:
        """Who asks: "writer", "reader" or nobody.

        Raises:
            _Refused: if the token is of nobody known.
        """
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ").strip()
        if not token:
            return None
        if token not in (WRITER, READER):
            raise _Refused(401, message="Invalid credentials in Authorization header")
        return "writer" if token == WRITER else "reader"

    def _must_write(self) -> None:
        user = self._user()
        if user is None:
            raise _Refused(401, message="Invalid username or password.")
        if user != "writer":
            raise _Refused(403, message="You have read access, but not write access.")

    def _repo(self, kind: str, name: str) -> Repo:
        repo = self.hub.repos.get((kind, name))
        user = self._user()
        if repo is None or (repo.private and user is None):
            status = 404 if user else 401
            raise _Refused(status, "RepoNotFound", "Repository not found")
        return repo

    def _commit(self, repo: Repo, revision: str) -> tuple[str, Files]:
        sha = repo.resolve(revision)
        if sha is None:
            raise _Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha, repo.commits[sha]

    # What clients ask.

    def whoami(self) -> None:
        user = self._user()
        if user is None:
            raise _Refused(401, message="Invalid username or password.")
        role = "write" if user == "writer" else "read"
        access = {"accessToken": {"displayName": "test", "role": role}}
        self._json({"type": "user", "name": "you", "orgs": [], "auth": access})

    def create(self) -> None:
        self._must_write()
        asked = json.loads(self.body)
        kind = asked.get("type") or "model"
        name = f"{asked.get('organization') or 'you'}/{asked['name']}"
        url = f"{self.hub.endpoint}/{'' if kind == 'model' else kind + 's/'}{name}"
        if (kind, name) in self.hub.repos:
            self._json({"error": "You already created this repo", "url": url}, 409)
            return
        private = bool(asked.get("private")) or asked.get("visibility") == "private"
        repo = self.hub.repos[kind, name] = Repo(private=private)
        repo.commit({".gitattributes": b""}, "initial commit")
        self._json({"url": url, "name": name, "id": name})

    def validate(self) -> None:
        self._json({"errors": [], "warnings": []})

    def preupload(self, kind: str, name: str, revision: str) -> None:
        self._must_write()
        _, files = self._commit(self._repo(kind, name), revision)
        answers = []
        for file in json.loads(self.body)["files"]:
            path = file["path"]
            oid = name_of(path, files[path]) if path in files else None
            mode = "lfs" if is_large(path) else "regular"
            answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self._json({"files": answers})

    def batch(self, name: str, kind: str = "model") -> None:
        self._must_write()
        self._repo(kind.removesuffix("s"), name)
        objects = []
        for one in json.loads(self.body)["objects"]:
            answer = {"oid": one["oid"], "size": one["size"]}
            if one["oid"] not in self.hub.objects:
                href = f"{self.hub.endpoint}/lfs/{one['oid']}"
                answer["actions"] = {"upload": {"href": href, "header": {}}}
            objects.append(answer)
        self._json({"transfer": "basic", "objects": objects})

    def put(self, oid: str) -> None:
        if sha256(self.body) != oid:
            raise _Refused(400, message="the content is not what was announced")
        self.hub.objects[oid] = self.body
        self._send(200, {}, b"")

    def commit(self, kind: str, name: str, revision: str) -> None:
        self._must_write()
        repo = self._repo(kind, name)
        _, old = self._commit(repo, revision)
        files, message = dict(old), ""
        for line in self.body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                message = value["summary"]
                if value.get("parentCommit") not in (None, repo.refs[revision]):
                    raise _Refused(412, message="The branch has moved.")
            elif entry["key"] == "file":
                assert value["encoding"] == "base64"
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                if value["oid"] not in self.hub.objects:
                    raise _Refused(400, message=f"{value['path']} was never uploaded")
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif entry["key"] == "deletedFile":
                files.pop(value["path"], None)
        sha = repo.commit(files, message, revision)
        place = name if kind == "model" else f"{kind}s/{name}"
        url = f"{self.hub.endpoint}/{place}/commit/{sha}"
        self._json({"success": True, "commitUrl": url, "commitOid": sha, "hookOutput": ""})

    def tag(self, kind: str, name: str, revision: str) -> None:
        self._must_write()
        repo = self._repo(kind, name)
        sha, _ = self._commit(repo, revision)
        label = json.loads(self.body)["tag"]
        if label in repo.tags:
            raise _Refused(409, message=f"Tag {label} exists already")
        repo.tags[label] = sha
        self._json({})

    def refs(self, kind: str, name: str) -> None:
        repo = self._repo(kind, name)
        branches, tags = (
            [
                {"name": one, "ref": f"refs/{where}/{one}", "targetCommit": sha}
                for one, sha in known.items()
            ]
            for where, known in (("heads", repo.refs), ("tags", repo.tags))
        )
        self._json({"branches": branches, "tags": tags, "converts": []})

    def info(self, kind: str, name: str, revision: str = "main") -> None:
        repo = self._repo(kind, name)
        sha, files = self._commit(repo, revision)
        siblings = [{"rfilename": path} for path in sorted(files)]
        about = {"id": name, "sha": sha, "private": repo.private, "siblings": siblings}
        self._json({**about, "tags": [], "downloads": 0, "likes": 0})

    def tree(self, kind: str, name: str, revision: str, folder: str = "") -> None:
        _, files = self._commit(self._repo(kind, name), revision)
        under = f"{folder}/" if folder else ""
        inside = {path: data for path, data in files.items() if path.startswith(under)}
        recursive = re.search(r"recursive=(1|true)", self.path, re.IGNORECASE)
        entries, folders = [], set()
        for path, data in sorted(inside.items()):
            head, _, rest = path[len(under) :].partition("/")
            if rest:
                folders.add(under + head)
            if not rest or recursive:
                entries.append(entry_of(path, data))
        found = [{"type": "directory", "path": one, "oid": "0" * 40, "size": 0} for one in folders]
        self._json([*found, *entries])

    def file(self, name: str, revision: str, path: str, kind: str = "models") -> None:
        sha, files = self._commit(self._repo(kind.removesuffix("s"), name), revision)
        if path not in files:
            raise _Refused(404, "EntryNotFound", f"{path} does not exist")
        etag = f'"{name_of(path, files[path])}"'
        self._send(200, {"X-Repo-Commit": sha, "ETag": etag}, files[path])


ID = r"(?P<name>[\w.-]+/[\w.-]+)"
API = rf"/api/(?P<kind>model|dataset|space)s/{ID}"
PREFIX = r"/(?:(?P<kind>datasets|spaces)/)?"
REVISION = r"(?P<revision>[^/]+)"
ROUTES: list[tuple[str, Callable[..., None]]] = [
    (r"GET /api/whoami-v2", _Handler.whoami),
    (r"POST /api/repos/create", _Handler.create),
    (r"POST /api/validate-yaml", _Handler.validate),
    (rf"POST {API}/preupload/{REVISION}", _Handler.preupload),
    (rf"POST {API}/commit/{REVISION}", _Handler.commit),
    (rf"POST {API}/tag/{REVISION}", _Handler.tag),
    (rf"GET {API}/refs", _Handler.refs),
    (rf"GET {API}/tree/{REVISION}(?:/(?P<folder>.+))?", _Handler.tree),
    (rf"GET {API}(?:/revision/{REVISION})?", _Handler.info),
    (rf"POST {PREFIX}{ID}\.git/info/lfs/objects/batch", _Handler.batch),
    (r"PUT /lfs/(?P<oid>[0-9a-f]{64})", _Handler.put),
    (rf"(?:GET|HEAD) {PREFIX}{ID}/resolve/{REVISION}/(?P<path>.+)", _Handler.file),
]
