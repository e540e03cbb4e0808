"""Trains block8: the order of its latents, then a set of tables for each range of steps.

pictures --coder--> decisions and their contexts --logistic regression--> tables --coder--> ...
"""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from farlook.kernels.block8 import Core
from farlook.kernels.block8_tables import Tables
from farlook.models.block8 import (
    CODEC,
    STEPS_LUMA,
    STEPS_REFINED,
    first_tables,
    set_limits,
    step_index,
    without_changes,
)
from farlook.models.data import describe_images, varied_pictures
from farlook.models.progress import progress_bars
from farlook.runtime.errors import MissingExtraError, TrainingError

try:
    import torch

    from farlook.models import checkpoint
    from farlook.models.block8_decisions import fit_decisions
    from farlook.models.block8_fit import fit_set
    from farlook.models.block8_refine import fit_refinement_set, trace_refinements
    from farlook.models.block8_trace import trace_pictures
    from farlook.models.loop import Stage, Trainer, TrainingState, open_run, stage_seed
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "train", "to train") from error

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from farlook.kernels.block8_tables import TableSet
    from farlook.models.block8 import Block8Config
    from farlook.models.progress import Report

MODEL = "model.safetensors"
TENSOR = "tables"

_SCAN_STEP = 16.0
_MIDDLE = 3
_DECISION_PICTURES = 24
_DECISION_SIDE = 384

Pictures = list["NDArray[np.uint8]"]


def train_block8(
    config: Block8Config,
    data_dir: str | os.PathLike[str],
    out_dir: str | os.PathLike[str],
    *,
    resume: bool = False,
    progress: bool = True,
) -> Path:
    """Train on the images of a folder; `out_dir` receives `model.safetensors` and the checkpoint to resume from.

    Runs with the same settings and images give the same tables on one machine, interrupted or not.

    Args:
        config: The settings.
        data_dir: Images, searched recursively.
        out_dir: Made if it is missing.
        resume: Go on after the last stage that the checkpoint in `out_dir` has.
        progress: Show bars in the terminal.

    Returns:
        The path of `model.safetensors`.

    Raises:
        TrainingError: The images or the checkpoint cannot be used, or `out_dir` holds another run.
        OutputError: `out_dir` cannot be written.
    """
    open_run(out_dir, resume=resume)
    with progress_bars(progress) as report:
        pictures = varied_pictures(data_dir, config.pictures, config.side, partial(report, "pictures"))
        if not pictures:
            raise TrainingError(f"{data_dir} holds no picture that can be used")
        data = {**describe_images(data_dir), "pictures": len(pictures)}
        data["pixels"] = sum(picture.shape[0] * picture.shape[1] for picture in pictures)
        identity = {"codec": CODEC, "config": asdict(config), "data": data}
        trainer = Trainer(out_dir, identity, resume=resume, report=report)
        state = trainer.run(training_stages(config, pictures, report))
    meta = {**identity, "figures": dict(state.figures), "torch": torch.__version__}
    checkpoint.save(Path(out_dir) / MODEL, state.tensors, meta)
    return Path(out_dir) / MODEL


def training_stages(config: Block8Config, pictures: Pictures, report: Report) -> list[Stage]:
    """The recipe: scans, sets from the middle outwards, thresholds, sets again, sets that refine."""
    # A set begins from the one next to it, which is nearer to it than nothing.
    middle_out = [*range(_MIDDLE, len(STEPS_LUMA)), *reversed(range(_MIDDLE))]
    stages = [Stage("scans", partial(_fit_scans, pictures))]
    for index in middle_out:
        source = index if index == _MIDDLE else index - 1 if index > _MIDDLE else index + 1
        stages.append(_set_stage(config, pictures, report, index, source, 0))
    stages.append(Stage("thresholds", partial(_fit_thresholds, pictures, report)))
    for number in range(1, config.rounds):
        stages += [_set_stage(config, pictures, report, index, index, number) for index in middle_out]
    stages += [
        Stage(f"refinements of {step:g}", partial(_fit_refinements, config, pictures, report, index))
        for index, step in enumerate(STEPS_REFINED)
    ]
    return stages


