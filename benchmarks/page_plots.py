"""PNG plots from the same results and in the same colours as the report's page."""

from __future__ import annotations

from io import BytesIO
from itertools import product
from typing import TYPE_CHECKING, Any

from farlook.benchmarks.bench_setup import slug
from farlook.benchmarks.other_codecs import library
from farlook.benchmarks.page_data import set_name
from farlook.benchmarks.page_styles import COLOURS, reference_key, styles
from farlook.runtime.errors import OutputError
from farlook.runtime.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from farlook.benchmarks.page_data import Extras
    from farlook.benchmarks.page_styles import Style
    from farlook.benchmarks.results import Metric, Results

_MARKS = ("o", "s", "^", "D", "v", "P")
_DASHES = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)))
_OFFSETS = ((6, 4), (6, -10), (0, 8), (0, -14), (6, 15), (6, -21), (6, 26), (6, -32))
"""Where the name of a mark may be, in points; the first that is free."""

_STYLE = {
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.edgecolor": "#9aa0a8",
    "axes.labelcolor": "#5a616b",
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e3e6ea",
    "grid.linewidth": 0.8,
    "xtick.color": "#5a616b",
    "ytick.color": "#5a616b",
    "xtick.minor.visible": False,
}
_DPI = 160
_WIDTH, _LETTER, _SHORT = 7.2, 0.075, 22
"""Inches of a plot whose longest name has so many letters, and inches for every letter more."""


def write_plots(folder: Path, every: Sequence[Results], extras: Extras) -> list[Path]:
    """Write rate-SET-METRIC.png and speed-SET-METRIC.png of every set of results; gives their paths.

    Raises:
        OutputError: A file cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    library("matplotlib").use("Agg")
    pyplot = library("matplotlib.pyplot")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from error
    written = []
    specs = list(dict.fromkeys(codec for results in every for codec in results.codecs))
    looks = styles(specs, list(extras.references))
    for results in every:
        name = slug(set_name(results)).lower()
        references = extras.references if results is _first_rgb(every) else {}
        for metric in results.metrics:
            with pyplot.rc_context(_STYLE):
                plots = {"rate": _rate(pyplot, results, metric, looks, references)}
                if any(results.timings.values()):
                    plots["speed"] = _speed(pyplot, results, metric, looks)
                for kind, drawing in plots.items():
                    written.append(folder / f"{kind}-{name}-{metric.key}.png")
                    _write(pyplot, written[-1], drawing)
    return written


def _write(pyplot: Any, path: Path, drawing: Any) -> None:
    out = BytesIO()
    drawing.savefig(out, format="png", dpi=_DPI, metadata={"Software": None})
    pyplot.close(drawing)
    write_bytes(path, out.getvalue())


def _first_rgb(every: Sequence[Results]) -> Results | None:
    return next((results for results in every if results.setup["mode"] == "rgb"), None)


def _rate(
    pyplot: Any,
    results: Results,
    metric: Metric,
    looks: Mapping[str, Style],
    references: Mapping[str, Mapping[str, Sequence[float]]],
) -> Any:
    """Means against rate; names at the lines' ends."""
    longest = max(len(look.label) for look in looks.values())
    width = _WIDTH + _LETTER * max(0, longest - _SHORT)  # so that long names take nothing from the plot
    drawing, cell = pyplot.subplots(figsize=(width, 4.3), layout="constrained")
    low, high = 0.92 * results.rates[0], 1.08 * results.rates[-1]
    curves = {
        codec: [(point["bpp"], point[metric.key]) for point in results.means(codec)]
        for codec in results.codecs
    }
    for name, lists in references.items():
        pairs = zip(lists["bpp"], lists.get(metric.key, ()), strict=False)
        curves[reference_key(name)] = [pair for pair in pairs if low <= pair[0] <= high]
    ends = []
    for name, points in curves.items():
        if points:
            _line(cell, looks[name], points)
            ends.append((points[-1][1], looks[name]))
    cell.set_xscale("log")
    cell.set_xlim(low, high)
    cell.set_xticks(results.rates, [f"{rate:g}" for rate in results.rates])
    cell.minorticks_off()
    if metric.similarity:
        _similarity_scale(cell, [value for points in curves.values() for _, value in points])
    cell.set_xlabel("bits a pixel")
    unit = f", {metric.unit}" if metric.unit else ""
    title = f"{metric.label}{unit}: {set_name(results)}, {len(results.pictures)} pictures"
    cell.set_title(title, loc="left", fontsize=9.5, color="#1b1e23")
    _name_ends(drawing, cell, ends)
    return drawing


def _line(cell: Any, look: Style, points: Sequence[tuple[float, float]]) -> None:
    x, y = zip(*points, strict=True)
    width, size = (2.4, 5.5) if look.ours else (1.3, 4)
    cell.plot(
        x,
        y,
        linestyle=_DASHES[look.dash],
        marker=_MARKS[look.mark],
        color=COLOURS[look.colour],
        linewidth=width,
        markersize=size,
        markeredgecolor="white",
        markeredgewidth=0.5,
        zorder=3 if look.ours else 2,
    )


