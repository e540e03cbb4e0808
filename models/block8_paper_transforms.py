"""block8-paper's analysis and synthesis transforms, as the two networks that are exported.

Taha, Elrefaei, Akah, Abdelrasoul 2025. G1 and G2 are linear autoencoders of 64 pixels, applied to every 8x8
block, here as 1x1 convolutions over blocks laid out as channels:

    image [n,1,8r,8c] --8x8 to channels--> x [n,64,r,c]
    x --G1 encoder--> g1 [n,1,r,c] --G1 decoder--> mean (x - .)^2 --> error [n,1,r,c]
    x --G2 encoder--> g2 [n,k,r,c]

    latents [n,k,r,c], detailed [n,1,r,c] --3x3 blocks--> G1's or G2's picture [n,64,r,c]
    --channels to 8x8--> image [n,1,8r,8c]

The synthesis is linear too, but draws a block from the latents of the 3x3 blocks around it: the encoder
stays the paper's, and the latents that it leaves out are partly recovered from the neighbours.
`block_local` gives the paper's own decoder in the same form.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from farlook.export import GraphSpec

BLOCK = 8
PIXELS = BLOCK * BLOCK
CENTRE = 128.0


class Analysis(nn.Module):
    """Both encoders, and how well G1 does.

    Args:
        weights: `g1.encoder` [1, 64], `g1.decoder` [64, 1], `g2.encoder` [k, 64], float32.
    """

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        for name in ("g1.encoder", "g1.decoder", "g2.encoder"):
            self.register_buffer(name.replace(".", "_"), weights[name].float()[..., None, None])

    g1_encoder: Tensor
    g1_decoder: Tensor
    g2_encoder: Tensor

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Latents of a picture.

        Args:
            image: Grey levels 0 to 255, float32 [n, 1, 8 rows, 8 columns].

        Returns:
            G1's latent [n, 1, rows, columns], G2's latents [n, k, rows, columns], and the mean squared
            error of G1's reconstruction [n, 1, rows, columns].
        """
        blocks = functional.pixel_unshuffle(image - CENTRE, BLOCK)
        g1 = functional.conv2d(blocks, self.g1_encoder)
        g2 = functional.conv2d(blocks, self.g2_encoder)
        error = (functional.conv2d(g1, self.g1_decoder) - blocks).square().mean(dim=1, keepdim=True)
        return g1, g2, error


class Synthesis(nn.Module):
    """The decoder of both networks.

    Args:
        weight: Convolution from k + 1 features to G1's 64 and G2's 64 pixels, float32 [128, k + 1, 3, 3].
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight.float())

    weight: Tensor

    def forward(self, latents: Tensor, detailed: Tensor) -> Tensor:
        """Picture of dequantised latents.

        Args:
            latents: float32 [n, k, rows, columns]; G1's latent and zeros where `detailed` is 0.
            detailed: 1 for G2's blocks, 0 for G1's, float32 [n, 1, rows, columns].

        Returns:
            Grey levels, not clipped, float32 [n, 1, 8 rows, 8 columns].
        """
        padded = functional.pad(features(latents, detailed), (1, 1, 1, 1), mode="replicate")
        both = functional.conv2d(padded, self.weight)
        blocks = torch.where(detailed > 0.5, both[:, PIXELS:], both[:, :PIXELS])
        return functional.pixel_shuffle(blocks, BLOCK) + CENTRE


def features(latents: Tensor, detailed: Tensor) -> Tensor:
    """What the synthesis is linear in: the latents, and the first one again where it is G2's: [n, k + 1, r, c]."""
    return torch.cat([latents, latents[:, :1] * detailed], dim=1)


def block_local(weights: dict[str, Tensor]) -> Tensor:
    """The paper's decoders, each block from its own latents, as `Synthesis` weights [128, k + 1, 3, 3]."""
    latents = weights["g2.decoder"].shape[1]
    weight = torch.zeros(2 * PIXELS, latents + 1, 3, 3)
    weight[:PIXELS, :1, 1, 1] = weights["g1.decoder"]
    weight[PIXELS:, :latents, 1, 1] = weights["g2.decoder"]
    return weight


def graph_specs(weights: dict[str, Tensor]) -> list[GraphSpec]:
    """The two graphs of a bundle.

    Args:
        weights: As in a weights file: the encoders and decoders, and `synthesis.weight`.
    """
    latents = weights["g2.encoder"].shape[0]

    def picture(batch: int, height: int, width: int) -> tuple[Tensor]:
        generator = torch.Generator().manual_seed(height * width)
        image = 255 * torch.rand(batch, 1, height, width, generator=generator)
        return (functional.pad(image, (0, -width % BLOCK, 0, -height % BLOCK), mode="replicate"),)

    def coded(batch: int, height: int, width: int) -> tuple[Tensor, Tensor]:
        rows, columns = -(-height // BLOCK), -(-width // BLOCK)
        generator = torch.Generator().manual_seed(height * width)
        detailed = (torch.rand(batch, 1, rows, columns, generator=generator) > 0.5).float()
        values = 200 * torch.randn(batch, latents, rows, columns, generator=generator)
        return torch.cat([values[:, :1], values[:, 1:] * detailed], dim=1), detailed

    return [
        GraphSpec(
            name="analysis",
            module=Analysis(weights).eval(),
            inputs={"image": ("batch", "1", "8*rows", "8*columns")},
            outputs=("g1", "g2", "error"),
            example=picture,
        ),
        GraphSpec(
            name="synthesis",
            module=Synthesis(weights["synthesis.weight"]).eval(),
            inputs={
                "latents": ("batch", str(latents), "rows", "columns"),
                "detailed": ("batch", "1", "rows", "columns"),
            },
            outputs=("image",),
            example=coded,
        ),
    ]
