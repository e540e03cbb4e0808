"""Training data of the ground's decoder: crops, coded by block8 at random steps, with random losses.

crops --C core: encode, decode--> coefficients --lose units, conceal--> latents, linear picture
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from farlook.kernels.block8 import Coefficients, Geometry
from farlook.runtime.block8.conceal import conceal
from farlook.runtime.block8.decode import synthesise
from farlook.runtime.block8.job import Job
from farlook.runtime.block8.latents import blocks_of_units, luma_latents, unit_steps
from farlook.runtime.block8.stream import read_header, read_packet
from farlook.runtime.block8.threads import in_order
from farlook.runtime.block8.tune import MS_SSIM, PSNR, tuned
from farlook.runtime.errors import MissingExtraError

try:
    import torch
    from torch import Tensor
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "train", "to train") from error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from farlook.kernels.block8 import Core

MTU = 1024
WIDE = 24
"""Units a row of the picture that a crop stands for, when its losses are drawn."""


@dataclass(frozen=True)
class Coded:
    """A batch of crops, as the network is given them, and what it should give.

    Attributes:
        image: The linear decoder's RGB, float32 [n, 3, side, side], 0 to 255.
        latents: float32 [n, 64, side / 8, side / 8].
        step: float32 [n, 1, side / 8, side / 8].
        lost: The same shape, 1 where a block is concealed.
        target: The original, float32 [n, 3, side, side].
    """

    image: Tensor
    latents: Tensor
    step: Tensor
    lost: Tensor
    target: Tensor

    def to(self, device: torch.device) -> Coded:
        """The batch on a device."""
        tensors = (self.image, self.latents, self.step, self.lost, self.target)
        return Coded(*(tensor.to(device, non_blocking=True) for tensor in tensors))


@dataclass(frozen=True)
class Loss:
    """How units are lost.

    Attributes:
        share: Of packets.
        units: Of a packet.
        interleaved: Units that touch are in different packets.
    """

    share: float
    units: int
    interleaved: bool


@dataclass(frozen=True)
class Decoded:
    """What the linear decoder makes of a crop's stream.

    Attributes:
        image: uint8, the crop's shape.
        latents: Luma's, int16 [64, block rows, block columns].
        step: float32 [block rows, block columns].
        lost: bool of the same shape.
    """

    image: NDArray[np.uint8]
    latents: NDArray[np.int16]
    step: NDArray[np.float32]
    lost: NDArray[np.bool_]


def code_crop(
    core: Core,
    crop: NDArray[np.uint8],
    step: int,
    loss: Loss | None,
    rng: np.random.Generator,
    tune: str = PSNR,
) -> Decoded:
    """Code a crop and decode what is not lost.

    Args:
        core: block8's.
        crop: uint8 [height, width] or [height, width, 3].
        step: Index of the coarsest step.
        loss: What is lost; None for nothing.
        rng: Draws what is lost.
        tune: What the encoder is to be good by, see `farlook.runtime.block8.tune`.
    """
    height, width = crop.shape[:2]
    geometry = Geometry(width, height, 1 if crop.ndim == 2 else 3, 8)
    job = tuned(Job(core, crop, geometry, MTU, bytes(2), None, 1), tune)
    settings = job.settings(step)
    header = read_header(settings.header)
    packets = [
        read_packet(packet.data, settings.header) for packet in job.encode_rows(0, geometry.units_y, settings)
    ]
    coefficients = Coefficients(geometry)
    core.decode(geometry, packets, coefficients, has_finer=header.has_finer)
    if loss is not None:
        coefficients.known[lost_units(geometry, loss, rng)] = 0
    lost = blocks_of_units(coefficients.known == 0, coefficients)
    conceal(coefficients)
    steps = blocks_of_units(
        unit_steps(coefficients, header, packets), coefficients
    )  # of lost units the header's
    image = synthesise(core, header, coefficients, 1)
    return Decoded(image, luma_latents(coefficients), steps.astype(np.float32), np.asarray(lost, np.bool_))


def lost_units(geometry: Geometry, loss: Loss, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw which units are lost, as if the crop lay somewhere in a larger picture: bool [units]."""
    y, x = np.mgrid[0 : geometry.units_y, 0 : geometry.units_x]
    y, x = y + rng.integers(2), x + rng.integers(WIDE - geometry.units_x + 1)
    order = y * WIDE + x
    if loss.interleaved:
        rows = geometry.units_y + 2
        order = order // 2 + ((x + y) % 2) * (rows * WIDE // 2)
    packets = (order + rng.integers(loss.units)) // loss.units
    gone = rng.random(int(packets.max()) + 1) < loss.share
    return np.asarray(gone[packets].reshape(-1))


def code_batch(core: Core, crops: Tensor, config: DrawConfig, generator: torch.Generator) -> Coded:
    """Code a batch of crops.

    Args:
        core: block8's.
        crops: RGB, float32 [n, 3, side, side] of 0 to 1.
        config: What is drawn.
        generator: Draws it.
    """
    seeds = torch.randint(1 << 62, (len(crops),), generator=generator).tolist()
    pixels = (crops * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()

    def work(index: int) -> tuple[Tensor, ...]:
        return _coded(core, pixels[index], config, np.random.default_rng(seeds[index]))

    parts = in_order(work, range(len(crops)), torch.get_num_threads())
    return Coded(*(torch.stack(column) for column in zip(*parts, strict=True)))


@dataclass(frozen=True)
class DrawConfig:
    """What a crop's coding is drawn from.

    Attributes:
        steps: Indices of the finest and the coarsest step; all alike likely.
        grey: Share of crops that are coded grey.
        lossy: Share of crops that lose units.
        most: Greatest share of packets that is lost.
        tuned: Share of crops that are coded for MS-SSIM.
    """

    steps: tuple[int, int] = (330, 645)
    grey: float = 0.5
    lossy: float = 0.2
    most: float = 0.35
    tuned: float = 0.0


def _coded(
    core: Core, pixels: NDArray[np.uint8], config: DrawConfig, rng: np.random.Generator
) -> tuple[Tensor, ...]:
    step = int(rng.integers(config.steps[0], config.steps[1] + 1))
    loss = None
    if rng.random() < config.lossy:
        # A packet of 1024 bytes holds 12 to 100 units at 0.5 to 0.06 bits a pixel.
        units = int(12 * 8 ** rng.random())
        loss = Loss(config.most * rng.random(), units, bool(rng.random() < 0.75))
    grey = bool(rng.random() < config.grey)
    crop = grey_of(pixels) if grey else np.ascontiguousarray(pixels)
    tune = MS_SSIM if rng.random() < config.tuned else PSNR
    return tensors_of(code_crop(core, crop, step, loss, rng, tune), crop)


def tensors_of(decoded: Decoded, target: NDArray[np.uint8]) -> tuple[Tensor, ...]:
    """One sample's tensors, in the order of `Coded`."""
    return (
        _planes(decoded.image),
        torch.from_numpy(decoded.latents.astype(np.float32)),
        torch.from_numpy(decoded.step)[None],
        torch.from_numpy(decoded.lost.astype(np.float32))[None],
        _planes(target),
    )


def grey_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luma as pillow's mode "L" rounds it: uint8 [height, width]."""
    weighed = pixels.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
    return ((weighed + 0x8000) >> 16).astype(np.uint8)


def _planes(image: NDArray[np.uint8]) -> Tensor:
    rgb = np.repeat(image[None], 3, axis=0) if image.ndim == 2 else image.transpose(2, 0, 1)
    return torch.from_numpy(rgb.astype(np.float32))
