"""What a user sees of `infertune`: one line per problem, and an exit status that CI can trust."""

from io import StringIO
from pathlib import Path

import pytest

from infertune.cli import COMMANDS, build_parser, main

GOOD = """\
apiVersion: infertune.io/v1alpha1
kind: InferenceTuning
metadata: {name: resnet}
spec:
  targetRef: {name: resnet}
  slo: {latencyMilliseconds: 200}
  demand: {peakRequestsPerSecond: 100}
  knobs: {batchSize: {env: MAX_BATCH_SIZE, values: [1, 2]}}
  metrics: {prometheusURL: "http://prometheus:9090", histogram: latency_seconds}
"""
OTHER_KIND = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: requests}\n"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return tmp_path / "tuning.yaml"


def test_a_good_manifest_among_others_is_valid(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest.write_text(f"{OTHER_KIND}---\n{GOOD}---\n")
    assert main(["check", str(manifest)]) == 0
    assert capsys.readouterr().out == f"{manifest}: InferenceTuning resnet is valid\n"


def test_every_problem_is_told_with_field_and_value(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest.write_text(
        GOOD.replace("200", "0").replace("peak", "pique").replace("spec:", "extra: 1\nspec:")
    )
    assert main(["check", str(manifest)]) == 2
    problems = capsys.readouterr().out.splitlines()
    unknown = "Extra inputs are not permitted: remove it, or correct its spelling"
    latency = f"{manifest}: spec.slo.latencyMilliseconds"
    assert problems == [
        f"{manifest}: extra: unknown field: remove it",
        f"{latency}: Input should be greater than or equal to 1 (got 0)",
        f"{manifest}: spec.demand.peakRequestsPerSecond: Field required",
        f"{manifest}: spec.demand.piqueRequestsPerSecond: {unknown} (got 100)",
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("v1alpha1", "v9", "apiVersion: must be infertune.io/v1alpha1 (got 'infertune.io/v9')"),
        ("{name: resnet}\nspec", "{}\nspec", "metadata.name: missing: name the tuning"),
        ("spec:\n", "spec: 5\nold:\n", "spec: must be a mapping (got 5)"),
    ],
    ids=["a version we do not know", "no name", "a spec that is a number"],
)
def test_the_frame_of_the_object_is_checked_too(
    manifest: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, problem: str
) -> None:
    manifest.write_text(GOOD.replace(old, new))
    assert main(["check", str(manifest)]) == 2
    assert f"{manifest}: {problem}" in capsys.readouterr().out.splitlines()


def test_one_bad_file_among_good_ones_fails_all(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.yaml"
    manifest.write_text(GOOD)
    other.write_text(OTHER_KIND)
    assert main(["check", str(other), str(manifest)]) == 2
    assert capsys.readouterr().out.splitlines() == [
        f"{other}: no InferenceTuning in this file",
        f"{manifest}: InferenceTuning resnet is valid",
    ]


def test_a_foreign_kind_of_the_same_name_is_not_ours(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest.write_text("apiVersion: example.com/v1\nkind: InferenceTuning\n")
    assert main(["check", str(manifest)]) == 2
    assert "no InferenceTuning" in capsys.readouterr().out


def test_what_is_no_yaml_says_where(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest.write_text("spec: [1,\n")
    assert main(["check", str(manifest)]) == 2
    said = capsys.readouterr().out
    assert said.startswith(f"{manifest}: not YAML: ")
    assert "line 2" in said


def test_a_file_that_is_not_there_is_a_failure_not_a_traceback(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(manifest)]) == 1
    assert capsys.readouterr().err.startswith("infertune: ")


def test_a_manifest_can_come_from_stdin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO(GOOD))
    assert main(["check", "-"]) == 0
    assert capsys.readouterr().out == "-: InferenceTuning resnet is valid\n"


@pytest.mark.parametrize("command", ["crd", "reference"])
def test_generated_text_is_the_same_in_files_and_on_stdout(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / "a" / "x", tmp_path / "y"]
    assert main([command, "--output", *map(str, files)]) == 0
    assert capsys.readouterr().out == ""
    assert main([command]) == 0
    printed = capsys.readouterr().out
    assert [path.read_text() for path in files] == [printed, printed]
    assert "Generated" in printed.splitlines()[0]


def test_version_names_the_package_and_the_api(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("infertune.cli.version.version", lambda _: "1.2.3")
    assert main(["version"]) == 0
    assert capsys.readouterr().out == "infertune 1.2.3 (infertune.io/v1alpha1)\n"


def test_help_lists_every_command() -> None:
    listed = build_parser().format_help()
    names = [module.__name__.rpartition(".")[2] for module in COMMANDS]
    assert [name for name in names if name not in listed] == []


def test_no_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "COMMAND" in capsys.readouterr().err
