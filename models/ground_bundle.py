"""From a ground decoder's weights file to its bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from farlook.export import export_graph, verify_graph
from farlook.export.bundle import write_ground_bundle
from farlook.export.spec import GraphSpec
from farlook.models.block8_paper_bundle import weights_digest
from farlook.models.ground import BLOCK, LATENTS, SIZES
from farlook.models.ground_training import load_ground
from farlook.models.neural_finish import as_halves
from farlook.runtime.block8.tune import PSNR
from farlook.runtime.bundle import GROUND_LAYOUT
from farlook.runtime.errors import TrainingError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from torch import Tensor

    from farlook.models.ground import GroundDecoder

_RECORD = ("config", "data", "figures", "torch")


def export_ground(
    out: str | os.PathLike[str],
    weights: str | os.PathLike[str],
    *,
    licence: str = "not stated",
    opset: int = 18,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Trace, lower, check and verify the network, and write the bundle.

    Args:
        out: The bundle's path.
        weights: A `model.safetensors` of `farlook train block8-ground`.
        licence: Of the weights.
        opset: 17 to 20.
        report: Told in a line what was done.

    Returns:
        The bundle's manifest.

    Raises:
        TrainingError: The weights file is missing, damaged, or another codec's.
        ExportError: The network cannot be exported.
        MismatchError: onnxruntime and torch disagree.
        OutputError: The bundle cannot be written.
    """
    network, saved = load_ground(weights)
    missing = [name for name in (*_RECORD, "block8") if name not in saved.meta]
    if missing:
        raise TrainingError(f"{weights} is damaged: it lacks {', '.join(missing)}")
    network.load_state_dict(
        as_halves(network.state_dict())
    )  # the file is half as large, and FP16 loses nothing
    spec = graph_spec(network)
    model = export_graph(spec, opset=opset)
    verified = verify_graph(spec, model, tolerance=2e-3)  # of 255 levels
    graph, halo = model.SerializeToString(), network.reach()
    report(
        f"{spec.name}: {len(graph)} bytes, {network.macs() / 1000:.1f} kMAC a pixel, differs from torch by "
        f"{verified.largest:.2g} levels at most, reaches {halo} pixels"
    )
    config = saved.meta["config"]
    measure = config.get("measure", PSNR)  # the first runs knew no other
    small = config["size"] == next(iter(SIZES))
    name = config["size"] if measure == PSNR else measure if small else f"{config['size']}-{measure}"
    coding = {
        "codec": f"{GROUND_LAYOUT}-{name}",
        "layout": GROUND_LAYOUT,
        "block8": saved.meta["block8"],
        "steps": list(config["draw"]["steps"]),
        "halo": halo,
        "weights_sha256": weights_digest(network.state_dict()),
    }
    training = {"licence": licence, **{name: saved.meta[name] for name in _RECORD}}
    return write_ground_bundle(out, coding=coding, graph=graph, training=training)


def graph_spec(network: GroundDecoder) -> GraphSpec:
    """What to export."""
    return GraphSpec(
        name="synthesis",
        module=network.eval(),
        inputs={
            "image": ("batch", "3", "8*rows", "8*cols"),
            "latents": ("batch", str(LATENTS), "rows", "cols"),
            "step": ("batch", "1", "rows", "cols"),
            "lost": ("batch", "1", "rows", "cols"),
        },
        outputs=("picture",),
        example=_example,
    )


def _example(batch: int, height: int, width: int, seed: int = 1) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    rows, columns = (-(-side // BLOCK) for side in (height, width))
    image = (torch.rand(batch, 3, BLOCK * rows, BLOCK * columns, generator=generator) * 255).round()
    latents = torch.randint(-2, 3, (batch, LATENTS, rows, columns), generator=generator) * 160.0
    step = torch.full((batch, 1, rows, columns), 40.0)
    lost = (torch.rand(batch, 1, rows, columns, generator=generator) < 0.1).float()
    return image, latents, step, lost
