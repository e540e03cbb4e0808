"""What the report's page shows, as JSON: sets of results, references, crops, latency and packet loss."""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from farlook.benchmarks.bench import CROPS
from farlook.benchmarks.bench_setup import crop_file
from farlook.benchmarks.page_styles import label, reference_key, styles
from farlook.benchmarks.results import METRICS
from farlook.runtime.errors import FarlookError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from farlook.benchmarks.results import Metric, Results

    Json = dict[str, Any]

MOST_IMAGE_BYTES = 3_400_000
"""Of all pieces of pictures in a page; base64 makes 4.5 MB of it."""

_OLD_NAMES = {"psnr": "psnr-rgb", "ms-ssim": "ms-ssim-rgb", "ms_ssim": "ms-ssim-rgb"}
"""What CompressAI's older files, and lists of points, call the figures."""

_MODES = {"rgb": "RGB", "luma": "luma"}


@dataclass(frozen=True)
class Extras:
    """What a page shows besides results.

    Attributes:
        references: Curves that others measured: name to lists by figure of merit.
        latency: What `farlook profile --json` writes.
        loss: What `benchmarks/block8_loss.py` writes.
    """

    references: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    latency: Sequence[Json] = ()
    loss: Sequence[Json] = ()


def set_name(results: Results) -> str:
    """A set of results as a reader calls it: "kodak, RGB"."""
    return f"{results.setup['set']}, {_MODES[results.setup['mode']]}"


def page_data(every: Sequence[Results], folders: Sequence[Path], extras: Extras, crop_rate: float) -> Json:
    """All that the page draws from.

    Args:
        every: Sets of results.
        folders: Where each is.
        extras: What else to show.
        crop_rate: Bits a pixel of the pieces of pictures; of the rates that were measured, the nearest.

    Raises:
        UsageError: Two sets have the same pictures and mode.
    """
    names = [set_name(results) for results in every]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UsageError(f"two of the results are of {twice[0]}: give each set once")
    specs = list(dict.fromkeys(spec for results in every for spec in results.codecs))
    return {
        "styles": {name: asdict(style) for name, style in styles(specs, list(extras.references)).items()},
        "sets": [_set_json(name, results) for name, results in zip(names, every, strict=True)],
        "references": {reference_key(name): curve for name, curve in extras.references.items()},
        "reference_set": next((n for n, r in zip(names, every, strict=True) if r.setup["mode"] == "rgb"), ""),
        "crops": _crops(every, folders, crop_rate),
        "latency": [_latency(profile) for profile in extras.latency],
        "loss": [{"axes": found["axes"], "panels": found["panels"]} for found in extras.loss],
    }


def read_references(path: Path) -> dict[str, dict[str, list[float]]]:
    """Curves of a JSON file in CompressAI's layout, one codec or a list of them; or {name: [{bpp, psnr}, ...]}.

    Raises:
        UsageError: It is none of these.
    """
    content = read_json(path)
    found = {}
    for name, lists in _named(path, content):
        curve = {_OLD_NAMES.get(key, key): value for key, value in lists.items()}
        known = {key: curve[key] for key in ("bpp", *(m.key for m in METRICS)) if key in curve}
        lengths = {len(value) if isinstance(value, list) else -1 for value in known.values()}
        if "bpp" not in known or len(known) < 2 or len(lengths) > 1 or -1 in lengths:
            raise UsageError(f"{path}: {name} has no lists of equal length of bpp and psnr or ms-ssim")
        found[name] = known
    return found


def read_latency(path: Path) -> Json:
    """A profile.

    Raises:
        UsageError: It is not what `farlook profile --json` writes.
    """
    content = read_json(path)
    if (
        not isinstance(content, dict)
        or content.get("kind") != "farlook profile"
        or content.get("schema") != 1
    ):
        raise UsageError(f"{path} is not what farlook profile --json writes")
    return content


