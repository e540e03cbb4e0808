"""Measurements as markdown, JSON and plots."""

from __future__ import annotations

import json
import os
import platform
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farlook.benchmarks.other_codecs import library
from farlook.runtime.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Lines = Sequence[tuple[float, float]]

_COLOURS = {
    "block8": "#d62728",
    "block8-whole": "#ffb000",
    "block8-paper": "#ff9896",
    "fera": "#d62728",
    "aara": "#ff7f0e",
    "mrdcae": "#e377c2",
    "mfca": "#bcbd22",
    "jpeg": "#1f77b4",
    "mozjpeg": "#17becf",
    "j2k": "#2ca02c",
    "htj2k": "#98df8a",
    "webp": "#9467bd",
    "avif": "#8c564b",
    "jxl": "#7f7f7f",
}
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "farlook",
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table, padded so that its source reads well: the first column left, the others right."""
    widths = [max(3, *(len(line[column]) for line in (header, *rows))) for column in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [header, rule, *rows]
    return "\n".join(
        "| " + " | ".join(_padded(cell, widths[i], left=i == 0) for i, cell in enumerate(line)) + " |"
        for line in lines
    )


def figure(value: float | None, digits: int = 2, *, signed: bool = False) -> str:
    """A number for a table's cell; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"


def mean(values: Sequence[float | None], digits: int = 2, *, signed: bool = False) -> str:
    """The mean of what there is, for a table's cell; with [n] where values are missing."""
    there = [value for value in values if value is not None]
    text = figure(average(values), digits, signed=signed)
    return text if len(there) in (0, len(values)) else f"{text} [{len(there)}]"


def average(values: Sequence[float | None]) -> float | None:
    """The mean of what there is; None if nothing is."""
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None


def beside(output: Path, suffix: str) -> Path:
    """The file of another suffix beside the markdown."""
    return output.with_suffix(suffix)


def relative(path: Path, page: Path) -> str:
    """A file's path as a link in a page says it."""
    return Path(os.path.relpath(path.resolve(), page.resolve().parent)).as_posix()


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all, ending in one line break."""
    write_bytes(path, (text.rstrip("\n") + "\n").encode())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all; numbers with five digits after the point."""
    rounded = json.loads(json.dumps(content), parse_float=lambda number: round(float(number), 5))
    text = json.dumps(rounded, separators=(",", ":"))
    write_text(path, text.replace('{"name"', '\n{"name"'))


def write_plot(path: Path, panels: Mapping[str, Mapping[str, Lines]], axes: tuple[str, str]) -> None:
    """Draw panels of lines side by side and write them in the format of the path's suffix.

    Args:
        path: As in plot.svg or plot.png.
        panels: For each title, for each line's name, its points.
        axes: What is along x and along y.
    """
    library("matplotlib").use("Agg")
    pyplot = library("matplotlib.pyplot")
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    with pyplot.rc_context(_STYLE):
        drawing, cells = pyplot.subplots(rows, columns, figsize=(5 * columns, 3.8 * rows), squeeze=False)
        for cell in cells.flat[len(panels) :]:
            cell.set_visible(False)
        for cell, (title, lines) in zip(cells.flat, panels.items(), strict=False):
            _draw(cell, title, lines, axes)
        drawing.tight_layout()
        out = BytesIO()
        kind = path.suffix.lstrip(".")
        drawing.savefig(out, format=kind, metadata={"Date": None} if kind == "svg" else None, dpi=110)
        pyplot.close(drawing)
    write_bytes(path, out.getvalue())


def processor() -> str:
    """The name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    found = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else platform.machine()


def _padded(cell: str, width: int, *, left: bool) -> str:
    return cell.ljust(width) if left else cell.rjust(width)


def _draw(cell: Any, title: str, lines: Mapping[str, Lines], axes: tuple[str, str]) -> None:
    for name, points in lines.items():
        codec = name.split(",")[0]
        x, y = zip(*points, strict=True) if points else ((), ())
        style = "--" if "," in name else "-"
        cell.plot(
            x, y, style, label=name, color=_COLOURS.get(codec), linewidth=2 if codec == "block8" else 1.2
        )
    cell.set(title=title, xlabel=axes[0], ylabel=axes[1])
    cell.legend()
