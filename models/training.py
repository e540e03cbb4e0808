"""Trains block8-paper: G1 on all blocks, G2 on those that G1 cannot show well, then what codes them.

images --sample_blocks--> blocks --g1--> blocks with a large error --g2--> model.safetensors
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farlook.models.data import PIXELS, describe_images, sample_blocks, sample_pictures
from farlook.models.progress import progress_bars
from farlook.runtime.errors import MissingExtraError, TrainingError

try:
    import torch
    from torch import Tensor
    from torch.nn import functional

    from farlook.models import checkpoint
    from farlook.models.block8_paper import (
        BlockAutoencoder,
        block_errors,
        is_linear,
        pack,
        pca_error,
        second_moment,
        unpack,
    )
    from farlook.models.block8_paper_finish import fit_entropy, fit_synthesis
    from farlook.models.block8_paper_transforms import block_local
    from farlook.models.loop import Stage, Trainer, TrainingState, open_run, stage_seed
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "train", "to train") from error

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from farlook.models.block8_paper import Block8PaperConfig
    from farlook.models.progress import Report

CODEC = "block8-paper"
MODEL = "model.safetensors"


@dataclass(frozen=True)
class TrainingResult:
    """A trained model.

    Args:
        path: `model.safetensors`; `checkpoint.load(path)` reads it.
        tensors: `g1.encoder`, `g1.decoder`, `g2.encoder`, `g2.decoder`; or every layer's weights and
            `g1.gains`, `g2.gains` if there is an activation.
        figures: `g1.mse` on all blocks, `g2.mse` on G2's, `g2.share` of the blocks that are G2's;
            `g1.pca_mse` and `g2.pca_mse`, the least that a linear network can reach on the same blocks.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    figures: Mapping[str, float]


def train_block8_paper(
    config: Block8PaperConfig,
    data_dir: str | os.PathLike[str],
    out_dir: str | os.PathLike[str],
    *,
    resume: bool = False,
    progress: bool = True,
    checkpoint_every: int = 500,
) -> TrainingResult:
    """Train G1 and G2 on the images of a folder, and fit the synthesis and the entropy tables to them.

    Networks with an activation are for study: they end after G2, and cannot be exported.

    `out_dir` receives `model.safetensors`, `log.csv` and the checkpoint that an interrupted run resumes from.
    Runs with the same settings and images give the same bits on one machine, interrupted or not.

    Args:
        config: The settings.
        data_dir: Images, searched recursively.
        out_dir: Made if it is missing.
        resume: Go on from the checkpoint in `out_dir`; a run that had ended writes its model again.
        progress: Show bars in the terminal.
        checkpoint_every: Steps between checkpoints.

    Raises:
        TrainingError: The images or the checkpoint cannot be used, or `out_dir` holds another run.
        OutputError: `out_dir` cannot be written.
        KeyboardInterrupt: Ctrl-C, after a checkpoint.
    """
    open_run(out_dir, resume=resume)
    with progress_bars(progress) as report:
        read = partial(report, "images")
        blocks = torch.from_numpy(sample_blocks(data_dir, config.per_image, config.seed, read))
        data = {**describe_images(data_dir), "blocks": len(blocks)}
        identity = {"codec": CODEC, "config": asdict(config), "data": data}
        trainer = Trainer(out_dir, identity, resume=resume, checkpoint_every=checkpoint_every, report=report)
        stages = [*network_stages(config, blocks), *coding_stages(config, data_dir, report)]
        state = trainer.run(stages)
    return _write_model(Path(out_dir) / MODEL, state, identity)


def network_stages(config: Block8PaperConfig, blocks: Tensor) -> list[Stage]:
    """The networks to train, in order; `blocks` is uint8 [n, 64]."""
    return [
        Stage("g1", partial(_train_g1, config, blocks)),
        Stage("g2", partial(_train_g2, config, blocks)),
    ]


def coding_stages(config: Block8PaperConfig, data_dir: str | os.PathLike[str], report: Report) -> list[Stage]:
    """What makes a codec of linear networks, in closed form; nothing for networks with an activation."""
    if not is_linear(config.activation):
        return []

    def pictures(task: str) -> Iterator[NDArray[np.uint8]]:
        return sample_pictures(data_dir, config.pictures, partial(report, task))

    def synthesis(_: Trainer, state: TrainingState) -> TrainingState:
        weights = dict(state.tensors)
        fitted = fit_synthesis(weights, pictures("synthesis")) if config.neighbours else block_local(weights)
        return state.plus({"synthesis.weight": fitted})

    def tables(_: Trainer, state: TrainingState) -> TrainingState:
        return state.plus(notes={"entropy": fit_entropy(dict(state.tensors), pictures("tables"))})

    return [Stage("synthesis", synthesis), Stage("tables", tables)]


def fit_autoencoder(
    trainer: Trainer, autoencoder: BlockAutoencoder, blocks: Tensor, config: Block8PaperConfig, seed: int
) -> None:
    """Minimise the mean squared error of `autoencoder` on batches of `blocks`, inside a stage."""

    def loss(generator: torch.Generator) -> Tensor:
        chosen = torch.randint(len(blocks), (config.batch,), generator=generator)
        pixels = blocks[chosen].float()
        return functional.mse_loss(autoencoder(pixels), pixels)

    trainer.optimise(autoencoder, loss, steps=config.steps, lr=config.lr, seed=seed)


def _train_g1(
    config: Block8PaperConfig, blocks: Tensor, trainer: Trainer, state: TrainingState
) -> TrainingState:
    return _train_network("g1", 1, config, blocks, trainer, state)


def _train_g2(
    config: Block8PaperConfig, blocks: Tensor, trainer: Trainer, state: TrainingState
) -> TrainingState:
    g1 = unpack(checkpoint.under(state.tensors, "g1"), config.depth, config.activation)
    hard = blocks[block_errors(g1, blocks) > config.g2_threshold]
    state = state.plus(figures={"g2.share": len(hard) / len(blocks)})
    return _train_network("g2", config.latents, config, hard, trainer, state)


def _train_network(
    name: str, latents: int, config: Block8PaperConfig, blocks: Tensor, trainer: Trainer, state: TrainingState
) -> TrainingState:
    # Fewer blocks than a block has pixels leave directions that no block has ever shown.
    if len(blocks) < PIXELS:
        hint = "lower g2_threshold" if name == "g2" else "give more images"
        raise TrainingError(f"{name} has {len(blocks)} blocks to learn from, {PIXELS} are the least; {hint}")
    weights_seed = stage_seed(config.seed, f"{name}/weights")
    autoencoder = BlockAutoencoder(latents, config.depth, config.activation, seed=weights_seed)
    fit_autoencoder(trainer, autoencoder, blocks, config, stage_seed(config.seed, f"{name}/batches"))
    tensors = pack(autoencoder, blocks)
    packed = unpack(tensors, config.depth, config.activation)
    figures = {
        f"{name}.mse": float(block_errors(packed, blocks).double().mean()),
        f"{name}.pca_mse": pca_error(second_moment(blocks), latents),
    }
    return state.plus(checkpoint.prefixed(name, tensors), figures)


def _write_model(path: Path, state: TrainingState, identity: Mapping[str, Any]) -> TrainingResult:
    meta = {**state.notes, **identity, "figures": dict(state.figures), "torch": torch.__version__}
    checkpoint.save(path, state.tensors, meta)
    return TrainingResult(path, state.tensors, state.figures)
