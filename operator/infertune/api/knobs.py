"""The knobs of an ``InferenceTuning``: what may be changed, where it stands, what is tried.

Role: the pydantic models of ``spec.knobs``, with the rules between their fields. Must not know: the
target, how a value is read or written. Trade-off: a setting is a choice between texts; what a text
means is the server's affair, and numbers between the named ones are never tried.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from infertune.api.fields import ObjectName, SpecModel
from infertune.api.quantities import resource_values_problem
from infertune.api.trial_rules import EnvName

FlagName = Annotated[str, Field(pattern=r"^--?[A-Za-z][A-Za-z0-9_.-]*$", max_length=128)]
ImageName = Annotated[
    str, Field(pattern=r"^[a-z0-9][A-Za-z0-9._:/@-]*$", min_length=1, max_length=512)
]
SettingName = Annotated[str, Field(pattern=r"^[a-z][a-zA-Z0-9-]*$", max_length=32)]
SettingValue = Annotated[str, Field(pattern=r"^[^\x00-\x1f]+$", min_length=1, max_length=256)]
Release = Annotated[
    str, Field(pattern=r"^[0-9]+\.[0-9]+(\.[0-9]+)*(\+[a-z0-9.]+)?$", max_length=32)
]
ConfigKey = Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)]


class BatchSizeKnob(SpecModel):
    """Where the server reads its batch cap, and the values worth trying."""

    env: EnvName | None = Field(None, description="Environment variable that holds the batch cap.")
    argument: FlagName | None = Field(
        None, description="Command-line flag that holds the batch cap, such as --max-num-seqs."
    )
    values: tuple[Annotated[int, Field(ge=1, le=1_048_576)], ...] = Field(
        min_length=1, max_length=16, description="Batch caps to choose from."
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.env is None) == (self.argument is None):
            message = "batchSize needs exactly one of env and argument: keep the one in use"
            raise ValueError(message)
        if len(set(self.values)) != len(self.values):
            message = f"batchSize.values {list(self.values)} holds a value twice: remove it"
            raise ValueError(message)
        return self


class ReplicaLimits(SpecModel):
    """Limits that the recommended replica bounds never leave."""

    min: int = Field(1, ge=1, le=10_000, description="Fewest replicas ever recommended.")
    max: int = Field(10, ge=1, le=10_000, description="Most replicas ever recommended.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            message = f"replicas.min {self.min} is above replicas.max {self.max}: swap them"
            raise ValueError(message)
        return self


class ConfigMapPlace(SpecModel):
    """One key of a ConfigMap that the pod template refers to."""

    name: ObjectName = Field(
        description="ConfigMap that a volume or an env entry of the container refers to. It is "
        "never changed: the template is pointed to an immutable copy with the other value."
    )
    key: ConfigKey = Field(description="Key whose whole value is the setting.")


class ResourcePlace(SpecModel):
    """One resource of the serving container."""

    name: Literal["cpu", "memory", "nvidia.com/gpu"] = Field(description="Which resource.")
    bound: Literal["Requests", "Limits", "Both"] = Field(
        "Both", description="Whether the value is the request, the limit or both of them."
    )


class SettingKnob(SpecModel):
    """Any other setting of the server, as a choice between values."""

    name: SettingName = Field(description="Name by which reports and status call the setting.")
    env: EnvName | None = Field(None, description="Environment variable that holds the setting.")
    argument: FlagName | None = Field(
        None, description="Command-line flag that holds the setting, such as --dtype."
    )
    argument_form: Literal["Value", "Bare"] = Field(
        "Value",
        description="Bare: the flag takes no value; true puts it there, false leaves it out.",
    )
    config_map: ConfigMapPlace | None = Field(
        None, description="Key of a ConfigMap that holds the setting."
    )
    resource: ResourcePlace | None = Field(
        None, description="Resource of the container, in values such as 500m or 2Gi."
    )
    values: tuple[SettingValue, ...] = Field(
        min_length=1, max_length=8, description="Values to choose from, besides today's."
    )
    affects_answers: bool | None = Field(
        None,
        description="Whether the server may answer differently with another value. Such a change "
        "is applied only after the check of spec.quality. Default: false for resource, else true.",
    )

    @property
    def changes_answers(self) -> bool:
        """Whether another value needs the quality check before it is applied."""
        return self.resource is None if self.affects_answers is None else self.affects_answers

    @property
    def place(self) -> tuple[str, ...]:
        """Return where the setting stands; no two knobs may stand in one place."""
        if self.env is not None:
            return ("env", self.env)
        if self.argument is not None:
            return ("argument", self.argument)
        if self.config_map is not None:
            return ("configMap", self.config_map.name, self.config_map.key)
        assert self.resource is not None
        return ("resource", self.resource.name)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        places = (self.env, self.argument, self.config_map, self.resource)
        if sum(place is not None for place in places) != 1:
            message = (
                f"settings {self.name!r} needs exactly one of env, argument, configMap and "
                "resource: keep the one in use"
            )
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _values_fit(self) -> Self:
        shown = list(self.values)
        if len(set(self.values)) != len(self.values):
            message = f"settings {self.name!r}: values {shown} holds a value twice: remove it"
            raise ValueError(message)
        bare = self.argument_form == "Bare"
        if bare and (self.argument is None or not {"true", "false"}.issuperset(self.values)):
            message = (
                f"settings {self.name!r}: argumentForm Bare needs an argument with the values "
                f'"true" and "false", values are {shown}'
            )
            raise ValueError(message)
        if self.resource is not None:
            problem = resource_values_problem(self.resource.name, self.resource.bound, self.values)
            if problem is not None:
                message = f"settings {self.name!r}: {problem}"
                raise ValueError(message)
        return self


class ImageVersions(SpecModel):
    """What an image is built for, where its tag does not tell."""

    image: ImageName = Field(description="One of knobs.images.")
    cuda: Release | None = Field(None, description='CUDA release, such as "12.6".')
    torch: Release | None = Field(
        None, description='Release of torch, such as "2.7.0+cu126"; it names its CUDA release.'
    )
    cuda_compat: bool = Field(
        default=False,
        description="Whether the image carries the cuda-compat package of its CUDA release, with "
        "which it runs on some older drivers of data-centre GPUs.",
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.cuda is None and self.torch is None:
            message = f"imageVersions of {self.image!r} needs cuda or torch: add one"
            raise ValueError(message)
        return self


class Knobs(SpecModel):
    """What may be changed."""

    batch_size: BatchSizeKnob | None = Field(None, description="The batch cap of the server.")
    replicas: ReplicaLimits = Field(
        default_factory=lambda: ReplicaLimits.model_validate({}),
        description="Limits of the replica bounds. Written to the HorizontalPodAutoscaler only.",
    )
    images: tuple[ImageName, ...] = Field(
        (),
        max_length=8,
        description="Images to choose from, besides the one that runs now. Applied only when "
        "spec.quality declares how wrong answers are recognised.",
    )
    image_versions: tuple[ImageVersions, ...] = Field(
        (),
        max_length=8,
        description="What images are built for. An image that cannot run on the driver of a node "
        "of the target costs no trial; what nobody knows rules nothing out.",
    )
    settings: tuple[SettingKnob, ...] = Field(
        (), max_length=8, description="Other settings to choose values for."
    )

    @model_validator(mode="after")
    def _one_knob_a_place(self) -> Self:
        names = [setting.name for setting in self.settings]
        if len(set(names)) != len(names):
            message = f"knobs.settings {names} holds a name twice: rename one"
            raise ValueError(message)
        places = [setting.place for setting in self.settings]
        if self.batch_size is not None and self.batch_size.env is not None:
            places.append(("env", self.batch_size.env))
        elif self.batch_size is not None:
            places.append(("argument", str(self.batch_size.argument)))
        shared = next((place for place in places if places.count(place) > 1), None)
        if shared is not None:
            message = f"knobs.settings: two knobs stand in {' '.join(shared)}: keep one"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _versions_of_declared_images(self) -> Self:
        named = [versions.image for versions in self.image_versions]
        if len(set(named)) != len(named):
            message = f"knobs.imageVersions {named} names an image twice: remove one"
            raise ValueError(message)
        foreign = [image for image in named if image not in self.images]
        if foreign:
            message = f"knobs.imageVersions: {foreign[0]!r} is not in knobs.images: add it there"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _something_to_turn(self) -> Self:
        if len(set(self.images)) != len(self.images):
            message = f"knobs.images {list(self.images)} holds an image twice: remove it"
            raise ValueError(message)
        if self.batch_size is None and not self.images and not self.settings:
            message = "knobs declares nothing to try: add batchSize, images or settings"
            raise ValueError(message)
        return self
