"""Trains fera, aara, mrdcae and mfca: one recipe for the four.

    pictures --load_pool--> crops --network--> weights --tables--> integer tables --> model.safetensors

Each step draws a batch of crops and for each of them a level, so that one set of weights learns all rates.
Under `torchrun` every process takes its share of a batch, and gradients are averaged.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farlook.models.crops import load_pool
from farlook.models.data import describe_images
from farlook.models.losses import loss_of, squared_error
from farlook.models.progress import progress_bars
from farlook.runtime.errors import MissingExtraError

try:
    import torch

    from farlook.models import checkpoint
    from farlook.models.complexity import complexity
    from farlook.models.distributed import Team, team
    from farlook.models.loop import Measured, Stage, Trainer, TrainingState, open_run, stage_seed
    from farlook.models.neural_codecs import build, load_codec
    from farlook.models.neural_config import Machine, NeuralConfig, descent_of
    from farlook.models.neural_finish import as_halves, entropy_tables
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "train", "to train") from error

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from torch import Tensor

    from farlook.models.crops import CropPool
    from farlook.models.neural import NeuralCodec
    from farlook.models.progress import Report

__all__ = ["MODEL", "Machine", "NeuralConfig", "load_codec", "train_neural"]

MODEL = "model.safetensors"

_START_CROPS = 64


def train_neural(
    config: NeuralConfig,
    data_dir: str | os.PathLike[str],
    out_dir: str | os.PathLike[str],
    *,
    resume: bool = False,
    start: str | os.PathLike[str] | None = None,
    machine: Machine | None = None,
    progress: bool = True,
    checkpoint_every: int = 500,
) -> Path:
    """Train one of the four codecs, and count its entropy tables.

    `out_dir` receives `model.safetensors`, `log.csv`, `log.json`, `log.png` (loss, PSNR, bits per pixel; drawn
    anew at every checkpoint) and the checkpoint that an interrupted run resumes from.

    Args:
        config: The settings.
        data_dir: Images, searched recursively.
        out_dir: Made if it is missing.
        resume: Go on from the checkpoint in `out_dir`.
        start: Begin with the weights of this `model.safetensors` of the same codec.
        machine: Where to compute, and how.
        progress: Show bars in the terminal.
        checkpoint_every: Steps between checkpoints.

    Returns:
        The path of `model.safetensors`.

    Raises:
        TrainingError: The images, the checkpoint or the weights cannot be used, or `out_dir` holds another run.
        UsageError: The device cannot be used.
        OutputError: `out_dir` cannot be written.
        KeyboardInterrupt: Ctrl-C, after a checkpoint.
    """
    machine = machine or Machine()
    with team(machine.resolve()) as ours, progress_bars(progress and ours.leads) as report:
        if ours.leads:
            open_run(out_dir, resume=resume)
        ours.wait()
        pool = load_pool(data_dir, config.crop, partial(report, "images"))
        identity = {
            "codec": config.codec,
            "config": _settings(config),
            "data": {**describe_images(data_dir), "used": len(pool)},
            "start": None if start is None else checkpoint.load(start).digest(),
        }
        trainer = Trainer(
            out_dir, identity, resume=resume, checkpoint_every=checkpoint_every, report=report, plot=True,
            writes=ours.leads,
        )  # fmt: skip
        network = partial(_train_network, config, machine, ours, pool, start)
        stages = [Stage("network", network), Stage("tables", partial(_fit_tables, config, data_dir, report))]
        state = trainer.run(stages if ours.leads else stages[:1])
        path = Path(out_dir) / MODEL
        if ours.leads:
            figures = {**state.figures, **complexity(build(config.codec, config.options)).record()}
            meta = {**state.notes, **identity, "figures": figures, "torch": torch.__version__}
            checkpoint.save(path, state.tensors, meta)
        return path


def _settings(config: NeuralConfig) -> dict[str, Any]:
    network = build(config.codec, config.options)
    return {**asdict(config), "options": asdict(network.config)}


def _train_network(
    config: NeuralConfig,
    machine: Machine,
    ours: Team,
    pool: CropPool,
    start: str | os.PathLike[str] | None,
    trainer: Trainer,
    state: TrainingState,
) -> TrainingState:
    network = _fresh(config, pool) if start is None else load_codec(start, config.codec)
    network = network.to(ours.device).train()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub forgot it
    lr, descent = descent_of(config.codec, config.preset)
    trainer.optimise(
        network,
        _batch_loss(config, machine, ours, pool, network),
        steps=config.steps,
        lr=config.lr or lr,
        seed=stage_seed(config.seed, "batches"),
        descent=descent,
    )
    return state.plus(network.cpu().state_dict())


def _fresh(config: NeuralConfig, pool: CropPool) -> NeuralCodec:
    seed = stage_seed(config.seed, "weights")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(config.codec, config.options)
    network.start_at(pool.draw(_START_CROPS, config.crop, torch.Generator().manual_seed(seed)))
    return network


def _batch_loss(
    config: NeuralConfig, machine: Machine, ours: Team, pool: CropPool, network: NeuralCodec
) -> Callable[[torch.Generator], Measured]:
    criterion = loss_of(config.codec, config.preset)
    model = ours.wrap(torch.compile(network) if machine.compile else network)

    def loss(generator: torch.Generator) -> Measured:
        images = ours.share(pool.draw(config.batch, config.crop, generator))
        levels = ours.share(torch.rand(config.batch, generator=generator))
        images = network.augment(images, generator).contiguous(memory_format=torch.channels_last)
        with torch.autocast(ours.device.type, torch.bfloat16, enabled=machine.bf16):
            coded = model(images, levels, generator)
        figures = {"psnr": _psnr(squared_error(coded, images)), "bpp": float(coded.bpp.detach().mean())}
        return Measured(criterion(coded, images, levels), figures)

    return loss


def _psnr(error: Tensor) -> float:
    return float(-10 * torch.log10(error.detach().clamp_min(1e-10)).mean())


def _fit_tables(
    config: NeuralConfig,
    data_dir: str | os.PathLike[str],
    report: Report,
    _: Trainer,
    state: TrainingState,
) -> TrainingState:
    network = build(config.codec, config.options)
    weights = as_halves(state.tensors)
    network.load_state_dict(weights)
    tables = entropy_tables(network.eval(), data_dir, partial(report, "tables"))
    return state.plus(weights, notes={"entropy": tables})
