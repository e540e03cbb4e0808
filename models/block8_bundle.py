"""From block8's weights file to its bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from farlook.export.bundle import write_tables_bundle
from farlook.models import checkpoint
from farlook.models.block8 import CODEC
from farlook.models.block8_training import tables_of
from farlook.runtime.bundle import BLOCK8_LAYOUT
from farlook.runtime.errors import TrainingError

if TYPE_CHECKING:
    import os

SHIPPED = Path(__file__).parent / "weights" / f"{CODEC}.safetensors"

_RECORD = ("config", "data", "figures", "torch")
_SHIPPED_LICENCE = "Apache-2.0"


def export_block8(
    out: str | os.PathLike[str], weights: str | os.PathLike[str] | None = None
) -> dict[str, Any]:
    """Write the bundle of trained tables; equal weights make equal bytes.

    Args:
        out: The bundle's path.
        weights: A `model.safetensors` of `farlook train block8`; None for the one that ships.

    Returns:
        The bundle's manifest.

    Raises:
        TrainingError: The weights file is missing, damaged, or another codec's.
        OutputError: The bundle cannot be written.
    """
    saved = checkpoint.load(weights or SHIPPED)
    if saved.meta.get("codec") != CODEC:
        raise TrainingError(f"{weights} holds weights of {saved.meta.get('codec')}, not of {CODEC}")
    missing = [name for name in _RECORD if name not in saved.meta]
    if missing:
        raise TrainingError(f"{weights or SHIPPED} is damaged: it lacks {', '.join(missing)}")
    return write_tables_bundle(
        out,
        coding={"codec": CODEC, "layout": BLOCK8_LAYOUT},
        tables=tables_of(saved.tensors).pack(),
        training={
            "licence": _SHIPPED_LICENCE if weights is None else "not stated",
            **{name: saved.meta[name] for name in _RECORD},
        },
    )
