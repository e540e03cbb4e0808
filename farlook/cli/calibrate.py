"""farlook calibrate BUNDLE -o OUT."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from farlook.calibration.pictures import PictureSet
from farlook.cli.batch import STDERR, one_line, progress_bar
from farlook.cli.options import Threads
from farlook.runtime.bundle import find_bundle
from farlook.runtime.errors import UsageError
from farlook.runtime.files import check_destination

_EPILOG = """Examples:

farlook calibrate mine.bundle --images pictures/ -o calibrated.bundle

farlook calibrate mine.bundle -i pictures/ --keep-fp16 auto -o mixed.bundle

farlook calibrate mine.bundle --synthetic --precisions fp16 -o half.bundle
"""

BundleName = Annotated[
    str, typer.Argument(metavar="CODEC|BUNDLE", help="Bundle, or a codec that ships with farlook.")
]
Images = Annotated[
    Path | None, typer.Option("--images", "-i", help="Directory of pictures.", metavar="DIR", readable=False)
]
Synthetic = Annotated[
    bool,
    typer.Option("--synthetic", help="Instead of pictures: 16 made of numbers. Ranges come out worse."),
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", help="At most so many pictures, spread evenly over the directory.", min=1),
]
Side = Annotated[
    int, typer.Option("--side", help="Use the middle of larger pictures: so many pixels.", min=32, max=2048)
]


def calibrate(
    bundle: BundleName,
    output: Annotated[Path, typer.Option("--output", "-o", help="The bundle to write.")],
    images: Images = None,
    synthetic: Synthetic = False,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            help="How ranges become scales: absmax (nothing is clipped), percentile, entropy (Kullback-Leibler), "
            "mse (least squared error).",
            metavar="absmax|percentile|entropy|mse",
        ),
    ] = "mse",
    percentile: Annotated[
        float, typer.Option("--percentile", help="percentile: share of magnitudes that is not clipped.")
    ] = 99.99,
    precisions: Annotated[
        str, typer.Option("--precisions", help="Graphs to make.", metavar="fp16,int8")
    ] = "fp16,int8",
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep-fp16",
            help="Nodes that INT8 graphs leave in FP16, by name; auto: the worst, until --budget holds.",
            metavar="auto|NODE,NODE,...",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        float,
        typer.Option(
            "--budget",
            help="auto: BD-rate in per cent that INT8 may cost, as a mean over pictures that are held out.",
            min=0,
        ),
    ] = 1.0,
    limit: Limit = None,
    side: Side = 512,
    threads: Threads = 0,
) -> None:
    """Measure ranges on pictures and write a bundle with FP16 and INT8 graphs beside those of FP32."""
    from farlook.calibration.calibrate import Settings
    from farlook.calibration.calibrate import calibrate as run

    settings = Settings(method, percentile, names(precisions), names(keep or ""), budget, threads)
    settings.check()
    check_destination(output)
    pictures = picture_set(images, synthetic, limit, side)
    notes = run(find_bundle(bundle), output, pictures, settings, _say, progress_bar)
    used, skipped = notes["pictures"]["used"], notes["pictures"]["skipped"]
    _say(f"measured on {used} pictures{f', {skipped} skipped' if skipped else ''}")
    for name, network in notes["networks"].items():
        if "int8" in notes["precisions"]:
            kept = network["kept_fp16"]
            _say(
                f"{name}: {len(network['quantised'])} groups in INT8"
                + (f", in FP16: {', '.join(kept)}" if kept else "")
            )
    _say(f"wrote {output}")
    if "judged_on" in notes:
        _say(_how_sure(notes, output))
    if "int8" in notes["precisions"] and not settings.keep:
        _say(
            f"what INT8 costs was not measured: see farlook verify {output} --images DIR; --keep-fp16 auto leaves "
            "the worst nodes in FP16"
        )


def _how_sure(notes: dict[str, Any], output: Path) -> str:
    """What INT8 costs on the pictures that it was judged on, and what that leaves open."""
    judged, error = notes["judged_on"], notes["bd_rate_error"]
    spread = "" if error is None else f", standard error {error:.2f} %,"
    kind = "held out" if judged["held_out"] else "that ranges were measured on, too"
    return (
        f"INT8 costs a BD-rate of {notes['bd_rate']:+.2f} %{spread} on {judged['pictures']} pictures {kind}; the nodes "
        f"were chosen so that the budget holds on these, so others may cost more: see farlook verify {output} "
        "--images OTHERS"
    )


def picture_set(images: Path | None, synthetic: bool, limit: int | None, side: int) -> PictureSet:
    """The pictures that options ask for, a `farlook.calibration.pictures.PictureSet`.

    Raises:
        UsageError: Both kinds are asked for, or none.
        ImageError: There is no such directory, or no picture in it.
    """
    if (images is None) == (not synthetic):
        raise UsageError("give pictures with --images DIR, or --synthetic for a set without any")
    return PictureSet(images, limit, side, _say)


def names(text: str) -> tuple[str, ...]:
    """The names between the commas of an option, each once."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _say(text: str) -> None:
    STDERR.print(one_line(text))


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(calibrate)
