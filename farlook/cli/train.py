"""farlook train CODEC --data DIR."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from farlook.cli.batch import STDERR

_BLOCK8_EPILOG = """Examples:

farlook train block8 --data pictures/ -o runs/mine

farlook train block8 --data pictures/ -o runs/mine --resume

farlook export block8 -o mine.bundle -w runs/mine/model.safetensors
"""

_EPILOG = """Examples:

farlook train block8-paper --data pictures/ -o runs/mine

farlook train block8-paper --data pictures/ -o runs/mine --resume

farlook export block8-paper -o mine.bundle -w runs/mine/model.safetensors
"""

_NEURAL_EPILOG = """Examples:

farlook train {name} --data pictures/ -o runs/{name}

farlook train {name} --data pictures/ -o runs/{name} --resume

torchrun --nproc-per-node 4 --no-python farlook train {name} --data pictures/ --batch 64

farlook export {name} -o mine.bundle -w runs/{name}/model.safetensors
"""

_GROUND_EPILOG = """Examples:

farlook train block8-ground --data pictures/ -o runs/ground

farlook train block8-ground -d pictures/ --size best --steps 200000

farlook train block8-ground -d pictures/ --measure ms-ssim --steps 50000

farlook export block8-ground -o ground.bundle -w runs/ground/model.safetensors
"""

NEURAL = ("fera", "aara", "mrdcae", "mfca")

train = typer.Typer(
    name="train",
    help="Train a codec on a directory of pictures.",
    rich_markup_mode="rich",
    no_args_is_help=True,
)


Data = Annotated[Path, typer.Option("--data", "-d", help="Directory of pictures, searched recursively.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of samples, weights and batches.", min=0)]


@train.command("block8", epilog=_BLOCK8_EPILOG)
def block8(
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="Directory of the run.")] = Path(
        "runs/block8"
    ),
    resume: Resume = False,
    pictures: Annotated[
        int, typer.Option("--pictures", help="Pictures that are used, at most.", min=1)
    ] = 192,
    rounds: Annotated[int, typer.Option("--rounds", help="Fits of each set of tables.", min=1)] = 2,
    seed: Seed = 0,
) -> None:
    """Train block8: the order of its latents, and the tables that its coder decides by. Takes about 20 minutes."""
    from farlook.models.block8 import Block8Config
    from farlook.models.block8_training import train_block8

    config = Block8Config(pictures=pictures, rounds=rounds, seed=seed)
    with _saying_how_to_go_on(output):
        path = train_block8(config, data, output, resume=resume)
    STDERR.print(f"wrote {path}")


@train.command("block8-paper", epilog=_EPILOG)
def block8_paper(
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="Directory of the run.")] = Path(
        "runs/block8-paper"
    ),
    resume: Resume = False,
    latents: Annotated[int, typer.Option("--latents", help="Latents of G2: 1, 4, 6 or 8.")] = 8,
    depth: Annotated[int, typer.Option("--depth", help="Layers of each autoencoder: 2, 4, 6 or 8.")] = 2,
    activation: Annotated[
        str,
        typer.Option(
            "--activation", help="none, linear, elu, relu, sigmoid or swish; only the first two make a codec."
        ),
    ] = "none",
    neighbours: Annotated[
        bool,
        typer.Option(
            "--neighbours/--block-local",
            help="Draw a block from the 3x3 around it, or alone as in the paper.",
        ),
    ] = True,
    steps: Annotated[
        int, typer.Option("--steps", help="Optimiser steps for each of G1 and G2.", min=1)
    ] = 3000,
    seed: Seed = 0,
) -> None:
    """Train block8-paper: G1, then G2, then the closed-form synthesis and entropy tables. Takes a minute or two."""
    from farlook.models.block8_paper import Block8PaperConfig
    from farlook.models.training import train_block8_paper

    config = Block8PaperConfig(
        latents=latents, depth=depth, activation=activation, neighbours=neighbours, steps=steps, seed=seed
    )
    with _saying_how_to_go_on(output):
        result = train_block8_paper(config, data, output, resume=resume)
    for name, value in result.figures.items():
        STDERR.print(f"{name} {value:.4g}")
    STDERR.print(f"wrote {result.path}")


@train.command("block8-ground", epilog=_GROUND_EPILOG)
def block8_ground(
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="Directory of the run.")] = Path(
        "runs/block8-ground"
    ),
    resume: Resume = False,
    size: Annotated[str, typer.Option("--size", help="fast (20 kMAC a pixel) or best.")] = "fast",
    steps: Annotated[int, typer.Option("--steps", help="Optimiser steps.", min=1)] = 20_000,
    batch: Annotated[int, typer.Option("--batch", help="Crops a step.", min=1)] = 8,
    crop: Annotated[int, typer.Option("--crop", help="Side of a crop, a multiple of 32.", min=32)] = 128,
    lr: Annotated[float, typer.Option("--lr", help="Learning rate at the start.")] = 2e-3,
    seed: Seed = 0,
    measure: Annotated[
        str, typer.Option("--measure", help="What to be good by.", metavar="psnr|ms-ssim")
    ] = "psnr",
    start: Annotated[
        Path | None, typer.Option("--start", help="Begin with these weights, of this size or a smaller one.")
    ] = None,
    bundle: Annotated[
        str, typer.Option("--bundle", help="block8's, whose streams are to be decoded.", metavar="BUNDLE")
    ] = "block8",
    device: Annotated[str, typer.Option("--device", help="cpu, cuda; auto: CUDA if there is any.")] = "auto",
    compile_: Annotated[bool, typer.Option("--compile", help="Compile the network (torch.compile).")] = False,
    threads: Annotated[int, typer.Option("--threads", help="CPU threads; 0: all cores.", min=0)] = 0,
) -> None:
    """Train block8's decoder for the ground: a network that improves decoded pictures. Takes hours on a CPU."""
    import torch

    from farlook.models.ground_data import DrawConfig
    from farlook.models.ground_training import TUNED, GroundTraining, train_ground
    from farlook.models.neural_config import Machine

    if threads:
        torch.set_num_threads(threads)
    draw = DrawConfig(tuned=TUNED[measure]) if measure in TUNED else DrawConfig()
    config = GroundTraining(size, steps, batch, crop, lr, seed, measure, draw)
    with _saying_how_to_go_on(output):
        machine = Machine(device, compile_)
        path = train_ground(config, data, output, bundle=bundle, resume=resume, start=start, machine=machine)
    STDERR.print(f"wrote {path}")


