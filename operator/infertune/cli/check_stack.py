"""``infertune check --image REF --node N``: does it run there? Asked before anything is pulled.

Role: gather what is known of software and driver, ask the rules, print answer, sources and fix.
Must not know: the rules. Trade-off: an answer that nobody can give has its own exit status, so that
a script can tell it from a yes without reading words.

Exit status: 0 it runs, 1 it does not, 2 wrong input, 3 nobody knows.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from infertune.adapters.docker_config import UnreadableConfig, default_path, login_for
from infertune.adapters.registry import Registry, Unreadable
from infertune.api.v1alpha1 import GROUP, PLURAL
from infertune.cli.kubectl import WRONG_INPUT, Kubectl, KubectlError
from infertune.core.image_facts import ImageConfig, ImageFacts, facts_of, parse_reference
from infertune.core.node_driver import driver_of_labels, driver_recorded
from infertune_probes.contract.compatibility import (
    Driver,
    Judgement,
    Offer,
    Software,
    completed,
    cuda_of_driver,
    judge,
    newest_sets,
)
from infertune_probes.contract.release import numbers

RUNS, DOES_NOT, UNKNOWN = 0, 1, 3
_WORDS = {
    "native": "runs: native",
    "minor-version": "runs: minor-version compatible",
    "forward": "runs: by the image's cuda-compat package",
    "cpu": "runs, without the GPU",
    "none": "does not run",
    "unknown": "unknown",
}


class CannotCheck(Exception):
    """The question cannot be asked like this; ``status`` is the exit status."""

    def __init__(self, message: str, status: int = WRONG_INPUT) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer with everything that it rests on."""

    subject: str
    software: Software
    software_from: str | None
    not_read: str | None
    driver: Driver
    driver_from: str
    judgement: Judgement

    @property
    def exit_status(self) -> int:
        """0 it runs, 1 it does not, 3 nobody knows."""
        return {True: RUNS, False: DOES_NOT, None: UNKNOWN}[self.judgement.runs]


def add_stack_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that ask about software and drivers."""
    what = parser.add_argument_group("software: does it run on that driver?")
    what.add_argument("--image", metavar="REF", help="an image, read from its registry")
    what.add_argument("--torch", metavar="VERSION", help="a release of torch, such as 2.7.0+cu126")
    what.add_argument("--cuda", metavar="VERSION", help="what it is built for, where known")
    what.add_argument("--platform", default="linux/amd64", help="(default: %(default)s)")
    what.add_argument("--offline", action="store_true", help="ask no registry: only the tag")
    what.add_argument("--plain-http", action="store_true", help="the registry speaks no TLS")
    what.add_argument(
        "--docker-config", type=Path, metavar="FILE", help="credentials (default: docker's own)"
    )
    where = parser.add_argument_group("driver: alone it lists the newest torch that runs")
    chosen = where.add_mutually_exclusive_group()
    chosen.add_argument("--driver", metavar="VERSION", help="a driver, such as 550.54.15")
    chosen.add_argument("--node", metavar="N", help="a node: its labels, else its last probe")
    where.add_argument("--brand", help="of the GPUs, as NVML names it: tesla, nvidia, geforce, ...")
    where.add_argument("--compute-capability", metavar="X.Y", help="of the GPUs, such as 8.9")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")


def asks_about_stack(arguments: argparse.Namespace) -> bool:
    """Return whether any flag asks about software or a driver."""
    named = ("image", "torch", "cuda", "driver", "node")
    return any(getattr(arguments, name) is not None for name in named)


def run_stack(arguments: argparse.Namespace) -> int:
    """Answer one question and return the exit status."""
    try:
        driver, driver_from = _driver(arguments)
        if arguments.image is None and arguments.torch is None and arguments.cuda is None:
            return _list_sets(driver, driver_from, as_json=arguments.json)
        facts, unread = _facts(arguments)
    except (CannotCheck, KubectlError) as error:
        print(f"infertune: {error}", file=sys.stderr)
        return error.status
    software = completed(facts.software)
    answer = Answer(
        subject=arguments.image or software.name,
        software=software,
        software_from=" and ".join(facts.sources) or None,
        not_read=unread,
        driver=driver,
        driver_from=driver_from,
        judgement=judge(software, driver),
    )
    print(_as_json(answer) if arguments.json else _as_text(answer))
    return answer.exit_status


def _driver(arguments: argparse.Namespace) -> tuple[Driver, str]:
    """Return the driver that is meant, and who says so."""
    if arguments.node is not None:
        driver, source = _driver_of_node(Kubectl.of(arguments), arguments.node)
    elif arguments.driver is None:
        raise CannotCheck("which driver? give --driver VERSION or --node NAME")
    elif numbers(arguments.driver) is None:
        message = f"--driver {arguments.driver}: no version; write it as 550.54.15"
        raise CannotCheck(message)
    else:
        driver, source = Driver(arguments.driver), "--driver"
    if arguments.brand is not None:
        driver = replace(driver, brand=arguments.brand.lower())
    if arguments.compute_capability is not None:
        if numbers(arguments.compute_capability) is None:
            message = f"--compute-capability {arguments.compute_capability}: write it as 8.9"
            raise CannotCheck(message)
        driver = replace(driver, capabilities=(arguments.compute_capability,))
    return driver, source


def _driver_of_node(kubectl: Kubectl, name: str) -> tuple[Driver, str]:
    node = kubectl.read("get", "node", name)
    labels = node.get("metadata", {}).get("labels", {})
    driver = driver_of_labels(labels)
    if driver is not None:
        return driver, f"labels of node {name}"
    tunings = kubectl.read("get", f"{PLURAL}.{GROUP}", "--all-namespaces").get("items", [])
    recorded = driver_recorded((tuning.get("status") or {} for tuning in tunings), name)
    if recorded is not None:
        return recorded, f"the last probe of versions on node {name}"
    return Driver(), f"not known: node {name} has no labels of a driver and no probe of versions"


def _facts(arguments: argparse.Namespace) -> tuple[ImageFacts, str | None]:
    """Return what is known of the software that is meant, and why its config was not read."""
    given = Software(cuda=arguments.cuda, torch=arguments.torch)
    if arguments.image is None:
        # A wheel or a toolkit by itself brings no cuda-compat along.
        return ImageFacts(replace(given, compat=False), ("the command line",)), None
    declared = None if given == Software() else given
    config, unread = _config(arguments)
    facts = facts_of(arguments.image, config, declared)
    told = tuple(
        "the command line" if source == "its declaration" else source for source in facts.sources
    )
    return ImageFacts(facts.software, told), unread


def _config(arguments: argparse.Namespace) -> tuple[ImageConfig | None, str | None]:
    """Return the image's config, or None and why it could not be read."""
    reference = parse_reference(arguments.image)
    if reference is None:
        message = f"--image {arguments.image}: no image reference"
        raise CannotCheck(message)
    if arguments.offline:
        return None, f"{reference.registry} not asked: --offline"
    try:
        login = login_for(reference.registry, arguments.docker_config or default_path())
    except UnreadableConfig as error:
        raise CannotCheck(str(error)) from error
    registry = Registry(
        reference.registry,
        login.credentials,
        plain_http=arguments.plain_http,
        platform=arguments.platform,
    )
    try:
        return registry.config_of(reference), None
    except Unreadable as error:
        kept = f"; docker-credential-{login.helper} is not asked" if login.helper else ""
        return None, f"{error}{kept}"


