"""Makes the sample input of one inference call, at a batch size, on a device.

Emit side: standard library, Python 3.8, and the image's torch (numpy for npz). It must not call
the model. `FILE.json` is one argument or `{"args": [...], "kwargs": {...}}`; inside, `{"tensor":
[[...]], "dtype": "float32"}` becomes a tensor and `{"shape": [8, 128], "dtype": "int64", "high":
9}` a random one. `FILE.npz`: `arr_0`, `arr_1`.. by place, others by name; never unpickled.
`module:callable` returns a tuple, a dict or one argument, and gets `batch=` if it takes that.

Trade-off: a batch is made by repeating the sample along its first dimension, which keeps values
realistic and lengths equal; a maker that takes `batch` can do better.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any, NamedTuple

from infertune_probes.workload.entry import EntryUnusable, resolve


class Sample(NamedTuple):
    """The arguments of one call."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Maker(NamedTuple):
    """Where samples come from; `torch` is the module of the image."""

    torch: Any
    source: str | None
    device: str
    seed: int = 1

    def make(self, batch: int | None = None) -> Sample:
        """Return a sample; `batch` None leaves its size as it is.

        Raises:
            EntryUnusable: the input cannot be read, or has no first dimension to repeat.
        """
        self.torch.manual_seed(self.seed)
        sample, sized = self._raw(batch)
        sample = _each(sample, lambda one: one.to(self.device) if _is_tensor(one) else one)
        if batch is None or sized:
            return sample
        if not any(_is_tensor(one) and one.dim() for one in _leaves(sample)):
            msg = f"the input {self.source} has no tensor whose batch could grow"
            raise EntryUnusable(msg)
        return _each(sample, lambda one: _repeated(one, batch))

    def _raw(self, batch: int | None) -> tuple[Sample, bool]:
        source = self.source
        if source is None:
            return Sample((), {}), True
        if source.endswith(".npz"):
            return self._from_npz(Path(source)), False
        if source.endswith(".json"):
            return self._from_json(Path(source)), False
        maker = resolve(source)
        takes_batch = batch is not None and "batch" in inspect.signature(maker).parameters
        made = maker(batch=batch) if takes_batch else maker()
        return _arguments(made), takes_batch

    def _from_json(self, path: Path) -> Sample:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            msg = f"{path}: {error}"
            raise EntryUnusable(msg) from error
        if isinstance(document, dict) and document and set(document) <= {"args", "kwargs"}:
            args = tuple(self._value(one) for one in document.get("args", ()))
            named = {name: self._value(one) for name, one in document.get("kwargs", {}).items()}
            return Sample(args, named)
        return Sample((self._value(document),), {})

    def _value(self, value: Any) -> Any:  # noqa: ANN401  # parsed JSON
        if isinstance(value, list):
            return [self._value(one) for one in value]
        if not isinstance(value, dict):
            return value
        if "tensor" in value:
            return self.torch.tensor(value["tensor"], dtype=self._dtype(value))
        if "shape" in value:
            dtype = self._dtype(value) or self.torch.float32
            if dtype.is_floating_point:
                return self.torch.randn(value["shape"]).to(dtype)
            return self.torch.randint(0, int(value.get("high", 100)), value["shape"], dtype=dtype)
        return {name: self._value(one) for name, one in value.items()}

    def _dtype(self, value: dict[str, Any]) -> Any:  # noqa: ANN401  # torch.dtype
        name = value.get("dtype")
        if name is None:
            return None
        found = getattr(self.torch, str(name), None)
        if not isinstance(found, self.torch.dtype):
            msg = f"{name!r} is no torch dtype, for example float16 or int64"
            raise EntryUnusable(msg)
        return found

    def _from_npz(self, path: Path) -> Sample:
        try:
            import numpy as np  # in nearly every image that has torch
        except ImportError as error:
            msg = f"{path}: numpy is not installed, use JSON"
            raise EntryUnusable(msg) from error
        try:
            with np.load(path, allow_pickle=False) as arrays:
                tensors = {name: self.torch.from_numpy(arrays[name]) for name in arrays.files}
        except (OSError, ValueError) as error:
            msg = f"{path}: {error}"
            raise EntryUnusable(msg) from error
        places = sorted(
            (name for name in tensors if name.startswith("arr_") and name[4:].isdigit()),
            key=lambda name: int(name[4:]),
        )
        named = {name: one for name, one in tensors.items() if name not in places}
        return Sample(tuple(tensors[name] for name in places), named)


def _arguments(made: Any) -> Sample:  # noqa: ANN401  # what foreign code returned
    if isinstance(made, tuple):
        return Sample(made, {})
    if isinstance(made, dict):
        return Sample((), made)
    return Sample((made,), {})


def _is_tensor(value: Any) -> bool:  # noqa: ANN401  # any argument
    return hasattr(value, "dim") and hasattr(value, "to") and hasattr(value, "repeat")


def _leaves(sample: Sample) -> list[Any]:
    found: list[Any] = []
    _each(sample, lambda one: found.append(one) or one)  # type: ignore[func-returns-value]
    return found


def _each(sample: Sample, change: Any) -> Sample:  # noqa: ANN401  # a function of a leaf
    """Return the sample with every value inside lists, tuples and dicts changed."""

    def walk(value: Any) -> Any:  # noqa: ANN401  # any argument
        if isinstance(value, dict):
            return {name: walk(one) for name, one in value.items()}
        if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
            return type(value)(walk(one) for one in value)
        return change(value)

    return Sample(
        tuple(walk(one) for one in sample.args),
        {name: walk(one) for name, one in sample.kwargs.items()},
    )


def _repeated(value: Any, batch: int) -> Any:  # noqa: ANN401  # any argument
    """Return the tensor with a first dimension of ``batch``, repeated and cut."""
    if not _is_tensor(value) or not value.dim() or not value.shape[0]:
        return value
    times = -(-batch // value.shape[0])
    return value.repeat(times, *[1] * (value.dim() - 1))[:batch]
