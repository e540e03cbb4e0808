"""Everything that an NVIDIA GPU is needed for, in one go, as JSON: machine, kernels, backends, and torch beside them.

    python benchmarks/gpu.py -o gpu.json
    python benchmarks/gpu.py -o gpu.json --images DIR --parts block8,networks --backends ort-cuda --seconds 5

block8's CUDA kernels are compared bit for bit with the C core, and timed beside a copy on the device. Every bundle's
graphs are run by every backend at every precision, engines being built first, beside ONNX Runtime on the CPU; torch
runs the same weights eager, compiled and as a CUDA graph. A part that fails is an error in the JSON, and costs no
other part. The file is written after every part.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from farlook import __version__
from farlook.benchmarks.gpu_block8 import measure_block8
from farlook.benchmarks.gpu_networks import BACKENDS, measure_networks
from farlook.benchmarks.gpu_torch import measure_torch
from farlook.benchmarks.pictures import find_pictures, load
from farlook.benchmarks.program import names, run_program
from farlook.kernels.cuda.device import count_devices
from farlook.runtime.backends.base import PRECISIONS
from farlook.runtime.bundle import shipped_bundles
from farlook.runtime.errors import UsageError
from farlook.runtime.files import write_bytes
from farlook.runtime.machine import this_machine, version_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

_PACKAGES = (
    "numpy", "torch", "onnx", "onnxruntime", "onnxruntime-gpu", "tensorrt", "tensorrt_rtx", "cuda-bindings",
    "cuda-core", "nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12",
)  # fmt: skip
_SAMPLE = Path(__file__).parents[1] / "farlook" / "samples"
_PICTURES = 4


class Record:
    """The results so far.

    Args:
        path: Where they are written, whole or not at all, after every part.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.results: dict[str, Any] = {}

    def take(self, name: str, work: Callable[[], Any]) -> None:
        """Do a part, keep what it gives or why it failed, and write."""
        start = perf_counter()
        try:
            found = work()
        except Exception as error:  # noqa: BLE001  # one part's failure must not lose the others
            found = {"error": f"{type(error).__name__}: {error}"}
            print(f"{name}: {found['error']}", file=sys.stderr)
        self.results[name] = found
        print(f"{name}: {perf_counter() - start:.1f} s", flush=True)
        write_bytes(self._path, json.dumps(self.results, indent=1).encode())


def machine() -> dict[str, Any]:
    """GPU, driver and versions."""
    found = asdict(this_machine())
    packages: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            packages[name] = None
    found |= {"farlook": __version__, "python": platform.python_version(), "packages": packages}
    found["cuda"] = version_text(found["cuda"])
    return found


def run(options: argparse.Namespace, command: str) -> None:
    """Measure, and write.

    Raises:
        BackendError: There is no NVIDIA GPU, or no driver for it.
        UsageError: A part is unknown.
        ImageError: A picture cannot be read.
    """
    unknown = sorted(set(options.parts) - {"block8", "networks", "torch"})
    if unknown:
        raise UsageError(f"there is no part {', '.join(unknown)}; choose of block8, networks, torch")
    count_devices()  # says what is missing where there is no GPU
    pictures: list[Picture] = [load(path, "rgb") for path in find_pictures(options.images)[:_PICTURES]]
    record = Record(options.output)
    record.take("command", lambda: command)
    record.take("machine", machine)
    print(json.dumps(record.results["machine"], indent=1))
    if "block8" in options.parts:
        for name, work in measure_block8(pictures[0], options.seconds):
            record.take(f"block8 {name}", work)
    if "networks" in options.parts:
        for name, work in measure_networks(
            options.bundles, pictures, options.backends, options.precisions, options.seconds
        ):
            record.take(name, work)
    if "torch" in options.parts:
        for name, work in measure_torch(options.bundles, options.seconds):
            record.take(name, work)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/gpu.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("gpu.json"), help="default: %(default)s")
    parser.add_argument(
        "--images", type=Path, default=_SAMPLE, help="folder of pictures; default: the sample"
    )
    parser.add_argument(
        "--parts", type=names, default=["block8", "networks", "torch"], help="some of block8,networks,torch"
    )
    parser.add_argument(
        "--bundles",
        type=names,
        default=sorted(shipped_bundles()),
        help="codecs or paths; default: all that ship",
    )
    parser.add_argument("--backends", type=names, default=list(BACKENDS), help=f"of {','.join(BACKENDS)}")
    parser.add_argument(
        "--precisions", type=names, default=list(PRECISIONS), help=f"of {','.join(PRECISIONS)}"
    )
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="of every measurement (default: %(default)s)"
    )
    return run_program(parser, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
