"""How this installation is set up.

Role: environment variables to typed settings, once, at start-up. Must not know: Kubernetes objects.
Trade-off: no configuration file; the chart sets a handful of variables.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from infertune.core.prometheus_access import AccessRules, UrlPattern, pattern_of
from infertune.core.snapshot import Installation, Key
from infertune.runtime.slots import Limits

SERVICES_ONLY = AccessRules()
DEFAULT_TRIAL_LIMITS = Limits(cluster=8, namespace=2)
LOG_LEVELS = frozenset({"debug", "info", "warning", "error"})


class SettingsError(Exception):
    """A variable is missing or cannot be read; the message names it and the fix."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the process is told from outside. No namespaces means all of them.

    Without a ``lease_namespace`` the Lease stands where the process itself runs. A credential is
    a folder with the files of a Secret, and the URLs that it is for.
    """

    installation: Installation
    namespaces: tuple[str, ...] = ()
    log_level: str = "info"
    health_port: int = 8080
    metrics_port: int = 9090
    workers: int = 4
    resync_seconds: float = 120.0
    lease_namespace: str = ""
    lease_name: str = "infertune"
    prometheus_rules: AccessRules = SERVICES_ONLY
    prometheus_credentials: tuple[tuple[UrlPattern, str], ...] = ()
    trial_limits: Limits = DEFAULT_TRIAL_LIMITS


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Return the settings that these variables give.

    Raises:
        SettingsError: a variable is missing or out of range.
    """
    image = environment.get("INFERTUNE_PROBE_IMAGE", "").strip()
    if not image:
        message = "INFERTUNE_PROBE_IMAGE is not set: name the image that probe Jobs run"
        raise SettingsError(message)
    level = environment.get("INFERTUNE_LOG_LEVEL", "info").strip().lower()
    if level not in LOG_LEVELS:
        message = f"INFERTUNE_LOG_LEVEL is {level!r}: use one of {', '.join(sorted(LOG_LEVELS))}"
        raise SettingsError(message)
    names = environment.get("INFERTUNE_NAMESPACES", "").split(",")
    allowed = _patterns(environment, "INFERTUNE_PROMETHEUS_ALLOWED_URLS")
    credentials = _credentials(environment, "INFERTUNE_PROMETHEUS_CREDENTIALS")
    named = (*allowed, *(pattern for pattern, _ in credentials))
    return Settings(
        installation=Installation(
            probe_image=image,
            gpu_probe_image=environment.get("INFERTUNE_GPU_PROBE_IMAGE", "").strip(),
            trial_priority_class=environment.get("INFERTUNE_PRIORITY_CLASS", "").strip(),
            switches=_switches(environment.get("INFERTUNE_SWITCHES", "").strip()),
        ),
        namespaces=tuple(sorted({name.strip() for name in names if name.strip()})),
        log_level=level,
        health_port=whole_of(environment, "INFERTUNE_HEALTH_PORT", 8080, 0, 65535),
        metrics_port=whole_of(environment, "INFERTUNE_METRICS_PORT", 9090, 0, 65535),
        workers=whole_of(environment, "INFERTUNE_WORKERS", 4, 1, 64),
        trial_limits=Limits(
            cluster=whole_of(
                environment, "INFERTUNE_TRIALS_CLUSTER", DEFAULT_TRIAL_LIMITS.cluster, 1, 999
            ),
            namespace=whole_of(
                environment, "INFERTUNE_TRIALS_NAMESPACE", DEFAULT_TRIAL_LIMITS.namespace, 1, 999
            ),
        ),
        lease_namespace=environment.get("INFERTUNE_LEASE_NAMESPACE", "").strip(),
        lease_name=environment.get("INFERTUNE_LEASE_NAME", "").strip() or "infertune",
        prometheus_rules=AccessRules(named, services=not allowed),
        prometheus_credentials=credentials,
        resync_seconds=float(whole_of(environment, "INFERTUNE_RESYNC_SECONDS", 120, 5, 3600)),
    )


def _switches(text: str) -> Key | None:
    namespace, _, name = text.partition("/")
    if text and not (namespace and name):
        message = f"INFERTUNE_SWITCHES is {text!r}: it takes NAMESPACE/NAME of a ConfigMap"
        raise SettingsError(message)
    return Key(namespace, name) if text else None


def _patterns(environment: Mapping[str, str], name: str) -> tuple[UrlPattern, ...]:
    return tuple(_pattern(name, text) for text in environment.get(name, "").split())


def _credentials(environment: Mapping[str, str], name: str) -> tuple[tuple[UrlPattern, str], ...]:
    """Return what stands in lines of the form ``URL FOLDER``."""
    found: list[tuple[UrlPattern, str]] = []
    for line in filter(str.strip, environment.get(name, "").splitlines()):
        url, _, folder = line.strip().partition(" ")
        if not folder.strip():
            message = f"{name}: {url!r} is followed by no folder: write `URL FOLDER`, one a line"
            raise SettingsError(message)
        found.append((_pattern(name, url), folder.strip()))
    return tuple(found)


def _pattern(name: str, text: str) -> UrlPattern:
    try:
        return pattern_of(text)
    except ValueError as error:
        message = f"{name}: {error}"
        raise SettingsError(message) from error


def whole_of(
    environment: Mapping[str, str], name: str, default: int, lowest: int, highest: int
) -> int:
    """Return the whole number that a variable holds; unset or empty gives the default.

    Raises:
        SettingsError: it is no number of this range.
    """
    text = environment.get(name, "").strip() or str(default)
    if not text.isdecimal() or not lowest <= int(text) <= highest:
        message = f"{name} is {text!r}: it takes a whole number from {lowest} to {highest}"
        raise SettingsError(message)
    return int(text)
