"""A stand-in for the Hub on this machine: it answers the few requests that fetch a repository."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "c0ffee" + "0" * 34
_API = re.compile(r"/api/(model|dataset)s/(.+?)/(revision|tree)/([^?]+)")
_FILE = re.compile(r"/(datasets/)?(.+?)/resolve/([^/]+)/([^?]+)")


@contextmanager
def hub_server(repositories: dict[tuple[str, str], Path], break_after: int | None = None):
    """Serves the folders `{(kind, "owner/name"): folder}`; yields (address, requests).

    With `break_after`, the first download of a file larger than this many bytes stops there, like a lost connection.
    """
    requests: list[tuple[str, str, str | None]] = []
    broken: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments):
            pass

        def reply(self, status: int, body: bytes = b"", length: int | None = None, **headers: str):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_HEAD(self):
            self.do_GET()

        def do_GET(self):
            requests.append((self.command, self.path, self.headers.get("Range")))
            if match := _API.match(self.path):
                kind, name, what, revision = match.groups()
                folder = repositories.get((kind, name))
                if folder is None:
                    return self.reply(404, X_Error_Code="RepoNotFound")
                if revision not in ("main", COMMIT):
                    return self.reply(404, X_Error_Code="RevisionNotFound")
                files = sorted(p for p in folder.rglob("*") if p.is_file())
                names = [p.relative_to(folder).as_posix() for p in files]
                if what == "tree":
                    sizes = [(n, p.stat().st_size, etag(p)) for n, p in zip(names, files, strict=True)]
                    answer = [{"type": "file", "path": n, "size": s, "oid": e} for n, s, e in sizes]
                else:
                    answer = {"id": name, "sha": COMMIT, "siblings": [{"rfilename": n} for n in names]}
                return self.reply(200, json.dumps(answer).encode(), Content_Type="application/json")
            match = _FILE.match(self.path)
            dataset, name, _, file = match.groups() if match else (None, None, None, "")
            folder = repositories.get(("dataset" if dataset else "model", name))
            path = folder / file if folder else None
            if path is None or not path.is_file():
                return self.reply(404, X_Error_Code="EntryNotFound")
            body, status = path.read_bytes(), 200
            headers = {"X_Repo_Commit": COMMIT, "ETag": f'"{etag(path)}"', "Accept_Ranges": "bytes"}
            if begin := re.match(r"bytes=(\d+)-", self.headers.get("Range") or ""):
                start = int(begin.group(1))
                headers["Content_Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
                body, status = body[start:], 206
            if self.command == "GET" and break_after and len(body) > break_after and file not in broken:
                broken.add(file)
                self.reply(status, body[:break_after], length=len(body), **headers)
                self.close_connection = True
                return None
            return self.reply(status, body, **headers)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def etag(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()