def _list_sets(driver: Driver, driver_from: str, *, as_json: bool) -> int:
    offers = newest_sets(driver)
    if as_json:
        document = [{"kind": offer.kind, **offer.wheel._asdict()} for offer in offers]
        print(json.dumps({"driver": asdict(driver), "newest": document}, indent=2))
    else:
        print(f"driver    {_driver_words(driver, driver_from)}")
        for offer in offers:
            print(_offer_words(offer))
    if offers:
        return RUNS
    if driver.version is None:
        print("unknown: no driver, no answer")
        return UNKNOWN
    if not as_json:
        print("no default wheel of torch since 1.13 runs on it: they begin at driver 450.80.02")
    return DOES_NOT


def _offer_words(offer: Offer) -> str:
    wheel = offer.wheel
    libraries = f"CUDA {wheel.cuda}, cuDNN {wheel.cudnn}, NCCL {wheel.nccl or 'not bundled'}"
    words = "native" if offer.kind == "native" else "minor-version compatible"
    return f"{words:25} torch {wheel.torch}: {libraries}, Python {wheel.python}"


def _driver_words(driver: Driver, source: str) -> str:
    if driver.version is None:
        return source
    cuda = cuda_of_driver(driver)
    parts = [driver.version, f"(CUDA {cuda})" if cuda else "(CUDA not in the table)"]
    parts += [f"brand {driver.brand}"] if driver.brand else []
    parts += [f"compute capability {', '.join(driver.capabilities)}"] if driver.capabilities else []
    return f"{' '.join(parts)}; from {source}"


def _software_words(answer: Answer) -> str:
    software = answer.software
    named = (
        ("torch", software.torch),
        ("CUDA", software.cuda),
        ("cuDNN", software.cudnn),
        ("NCCL", software.nccl),
    )
    parts = [f"{name} {version}" for name, version in named if version]
    source = f"; from {answer.software_from}" if answer.software_from else ""
    unread = f" ({answer.not_read})" if answer.not_read else ""
    return f"{', '.join(parts) or 'not known'}{source}{unread}"


def _as_text(answer: Answer) -> str:
    lines = [
        f"{answer.subject}: {_WORDS[answer.judgement.kind]}",
        f"  software  {_software_words(answer)}",
        f"  driver    {_driver_words(answer.driver, answer.driver_from)}",
        f"  why       {answer.judgement.reason}",
    ]
    lines += [f"  fix       {answer.judgement.fix}"] if answer.judgement.fix else []
    return "\n".join(lines)


def _as_json(answer: Answer) -> str:
    document: dict[str, Any] = {
        "subject": answer.subject,
        "runs": answer.judgement.runs,
        **asdict(answer.judgement),
        "software": {
            **asdict(answer.software),
            "from": answer.software_from,
            "notRead": answer.not_read,
        },
        "driver": {**asdict(answer.driver), "from": answer.driver_from},
    }
    return json.dumps(document, indent=2)
