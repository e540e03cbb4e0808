"""Trains the ground's decoder of block8.

    pictures --crops, block8--> linear picture, latents --network--> picture --loss--> model.safetensors

Every twentieth picture is kept out of the training and measured at the end. The loss of a crop is its squared
error as a share of the linear decoder's: so all qualities count alike, as a gain in dB does. For MS-SSIM, what lacks
luma's to 1 is three quarters of the loss, as such a share too.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from farlook.kernels.block8 import Core
from farlook.kernels.block8_tables import Tables
from farlook.models.crops import load_pool
from farlook.models.data import describe_images
from farlook.models.progress import progress_bars
from farlook.runtime.block8.tune import MS_SSIM, PSNR, TUNES
from farlook.runtime.bundle import find_bundle
from farlook.runtime.errors import MissingExtraError, TrainingError, UsageError

try:
    import torch

    from farlook.models import checkpoint
    from farlook.models.ground import SIZES, GroundConfig, GroundDecoder
    from farlook.models.ground_data import Coded, DrawConfig, code_batch
    from farlook.models.loop import Measured, Stage, Trainer, TrainingState, open_run, stage_seed
    from farlook.models.neural_config import Machine
    from farlook.models.schedule import Descent
    from farlook.models.similarity import ms_ssim
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "train", "to train") from error

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from torch import Tensor

    from farlook.models.crops import CropPool
    from farlook.models.progress import Report

MODEL = "model.safetensors"
CODEC = "block8-ground"

_FLOOR = 0.02
_SIMILARITY, _LEAST_UNLIKE = 0.75, 1e-3

TUNED = {PSNR: 0.0, MS_SSIM: 0.75}
"""Share of crops that the encoder tunes for MS-SSIM, by what a network is trained for."""

_HELD_OUT = 20
_CHECKED = 128
"""Crops of pictures that were held out, over which the gain is measured at the end."""

_DESCENT = Descent(clip=1.0, average=0.999, warmup=200)


@dataclass(frozen=True)
class GroundTraining:
    """What a run depends on, apart from its pictures.

    Args:
        size: A key of `farlook.models.ground.SIZES`.
        steps: Optimiser steps.
        batch: Crops a step.
        crop: Side of a crop, a multiple of 32.
        lr: Learning rate at the start.
        seed: Of weights, crops, steps and losses.
        measure: What to be good by, "psnr" or "ms-ssim".
        draw: What a crop's coding is drawn from.

    Raises:
        UsageError: A value lies outside its range.
    """

    size: str = "fast"
    steps: int = 20_000
    batch: int = 8
    crop: int = 128
    lr: float = 2e-3
    seed: int = 0
    measure: str = PSNR
    draw: DrawConfig = field(default_factory=DrawConfig)

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise UsageError(f"size is {self.size!r}; it must be one of {', '.join(SIZES)}")
        if self.measure not in TUNES:
            raise UsageError(f"measure is {self.measure!r}; it must be one of {', '.join(TUNES)}")
        if self.steps < 1 or self.batch < 1 or not 0 <= self.seed < 2**32:
            raise UsageError("steps and batch must be at least 1, and the seed from 0 to 2^32 - 1")
        if self.crop < 32 or self.crop % 32 or self.crop > 768:
            raise UsageError(f"crop is {self.crop}; it must be a multiple of 32, up to 768")
        if not 0 < self.lr < 1:
            raise UsageError(f"lr is {self.lr}; it must lie between 0 and 1")


def train_ground(
    config: GroundTraining,
    data_dir: str | os.PathLike[str],
    out_dir: str | os.PathLike[str],
    *,
    bundle: str | os.PathLike[str] = "block8",
    resume: bool = False,
    start: str | os.PathLike[str] | None = None,
    machine: Machine | None = None,
    progress: bool = True,
    checkpoint_every: int = 500,
) -> Path:
    """Train a ground decoder.

    `out_dir` receives `model.safetensors`, `log.csv`, `log.json`, `log.png` and the checkpoint that an
    interrupted run resumes from.

    Args:
        config: The settings.
        data_dir: Images, searched recursively.
        out_dir: Made if it is missing.
        bundle: block8's, whose streams are to be decoded: a name or a path.
        resume: Go on from the checkpoint in `out_dir`.
        start: Begin with the weights of this `model.safetensors`, of the same size or a smaller one.
        machine: Where to compute, and how.
        progress: Show bars in the terminal.
        checkpoint_every: Steps between checkpoints.

    Returns:
        The path of `model.safetensors`.

    Raises:
        TrainingError: The images, the checkpoint or the weights cannot be used, or `out_dir` holds another run.
        BundleError: The bundle cannot be used.
        UsageError: The device cannot be used.
        OutputError: `out_dir` cannot be written.
        KeyboardInterrupt: Ctrl-C, after a checkpoint.
    """
    machine = machine or Machine()
    device = machine.resolve()
    opened = find_bundle(str(bundle))
    core = Core(Tables.unpack(opened.tables()))
    with progress_bars(progress) as report:
        open_run(out_dir, resume=resume)
        pool = load_pool(
            data_dir, config.crop, partial(report, "images"), keep=lambda path: not held_out(path)
        )
        identity = {
            "codec": CODEC,
            "config": {**asdict(config), "network": asdict(SIZES[config.size])},
            "block8": opened.digest.hex(),
            "data": {**describe_images(data_dir), "used": len(pool)},
            "start": None if start is None else checkpoint.load(start).digest(),
        }
        trainer = Trainer(
            out_dir, identity, resume=resume, checkpoint_every=checkpoint_every, report=report, plot=True
        )
        network = partial(_train_network, config, machine, device, core, pool, start)
        check = partial(_check, config, core, data_dir, report)
        state = trainer.run([Stage("network", network), Stage("check", check)])
        path = Path(out_dir) / MODEL
        meta = {**identity, "figures": dict(state.figures), "torch": torch.__version__}
        checkpoint.save(path, state.tensors, meta)
        return path


def load_ground(path: str | os.PathLike[str]) -> tuple[GroundDecoder, checkpoint.Checkpoint]:
    """The network of a `model.safetensors`, in eval mode, and all that is kept with it.

    Raises:
        TrainingError: The file is missing, damaged, or another codec's.
    """
    saved = checkpoint.load(path)
    if saved.meta.get("codec") != CODEC:
        raise TrainingError(f"{path} holds weights of {saved.meta.get('codec')!r}, not of {CODEC}")
    try:
        network = GroundDecoder(GroundConfig(**saved.meta["config"]["network"]))
        network.load_state_dict(dict(saved.tensors))
    except (KeyError, TypeError, RuntimeError, UsageError) as error:
        raise TrainingError(f"{path} is damaged: its weights do not fit its settings") from error
    return network.eval(), saved


def held_out(path: Path) -> bool:
    """Whether a picture is kept out of the training: every twentieth, by its name."""
    return int.from_bytes(hashlib.sha256(path.stem.encode()).digest()[:4], "big") % _HELD_OUT == 0


def _train_network(
    config: GroundTraining,
    machine: Machine,
    device: torch.device,
    core: Core,
    pool: CropPool,
    start: str | os.PathLike[str] | None,
    trainer: Trainer,
    state: TrainingState,
) -> TrainingState:
    network = _fresh(config)
    if start is not None:
        network.take_over(load_ground(start)[0])
    network = network.to(device).train()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub forgot it
    trainer.optimise(
        network,
        _batch_loss(config, machine, device, core, pool, network),
        steps=config.steps,
        lr=config.lr,
        seed=stage_seed(config.seed, "batches"),
        descent=_DESCENT,
    )
    return state.plus(network.cpu().state_dict())


def _fresh(config: GroundTraining) -> GroundDecoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stage_seed(config.seed, "weights"))
        return GroundDecoder(SIZES[config.size])


def _batch_loss(
    config: GroundTraining,
    machine: Machine,
    device: torch.device,
    core: Core,
    pool: CropPool,
    network: GroundDecoder,
) -> Callable[[torch.Generator], Measured]:
    model = torch.compile(network) if machine.compile else network

    def loss(generator: torch.Generator) -> Measured:
        crops = pool.draw(config.batch, config.crop, generator)
        coded = code_batch(core, crops, config.draw, generator).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=machine.bf16):
            found = model(coded.image, coded.latents, coded.step, coded.lost)
        ours, linear = errors(found, coded.target), errors(coded.image, coded.target)
        floor = _FLOOR * coded.step.mean((1, 2, 3)) ** 1.5  # so that flat crops do not rule
        figures = {"psnr": _psnr(ours), "gain": _psnr(ours) - _psnr(linear)}
        shares = ours / (linear + floor)
        if config.measure == MS_SSIM:
            lacking = unlike(found, coded.target) / (unlike(coded.image, coded.target) + _LEAST_UNLIKE)
            shares = _SIMILARITY * lacking + (1 - _SIMILARITY) * shares
        return Measured(shares.mean(), figures)

    return loss


def unlike(found: Tensor, target: Tensor) -> Tensor:
    """What MS-SSIM of the lumas of pictures of 0 to 255 lacks to 1: [n]."""
    weights = torch.tensor([0.299, 0.587, 0.114], device=found.device)[None, :, None, None] / 255
    one, other = ((picture.float() * weights).sum(1, keepdim=True) for picture in (found, target))
    return 1 - ms_ssim(one, other)


def errors(found: Tensor, target: Tensor) -> Tensor:
    """Mean squared errors of pictures: [n]."""
    return (found.float() - target).square().mean((1, 2, 3))


def _psnr(error: Tensor) -> float:
    return float(10 * torch.log10(255.0**2 / error.detach().clamp_min(1e-3)).mean())


def _check(
    config: GroundTraining,
    core: Core,
    data_dir: str | os.PathLike[str],
    report: Report,
    _: Trainer,
    state: TrainingState,
) -> TrainingState:
    """Measure the gain over the linear decoder on pictures that were held out."""
    network = GroundDecoder(SIZES[config.size])
    network.load_state_dict(dict(state.tensors))
    try:
        pool = load_pool(data_dir, config.crop, partial(report, "images"), keep=held_out)
    except TrainingError:
        return state  # so few pictures that none was held out
    generator = torch.Generator().manual_seed(stage_seed(config.seed, "check"))
    gains: list[tuple[bool, float]] = []
    for done in range(_CHECKED):
        coded = code_batch(core, pool.draw(1, config.crop, generator), config.draw, generator)
        gains.append((bool(coded.lost.any()), _gain(network.eval(), coded)))
        report("check", done + 1, _CHECKED, gains[-1][1])
    whole, lossy = ([gain for lost, gain in gains if lost is kind] for kind in (False, True))
    figures = {"gain_db": whole, "gain_lossy_db": lossy}
    return state.plus(figures={name: float(np.mean(values)) for name, values in figures.items() if values})


def _gain(network: GroundDecoder, coded: Coded) -> float:
    with torch.no_grad():
        found = network(coded.image, coded.latents, coded.step, coded.lost).clamp(0, 255)
    return _psnr(errors(found, coded.target)) - _psnr(errors(coded.image, coded.target))
