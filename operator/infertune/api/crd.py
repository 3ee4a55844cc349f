"""The CustomResourceDefinition of ``InferenceTuning``, as a value.

Role: the schema of the models, with the rules that hold between fields, the columns of
``kubectl get`` and the names of the resource. Must not know: files, YAML, the cluster.
Trade-off: a rule between fields is written twice, as a validator of the model and as CEL here,
so that both the server and an offline check refuse a mistake; the invalid fixtures of the
contract tests hold the two together.
"""

from typing import Any

from infertune.api.load_headers import RESERVED
from infertune.api.quantities import COUNT_PATTERN, GPU, QUANTITY_PATTERN
from infertune.api.spec import TuningSpec
from infertune.api.status import TuningStatus
from infertune.api.structural import Dialect, Rule, Schema, structural_schema
from infertune.api.v1alpha1 import GROUP, KIND, PLURAL, SHORT_NAMES, SINGULAR, VERSION

CRD_NAME = f"{PLURAL}.{GROUP}"
CATEGORIES = ("infertune",)

# By model.
SPEC_RULES: dict[str, tuple[Rule, ...]] = {
    "Demand": (
        Rule(
            "self.troughRequestsPerSecond <= self.peakRequestsPerSecond",
            "troughRequestsPerSecond is above peakRequestsPerSecond: swap or raise the peak",
            ".troughRequestsPerSecond",
        ),
    ),
    "BatchSizeKnob": (
        Rule(
            "has(self.env) != has(self.argument)",
            "batchSize needs exactly one of env and argument: remove one or add one",
        ),
        Rule(
            "self.values.all(x, self.values.exists_one(y, y == x))",
            "batchSize.values holds a value twice: remove it",
            ".values",
        ),
    ),
    "HeaderFrom": (
        Rule(
            f"!(self.name.lowerAscii() in {list(RESERVED)})",
            "this header is set by the load itself: remove it",
            ".name",
        ),
    ),
    "Load": (
        Rule(
            "!has(self.headersFrom) || self.headersFrom.all(x, self.headersFrom.exists_one(y,"
            " y.name.lowerAscii() == x.name.lowerAscii()))",
            "headersFrom names a header twice: keep one",
            ".headersFrom",
        ),
    ),
    "ReplicaLimits": (
        Rule(
            "self.min <= self.max",
            "replicas.min is above replicas.max: swap or raise max",
            ".min",
        ),
    ),
    "SettingKnob": (
        Rule(
            "[has(self.env), has(self.argument), has(self.configMap), has(self.resource)]"
            ".exists_one(x, x)",
            "a setting needs exactly one of env, argument, configMap and resource: keep the one in"
            " use",
        ),
        Rule(
            "self.values.all(x, self.values.exists_one(y, y == x))",
            "values holds a value twice: remove it",
            ".values",
        ),
        Rule(
            "self.argumentForm != 'Bare'"
            " || (has(self.argument) && self.values.all(x, x == 'true' || x == 'false'))",
            'argumentForm Bare needs an argument with the values "true" and "false"',
            ".values",
        ),
        Rule(
            "!has(self.resource) || self.values.all(x, x.matches('[1-9]') &&"
            f" x.matches(self.resource.name == '{GPU}' ? '{COUNT_PATTERN}' :"
            f" r'{QUANTITY_PATTERN}'))",
            "values of a resource must be above 0, such as 500m or 2Gi, and whole numbers for"
            " nvidia.com/gpu",
            ".values",
        ),
        Rule(
            f"!has(self.resource) || self.resource.name != '{GPU}'"
            " || self.resource.bound == 'Both'",
            f"resource {GPU} has one number for request and limit: set bound to Both",
            ".resource",
        ),
    ),
    "ImageVersions": (
        Rule(
            "has(self.cuda) || has(self.torch)",
            "imageVersions needs cuda or torch: add one",
        ),
    ),
    "Knobs": (
        Rule(
            "!has(self.imageVersions) || self.imageVersions.all(x, has(self.images)"
            " && x.image in self.images)",
            "an image of imageVersions is not in knobs.images: add it there",
            ".imageVersions",
        ),
        Rule(
            "has(self.batchSize) || (has(self.images) && size(self.images) > 0)"
            " || (has(self.settings) && size(self.settings) > 0)",
            "knobs declares nothing to try: add batchSize, images or settings",
        ),
        *(
            Rule(
                f"!has(self.settings) || self.settings.all(x, !has(x.{place})"
                f" || self.settings.exists_one(y, has(y.{place}) && {same}))",
                f"two settings stand in the same {place}: keep one",
                ".settings",
            )
            for place, same in (
                ("env", "y.env == x.env"),
                ("argument", "y.argument == x.argument"),
                (
                    "configMap",
                    "y.configMap.name == x.configMap.name && y.configMap.key == x.configMap.key",
                ),
                ("resource", "y.resource.name == x.resource.name"),
            )
        ),
        *(
            Rule(
                f"!has(self.settings) || !has(self.batchSize) || !has(self.batchSize.{place})"
                f" || !self.settings.exists(x, has(x.{place}) && x.{place} =="
                f" self.batchSize.{place})",
                f"a setting stands in the {place} of batchSize: keep one",
                ".settings",
            )
            for place in ("env", "argument")
        ),
        Rule(
            "!has(self.images) || self.images.all(x, self.images.exists_one(y, y == x))",
            "knobs.images holds an image twice: remove it",
            ".images",
        ),
    ),
}
SPEC_DIALECT = Dialect(
    rules=SPEC_RULES,
    sets=frozenset(("values", "images", "dropInitContainers", "emptyVolumes")),
    map_keys={"settings": "name", "imageVersions": "image"},
)
STATUS_DIALECT = Dialect(map_keys={"conditions": "type"}, keep_defaults=False)

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("Target", ".spec.targetRef.name", "The workload that is tuned."),
    ("Mode", ".spec.mode", "Recommend changes nothing, Apply does."),
    ("State", ".status.state", "State of the tuning."),
    ("SLO", ".status.summary.slo", "The promise to keep."),
    ("P95", ".status.summary.p95", "Last live 95th percentile of latency."),
    ("Best", ".status.summary.best", "Best configuration found so far."),
    ("Verdict", ".status.summary.verdict", "Last verdict."),
    ("Spent", ".status.summary.spent", "What the tuning has cost so far."),
)
KIND_DESCRIPTION = (
    "InferenceTuning tunes a running model server: it finds the cheapest batch size, image and "
    "replica bounds that keep a latency promise, and applies them when asked to."
)