def tables_of(tensors: Mapping[str, torch.Tensor]) -> Tables:
    """The tables that a run's tensors hold.

    Raises:
        TrainingError: There are none.
    """
    if TENSOR not in tensors:
        raise TrainingError("the file holds no tables of block8")
    return Tables.unpack(tensors[TENSOR].numpy().tobytes())


def _with(state: TrainingState, tables: Tables, figures: Mapping[str, float]) -> TrainingState:
    return state.plus({TENSOR: torch.frombuffer(bytearray(tables.pack()), dtype=torch.uint8)}, figures)


def _fit_scans(pictures: Pictures, _: Trainer, state: TrainingState) -> TrainingState:
    """Order the latents by how much of them is left at a fine step."""
    tables = first_tables()
    met = trace_pictures(Core(tables), pictures[::4], step_index(_SCAN_STEP))
    scans = []
    for scan, blocks in zip(tables.scans, met.blocks, strict=True):
        strength = np.minimum(np.abs(blocks.levels.astype(np.float64)), 8).mean(axis=0)
        strength[0] = np.inf
        scans.append(scan[np.argsort(-strength, kind="stable")])
    return _with(state, replace(tables, scans=tuple(scans)), {})


def _set_stage(
    config: Block8Config, pictures: Pictures, report: Report, index: int, source: int, number: int
) -> Stage:
    name = f"set of {STEPS_LUMA[index]:g}, round {number + 1}"

    def run(_: Trainer, state: TrainingState) -> TrainingState:
        tables = tables_of(state.tensors)
        tables = _with_set(tables, index, tables.sets[source])
        met = trace_pictures(Core(tables), pictures, step_index(STEPS_LUMA[index]))
        fitted, bits = fit_set(
            met,
            None if number == 0 and index == _MIDDLE else tables.sets[index],
            epochs=config.epochs[min(number, 1)],
            rate=config.rate / (1 + min(number, 1)),
            batch=config.batch,
            seed=stage_seed(config.seed, name),
            progress=partial(report, name),
        )
        pixels = sum(picture.shape[0] * picture.shape[1] for picture in pictures)
        return _with(state, _with_set(tables, index, fitted), {f"bpp {name}": sum(bits.values()) / pixels})

    return Stage(name, run)


def _fit_thresholds(pictures: Pictures, report: Report, _: Trainer, state: TrainingState) -> TrainingState:
    chosen = pictures[:: max(1, len(pictures) // _DECISION_PICTURES)][:_DECISION_PICTURES]
    greys = [_grey(picture)[:_DECISION_SIDE, :_DECISION_SIDE] for picture in chosen]
    tables, share = fit_decisions(
        tables_of(state.tensors),
        [np.ascontiguousarray(grey) for grey in greys],
        partial(report, "thresholds"),
    )
    return _with(state, tables, {"bytes after thresholds": share})


def _fit_refinements(
    config: Block8Config, pictures: Pictures, report: Report, index: int, _: Trainer, state: TrainingState
) -> TrainingState:
    tables = tables_of(state.tensors)
    if not tables.refinements:
        sets = tables.sets[len(tables.sets) - len(STEPS_REFINED) :]
        tables = replace(
            tables,
            refinement_limits=set_limits(STEPS_REFINED),
            refinements=tuple(without_changes(one_shot) for one_shot in sets),
        )
    name = f"refinements of {STEPS_REFINED[index]:g}"
    met = trace_refinements(Core(tables), pictures, step_index(STEPS_REFINED[index]))
    fitted, bits = fit_refinement_set(
        met,
        tables.refinements[index],
        epochs=config.epochs[0],
        rate=config.rate,
        batch=config.batch,
        seed=stage_seed(config.seed, name),
        progress=partial(report, name),
    )
    sets_after = [fitted if i == index else one for i, one in enumerate(tables.refinements)]
    pixels = sum(picture.shape[0] * picture.shape[1] for picture in pictures)
    tables = replace(tables, refinements=tuple(sets_after))
    return _with(state, tables, {f"bpp {name}": sum(bits.values()) / pixels})


def _with_set(tables: Tables, index: int, fitted: TableSet) -> Tables:
    return replace(tables, sets=tuple(fitted if i == index else one for i, one in enumerate(tables.sets)))


def _grey(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if picture.ndim == 2:
        return picture
    grey: NDArray[np.uint8] = np.rint(picture @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    return grey
