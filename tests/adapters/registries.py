"""Two registries on loopback: one built from the Go module that crane is tested with, one of ours.

Ours asks for tokens and passwords and misbehaves on command, which the real one cannot.
"""

import base64
import hashlib
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from devcluster.gobuild import ensure_go
from devcluster.settings import Settings

MODULE = Path(__file__).parent / "registry_module"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"


def digest_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


@contextmanager
def a_real_registry(settings: Settings) -> Iterator[str]:
    """Yield the address of an OCI registry that others wrote."""
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in sorted(MODULE.iterdir()))).hexdigest()
    program = settings.cache / "test-registry" / digest[:12]
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        command = [ensure_go(settings), "build", "-trimpath", "-o", str(program), "."]
        subprocess.run(command, cwd=MODULE, check=True, timeout=300)
    with subprocess.Popen([str(program)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
        assert run.stdout is not None
        try:
            yield run.stdout.readline().decode().strip()
        finally:
            run.terminate()


def push(host: str, repository: str, tag: str, config: dict[str, Any]) -> None:
    """Push an image without layers, as an index with one entry for each of two platforms."""
    entries = []
    for architecture in ("arm64", "amd64"):
        own = {"architecture": architecture, "os": "linux", "config": config[architecture]}
        body = json.dumps(own).encode()
        _upload(host, repository, body)
        descriptor = {"mediaType": CONFIG, "digest": digest_of(body), "size": len(body)}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor, "layers": []}
        raw = json.dumps(manifest).encode()
        _put(host, repository, digest_of(raw), MANIFEST, raw)
        platform = {"os": "linux", "architecture": architecture}
        entry = {"mediaType": MANIFEST, "digest": digest_of(raw), "size": len(raw)}
        entries.append({**entry, "platform": platform})
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    _put(host, repository, tag, INDEX, json.dumps(index).encode())


def _upload(host: str, repository: str, body: bytes) -> None:
    begun = requests.post(f"http://{host}/v2/{repository}/blobs/uploads/", timeout=5)
    begun.raise_for_status()
    where = requests.compat.urljoin(f"http://{host}/", begun.headers["Location"])
    done = requests.put(where, params={"digest": digest_of(body)}, data=body, timeout=5)
    done.raise_for_status()


def _put(host: str, repository: str, name: str, kind: str, body: bytes) -> None:
    url = f"http://{host}/v2/{repository}/manifests/{name}"
    requests.put(url, data=body, headers={"Content-Type": kind}, timeout=5).raise_for_status()


@dataclass
class Behaviour:
    """How our registry behaves; changed by a test before it asks."""

    guard: str = "open"
    realm: str | None = None
    user: str = "reader"
    password: str = "s3cret"
    status: int | None = None
    garbage: bytes | None = None
    tampered: bool = False
    seen: list[str] = field(default_factory=list)


class OurRegistry(ThreadingHTTPServer):
    """A registry in memory: manifests and blobs by path, with the guard of its behaviour."""

    def __init__(self) -> None:
        self.behaviour = Behaviour()
        self.content: dict[str, tuple[str, bytes]] = {}
        super().__init__(("127.0.0.1", 0), _Answer)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    server: OurRegistry

    def log_message(self, *args: Any) -> None:
        pass

    def _send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_POST(self) -> None:
        self._send(202, Location=f"{self.path}one")

    def do_PUT(self) -> None:
        parts, body = urlsplit(self.path), self._body()
        path = parts.path
        if "/uploads/" in path:
            path = f"{path.partition('uploads/')[0]}{parse_qs(parts.query)['digest'][0]}"
        self.server.content[path] = (self.headers.get("Content-Type", ""), body)
        if "/manifests/" in path:
            own = f"{path.rpartition('/')[0]}/{digest_of(body)}"
            self.server.content[own] = self.server.content[path]
        self._send(201)

    def do_GET(self) -> None:
        now, parts = self.server.behaviour, urlsplit(self.path)
        now.seen.append(f"{parts.path} {self.headers.get('Authorization', '-')}")
        if parts.path == "/token":
            self._token(parse_qs(parts.query))
        elif not self._let_in():
            self._send(401, WWW_Authenticate=self._challenge())
        elif now.status is not None:
            self._send(now.status)
        elif now.garbage is not None:
            self._send(200, now.garbage)
        elif parts.path in self.server.content:
            kind, body = self.server.content[parts.path]
            if now.tampered and "/blobs/" in parts.path:
                body += b" "
            self._send(200, body, Content_Type=kind)
        else:
            self._send(404)

    def _basic(self) -> str:
        now = self.server.behaviour
        word = base64.b64encode(f"{now.user}:{now.password}".encode()).decode()
        return f"Basic {word}"

    def _let_in(self) -> bool:
        guard, said = self.server.behaviour.guard, self.headers.get("Authorization")
        wanted = {"basic": self._basic(), "token": "Bearer tok-reader", "any": "Bearer tok-anybody"}
        return guard == "open" or said == wanted.get(guard)

    def _challenge(self) -> str:
        now = self.server.behaviour
        if now.guard == "basic":
            return 'Basic realm="here"'
        realm = now.realm or f"http://{self.server.host}/token"
        return f'Bearer realm="{realm}",service="ours",scope="repository:r:pull"'

    def _token(self, asked: dict[str, list[str]]) -> None:
        known = self.headers.get("Authorization") == self._basic()
        right = asked == {"service": ["ours"], "scope": ["repository:r:pull"]}
        who = "reader" if known else "anybody"
        if not right or (self.server.behaviour.guard == "token" and not known):
            self._send(401)
        else:
            self._send(200, json.dumps({"token": f"tok-{who}"}).encode())


@contextmanager
def our_registry() -> Iterator[OurRegistry]:
    with OurRegistry() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