def _neural_verb(name: str) -> Callable[..., None]:
    """Make the verb that trains one of the four neural codecs."""

    def verb(
        data: Data,
        output: Annotated[
            Path | None, typer.Option("--output", "-o", help="Directory of the run; default: runs/CODEC.")
        ] = None,
        resume: Resume = False,
        steps: Annotated[
            int, typer.Option("--steps", help="Optimiser steps; 0: entropy tables alone, see --start.", min=0)
        ] = 20_000,
        preset: Annotated[
            str,
            typer.Option(
                "--preset", help="rd: bits and squared error; paper: the paper's loss and optimiser."
            ),
        ] = "rd",
        batch: Annotated[int, typer.Option("--batch", help="Crops a step.", min=1)] = 8,
        crop: Annotated[int, typer.Option("--crop", help="Side of a crop, a multiple of 32.", min=32)] = 128,
        lr: Annotated[
            float | None, typer.Option("--lr", help="Learning rate; default: the preset's.")
        ] = None,
        seed: Seed = 0,
        start: Annotated[
            Path | None, typer.Option("--start", help="Begin with the weights of this model.safetensors.")
        ] = None,
        without: Annotated[
            list[str] | None,
            typer.Option(
                "--without", help="Switch a mechanism off, by its name in the model's configuration."
            ),
        ] = None,
        device: Annotated[
            str, typer.Option("--device", help="cpu, cuda; auto: CUDA if there is any.")
        ] = "auto",
        compile_: Annotated[
            bool, typer.Option("--compile", help="Compile the network (torch.compile).")
        ] = False,
        threads: Annotated[int, typer.Option("--threads", help="CPU threads; 0: all cores.", min=0)] = 0,
    ) -> None:
        import torch

        from farlook.models.neural_training import Machine, NeuralConfig, train_neural

        if threads:
            torch.set_num_threads(threads)
        options = dict.fromkeys(without or [], False)
        config = NeuralConfig(name, preset, steps, batch, crop, seed, lr, options)
        folder = output or Path("runs") / name
        with _saying_how_to_go_on(folder):
            machine = Machine(device, compile_)
            path = train_neural(config, data, folder, resume=resume, start=start, machine=machine)
        STDERR.print(f"wrote {path}")

    verb.__doc__ = (
        f"Train {name}: its networks for all rates at once, then its entropy tables. Takes hours on a CPU."
    )
    return verb


for _name in NEURAL:
    train.command(_name, epilog=_NEURAL_EPILOG.format(name=_name))(_neural_verb(_name))


@contextmanager
def _saying_how_to_go_on(output: Path) -> Iterator[None]:
    """Print warnings as they come; after Ctrl-C say that a checkpoint is there."""
    from farlook.models.loop import CHECKPOINT

    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: STDERR.print(
            Text.assemble(("warning:", "yellow"), f" {message}")
        )
        try:
            yield
        except KeyboardInterrupt:
            if (output / CHECKPOINT).exists():
                STDERR.print(f"a checkpoint is in {output}: go on with --resume")
            raise


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.add_typer(train)
