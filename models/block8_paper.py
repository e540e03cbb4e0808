"""The paper's block autoencoders: 64 pixels in, a few latents, 64 pixels out, no biases.

H. A. Taha, L. Elrefaei, M. Akah, H. Abdelrasoul, low-complexity image compression with 8x8 block
autoencoders for small drones and CubeSats (2025). Two of them share the work: G1 with one latent for blocks
of little detail, G2 with 4, 6 or 8 for the others.

    pixels [n, 64] --minus 128--> encoder --> latents [n, k] --> decoder --plus 128--> pixels [n, 64]

    depth 2   64 > k > 64                                           128 weights with one latent
    depth 4   64 > 8 > k > 8 > 64                                 1 040
    depth 6   64 > 16 > 8 > k > 8 > 16 > 64                       2 320
    depth 8   64 > 32 > 16 > 8 > k > 8 > 16 > 32 > 64             5 392

Without an activation the layers multiply out to two matrices, and those are determined only up to an
invertible matrix between them (Baldi and Hornik 1989; Plaut 2018, arXiv:1804.10253). `canonical` picks the
pair whose latents can be quantised by one step: orthonormal decoder columns, uncorrelated latents.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from farlook.models.data import PIXELS
from farlook.runtime.errors import MissingExtraError, UsageError

try:
    import torch
    from torch import Tensor, nn
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "train", "to train") from error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LATENTS = (1, 4, 6, 8)
HIDDEN: dict[int, tuple[int, ...]] = {2: (), 4: (8,), 6: (16, 8), 8: (32, 16, 8)}
"""Widths between the pixels and the latents, by depth; the decoder mirrors them."""

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "none": nn.Identity,
    "linear": nn.Identity,
    "elu": nn.ELU,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "swish": nn.SiLU,
}
"""The paper lists "linear" and "none" apart; they are the same network."""

CENTRE = 128.0
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Block8PaperConfig:
    """What a training run of block8-paper depends on, apart from its images.

    Args:
        latents: Of G2; G1 always has one.
        depth: Layers of each autoencoder, encoder and decoder together.
        activation: A key of `ACTIVATIONS`.
        seed: Of the sampled blocks, the initial weights and the batches.
        steps: Optimiser steps of each stage.
        batch: Blocks a step.
        lr: Adam's learning rate at the start; a cosine takes it to zero.
        g2_threshold: G2 is trained on the blocks whose mean squared error after G1 is above this.
        per_image: The most blocks drawn from one image.
        neighbours: Draw a block from the latents of the 3x3 blocks around it; else from its own, as the paper.
        pictures: Images that the synthesis and the entropy tables are fitted to, at most.

    Raises:
        UsageError: A value lies outside its range.
    """

    latents: int = 8
    depth: int = 2
    activation: str = "none"
    seed: int = 0
    steps: int = 3000
    batch: int = 4096
    lr: float = 1e-2
    g2_threshold: float = 100.0
    per_image: int = 1024
    neighbours: bool = True
    pictures: int = 240

    def __post_init__(self) -> None:
        _check_architecture(self.latents, self.depth, self.activation)
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"seed is {self.seed}; it must lie in 0 .. {2**32 - 1}")
        for name in ("steps", "batch", "per_image", "pictures"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise UsageError(f"lr is {self.lr}; it must be a positive number")
        if not (math.isfinite(self.g2_threshold) and self.g2_threshold >= 0):
            raise UsageError(f"g2_threshold is {self.g2_threshold}; it must be zero or a positive number")


def is_linear(activation: str) -> bool:
    """Whether networks with this activation are products of matrices."""
    return ACTIVATIONS[activation] is nn.Identity


class BlockAutoencoder(nn.Module):
    """Encoder and decoder of 8x8 blocks.

    The activation follows every hidden layer, the latents among them, but not the last layer, which must
    reach any pixel value. Networks with an activation see pixels scaled to -1 .. 1, where activations bend;
    linear ones keep the pixels' scale, so that the product of their layers maps pixels to latents as it
    stands. Nothing is rounded or clipped to 0 .. 255 here.

    Args:
        latents: Width of the bottleneck.
        depth: Number of layers, a key of `HIDDEN`.
        activation: A key of `ACTIVATIONS`.
        seed: Of the initial weights.
    """

    def __init__(self, latents: int, depth: int = 2, activation: str = "none", *, seed: int = 0) -> None:
        super().__init__()
        _check_architecture(latents, depth, activation)
        widths = (PIXELS, *HIDDEN[depth], latents)
        self.latents = latents
        self.linear = is_linear(activation)
        self.scale = 1.0 if self.linear else CENTRE
        self.activation = ACTIVATIONS[activation]()
        self.encoder = _layers(widths)
        self.decoder = _layers(widths[::-1])
        self._initialise(torch.Generator().manual_seed(seed))

    def encode(self, pixels: Tensor) -> Tensor:
        """Map pixels [n, 64] to latents [n, k]."""
        values = (pixels - CENTRE) / self.scale
        for layer in self.encoder:
            values = self.activation(layer(values))
        return values

    def decode(self, latents: Tensor) -> Tensor:
        """Map latents [n, k] to pixels [n, 64]."""
        values = latents
        for layer in self.decoder[:-1]:
            values = self.activation(layer(values))
        pixels: Tensor = self.decoder[-1](values) * self.scale + CENTRE
        return pixels

    def forward(self, pixels: Tensor) -> Tensor:
        """Encode and decode pixels [n, 64]."""
        return self.decode(self.encode(pixels))

    def matrices(self) -> tuple[Tensor, Tensor]:
        """Multiply the layers of a linear network out: encoder [k, 64] and decoder [64, k], in float64."""
        if not self.linear:
            raise UsageError("a network with an activation is not a pair of matrices")
        return _product(self.encoder), _product(self.decoder)

    def _initialise(self, generator: torch.Generator) -> None:
        # Orthogonal rows keep the latents apart: Xavier's weights end ten times further from PCA.
        for weight in self.parameters():
            nn.init.orthogonal_(weight, generator=generator)


def canonical(encoder: Tensor, decoder: Tensor, moment: Tensor) -> tuple[Tensor, Tensor]:
    """Rewrite a linear autoencoder so that its latents mean something, and its output stays what it was.

    The columns of the new decoder are orthonormal, so an error in a latent is the same error in the pixels;
    the latents are uncorrelated on the training blocks, largest variance first; the largest entry of each
    decoder column is positive.

    Args:
        encoder: [k, 64], as learned.
        decoder: [64, k], as learned.
        moment: [64, 64], `second_moment` of the training blocks.

    Returns:
        Encoder [k, 64] and decoder [64, k] in float32.
    """
    basis, triangle = torch.linalg.qr(decoder.double())
    projected = triangle @ encoder.double()
    _, rotation = torch.linalg.eigh(projected @ moment @ projected.T)
    rotation = rotation.flip(1)
    columns = basis @ rotation
    largest = columns.gather(0, columns.abs().argmax(dim=0, keepdim=True))
    signs = torch.where(largest < 0, -1.0, 1.0)
    return ((rotation.T @ projected) * signs.T).float(), (columns * signs).float()


def latent_gains(autoencoder: BlockAutoencoder, blocks: Tensor) -> Tensor:
    """Measure how far the output moves for a unit change of each latent: float32 [k].

    The root mean square, over `blocks`, of the length of the output's derivative: 1 for orthonormal decoder
    columns. Latents multiplied by their gains can be quantised by one step, as canonical ones can. A latent
    that the decoder ignores, such as one behind a dead ReLU, has gain 0.
    """
    squares = torch.zeros(autoencoder.latents, dtype=torch.float64)
    with torch.no_grad():
        for pixels in _chunks(blocks):
            latents = autoencoder.encode(pixels)
            for index in range(len(squares)):
                unit = torch.zeros_like(latents)
                unit[:, index] = 1.0
                change = torch.func.jvp(autoencoder.decode, (latents,), (unit,))[1]
                squares[index] += change.double().square().sum()
    return (squares / len(blocks)).sqrt().float()


def block_errors(autoencoder: BlockAutoencoder, blocks: Tensor) -> Tensor:
    """Measure the mean squared error of each of `blocks` [n, 64]: float32 [n]."""
    with torch.no_grad():
        errors = [(autoencoder(pixels) - pixels).square().mean(dim=1) for pixels in _chunks(blocks)]
    return torch.cat(errors)


def second_moment(blocks: Tensor) -> Tensor:
    """Average the outer products of the centred `blocks` [n, 64]: float64 [64, 64].

    About 128, not about the mean: that is what a network without biases sees.
    """
    total = torch.zeros(PIXELS, PIXELS, dtype=torch.float64)
    for pixels in _chunks(blocks):
        centred = pixels.double() - CENTRE
        total += centred.T @ centred
    return total / len(blocks)


def pca_error(moment: Tensor, latents: int) -> float:
    """Give the least mean squared error that any linear autoencoder with so many latents can have."""
    spectrum = torch.linalg.eigvalsh(moment)
    return float(spectrum[: PIXELS - latents].sum() / PIXELS)


def pca_pair(moment: Tensor, latents: int) -> tuple[Tensor, Tensor]:
    """Give the linear autoencoder that reaches `pca_error`, in canonical form."""
    _, axes = torch.linalg.eigh(moment)
    columns = axes[:, -latents:]
    return canonical(columns.T, columns, moment)


def pack(autoencoder: BlockAutoencoder, blocks: Tensor) -> dict[str, Tensor]:
    """Give the tensors that a codec needs.

    `encoder` [k, 64] and `decoder` [64, k] in canonical form for a linear network, whatever its depth; for
    the others the weights of every layer, `encoder.0.weight` and so on, and the latents' `gains` [k].
    """
    if autoencoder.linear:
        encoder, decoder = canonical(*autoencoder.matrices(), second_moment(blocks))
        return {"encoder": encoder, "decoder": decoder}
    weights = {name: weight.detach().clone() for name, weight in autoencoder.state_dict().items()}
    return {**weights, "gains": latent_gains(autoencoder, blocks)}


def unpack(tensors: Mapping[str, Tensor], depth: int, activation: str) -> BlockAutoencoder:
    """Rebuild the network whose tensors `pack` gave; a linear one comes back with two layers."""
    if "gains" not in tensors:
        encoder, decoder = tensors["encoder"], tensors["decoder"]
        autoencoder = BlockAutoencoder(encoder.shape[0])
        autoencoder.load_state_dict({"encoder.0.weight": encoder, "decoder.0.weight": decoder})
        return autoencoder
    autoencoder = BlockAutoencoder(tensors["gains"].shape[0], depth, activation)
    autoencoder.load_state_dict({name: tensor for name, tensor in tensors.items() if name != "gains"})
    return autoencoder


def _check_architecture(latents: int, depth: int, activation: str) -> None:
    choices: tuple[tuple[str, object, tuple[object, ...]], ...] = (
        ("latents", latents, LATENTS),
        ("depth", depth, tuple(HIDDEN)),
        ("activation", activation, tuple(ACTIVATIONS)),
    )
    for name, value, known in choices:
        if value not in known:
            raise UsageError(f"{name} is {value!r}; it must be one of {', '.join(map(str, known))}")


def _layers(widths: tuple[int, ...]) -> nn.ModuleList:
    return nn.ModuleList(nn.Linear(inputs, outputs, bias=False) for inputs, outputs in pairwise(widths))


def _product(layers: nn.ModuleList) -> Tensor:
    product, *others = (weight.detach().double() for weight in layers.parameters())
    for weight in others:
        product = weight @ product
    return product


def _chunks(blocks: Tensor) -> Iterator[Tensor]:
    return (chunk.float() for chunk in torch.split(blocks, _CHUNK))
