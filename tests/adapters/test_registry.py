"""An image's config is read from its registry, from a real one as well as from one that misbehaves.

The real one is a Go module, built once; its tests run where tests with a real API server do, since
they need the same network and compiler.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devcluster.settings import from_environment
from infertune.adapters.docker_config import (
    Credentials,
    Login,
    UnreadableConfig,
    default_path,
    login_for,
)
from infertune.adapters.registry import Registry, Unreadable, is_loopback
from infertune.core.image_facts import ImageConfig, parse_reference
from tests.adapters.registries import OurRegistry, a_real_registry, our_registry, push

CONFIGS = {
    "amd64": {"Env": ["PATH=/bin", "CUDA_VERSION=12.6.3", "EMPTY="], "Labels": {"a": "b"}},
    "arm64": {"Env": ["CUDA_VERSION=12.8.1"]},
}
READER = Credentials("reader", "s3cret")


@pytest.fixture
def ours() -> Iterator[OurRegistry]:
    with our_registry() as server:
        push(server.host, "r", "1", CONFIGS)
        yield server


@pytest.fixture(params=["ours", pytest.param("real", marks=pytest.mark.real_api)])
def host(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "ours":
        with our_registry() as server:
            yield server.host
    else:
        with a_real_registry(from_environment()) as address:
            yield address


def read(host: str, image: str, *arguments: Any, **options: Any) -> ImageConfig:
    reference = parse_reference(f"{host}/{image}")
    assert reference is not None
    return Registry(host, *arguments, **options).config_of(reference)


def test_the_config_of_the_wanted_platform_is_read(host: str) -> None:
    push(host, "team/model-server", "1.0", CONFIGS)
    wanted = ImageConfig(
        env={"PATH": "/bin", "CUDA_VERSION": "12.6.3", "EMPTY": ""}, labels={"a": "b"}
    )
    assert read(host, "team/model-server:1.0") == wanted
    arm = read(host, "team/model-server:1.0", platform="linux/arm64")
    assert arm == ImageConfig(env={"CUDA_VERSION": "12.8.1"})


def test_a_digest_is_asked_for_by_itself(host: str) -> None:
    push(host, "r", "1", CONFIGS)
    with pytest.raises(Unreadable, match="answers 404 for r manifests/sha256:0000"):
        read(host, f"r:1@sha256:{'0' * 64}")


@pytest.mark.parametrize("image", ["r:2", "other:1"])
def test_an_image_that_is_not_there_is_named(host: str, image: str) -> None:
    push(host, "r", "1", CONFIGS)
    name, _, tag = image.partition(":")
    with pytest.raises(Unreadable, match=f"{host} answers 404 for {name} manifests/{tag}"):
        read(host, image)


def test_a_platform_that_the_index_lacks_is_named(host: str) -> None:
    push(host, "r", "1", CONFIGS)
    with pytest.raises(Unreadable, match="r:1 has no image for linux/s390x"):
        read(host, "r:1", platform="linux/s390x")


@pytest.mark.parametrize(
    ("guard", "credentials"), [("any", None), ("token", READER), ("basic", READER)]
)
def test_a_token_or_a_password_opens_a_guarded_registry(
    ours: OurRegistry, guard: str, credentials: Credentials | None
) -> None:
    ours.behaviour.guard = guard
    assert read(ours.host, "r:1", credentials).env["CUDA_VERSION"] == "12.6.3"
    tokens = [line for line in ours.behaviour.seen if line.startswith("/token")]
    assert len(tokens) == (0 if guard == "basic" else 1)


@pytest.mark.parametrize(
    ("guard", "credentials", "why"),
    [
        ("token", None, "its token service answers 401"),
        ("token", Credentials("reader", "wrong"), "its token service answers 401"),
        ("basic", None, "does not show r to anybody without credentials"),
        ("basic", Credentials("reader", "wrong"), "does not show r to these credentials"),
    ],
)
def test_who_is_not_let_in_is_told_so_without_the_password(
    ours: OurRegistry, guard: str, credentials: Credentials | None, why: str
) -> None:
    ours.behaviour.guard = guard
    with pytest.raises(Unreadable, match=why) as refused:
        read(ours.host, "r:1", credentials)
    assert "wrong" not in str(refused.value)
    assert "wrong" not in repr(credentials)


def test_a_realm_that_is_no_address_gets_no_password(ours: OurRegistry) -> None:
    ours.behaviour.guard, ours.behaviour.realm = "token", "file:///etc/passwd"
    with pytest.raises(Unreadable, match="authorization that is not known"):
        read(ours.host, "r:1", READER)


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        ({"status": 429}, "answers 429 for r manifests/1"),
        ({"status": 500}, "answers 500 for r manifests/1"),
        ({"garbage": b"<html>"}, "something that is not JSON"),
        ({"garbage": b"[1]"}, "JSON that is no object"),
        ({"garbage": b"{}"}, "is not what its digest"),
        ({"garbage": b'{"manifests": 5}'}, "has no image for linux/amd64"),
        ({"garbage": b" " * (4 * 1024 * 1024 + 1)}, "longer than 4194304 bytes"),
        ({"tampered": True}, "is not what its digest sha256:"),
    ],
    ids=["too many", "broken", "html", "a list", "no config", "no index", "huge", "tampered"],
)
def test_whatever_a_registry_answers_is_a_sentence(
    ours: OurRegistry, behaviour: dict[str, Any], why: str
) -> None:
    for name, value in behaviour.items():
        setattr(ours.behaviour, name, value)
    with pytest.raises(Unreadable, match=why):
        read(ours.host, "r:1")


def test_an_index_that_leads_to_itself_ends(ours: OurRegistry) -> None:
    platform = {"os": "linux", "architecture": "amd64"}
    ours.behaviour.garbage = json.dumps(
        {"manifests": [{"digest": "sha256:" + "a" * 64, "platform": platform}]}
    ).encode()
    with pytest.raises(Unreadable, match="has no image for linux/amd64"):
        read(ours.host, "r:1")


def test_a_registry_that_nobody_serves_cannot_be_asked() -> None:
    with pytest.raises(Unreadable, match=r"127\.0\.0\.1:1 cannot be asked: no connection"):
        read("127.0.0.1:1", "r:1")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost:5000", True),
        ("127.0.0.1", True),
        ("[::1]:5000", True),
        ("registry.test", False),
        ("localhost.evil.test", False),
    ],
)
def test_only_this_machine_is_asked_in_the_clear(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def a_docker_config(directory: Path, document: object) -> Path:
    path = directory / "config.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def encoded(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize(
    ("registry", "document", "login"),
    [
        ("r.test", {"auths": {"r.test": encoded("a:b:c")}}, Login(Credentials("a", "b:c"))),
        ("r.test", {"auths": {"https://r.test/v2/": encoded("a:b")}}, Login(Credentials("a", "b"))),
        (
            "docker.io",
            {"auths": {"https://index.docker.io/v1/": {"username": "a", "password": "b"}}},
            Login(Credentials("a", "b")),
        ),
        ("r.test", {"auths": {"other.test": encoded("a:b")}}, Login()),
        ("r.test", {"auths": {"r.test": {}}, "credsStore": "pass"}, Login(None, "pass")),
        ("r.test", {"credHelpers": {"r.test": "ecr-login"}}, Login(None, "ecr-login")),
        ("r.test", {"auths": {"r.test": {"auth": "%%%"}}}, Login()),
        ("r.test", {"auths": {"r.test": encoded("nocolon")}}, Login()),
        ("r.test", {"auths": 5}, Login()),
        ("r.test", {}, Login()),
    ],
)
def test_the_login_of_a_registry(
    tmp_path: Path, registry: str, document: object, login: Login
) -> None:
    assert login_for(registry, a_docker_config(tmp_path, document)) == login


def test_no_config_file_is_no_login_and_a_broken_one_is_named(tmp_path: Path) -> None:
    assert login_for("r.test", tmp_path / "absent.json") == Login()
    for text in ("{", "[]"):
        with pytest.raises(UnreadableConfig, match=r"config\.json: no docker config"):
            login_for("r.test", a_docker_config(tmp_path, text))


def test_where_docker_keeps_its_config() -> None:
    assert default_path({"DOCKER_CONFIG": "/etc/docker"}) == Path("/etc/docker/config.json")
    assert default_path({}).parts[-2:] == (".docker", "config.json")
