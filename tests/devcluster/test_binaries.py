"""Programs come from the user's folder, the cache, a checked download, a build: in this order."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from devcluster import binaries, gobuild
from devcluster.download import ChecksumError, Release, UnreachableError, download, published_digest

if TYPE_CHECKING:
    from pathlib import Path

    from devcluster.settings import Settings
    from tests.devcluster.conftest import ReleaseHost


def program(folder: Path, name: str, text: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


class Compiler:
    """Stands for `go build`: writes files and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, settings: Settings, wanted: gobuild.Build, out: Path) -> None:
        self.asked.append(wanted.programs)
        for name in wanted.programs:
            program(out, name, "built")


def publish(host: ReleaseHost, name: str, body: bytes, digest: str | None = None) -> Release:
    host.files[f"/{name}"] = body
    host.files[f"/{name}.sha256"] = (digest or hashlib.sha256(body).hexdigest()).encode()
    return Release(name, f"{host.url}/{name}", f"{host.url}/{name}.sha256")


def test_the_users_folder_wins_over_the_cache_and_nothing_is_built(settings: Settings) -> None:
    user = settings.cache / "mine"
    settings = dataclasses.replace(settings, bin_dir=user)
    for name in binaries.PROGRAMS:
        program(binaries.cache_folder(settings), name, "cached")
    mine = program(user, "kubelet", "mine")
    compiler = Compiler()
    found = binaries.ensure_binaries(settings, sources=(), builder=compiler)
    assert found["kubelet"] == mine
    assert found["etcd"] == binaries.cache_folder(settings) / "etcd"
    assert compiler.asked == []


def test_a_download_with_the_published_checksum_is_used_and_the_rest_is_built(
    settings: Settings, release_host: ReleaseHost
) -> None:
    source = publish(release_host, "helm", b"released")
    compiler = Compiler()
    found = binaries.ensure_binaries(settings, sources=(source,), builder=compiler)
    assert found["helm"].read_bytes() == b"released"
    assert set(found) == set(binaries.PROGRAMS)
    assert ("kubenode",) in compiler.asked
    assert found["kube-apiserver"].resolve().name == "kubenode"


def test_a_download_with_another_checksum_stops_everything_and_leaves_no_file(
    settings: Settings, release_host: ReleaseHost
) -> None:
    source = publish(release_host, "helm", b"tampered", digest="0" * 64)
    compiler = Compiler()
    with pytest.raises(ChecksumError, match="published is 0000"):
        binaries.ensure_binaries(settings, sources=(source,), builder=compiler)
    assert compiler.asked == []
    assert list(binaries.cache_folder(settings).iterdir()) == []


def test_a_host_that_does_not_answer_is_asked_once_and_then_everything_is_built(
    settings: Settings, release_host: ReleaseHost
) -> None:
    sources = [
        Release(name, f"{release_host.url}/{name}", f"{release_host.url}/{name}.sha256")
        for name in ("etcd", "helm")
    ]
    compiler = Compiler()
    found = binaries.ensure_binaries(settings, sources=sources, builder=compiler)
    assert release_host.asked == ["/etcd.sha256"]
    assert len(found) == len(binaries.PROGRAMS)


def test_a_full_cache_asks_nobody(settings: Settings, release_host: ReleaseHost) -> None:
    compiler = Compiler()
    binaries.ensure_binaries(settings, sources=(), builder=compiler)
    compiler.asked.clear()
    source = publish(release_host, "helm", b"released")
    binaries.ensure_binaries(settings, sources=(source,), builder=compiler)
    assert (compiler.asked, release_host.asked) == ([], [])


def test_only_what_is_wanted_is_built(settings: Settings) -> None:
    compiler = Compiler()
    wanted = ("etcd", "kubectl")
    assert binaries.missing_binaries(settings, wanted) == ["etcd", "kubectl"]
    found = binaries.ensure_binaries(settings, sources=(), builder=compiler, wanted=wanted)
    assert (set(found), compiler.asked) == ({"etcd", "kubectl"}, [("kubenode",)])
    assert binaries.missing_binaries(settings, wanted) == []
    binaries.ensure_binaries(settings, sources=(), builder=compiler, wanted=("pause",))
    assert compiler.asked == [("kubenode",), ("pause",)]


def test_the_program_is_taken_out_of_a_released_archive(
    tmp_path: Path, release_host: ReleaseHost
) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        info = tarfile.TarInfo("linux-amd64/helm")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"helm"))
    name = "helm-linux.tar.gz"
    release_host.files[f"/{name}"] = packed.getvalue()
    digest = hashlib.sha256(packed.getvalue()).hexdigest()
    release_host.files["/sums"] = f"{'1' * 64}  other\n{digest}  {name}\n".encode()
    url = f"{release_host.url}/{name}"
    download(Release("helm", url, f"{release_host.url}/sums", "linux-amd64/helm"), tmp_path / "h")
    assert (tmp_path / "h").read_bytes() == b"helm"
    assert (tmp_path / "h").stat().st_mode & 0o111


def test_a_checksum_list_that_does_not_name_the_file_is_refused() -> None:
    with pytest.raises(ChecksumError, match="do not name etcd"):
        published_digest(f"{'1' * 64}  other\n{'2' * 64}  more\n", "etcd")


def test_a_file_that_is_not_there_is_unreachable(tmp_path: Path, release_host: ReleaseHost) -> None:
    missing = Release("x", f"{release_host.url}/x", f"{release_host.url}/x.sha256")
    with pytest.raises(UnreachableError, match="404"):
        download(missing, tmp_path / "x")


def test_every_published_file_has_the_version_of_the_committed_modules() -> None:
    version = gobuild.pinned_version("kubernetes", "k8s.io/kubernetes")
    urls = {release.name: release.url for release in binaries.releases()}
    assert urls["kubelet"].startswith(f"https://dl.k8s.io/release/{version}/bin/linux/")
    assert set(urls) == set(binaries.PROGRAMS) - {"metrics-server", "pause"}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go version go1.27 linux/arm64", (1, 27, 0)),
        ("no such program", ()),
    ],
)
def test_the_version_of_go_is_read(text: str, numbers: tuple[int, ...]) -> None:
    assert gobuild.parse_go_version(text) == numbers
