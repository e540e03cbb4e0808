"""Options that several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

CodecName = Annotated[
    str, typer.Option("--codec", "-c", help="Codec, or path of a bundle.", metavar="NAME|BUNDLE")
]
Quality = Annotated[
    int | None,
    typer.Option(
        "--quality", "-q", help="1 (smallest) to 100 (best); 50 if no target is given.", min=1, max=100
    ),
]
Bpp = Annotated[float | None, typer.Option("--bpp", help="Target in bits a pixel, never exceeded.")]
Budget = Annotated[
    int | None,
    typer.Option("--budget", "-b", help="Target in bytes, never exceeded.", min=1, metavar="BYTES"),
]
Backend = Annotated[
    str,
    typer.Option(
        "--backend",
        help="What runs the codec: auto; native (the C core) for block8; for networks ort (ONNX Runtime), ort-cuda, "
        "ort-trt, and tensorrt and rtx (engines of farlook build).",
    ),
]
Decoder = Annotated[
    str,
    typer.Option(
        "--decoder",
        help="block8: linear (the same bytes everywhere), neural (better pictures, by a network), neural:best, "
        "neural:ms-ssim or neural:BUNDLE; auto: neural where it can be had.",
        metavar="auto|linear|neural",
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        help="Which of a bundle's networks run: fp32; fp16 or int8 from a bundle that was calibrated, or as engines.",
    ),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", help="Say what runs the networks, and why it and nothing else.")
]
Threads = Annotated[int, typer.Option("--threads", "-t", help="Threads to work with; 0: all cores.", min=0)]
Mtu = Annotated[
    int | None,
    typer.Option(
        "--mtu",
        help="block8: most bytes of a packet, 64 to 16384; 1024 if not given.",
        metavar="BYTES",
        show_default=False,
    ),
]
Layout = Annotated[
    str | None,
    typer.Option(
        "--layout",
        help="block8: tiles (every packet decodes alone), or progressive (a cut stream shows the whole picture).",
        metavar="tiles|progressive",
        show_default=False,
    ),
]
Interleave = Annotated[
    bool | None,
    typer.Option(
        "--interleave/--no-interleave",
        help="block8: put 32x32 pixels that touch into different packets, so that what is lost can be filled in from "
        "around it (the default), or save 2 to 4 % of the bytes.",
        show_default=False,
    ),
]
Roi = Annotated[
    list[str] | None,
    typer.Option(
        "--roi",
        help="block8: a region, in pixels, that gets more of the bytes; a weight of 4 if none is given. "
        "May be given several times.",
        metavar="X,Y,W,H[,WEIGHT]",
        show_default=False,
    ),
]
Tune = Annotated[
    str | None,
    typer.Option(
        "--tune",
        help="block8: the measure to be good by, psnr (the default) or ms-ssim: smoother, with more of the bytes where "
        "there is little contrast; decode with --decoder neural:ms-ssim.",
        metavar="psnr|ms-ssim",
        show_default=False,
    ),
]
Depth = Annotated[
    int | None,
    typer.Option(
        "--depth",
        help="block8: bits of a sample that count, 9 to 16, in a 16-bit grey PNG or TIFF; 16 if not given.",
        metavar="BITS",
        show_default=False,
    ),
]
