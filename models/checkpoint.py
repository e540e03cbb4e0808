"""Tensors and settings in one file without pickle: loading a checkpoint runs no code.

A safetensors file; its metadata has one entry, `farlook`, a JSON object. One entry only, because
safetensors keeps several in no particular order and equal runs should write equal files.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from farlook.runtime.errors import MissingExtraError, TrainingError
from farlook.runtime.files import write_bytes

try:
    import safetensors.torch
    from safetensors import SafetensorError, safe_open
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "train", "to train") from error

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from torch import Tensor
    from torch.optim import Optimizer

_KEY = "farlook"
_ABSENT = object()


class Checkpoint(NamedTuple):
    """What a file held."""

    tensors: dict[str, Tensor]
    meta: dict[str, Any]

    def under(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names start with `prefix` and a point, without it."""
        return under(self.tensors, prefix)

    def digest(self) -> str:
        """SHA-256 of the tensors' names, shapes and values."""
        return digest(self.tensors)


def save(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write `tensors` and `meta`, which must be JSON, to `path`: whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    # Copies, because safetensors refuses tensors that share memory, as tied weights do.
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    text = json.dumps(meta, sort_keys=True, allow_nan=False)
    write_bytes(path, safetensors.torch.save(plain, metadata={_KEY: text}))


def load(path: str | os.PathLike[str], expect: Mapping[str, Any] | None = None) -> Checkpoint:
    """Read what `save` wrote.

    Args:
        path: The file.
        expect: Entries that the metadata must have, such as the codec and its settings; objects are
            compared whole, and the error says which of their entries differ.

    Raises:
        TrainingError: The file is missing, is no checkpoint, is damaged, or is not the expected one.
    """
    path = Path(path)
    try:
        with safe_open(path, framework="pt") as file:
            entries = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except FileNotFoundError as error:
        raise TrainingError(f"there is no checkpoint at {path}") from error
    except (SafetensorError, OSError) as error:
        raise TrainingError(f"{path} is not a checkpoint, or is damaged: {error}") from error
    if _KEY not in entries:
        raise TrainingError(f"{path} is a safetensors file, but not one that farlook wrote")
    try:
        meta = json.loads(entries[_KEY])
    except (ValueError, RecursionError) as error:
        raise TrainingError(f"{path} is damaged: its settings are not JSON: {error}") from error
    if not isinstance(meta, dict):
        raise TrainingError(f"{path} is damaged: its settings are not a JSON object")
    _check_expected(path, meta, expect or {})
    return Checkpoint(tensors, meta)


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, shapes and values."""
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        found.update(tensor.contiguous().numpy().tobytes())
    return found.hexdigest()


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start with `prefix` and a point, without it."""
    start = f"{prefix}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, with `prefix` and a point before their names: the inverse of `under`."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """Flatten an optimiser's state, such as Adam's moments: `<parameter's number>.<name>`.

    Hyperparameters are not in it: they follow from the settings and the step.
    """
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": value for index, slots in state.items() for name, value in slots.items()}


def restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give an optimiser, made over the same parameters, the state that `optimizer_tensors` took."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, slot = name.split(".", 1)
        state.setdefault(int(index), {})[slot] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _check_expected(path: Path, meta: Mapping[str, Any], expect: Mapping[str, Any]) -> None:
    # Through JSON, so that a tuple equals the list it was written as.
    wanted: dict[str, Any] = json.loads(json.dumps(expect))
    found = {name: meta.get(name, _ABSENT) for name in wanted}
    differences = list(_differences(found, wanted))
    if differences:
        raise TrainingError(f"{path} is of another run: {'; '.join(differences)}")


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name in sorted({*found, *wanted}):
        theirs, ours = found.get(name, _ABSENT), wanted.get(name, _ABSENT)
        if isinstance(theirs, dict) and isinstance(ours, dict):
            yield from _differences(theirs, ours, f"{prefix}{name}.")
        elif theirs != ours:
            yield f"{prefix}{name} is {_shown(theirs)} there, {_shown(ours)} here"


def _shown(value: object) -> str:
    return "absent" if value is _ABSENT else json.dumps(value)
