"""What somebody would try who got into a pod of ours; its text is run there, by `python -c`.

Role: one attempt after another, each with what came of it, as one JSON object on stdout. Must not
know: what should come of it. Trade-off: the standard library alone, since it runs in the images of
the project as they are; every failure is reported as the kernel or the server named it.
"""

import ctypes
import errno
import json
import os
import ssl
import stat
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

TOKENS = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SEARCHED = ("/var/run", "/run", "/etc", "/root", "/home", "/tmp", "/mnt", "/opt")
KEYCTL, GET_KEYRING, SESSION = 250, 0, -3
CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x00020000
JWT = "eyJ"


def outcome(attempt: Callable[[], object]) -> str:
    """Return `done`, or the name of the error that stopped an attempt."""
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "done"


def called(name: str, *arguments: object) -> str:
    """Return what came of a call of the C library that only the mighty may make."""
    library = ctypes.CDLL(None, use_errno=True)
    answer = getattr(library, name)(*arguments)
    return "done" if answer != -1 else errno.errorcode[ctypes.get_errno()]


def opened(path: str) -> str:
    """Return what came of opening a file to write to it; nothing is written."""
    return outcome(lambda: Path(path).open("ab").close())


def tokens() -> Iterator[tuple[str, str]]:
    """Yield where something lies that looks like a token, and the token."""
    for name, value in os.environ.items():
        if value.startswith(JWT):
            yield f"${name}", value
    for top in SEARCHED:
        for folder, _, names in os.walk(top):
            for name in names:
                path = Path(folder, name)
                found = text_of(path)
                if found.startswith(JWT):
                    yield str(path), found


def text_of(path: Path) -> str:
    """Return the first words of a regular file that may be read; nothing of any other."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return ""
        with path.open(errors="replace") as file:
            return file.read(8192).strip()
    except OSError:
        return ""


def asked(url: str, token: str) -> str:
    """Return the status that a server answers, or why there is no answer."""
    request = urllib.request.Request(url)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    trusting = ssl._create_unverified_context()
    try:
        with urllib.request.urlopen(request, timeout=5, context=trusting) as answer:
            return str(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return str(error.code)
    except urllib.error.URLError as error:
        reason = error.reason
        return errno.errorcode.get(getattr(reason, "errno", 0) or 0, str(reason))


def process_status() -> dict[str, str]:
    """Return what the kernel says of this process that bears on its rights."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return {key: found[key] for key in ("NoNewPrivs", "Seccomp", "CapEff", "CapPrm", "CapBnd")}


def main() -> None:
    """Try everything; the arguments are the API server, the kubelet's host and a namespace."""
    server, host, namespace = sys.argv[1:]
    found = dict(tokens())
    token = next(iter(found.values()), "")
    api = {
        "own Secrets": f"{server}/api/v1/namespaces/{namespace}/secrets",
        "all Secrets": f"{server}/api/v1/secrets",
        "pods of kube-system": f"{server}/api/v1/namespaces/kube-system/pods",
        "tunings": f"{server}/apis/infertune.io/v1alpha1/inferencetunings",
        "nodes": f"{server}/api/v1/nodes",
        "kubelet pods": f"https://{host}:10250/pods",
        "kubelet metrics": f"https://{host}:10250/metrics",
        "kubelet, read only": f"http://{host}:10255/pods",
    }
    report = {
        "uid": os.getuid(),
        "tokens": sorted(found),
        "account folder": TOKENS.exists(),
        "bare": {name: asked(url, "") for name, url in api.items()},
        "with token": {name: asked(url, token) for name, url in api.items()} if token else {},
        "writes": {path: opened(path) for path in ("/mark", "/etc/passwd", "/usr/mark")},
        "kernel": process_status(),
        "headers": {k: v for k, v in os.environ.items() if k.startswith("INFERTUNE_HEADER")},
        "keyctl": called("syscall", KEYCTL, GET_KEYRING, SESSION, 1),
        "setuid": outcome(lambda: os.setuid(0)),
        "chroot": outcome(lambda: os.chroot("/")),
        "unshare": called("unshare", CLONE_NEWUSER | CLONE_NEWNS),
    }
    sys.stdout.write(json.dumps(report) + "\n")


# On somebody's own machine an attempt that succeeds would leave something behind.
if os.getpid() != 1 or "KUBERNETES_SERVICE_HOST" not in os.environ:
    sys.exit("this runs in a pod of the end-to-end tests, and nowhere else")
main()
