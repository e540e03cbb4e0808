"""What a network weighs: parameters, and multiply-adds a pixel of its two halves."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.flop_counter import FlopCounterMode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farlook.models.neural import NeuralCodec

_SIDE = 128


@dataclass(frozen=True)
class Complexity:
    """Counts for a manifest, and for `farlook info`.

    Args:
        parameters: Trained numbers of encoder and decoder.
        encoder_kmac: Thousands of multiply-adds a pixel of the analysis, whatever the picture.
        decoder_kmac: The same of the synthesis.
    """

    parameters: int
    encoder_kmac: float
    decoder_kmac: float

    def record(self) -> dict[str, float]:
        """As JSON."""
        return asdict(self)


def complexity(network: NeuralCodec) -> Complexity:
    """Count, by running the network on 128 x 128 pixels: convolutions, dense layers and DCTs."""
    image, level = torch.zeros(1, 3, _SIDE, _SIDE), torch.full((1, 1, 1, 1), 0.5)
    with torch.no_grad():
        gains = network.forward_gains(level)
        with _counter() as analysis:
            latents = network.analyse(image, level, gains)
        with _counter() as synthesis:
            network.synthesise(latents, level)
    pixels = 2000 * _SIDE * _SIDE
    return Complexity(
        sum(parameter.numel() for parameter in network.parameters()),
        round(analysis.get_total_flops() / pixels, 2),
        round(synthesis.get_total_flops() / pixels, 2),
    )


def _counter() -> FlopCounterMode:
    operators = (torch.ops.farlook.dct2, torch.ops.farlook.idct2)
    return FlopCounterMode(display=False, custom_mapping=dict.fromkeys(operators, _dct_flops))


def _dct_flops(shape: Sequence[int], block: int, *_: Any, **__: Any) -> int:
    """Twice the multiply-adds of two matrix products with every block."""
    return 4 * block * torch.Size(shape).numel()
