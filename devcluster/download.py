"""Official release files, fetched and checked against the published SHA-256.

Never tried against the real hosts: where this was written only package registries
could be reached, so the tests run it against a local server. A file whose checksum
differs is deleted and is an error, never a reason to go on silently; a host that
does not answer is not, because a build from source comes next.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

from devcluster.errors import DevclusterError

if TYPE_CHECKING:
    from pathlib import Path

CONNECT_SECONDS = 5.0
HEX_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")


@dataclass(frozen=True, slots=True)
class Release:
    """One published file: where it is, where its checksum is, what to take out of it."""

    name: str
    url: str
    checksum_url: str
    member: str | None = None


class ChecksumError(DevclusterError):
    """What was downloaded is not what was published."""


class UnreachableError(DevclusterError):
    """The host did not answer, or has no such file."""


def fetch(url: str, timeout_seconds: float = CONNECT_SECONDS) -> bytes:
    """Return the body of a URL.

    Raises:
        UnreachableError: No answer, or an answer that is not 200.
    """
    try:
        # Our own https constants, or the local server of a test.
        with urllib.request.urlopen(url, timeout=timeout_seconds) as answer:  # noqa: S310
            body: bytes = answer.read()
            return body
    except (urllib.error.URLError, OSError) as error:
        msg = f"{url}: {error}"
        raise UnreachableError(msg) from error


def published_digest(text: str, file_name: str) -> str:
    """Return the SHA-256 of a file from a bare digest or a `digest  name` list.

    Raises:
        ChecksumError: The list does not name the file.
    """
    lines = text.split("\n")
    for line in lines:
        words = line.split()
        if len(words) > 1 and words[1].lstrip("*") == file_name and HEX_DIGEST.match(words[0]):
            return words[0]
    alone = HEX_DIGEST.fullmatch(text.split(maxsplit=1)[0]) if len(text.split()) == 1 else None
    if not alone:
        msg = f"the published checksums do not name {file_name}"
        raise ChecksumError(msg)
    return alone.group()


def download(release: Release, target: Path) -> None:
    """Fetch a release file, check it and put the program at `target`.

    Raises:
        UnreachableError: The host or the file cannot be had.
        ChecksumError: The file is not the published one; nothing is written.
    """
    file_name = release.url.rpartition("/")[2]
    wanted = published_digest(fetch(release.checksum_url).decode(), file_name)
    body = fetch(release.url, timeout_seconds=60.0)
    got = hashlib.sha256(body).hexdigest()
    if got != wanted:
        msg = f"{release.url}: SHA-256 is {got}, published is {wanted}"
        raise ChecksumError(msg)
    if release.member:
        with tarfile.open(fileobj=io.BytesIO(body)) as archive:
            member = archive.extractfile(release.member)
            if member is None:
                msg = f"{file_name} holds no file {release.member}"
                raise ChecksumError(msg)
            body = member.read()
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    partial.write_bytes(body)
    partial.chmod(0o755)
    partial.rename(target)
