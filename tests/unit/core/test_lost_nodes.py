"""A pod of ours leaves a node that fell silent soon, unless its template says how long it stays."""

import pytest

from infertune.core.manifests.lost_nodes import leaving_lost_nodes

NOT_READY = {
    "key": "node.kubernetes.io/not-ready",
    "operator": "Exists",
    "effect": "NoExecute",
    "tolerationSeconds": 30,
}
UNREACHABLE = NOT_READY | {"key": "node.kubernetes.io/unreachable"}
STAYS = {
    "key": "node.kubernetes.io/unreachable",
    "operator": "Exists",
    "effect": "NoExecute",
    "tolerationSeconds": 6000,
}


@pytest.mark.parametrize(
    ("template", "added"),
    [
        pytest.param([], [NOT_READY, UNREACHABLE], id="it says nothing"),
        pytest.param(
            [{"key": "nvidia.com/gpu", "operator": "Exists"}],
            [NOT_READY, UNREACHABLE],
            id="it speaks of GPUs",
        ),
        pytest.param(
            [{"operator": "Exists", "effect": "NoSchedule"}],
            [NOT_READY, UNREACHABLE],
            id="it goes anywhere, and does not say for how long",
        ),
        pytest.param([STAYS], [NOT_READY], id="it stays for longer on a silent node"),
        pytest.param([{"operator": "Exists"}], [], id="it tolerates all there is"),
    ],
)
def test_what_a_template_says_of_lost_nodes_is_kept(
    template: list[dict[str, object]], added: list[dict[str, object]]
) -> None:
    assert leaving_lost_nodes(template) == [*template, *added]
