"""What a benchmark's figures depend on: pictures, rates, codecs, versions, the machine; and what of it differs."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook import __version__
from farlook.benchmarks.bench_codecs import open_spec
from farlook.benchmarks.pictures import load, luma, pixels
from farlook.benchmarks.report import processor
from farlook.kernels import _native
from farlook.runtime.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Setup = dict[str, Any]

REACH = 2
"""Beyond the highest rate, files of this times as many bytes are measured too: a weaker codec needs them for the
quality that a stronger one has at the highest rate."""

CROP = (320, 224)
"""Width and height of what the report shows of a picture."""

FORMAT = 2
"""Of the files in a folder of results: 2 since points hold digests, and times their load."""

_PACKAGES = ("numpy", "scipy", "pillow", "imagecodecs", "onnxruntime", "ssimulacra2")


@dataclass(frozen=True)
class Plan:
    """What is to be measured.

    Attributes:
        folder: Where the pictures come from.
        pictures: Their files.
        codecs: See `farlook.benchmarks.bench_codecs`.
        rates: Bits a pixel, rising.
        grey: Code the pictures' luma instead of RGB.
        repeats: Of every encode and decode that is timed; 0 times none.
        perceptual: Measure SSIMULACRA2 too.
        crops: Of how many pictures to keep a piece for the report.
    """

    folder: Path
    pictures: Sequence[Path]
    codecs: Sequence[str]
    rates: Sequence[float]
    grey: bool = False
    repeats: int = 5
    perceptual: bool = False
    crops: int = 4

    @property
    def mode(self) -> str:
        """See `farlook.benchmarks.pictures.load`."""
        return "luma" if self.grey else "rgb"

    def cropped(self) -> list[Path]:
        """The pictures that pieces are kept of: spread evenly over all."""
        count = min(self.crops, len(self.pictures))
        return [self.pictures[(2 * index + 1) * len(self.pictures) // (2 * count)] for index in range(count)]


def check_rates(rates: Sequence[float]) -> list[float]:
    """The rates in order, each once.

    Raises:
        UsageError: There is none, or one is not above 0 and at most 48 bits a pixel.
    """
    if not rates or not all(0 < rate <= 48 for rate in rates):
        raise UsageError("rates are bits a pixel above 0, as in 0.1,0.2,0.5")
    return sorted(set(rates))


def describe(plan: Plan) -> Setup:
    """The setup as JSON holds it. Reads every picture.

    Raises:
        ImageError: A picture cannot be read.
    """
    files = {}
    for path in plan.pictures:
        image = load(path, plan.mode)
        pieces = {"crop": list(detailed_window(image))} if path in plan.cropped() else {}
        digest = hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()
        files[path.name] = {"width": image.shape[1], "height": image.shape[0], "sha256": digest, **pieces}
    codecs = {spec: open_spec(spec) for spec in plan.codecs}
    return {
        "format": FORMAT,
        "set": plan.folder.resolve().name,
        "mode": plan.mode,
        "rates": list(plan.rates),
        "reach": REACH * max(plan.rates),
        "repeats": plan.repeats,
        "perceptual": plan.perceptual,
        "pictures": files,
        "codecs": {
            spec: {"description": codec.description, "digest": codec.digest} for spec, codec in codecs.items()
        },
        "versions": _versions(),
        "machine": _machine(),
    }


def merge(before: Setup, now: Setup) -> Setup:
    """The setup of results that are continued: codecs may be added, all else must be as it was.

    Raises:
        UsageError: Something differs; the text says what.
    """
    both = sorted(before["codecs"].keys() & now["codecs"].keys())
    old, new = (
        {**setup, "codecs": {spec: setup["codecs"][spec] for spec in both}} for setup in (before, now)
    )
    changed = differences(old, new)
    if changed:
        raise UsageError(
            "these results were made with another setup, so they cannot be continued: "
            f"{'; '.join(changed[:6])}{'; ...' if len(changed) > 6 else ''}. Name another folder with -o"
        )
    return {**now, "codecs": {**before["codecs"], **now["codecs"]}}


def differences(before: Mapping[str, Any], now: Mapping[str, Any], inside: str = "") -> list[str]:
    """What differs, a line each.

    >>> differences({"rates": [0.1], "versions": {"numpy": "1"}}, {"rates": [0.1], "versions": {"numpy": "2"}})
    ['versions, numpy: 1 before, 2 now']
    """
    found = []
    for key in dict.fromkeys([*before, *now]):
        old, new = before.get(key, "nothing"), now.get(key, "nothing")
        name = f"{inside}, {key}" if inside else key
        if isinstance(old, dict) and isinstance(new, dict):
            found += differences(old, new, name)
        elif old != new:
            found.append(f"{name}: {_short(old)} before, {_short(new)} now")
    return found


def slug(spec: str) -> str:
    """A codec's name as part of a file's name.

    >>> slug("webp:m6:half")
    'webp-m6-half'
    """
    return re.sub(r"[^A-Za-z0-9.]+", "-", spec).strip("-.")


def crop_file(picture: int, spec: str, rate: float | None = None) -> str:
    """The name of a piece of a picture; of the original where there is no rate. Free of the picture's own name."""
    return f"{picture:03d}-original.webp" if rate is None else f"{picture:03d}-{slug(spec)}-{rate:g}.webp"


def detailed_window(image: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Left, top, width and height of the window of `CROP` with the most detail, on a grid of 32 pixels.

    Detail is the sum of the differences between neighbours: the choice looks at the original alone.
    """
    grey = luma(image).astype(np.int64)
    detail = np.zeros(grey.shape, np.int64)
    detail[:, 1:] += np.abs(np.diff(grey, axis=1))
    detail[1:] += np.abs(np.diff(grey, axis=0))
    sums = np.pad(detail.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    width, height = min(CROP[0], grey.shape[1]), min(CROP[1], grey.shape[0])
    lefts, tops = range(0, grey.shape[1] - width + 1, 32), range(0, grey.shape[0] - height + 1, 32)

    def inside(left: int, top: int) -> int:
        right, bottom = left + width, top + height
        return int(sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left])

    left, top = max(((left, top) for top in tops for left in lefts), key=lambda corner: inside(*corner))
    return left, top, width, height


def rate_bytes(rate: float, image: NDArray[np.uint8]) -> int:
    """The bytes that a picture may take at a rate."""
    return int(rate * pixels(image) / 8)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _versions() -> dict[str, str]:
    core = getattr(_native, "__file__", None)
    built = hashlib.sha256(Path(core).read_bytes()).hexdigest()[:16] if core else "unknown"
    found = {"farlook": __version__, "farlook's C core": built, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _machine() -> dict[str, Any]:
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
    }
