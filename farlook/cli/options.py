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
    str, typer.Option("--backend", help="What runs the networks: auto, or ort (ONNX Runtime).")
]
Threads = Annotated[
    int, typer.Option("--threads", "-t", help="Threads of the networks; 0: all cores.", min=0)
]
