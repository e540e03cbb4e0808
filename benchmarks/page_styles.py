"""What codecs are called and how they are drawn, in the report's page and in its pictures alike.

Colours are told apart by people who see few of them, too, and codecs of one colour by their dashes and marks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from farlook.benchmarks.specs import our_spec

if TYPE_CHECKING:
    from collections.abc import Sequence

COLOURS = (
    "#c2410c",
    "#1d5fa8",
    "#00775a",
    "#9c3f8c",
    "#a87900",
    "#2a8fbd",
    "#5c6370",
    "#5b3e96",
    "#7a4b1e",
    "#8d8f94",
)
"""On white, by number: vermilion, blue, green, purple, ochre, sky, slate, violet, brown; grey for references."""

MARKS = ("circle", "square", "up", "diamond", "down", "cross")
DASHES = ("", "6 3", "2 3", "8 3 2 3")

_NAMES = {
    "jpeg": "JPEG",
    "mozjpeg": "mozjpeg",
    "jpeg2000": "JPEG 2000",
    "htj2k": "HTJ2K",
    "webp": "WebP",
    "avif": "AVIF",
    "jxl": "JPEG XL",
}
_FAMILIES = {"avif": 2, "webp": 3, "jpeg": 4, "mozjpeg": 4, "jpeg2000": 5, "htj2k": 5, "jxl": 6}
_REFERENCE = len(COLOURS) - 1


@dataclass(frozen=True)
class Style:
    """How a codec is shown.

    Attributes:
        label: What people call it.
        colour: Index of `COLOURS`.
        mark: Index of `MARKS`.
        dash: Index of `DASHES`.
        ours: Whether it is farlook's.
        reference: Whether others measured it.
    """

    label: str
    colour: int
    mark: int
    dash: int
    ours: bool = False
    reference: bool = False


def label(spec: str) -> str:
    """What people call a codec.

    >>> label("webp:m6:half"), label("farlook:block8:neural"), label("farlook:runs/mine.bundle")
    ('WebP m6, half size', 'block8, neural decoder', 'mine')
    >>> label("farlook:block8:tune=ms-ssim:neural:ms-ssim")
    'block8 tune=ms-ssim, neural'
    """
    ours = our_spec(spec)
    if ours is not None and ours.codec:
        return _our_label(_stem(ours.codec), ours.options, [_stem(part) for part in ours.decoder.split(":")])
    name, *parameters = spec.split(":")
    half = parameters[-1:] == ["half"]
    words = [_NAMES.get(name, name), *parameters[: len(parameters) - half]]
    return " ".join(words) + (", half size" if half else "")


def _our_label(codec: str, options: Sequence[str], decoder: list[str]) -> str:
    """Short enough for a plot's margin: a network that is called like an option's value is not named again."""
    values = {option.partition("=")[2] for option in options}
    words = " ".join(part for part in decoder if part not in values)
    if words and not options:
        words += " decoder"
    return " ".join([codec, *options]) + (f", {words}" if words else "")


def reference_key(name: str) -> str:
    """What tells a curve that others measured from a codec of the same name."""
    return f"published:{name}"


def styles(specs: list[str], references: list[str]) -> dict[str, Style]:
    """A style for every codec: the same codec looks alike in all reports, as far as there are colours."""
    found: dict[str, Style] = {}
    used: dict[int, int] = {}
    for spec in specs:
        colour = _colour(spec)
        variant = used[colour] = used.get(colour, -1) + 1
        ours = spec.startswith("farlook:")
        found[spec] = Style(label(spec), colour, (colour + variant) % len(MARKS), variant % len(DASHES), ours)
    for number, name in enumerate(references):
        look = number % len(MARKS), 2
        found[reference_key(name)] = Style(name, _REFERENCE, *look, reference=True)
    return found


def _stem(text: str) -> str:
    """A bundle's name instead of its path, which is nobody's business."""
    return PurePath(text).stem if text.endswith(".bundle") else text


def _colour(spec: str) -> int:
    ours = our_spec(spec)
    if ours is None:
        return _FAMILIES.get(spec.split(":", maxsplit=1)[0], 8)
    if ours.decoder:
        return 0
    return 1 if ours.codec == "block8" else 7
