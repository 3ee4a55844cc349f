"""Reading the ConfigMaps that knobs stand in, and the copies that we made of them.

Role: what a template refers to decides what is read, so this comes after the target. Must not know:
what is decided from it. Trade-off: a tuning without such a knob costs nothing; one with it costs a
list and a read or two more on the ticks that look at the target's template.
"""

from dataclasses import replace

from infertune.api.spec import TuningSpec
from infertune.core.config_copies import names_to_read
from infertune.core.needs import Needs
from infertune.core.snapshot import Snapshot
from infertune.ports import Namespace


def with_config_maps(namespace: Namespace, snapshot: Snapshot, wanted: Needs) -> Snapshot:
    """Return the snapshot with the ConfigMaps that its target's template refers to for knobs."""
    spec, target = snapshot.tuning.spec, snapshot.target
    if not isinstance(spec, TuningSpec) or target is None:
        return snapshot
    if not (wanted.jobs or wanted.copies):
        return snapshot
    if not any(setting.config_map for setting in spec.knobs.settings):
        return snapshot
    where = snapshot.tuning.key.namespace
    names = names_to_read(spec, target.raw["spec"]["template"])
    found = {name: namespace.fetch_whole_config_map(where, name) for name in names}
    sources = {name: raw for name, raw in found.items() if raw is not None}
    return replace(snapshot, sources=sources, copies=namespace.list_copies(where))
