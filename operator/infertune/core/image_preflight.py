"""Which candidate images cost no trial, because they cannot run where the target runs.

Role: hold what is known of each image against the driver of each node of the target. Must not know:
the rules of compatibility, how trials are driven. Trade-off: one node that cannot run an image
rejects it, though a trial might have been placed on another: a rollout would reach them all. What
nobody knows rejects nothing, and no registry is asked: an operator that may read every registry is
a risk that this saving is not worth.
"""

from collections.abc import Mapping

from infertune.api.knobs import ImageVersions
from infertune.api.node_status import RejectedImage
from infertune.core.image_facts import facts_of
from infertune.core.node_driver import driver_of_facts, driver_of_labels
from infertune.core.plan import Event
from infertune.core.resolve import Resolved
from infertune.core.story import Context, Outcome
from infertune_probes.contract.compatibility import Driver, Software, judge

_LONGEST = 1024


def rejected_images(context: Context, resolved: Resolved) -> tuple[RejectedImage, ...]:
    """Return the declared images that cannot run on a node of the target, in declared order.

    The one that runs today is its own proof, and a target without GPUs uses no driver.
    """
    probes, knobs = context.spec.probes, context.spec.knobs
    if probes.versions == "Disabled" or not resolved.gpus:
        return ()
    drivers = drivers_of(context)
    declared = {versions.image: software_of(versions) for versions in knobs.image_versions}
    found = (
        _rejected(image, declared.get(image), drivers)
        for image in knobs.images
        if image != resolved.image
    )
    return tuple(rejected for rejected in found if rejected is not None)


def software_of(declared: ImageVersions) -> Software:
    """Return a declaration in the form of the rules."""
    return Software(cuda=declared.cuda, torch=declared.torch, compat=declared.cuda_compat)


def drivers_of(context: Context) -> Mapping[str, Driver]:
    """Return the driver of each node of the target: as it was probed, else by the node's labels."""
    found: dict[str, Driver] = {}
    for node in context.status.target.nodes:
        labelled = driver_of_labels(context.snapshot.node_labels.get(node, {}))
        if labelled is not None:
            found[node] = labelled
    for probe in context.status.probes:
        if probe.driver is not None and probe.node in context.status.target.nodes:
            found[probe.node] = driver_of_facts(probe.driver)
    return found


def _rejected(
    image: str, declared: Software | None, drivers: Mapping[str, Driver]
) -> RejectedImage | None:
    software = facts_of(image, None, declared).software
    for node, driver in sorted(drivers.items()):
        judgement = judge(software, driver)
        if judgement.runs is False:
            reason, fix = judgement.reason[:_LONGEST], judgement.fix[:_LONGEST]
            return RejectedImage(image=image, node=node, reason=reason, fix=fix)
    return None


def told(rejected: tuple[RejectedImage, ...]) -> Outcome:
    """Return the record of what is rejected now, before any trial is chosen by it."""
    events = tuple(
        Event("Warning", "ImageRejected", f"{one.image} on {one.node}: {one.reason}: {one.fix}")
        for one in rejected
    )
    words = "; ".join(f"{one.image} cannot run on {one.node}: {one.reason}" for one in rejected)
    return Outcome(
        changes=(("rejected_images", rejected),),
        told=events,
        decision=f"not tried: {words}" if rejected else "every declared image may be tried",
        requeue_seconds=0.0,
    )