def read_loss(path: Path) -> Json:
    """Curves of packet loss.

    Raises:
        UsageError: It is not what `benchmarks/block8_loss.py` writes.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("kind") != "packet loss" or not content.get("panels"):
        raise UsageError(f"{path} is not what benchmarks/block8_loss.py writes")
    return content


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        UsageError: It cannot be read, or is no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(f"{path} is no JSON: {error}") from error


def _named(path: Path, content: Any) -> list[tuple[str, Json]]:
    """Every curve of a file with its name, as lists by key."""
    if isinstance(content, dict) and isinstance(content.get("results"), dict):
        return [(str(content.get("name", path.stem)), content["results"])]
    if isinstance(content, list) and content and all(isinstance(each, dict) for each in content):
        return [pair for each in content for pair in _named(path, each)]
    if isinstance(content, dict) and content and all(_are_points(points) for points in content.values()):
        return [
            (name, {key: [point[key] for point in points] for key in points[0]})
            for name, points in content.items()
        ]
    raise UsageError(
        f"{path} is not in CompressAI's layout: {{name, description, results: {{bpp, psnr-rgb}}}}"
    )


def _are_points(points: Any) -> bool:
    return (
        isinstance(points, list)
        and bool(points)
        and all(isinstance(point, dict) and point.keys() == points[0].keys() for point in points)
    )


def _set_json(name: str, results: Results) -> Json:
    return {
        "name": name,
        "pictures": len(results.pictures),
        "rates": results.rates,
        "metrics": [
            {"key": m.key, "label": m.label, "unit": m.unit, "similarity": m.similarity}
            for m in results.metrics
        ],
        "codecs": {codec: _codec_json(results, codec) for codec in results.codecs},
    }


def _codec_json(results: Results, codec: str) -> Json:
    means = results.means(codec)
    keys = ("bpp", *(metric.key for metric in results.metrics))
    speeds = {what: results.speed(codec, what) for what in ("encode", "decode")}
    return {
        "points": {key: [round(point[key], 5) for point in means] for key in keys},
        "speed": {
            what: [float(f"{value:.4g}") for value in (spread.low, spread.median, spread.high)]
            for what, spread in speeds.items()
            if spread
        },
        "delta": {metric.key: _deltas(results, codec, metric) for metric in results.metrics},
    }


def _deltas(results: Results, codec: str, metric: Metric) -> Json:
    """Against every other codec: BD-rate, pictures, and the ends of what is compared."""
    found = {other: results.delta(codec, other, metric) for other in results.codecs if other != codec}
    return {
        other: [round(delta.rate, 2), delta.pictures, round(delta.low, 2), round(delta.high, 2)]
        for other, delta in found.items()
        if delta
    }


def _crops(every: Sequence[Results], folders: Sequence[Path], wanted: float) -> list[Json]:
    """Pieces of pictures as data URIs: set after set, picture after picture, until they are too many."""
    found: list[Json] = []
    room = MOST_IMAGE_BYTES
    for results, folder in zip(every, folders, strict=True):
        for number, picture in enumerate(results.pictures):
            window = results.setup["pictures"][picture].get("crop")
            crop = window and _crop(results, folder / CROPS, number, picture, wanted)
            if crop and crop["size"] <= room:
                room -= crop.pop("size")
                found.append({**crop, "set": set_name(results), "width": window[2], "height": window[3]})
    return found


def _crop(results: Results, folder: Path, number: int, picture: str, wanted: float) -> Json:
    rate = min(results.rates, key=lambda each: abs(each - wanted))
    metric = results.metrics[0]
    versions, sizes = [], []
    for codec in results.codecs:
        point = next((p for p in results.points[codec][picture] if p["rate"] == rate), None)
        if point is not None:
            data = _read(folder / crop_file(number, codec, rate))
            sizes.append(len(data))
            size = f"{point['bytes']:,}".replace(",", "\u202f")
            caption = f"{label(codec)}: {size} bytes, {point[metric.key]:.2f} {metric.unit}"
            versions.append({"codec": codec, "caption": caption, "src": _uri(data)})
    original = _read(folder / crop_file(number, ""))
    return {
        "picture": picture.rpartition(".")[0],
        "rate": rate,
        "original": _uri(original),
        "versions": versions,
        "size": sum(sizes) + len(original),
    }


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FarlookError(f"cannot read {path}: {error.strerror or error}") from error


def _uri(data: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(data).decode()


def _latency(profile: Json) -> Json:
    """Of a profile: what was measured where, and for each direction the mean of every stage and the whole's spread."""
    picture, settings = profile["picture"], profile["settings"]
    machine = profile.get("machine", {})
    return {
        "codec": PurePath(str(settings.get("codec", ""))).stem,
        "backend": profile.get("backend", ""),
        "size": f"{picture['width']}x{picture['height']}",
        "bands": "RGB" if picture["bands"] == 3 else "grey",
        "machine": str(machine.get("gpu") or machine.get("cpu", "")),
        "phases": [
            {
                "direction": phase["direction"],
                "frames": phase["frames"],
                "whole": {key: phase["ms"]["end to end"][key] for key in ("mean", "p50", "p99")},
                "stages": {name: row["mean"] for name, row in phase["ms"].items() if name != "end to end"},
            }
            for phase in profile["phases"]
        ],
    }
