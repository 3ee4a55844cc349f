"""Variables to settings; a mistake names the variable and the fix."""

import pytest

from infertune.core.prometheus_access import AccessRules, pattern_of
from infertune.core.snapshot import Installation
from infertune.runtime.settings import Settings, SettingsError, settings_from

LISTED = (pattern_of("http://a:9090"), pattern_of("https://*.example.com"))
TEAM = pattern_of("https://b/team")
IMAGE = {"INFERTUNE_PROBE_IMAGE": "probes:1"}


def test_the_image_alone_is_enough() -> None:
    assert settings_from(IMAGE) == Settings(Installation("probes:1"))


def test_everything_set() -> None:
    environment = IMAGE | {
        "INFERTUNE_NAMESPACES": " b, a,,b ",
        "INFERTUNE_LOG_LEVEL": "DEBUG",
        "INFERTUNE_PRIORITY_CLASS": "infertune-trial",
        "INFERTUNE_GPU_PROBE_IMAGE": "probes-gpu:1",
        "INFERTUNE_HEALTH_PORT": "18080",
        "INFERTUNE_METRICS_PORT": "0",
        "INFERTUNE_WORKERS": "2",
        "INFERTUNE_RESYNC_SECONDS": "30",
        "INFERTUNE_LEASE_NAMESPACE": "infertune-system",
        "INFERTUNE_LEASE_NAME": "tuner",
        "INFERTUNE_PROMETHEUS_ALLOWED_URLS": "http://a:9090 https://*.example.com",
        "INFERTUNE_PROMETHEUS_CREDENTIALS": "https://b/team /etc/infertune/prometheus/0\n",
    }
    installation = Installation("probes:1", "probes-gpu:1", "infertune-trial")
    assert settings_from(environment) == Settings(
        installation,
        ("a", "b"),
        "debug",
        18080,
        0,
        2,
        30.0,
        "infertune-system",
        "tuner",
        AccessRules((*LISTED, TEAM), services=False),
        ((TEAM, "/etc/infertune/prometheus/0"),),
    )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param({"INFERTUNE_PROBE_IMAGE": " "}, "INFERTUNE_PROBE_IMAGE", id="no image"),
        pytest.param({"INFERTUNE_LOG_LEVEL": "loud"}, "debug, error, info, warning", id="level"),
        pytest.param(
            {"INFERTUNE_PROMETHEUS_ALLOWED_URLS": "a:9090"}, "is no URL such as", id="no URL"
        ),
        pytest.param(
            {"INFERTUNE_PROMETHEUS_CREDENTIALS": "http://a"},
            "followed by no folder",
            id="no folder",
        ),
        pytest.param({"INFERTUNE_WORKERS": "0"}, "from 1 to 64", id="no workers"),
        pytest.param({"INFERTUNE_METRICS_PORT": "-1"}, "INFERTUNE_METRICS_PORT", id="port"),
    ],
)
def test_a_mistake_is_named(change: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        settings_from(IMAGE | change)


def test_a_credential_alone_leaves_services_open() -> None:
    found = settings_from(IMAGE | {"INFERTUNE_PROMETHEUS_CREDENTIALS": "https://b/team /x"})
    assert found.prometheus_rules == AccessRules((TEAM,), services=True)
