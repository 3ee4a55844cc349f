"""Candidates and the space they come from.

Role: a point of the search, its canonical id and order. Must not know: trial results.
Trade-off: replicas are not an axis; the knee of one replica gives them (see ``capacity``). A batch
size of None, the server's own default, has no place on the batch axis: it is tried, never
interpolated. Image and settings together are a variant: categories without an order between them.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256

from infertune.api.status import Configuration

Settings = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Variant:
    """What has no order: the image, and the value of each setting; an absent one is not set."""

    image: str
    settings: Settings = ()

    def with_setting(self, name: str, value: str | None) -> "Variant":
        """Return the same variant with another value of one setting; None leaves it out."""
        others = {key: text for key, text in self.settings if key != name}
        return Variant(self.image, settings_of(others | ({} if value is None else {name: value})))


@dataclass(frozen=True, slots=True)
class Candidate:
    """One server configuration. ``batch_size`` None is the server's own default."""

    image: str
    batch_size: int | None
    settings: Settings = ()

    @property
    def variant(self) -> Variant:
        """Return all of the candidate but its batch cap."""
        return Variant(self.image, self.settings)

    @property
    def id(self) -> str:
        """Ten hexadecimal digits that name this candidate everywhere."""
        text = f"{self.image}\n{self.batch_size}"
        text += "".join(f"\n{name}={value}" for name, value in self.settings)
        return sha256(text.encode()).hexdigest()[:10]


def settings_of(values: Mapping[str, str] | None) -> Settings:
    """Return settings in their canonical order."""
    return tuple(sorted((values or {}).items()))


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """All candidates. ``incumbent`` (today's configuration) is always one of them.

    ``settings`` holds the values of each setting by its name; None where it is not set today.
    """

    incumbent: Candidate
    images: tuple[str, ...]
    batch_sizes: tuple[int | None, ...]
    settings: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)

    def candidates(self) -> tuple[Candidate, ...]:
        """Return every candidate once: by image as declared, settings, then rising batch size.

        The incumbent comes first when it is not a declared point. With many settings these are
        very many: the search itself looks at neighbours only.
        """
        batches: tuple[int | None, ...] = (None,) if None in self.batch_sizes else ()
        batches += self.batches
        declared = tuple(
            candidate_at(variant, batch) for variant in self._variants() for batch in batches
        )
        return declared if self.incumbent in declared else (self.incumbent, *declared)

    def neighbours(self, variant: Variant) -> tuple[Variant, ...]:
        """Return the variants that differ in one thing at most: other images, then one setting."""
        images = (replace(variant, image=image) for image in self.images)
        turned = (
            variant.with_setting(name, value)
            for name, values in self.settings.items()
            for value in values
        )
        return tuple(dict.fromkeys((*images, *turned)))

    @property
    def batches(self) -> tuple[int, ...]:
        """The batch axis: the declared sizes once each, rising, without the server's default."""
        return tuple(sorted({batch for batch in self.batch_sizes if batch is not None}))

    def _variants(self) -> Iterator[Variant]:
        names = tuple(self.settings)
        for image in dict.fromkeys(self.images):
            for values in itertools.product(*self.settings.values()):
                chosen = {n: v for n, v in zip(names, values, strict=True) if v is not None}
                yield Variant(image, settings_of(chosen))


def candidate_at(variant: Variant, batch_size: int | None) -> Candidate:
    """Return the candidate of this variant with this batch cap."""
    return Candidate(variant.image, batch_size, variant.settings)


def candidate_of(configuration: Configuration) -> Candidate:
    """Return the candidate that a recorded configuration stands for."""
    settings = settings_of(configuration.settings)
    return Candidate(configuration.image, configuration.batch_size, settings)


def configuration_of(candidate: Candidate) -> Configuration:
    """Return the recorded form of a candidate."""
    return Configuration(
        batch_size=candidate.batch_size,
        image=candidate.image,
        settings=dict(candidate.settings) or None,
    )
