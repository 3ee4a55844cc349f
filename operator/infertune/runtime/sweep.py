"""Counting and clearing away what we made, at the start and then now and then.

Role: one list of our own objects for the whole cluster; slots are counted from it, garbage is
deleted by UID. Must not know: what garbage is (``core.garbage``). Trade-off: a tuning that the
watches do not show is asked for by name before anything of it is deleted, one request more.
"""

import logging

from infertune.core.garbage import OwnObject, orphans, superseded
from infertune.ports import Clock, Cluster, ClusterError
from infertune.runtime.cache import WatchCache
from infertune.runtime.slots import TrialSlots

_log = logging.getLogger(__name__)


class Sweeper:
    """Looks over all that carries our labels."""

    def __init__(
        self, cluster: Cluster, cache: WatchCache, clock: Clock, slots: TrialSlots
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._clock = clock
        self._slots = slots

    def sweep(self) -> None:
        """Count running trials, delete what nobody needs.

        Raises:
            ClusterError: a list cannot be read, or a deletion was refused, after all others were
                made: what one namespace refuses keeps no garbage of another. The next look repeats.
        """
        owned = self._cluster.list_owned()
        self._slots.count(one.tuning for one in owned if one.role == "server" and not one.finished)
        living = self._living(owned)
        now = self._clock.now()
        published = self._cache.published()
        refused: ClusterError | None = None
        for effect in (*orphans(owned, living, now), *superseded(owned, published, now)):
            try:
                self._cluster.delete_object(effect)
            except ClusterError as error:
                refused = refused or error
                continue
            _log.info("swept", extra={"object": f"{effect.kind}/{effect.namespace}/{effect.name}"})
        if refused is not None:
            raise refused

    def _living(self, owned: tuple[OwnObject, ...]) -> frozenset[str]:
        """Return the UIDs of tunings that are there: known by the watch, else asked for by name."""
        living = {one.tuning_uid for one in owned if self._cache.of_uid(one.tuning_uid)}
        # What does not say whose it is cannot be asked for, and stays.
        living |= {one.tuning_uid for one in owned if not one.tuning.name}
        for key in {one.tuning for one in owned if one.tuning_uid not in living}:
            raw = self._cluster.fetch_tuning(key)
            if raw is not None:
                living.add(raw["metadata"]["uid"])
        return frozenset(living)
