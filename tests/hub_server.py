"""A server that speaks the Hugging Face Hub's protocol, on loopback, and serves real files.

with hub_server({"owner/repo": {"m.gguf": path}}) as hub:
    hub.url, hub.requests

What huggingface_hub asks for is answered: HEAD and GET of /{repo}/resolve/{revision}/{file}, with
ranges, and a repository's list of files. Errors are told by X-Error-Code, as the Hub tells them.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = hashlib.sha1(b"first").hexdigest()
LATER = hashlib.sha1(b"later").hexdigest()

Files = Mapping[str, Path]


@dataclass
class Hub:
    """``repos`` by name; ``gated`` names those that only who was let in may read. ``promised``
    is what a file's digest is said to be, where it is not the true one; ``breaks_after`` bytes,
    once, a download is cut off, and ``gone_after`` it for good; the next ``busy`` requests are
    told to come back; behind a ``portal``, something else answers."""

    repos: Mapping[str, Files]
    gated: frozenset[str] = frozenset()
    promised: dict[str, str] = field(default_factory=dict)
    commit: str = COMMIT
    breaks_after: int | None = None
    gone_after: bool = False
    busy: int = 0
    portal: bool = False
    url: str = ""
    close: Callable[[], None] = lambda: None
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *args: object) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        hub, path = self.hub, self.path.split("?")[0]
        hub.requests.append((self.command, path, self.headers.get("Authorization")))
        if hub.busy:
            hub.busy -= 1
            self._say(503, b"")
            return
        listing = re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path)
        if listing:
            self._list(listing[1], listing[2])
            return
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if file is None or hub.portal:
            self._say(200 if hub.portal else 404, b"<html>Sign in to this network</html>")
            return
        repo, revision, name = file.groups()
        if not self._refused(repo, revision, name):
            self._send_file(hub.repos[repo][name], name, body=body)

    def _refused(self, repo: str, revision: str, name: str | None) -> bool:
        hub = self.hub
        if repo not in hub.repos:
            self._refuse(401, "RepoNotFound", "Invalid username or password.")
        elif repo in hub.gated and "Authorization" not in self.headers:
            self._refuse(401, "GatedRepo", f"Access to model {repo} is restricted.")
        elif revision not in ("main", hub.commit):
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif name is not None and name not in hub.repos[repo]:
            self._refuse(404, "EntryNotFound", "Entry not found")
        else:
            return False
        return True

    def _refuse(self, status: int, code: str, words: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", words)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _list(self, repo: str, revision: str) -> None:
        if self._refused(repo, revision, None):
            return
        entries = [
            {"type": "file", "path": name, "size": path.stat().st_size, "oid": "0" * 40}
            for name, path in self.hub.repos[repo].items()
        ]
        self._say(200, json.dumps(entries).encode())

    def _say(self, status: int, answer: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(answer)

    def _send_file(self, path: Path, name: str, *, body: bool) -> None:
        content = path.read_bytes()
        digest = self.hub.promised.get(name) or hashlib.sha256(content).hexdigest()
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first = int(asked[1]) if asked else 0
        part = content[first:]
        self.send_response(206 if asked else 200)
        self.send_header("X-Repo-Commit", self.hub.commit)
        self.send_header("ETag", f'"{digest}"')
        self.send_header("X-Linked-Etag", f'"{digest}"')
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        if asked:
            last = len(content) - 1
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.end_headers()
        if not body:
            return
        if self.hub.breaks_after is not None and first == 0:
            part, self.hub.breaks_after = part[: self.hub.breaks_after], None
            self.close_connection = True
            if self.hub.gone_after:
                self.hub.close()
        self.wfile.write(part)


@contextmanager
def hub_server(repos: Mapping[str, Files], *, gated: frozenset[str] = frozenset()) -> Iterator[Hub]:
    """Serve repositories on a free port until the block is left."""
    hub = Hub(repos, gated)
    handler = type("Handler", (_Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        hub.close = server.socket.close
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield hub
        finally:
            server.shutdown()
            serving.join()
