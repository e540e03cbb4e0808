"""From a neural codec's weights file to its bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from farlook.export import export_graph, verify_graph
from farlook.export.bundle import write_bundle
from farlook.export.reach import measure_reach
from farlook.export.spec import GraphSpec
from farlook.models import checkpoint
from farlook.models.block8_paper_bundle import weights_digest
from farlook.models.neural import STRIDE
from farlook.models.neural_training import load_codec
from farlook.runtime.errors import TrainingError
from farlook.runtime.neural.description import LAYOUT, TILE_LOG2
from farlook.runtime.rate import HIGHEST

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from farlook.models.neural import NeuralCodec

_RECORD = ("config", "data", "figures", "torch")
LEVELS = HIGHEST
"""Rates of a bundle: one for each quality. Gains and biases lie at anchors, so tables counted at fewer levels serve."""

_REACH_BLOCKS = 21
"""Strides along the side of the picture on which a network's reach is measured."""


class Analysis(nn.Module):
    """The analysis graph: image, level and forward gains to all latents, in their order."""

    def __init__(self, network: NeuralCodec) -> None:
        super().__init__()
        self.network = network

    def forward(  # torch.export gives lists of arguments no axes of their own
        self,
        image: Tensor,
        level: Tensor,
        a: Tensor,
        b: Tensor | None = None,
        c: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """See `NeuralCodec.analyse`."""
        gains = [gain for gain in (a, b, c) if gain is not None]
        found = self.network.analyse(image, level, dict(zip(self.network.gains, gains, strict=True)))
        return tuple(found[latent.name] for latent in self.network.latents)


class Synthesis(nn.Module):
    """The synthesis graph: level and dequantised latents to the picture."""

    def __init__(self, network: NeuralCodec) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        level: Tensor,
        a: Tensor,
        b: Tensor | None = None,
        c: Tensor | None = None,
        d: Tensor | None = None,
    ) -> Tensor:
        """See `NeuralCodec.synthesise`."""
        latents = [latent for latent in (a, b, c, d) if latent is not None]
        names = (latent.name for latent in self.network.latents)
        return self.network.synthesise(dict(zip(names, latents, strict=True)), level)


def export_neural(
    out: str | os.PathLike[str],
    weights: str | os.PathLike[str],
    codec: str | None = None,
    *,
    licence: str = "not stated",
    opset: int = 18,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Trace, lower, check and verify both networks, and write the bundle.

    Args:
        out: The bundle's path.
        weights: A `model.safetensors` of `farlook train`.
        codec: Which codec it must be of; None for any.
        licence: Of the weights.
        opset: 17 to 20.
        report: Told in a line what was done.

    Returns:
        The bundle's manifest.

    Raises:
        TrainingError: The weights file is missing, damaged, or another codec's.
        ExportError: The networks cannot be exported.
        MismatchError: onnxruntime and torch disagree.
        OutputError: The bundle cannot be written.
    """
    saved = checkpoint.load(weights)
    network = load_codec(weights, codec)
    missing = [name for name in (*_RECORD, "entropy") if name not in saved.meta]
    if missing:
        raise TrainingError(f"{weights} is damaged: it lacks {', '.join(missing)}")
    return write_neural_bundle(
        out,
        network,
        saved.meta["entropy"],
        training={"licence": licence, **{name: saved.meta[name] for name in _RECORD}},
        opset=opset,
        report=report,
    )


def write_neural_bundle(
    out: str | os.PathLike[str],
    network: NeuralCodec,
    entropy: dict[str, Any],
    *,
    training: dict[str, Any],
    opset: int = 18,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Export a network with its tables; see `export_neural`."""
    coding = {**network.coding(), "levels": LEVELS}
    graphs: dict[str, bytes] = {}
    for spec in graph_specs(network):
        model = export_graph(spec, opset=opset)
        verified = verify_graph(spec, model)
        graphs[spec.name] = model.SerializeToString()
        coding[spec.name] = {"inputs": list(spec.inputs), "halo": _reach(spec)}
        report(
            f"{spec.name}: {len(graphs[spec.name])} bytes, differs from torch by {verified.largest:.2g} at most, "
            f"reaches {coding[spec.name]['halo']} pixels"
        )
    return write_bundle(
        out,
        coding={
            "codec": network.name,
            "layout": LAYOUT,
            "tile_log2": TILE_LOG2,
            "weights_sha256": weights_digest(network.state_dict()),
            **coding,
        },
        entropy=entropy,
        graphs=graphs,
        training=training,
    )


def graph_specs(network: NeuralCodec) -> tuple[GraphSpec, GraphSpec]:
    """What to export of a codec: its analysis and its synthesis."""
    gains = {
        f"gain_{each.name}": _ones(each.channels) for each in network.latents if each.name in network.gains
    }
    latents = {each.name: _axes(each.channels, each.stride) for each in network.latents}
    analysis = GraphSpec(
        name="analysis",
        module=Analysis(network).eval(),
        inputs={"image": _axes(3, 1), "level": _ones(1), **gains},
        outputs=tuple(latents),
        example=lambda *size: _analysis_inputs(network, *size),
    )
    synthesis = GraphSpec(
        name="synthesis",
        module=Synthesis(network).eval(),
        inputs={"level": _ones(1), **latents},
        outputs=("image",),
        example=lambda *size: _synthesis_inputs(network, *size),
    )
    return analysis, synthesis


def _axes(channels: int, stride: int) -> tuple[str, str, str, str]:
    factor = STRIDE // stride
    rows, columns = ("rows", "cols") if factor == 1 else (f"{factor}*rows", f"{factor}*cols")
    return ("batch", str(channels), rows, columns)


def _ones(channels: int) -> tuple[str, str, str, str]:
    return ("1", str(channels), "1", "1")


def _analysis_inputs(
    network: NeuralCodec, batch: int, height: int, width: int, seed: int = 1
) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    height, width = (-(-side // STRIDE) * STRIDE for side in (height, width))
    image = torch.rand(batch, 3, height, width, generator=generator)
    level = torch.full((1, 1, 1, 1), 0.5)
    return (image, level, *(gain(level.flatten())[0].detach() for gain in network.gains.values()))


def _synthesis_inputs(
    network: NeuralCodec, batch: int, height: int, width: int, seed: int = 1
) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    height, width = (-(-side // STRIDE) * STRIDE for side in (height, width))
    latents = [
        torch.randint(
            0 if each.values else -2,
            each.values or 3,
            (batch, each.channels, height // each.stride, width // each.stride),
            generator=generator,
        ).float()
        for each in network.latents
    ]
    return (torch.full((1, 1, 1, 1), 0.5), *latents)


def _reach(spec: GraphSpec) -> int:
    side = _REACH_BLOCKS * STRIDE
    first = spec.example(1, side, side)
    second = tuple(tensor.flip(-1).roll(1, -2) + 0.5 for tensor in first)
    return measure_reach(spec.module, first, second, STRIDE)
