"""The model script: the same weights every time, and variants that differ as promised."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml

from demo_model.golden import golden_requests, payload, render
from demo_model.network import make_network, parameter_count
from demo_model.variants import SEED, Variant, weights_digest, write_variant
from demo_server.classifier import Classifier

MANIFEST = Path(__file__).resolve().parents[2] / "examples" / "manifests" / "demo-requests.yaml"
TOLERANCE = 0.05


@pytest.fixture(scope="module")
def config_maps() -> dict[str, dict[str, str]]:
    documents = yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8"))
    return {document["metadata"]["name"]: document["data"] for document in documents}


def _deviations(model: Path, golden: list[dict[str, dict[str, object]]]) -> list[float]:
    classifier = Classifier(model)
    found = []
    for case in golden:
        body = case["request"]["body"]
        assert isinstance(body, dict)
        answered = np.array(classifier.classify(body["inputs"]))
        found.append(float(np.abs(answered - np.array(case["expected"]["scores"])).max()))
    return found


def test_weights_are_the_committed_ones(models: Path) -> None:
    # Uniform numbers straight from PCG64's bits: the same on every machine and numpy version.
    assert weights_digest(models / "fp32.onnx") == (
        "1ed931e95ec1f05d226435489265b76821281e1bb642ac3719b7b34e099a87cb"
    )


@pytest.mark.parametrize("variant", [Variant.INT8, Variant.FP32])
def test_making_a_variant_twice_gives_the_same_bytes(
    variant: Variant, models: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again.onnx"
    write_variant(variant, again)
    assert again.read_bytes() == (models / f"{variant.value}.onnx").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["again.onnx"]


def test_the_network_has_more_than_five_million_parameters() -> None:
    # Embedding 4096*1024, head 1024*8, and per block 8*8 + 2*1024*4096:
    # 4,194,304 + 8,192 + 3 * 8,388,672 = 29,368,512.
    assert parameter_count(make_network(SEED)) == 29_368_512


def test_the_file_says_which_variant_it_is(models: Path) -> None:
    said = {}
    for variant in Variant:
        properties = onnx.load(str(models / f"{variant.value}.onnx")).metadata_props
        said[variant.value] = {entry.key: entry.value for entry in properties}
    facts = {"tokens": "8", "vocabulary": "4096"}
    assert said == {name: {**facts, "variant": name} for name in ("fp32", "int8", "wrong")}


def test_right_variants_answer_golden_requests_and_the_wrong_one_none(
    models: Path, config_maps: dict[str, dict[str, str]]
) -> None:
    golden = json.loads(config_maps["demo-golden"]["golden.json"])
    assert {case["tolerance"] for case in golden} == {str(TOLERANCE)}
    within = {
        variant.value: [
            deviation <= TOLERANCE
            for deviation in _deviations(models / f"{variant.value}.onnx", golden)
        ]
        for variant in Variant
    }
    assert within == {"fp32": [True] * 6, "int8": [True] * 6, "wrong": [False] * 6}


def test_committed_golden_requests_are_what_the_script_writes(
    models: Path, config_maps: dict[str, dict[str, str]]
) -> None:
    classifier = Classifier(models / "fp32.onnx")
    golden = golden_requests(lambda rows: np.array(classifier.classify(rows), dtype=np.float32))
    written = list(yaml.safe_load_all(render(golden)))
    committed = json.loads(config_maps["demo-golden"]["golden.json"])
    remade = json.loads(written[0]["data"]["golden.json"])
    assert [case["request"] for case in remade] == [case["request"] for case in committed]
    for new, old in zip(remade, committed, strict=True):
        # Another CPU may round the last digit differently.
        np.testing.assert_allclose(new["expected"]["scores"], old["expected"]["scores"], atol=2e-3)
    assert config_maps["demo-payload"] == {"payload.json": payload() + "\n"}
