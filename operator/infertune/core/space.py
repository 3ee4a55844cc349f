"""Candidates and the space they come from.

Role: a point of the search, its canonical id and order. Must not know: trial results.
Trade-off: replicas are not an axis; the knee of one replica gives them (see ``capacity``).
"""

from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True, order=True)
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
        """Return every candidate once: by image as declared, then by rising batch size."""
        return tuple(Candidate(image, batch) for image in self.images for batch in self.batch_sizes)
