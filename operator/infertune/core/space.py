"""Candidates and the space they come from.

Role: a point of the search, its canonical id and order. Must not know: trial results.
Trade-off: replicas are not an axis; the knee of one replica gives them (see ``capacity``). A batch
size of None, the server's own default, has no place on the batch axis: it is tried, never
interpolated.
"""

from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Candidate:
    """One server configuration. ``batch_size`` None is the server's own default."""

    image: str
    batch_size: int | None

    @property
    def id(self) -> str:
        """Ten hexadecimal digits that name this candidate everywhere."""
        return sha256(f"{self.image}\n{self.batch_size}".encode()).hexdigest()[:10]


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """All candidates. ``incumbent`` (today's configuration) is always one of them."""

    incumbent: Candidate
    images: tuple[str, ...]
    batch_sizes: tuple[int | None, ...]

    def candidates(self) -> tuple[Candidate, ...]:
        """Return every candidate once: by image as declared, then by rising batch size.

        The incumbent comes first when it is not a declared point.
        """
        images = tuple(dict.fromkeys(self.images))
        batches: tuple[int | None, ...] = (None,) if None in self.batch_sizes else ()
        batches += self.batches
        declared = tuple(Candidate(image, batch) for image in images for batch in batches)
        return declared if self.incumbent in declared else (self.incumbent, *declared)

    @property
    def batches(self) -> tuple[int, ...]:
        """The batch axis: the declared sizes once each, rising, without the server's default."""
        return tuple(sorted({batch for batch in self.batch_sizes if batch is not None}))
