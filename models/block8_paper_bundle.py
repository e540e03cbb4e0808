"""From block8-paper's weights file to its bundle."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farlook.export import export_graph, verify_graph
from farlook.export.bundle import write_bundle
from farlook.models import checkpoint
from farlook.models.block8_paper_finish import QUANTISER, TILE_LOG2
from farlook.models.block8_paper_transforms import graph_specs
from farlook.runtime.errors import ExportError, TrainingError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from torch import Tensor

CODEC = "block8-paper"
SHIPPED = Path(__file__).parent / "weights" / f"{CODEC}.safetensors"

_TENSORS = ("g1.encoder", "g1.decoder", "g2.encoder", "g2.decoder", "synthesis.weight")
_RECORD = ("config", "data", "figures", "torch")
_SHIPPED_LICENCE = "Apache-2.0"


def export_block8_paper(
    out: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    *,
    opset: int = 18,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Trace, lower, check and verify both networks, and write the bundle.

    Args:
        out: The bundle's path.
        weights: A `model.safetensors` of `farlook train block8-paper`; None for the one that ships.
        opset: 17 to 20.
        report: Told in a line what was done.

    Returns:
        The bundle's manifest.

    Raises:
        TrainingError: The weights file is missing, damaged, or another codec's.
        ExportError: The networks have an activation, or cannot be exported.
        MismatchError: onnxruntime and torch disagree.
        OutputError: The bundle cannot be written.
    """
    saved = checkpoint.load(weights or SHIPPED)
    if saved.meta.get("codec") != CODEC:
        raise TrainingError(f"{weights} holds weights of {saved.meta.get('codec')}, not of {CODEC}")
    if "entropy" not in saved.meta:
        raise ExportError(
            f"{weights} was trained with an activation, to be studied: only linear networks make a codec"
        )
    _check_whole(weights or SHIPPED, saved)
    graphs = {}
    for spec in graph_specs(saved.tensors):
        model = export_graph(spec, opset=opset)
        verified = verify_graph(spec, model)
        graphs[spec.name] = model.SerializeToString()
        report(
            f"{spec.name}: {len(graphs[spec.name])} bytes, differs from torch by {verified.largest:.2g} at most"
        )
    return write_bundle(
        out,
        coding={
            "codec": CODEC,
            "layout": CODEC,
            "tile_log2": TILE_LOG2,
            "quantiser": QUANTISER,
            "weights_sha256": weights_digest(saved.tensors),
        },
        entropy=saved.meta["entropy"],
        graphs=graphs,
        training={
            "licence": _SHIPPED_LICENCE if weights is None else "not stated",
            **{name: saved.meta[name] for name in _RECORD},
        },
    )


def _check_whole(path: str | os.PathLike[str], saved: checkpoint.Checkpoint) -> None:
    missing = [name for name in _TENSORS if name not in saved.tensors]
    missing += [name for name in _RECORD if name not in saved.meta]
    if missing:
        raise TrainingError(f"{path} is damaged: it lacks {', '.join(missing)}")


def weights_digest(tensors: dict[str, Tensor]) -> str:
    """SHA-256 of names, shapes and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()