def _similarity_scale(cell: Any, values: Sequence[float]) -> None:
    """Decibels of what lacks to 1, with the values themselves at the ticks."""

    def there(value: Any) -> Any:
        import numpy as np  # noqa: PLC0415  # as late as matplotlib, which calls this

        return -10 * np.log10(np.maximum(1 - value, 1e-10))

    cell.set_yscale("function", functions=(there, lambda scaled: 1 - 10 ** (-scaled / 10)))
    if not values:
        return
    first, last = (float(there(value)) for value in (min(values), max(values)))
    margin = 0.05 * (last - first) or 0.5
    low, high = (1 - 10 ** (-scaled / 10) for scaled in (first - margin, last + margin))
    cell.set_ylim(low, high)
    ticks = [0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995]
    shown = [tick for tick in ticks if low <= tick <= high]
    cell.set_yticks(shown, [f"{tick:g}" for tick in shown])


def _name_ends(drawing: Any, cell: Any, ends: list[tuple[float, Style]]) -> None:
    """Write names beside the lines' ends, moved off each other."""
    drawing.canvas.draw()
    to_axes = cell.transData + cell.transAxes.inverted()
    heights = sorted((float(to_axes.transform((1, value))[1]), look.label, look) for value, look in ends)
    places = spread([height for height, _, _ in heights], 0.048)
    for place, (_, name, look) in zip(places, heights, strict=True):
        cell.annotate(
            name,
            (1.015, place),
            xycoords="axes fraction",
            va="center",
            color=COLOURS[look.colour],
            fontweight="bold" if look.ours else "normal",
            fontsize=8.5,
            annotation_clip=False,
        )


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Rising heights of 0 to 1, moved as little as will do to be `gap` apart, and within 0 to 1 if all have room.

    What is too close becomes a group around its mean.

    >>> [round(height, 2) for height in spread([0.2, 0.5, 0.5, 0.98], 0.1)]
    [0.2, 0.45, 0.55, 0.98]
    """
    groups: list[tuple[float, int]] = []  # mean of what is left without the gaps, members
    for index, height in enumerate(heights):
        groups.append((height - index * gap, 1))
        while len(groups) > 1 and groups[-2][0] > groups[-1][0]:
            (first, few), (second, more) = groups[-2:]
            groups[-2:] = [((few * first + more * second) / (few + more), few + more)]
    least = [mean for mean, count in groups for _ in range(count)]
    top = 1 - (len(least) - 1) * gap
    return [max(min(mean, top), 0.0) + index * gap for index, mean in enumerate(least)]


def _speed(pyplot: Any, results: Results, metric: Metric, looks: Mapping[str, Style]) -> Any:
    """Encode and decode speed against bytes at equal quality, against JPEG 2000 if it is there."""
    anchor = "jpeg2000" if "jpeg2000" in results.codecs else results.codecs[-1]
    drawing, cells = pyplot.subplots(1, 2, figsize=(9.6, 4.2), layout="constrained", sharey=True)
    named = []
    for cell, what in zip(cells, ("encode", "decode"), strict=True):
        marks: list[tuple[float, float, Style]] = []
        for codec in results.codecs:
            speed = results.speed(codec, what)
            delta = results.delta(codec, anchor, metric)
            if speed is None or (delta is None and codec != anchor):
                continue
            look, size = looks[codec], delta.rate if delta else 0.0
            colour = COLOURS[look.colour]
            cell.plot([speed.low, speed.high], [size, size], color=colour, alpha=0.45, linewidth=1.6)
            cell.plot(
                speed.median, size, _MARKS[look.mark], color=colour, markersize=7, markeredgecolor="white"
            )
            marks.append((speed.median, size, look))
        cell.axhline(0, color="#5a616b", linewidth=0.8, zorder=1)
        cell.set_xscale("log")
        cell.margins(x=0.22, y=0.1)
        cell.xaxis.set_major_formatter("{x:g}")
        cell.yaxis.set_major_formatter(
            lambda value, _: f"{value:+.0f}".replace("-", "\u2212") if round(value) else "0"
        )
        cell.minorticks_off()
        cell.set_xlabel(f"{what}, megapixels a second on one core")
        named.append((cell, marks))
    cells[0].set_ylabel(f"bytes at equal {metric.label}, % against {looks[anchor].label}")
    cells[0].set_title(set_name(results), loc="left", fontsize=9.5, color="#1b1e23")
    drawing.canvas.draw()  # now it is known where everything lies
    for cell, marks in named:
        _name_marks(drawing, cell, marks)
    return drawing


def _name_marks(drawing: Any, cell: Any, marks: Sequence[tuple[float, float, Style]]) -> None:
    """Write a name beside every mark, where it covers no other mark or name, inside the axes."""
    from matplotlib.transforms import Bbox  # noqa: PLC0415  # as late as the rest of it

    renderer, pixel = drawing.canvas.get_renderer(), drawing.dpi / 72
    frame = cell.get_window_extent(renderer)
    taken = [
        Bbox.from_bounds(x - 5 * pixel, y - 5 * pixel, 10 * pixel, 10 * pixel)
        for x, y in (cell.transData.transform((speed, size)) for speed, size, _ in marks)
    ]
    for speed, size, look in sorted(marks, key=lambda mark: not mark[2].ours):
        text = cell.annotate(
            look.label,
            (speed, size),
            (0, 0),
            textcoords="offset points",
            color=COLOURS[look.colour],
            fontsize=8,
            fontweight="bold" if look.ours else "normal",
        )
        for (dx, dy), side in product(_OFFSETS, ("left", "right")):
            text.set_position((dx if side == "left" else -dx, dy))
            text.set_horizontalalignment(side)
            box = text.get_window_extent(renderer)
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 + 8 * pixel and frame.y0 <= box.y0
            if inside and not any(box.overlaps(other) for other in taken):
                break
        taken.append(text.get_window_extent(renderer))