def crd_document() -> dict[str, Any]:
    """Return the whole CustomResourceDefinition (apiextensions.k8s.io/v1)."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": CRD_NAME},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": SINGULAR,
                "shortNames": list(SHORT_NAMES),
                "categories": list(CATEGORIES),
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": _columns(),
                    "schema": {"openAPIV3Schema": tuning_schema()},
                }
            ],
        },
    }


def tuning_schema() -> Schema:
    """Return the structural schema of the whole resource."""
    return {
        "description": KIND_DESCRIPTION,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {
                "description": f"API version of the resource: {GROUP}/{VERSION}.",
                "type": "string",
            },
            "kind": {"description": f"Kind of the resource: {KIND}.", "type": "string"},
            "metadata": {"type": "object"},
            "spec": structural_schema(TuningSpec, SPEC_DIALECT),
            "status": structural_schema(TuningStatus, STATUS_DIALECT),
        },
    }


def _columns() -> list[dict[str, str]]:
    columns = [
        {"name": name, "type": "string", "jsonPath": path, "description": text}
        for name, path, text in COLUMNS
    ]
    age = {
        "name": "Age",
        "type": "date",
        "jsonPath": ".metadata.creationTimestamp",
        "description": "Time since the tuning was created.",
    }
    return [*columns, age]
