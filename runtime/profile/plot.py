"""A profile, drawn: where the time of a mean frame goes, how each stage scatters, and how frames follow each other."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.runtime.errors import MissingExtraError
from farlook.runtime.profile.report import END_TO_END, stage_rows
from farlook.runtime.profile.stages import OTHER, STAGES
from farlook.runtime.profile.statistics import percentile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from farlook.runtime.profile.measure import Phase, Profile

_COLOURS = {
    "coding": "#0072b2",
    "colour": "#e69f00",
    "windows": "#999999",
    "copies": "#f0e442",
    "analysis": "#0072b2",
    "quantisation": "#56b4e9",
    "entropy": "#d55e00",
    "stream": "#cc79a7",
    "synthesis": "#009e73",
    "other": "#cccccc",
}
"""A colour for each stage, told apart with any colour vision (Okabe and Ito)."""

_INK, _FAINT = "#222222", "#dddddd"
_NARROW = 0.06
"""A part of a bar below this share has no room for its number."""


def draw(profile: Profile, title: str) -> bytes:
    """Draw a profile as a PNG.

    Args:
        profile: With at least one measured frame.
        title: One line.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  # optional, slow to import
        from matplotlib.figure import Figure  # noqa: PLC0415
        from matplotlib.ticker import MaxNLocator  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("matplotlib", "calibrate", "to draw a profile") from error
    phases = profile.measured
    rows = [stage_rows(phase) for phase in phases]
    tallest = max(len(each) for each in rows)
    heights = [0.55 + 0.5 * len(phases), 0.6 + 0.36 * tallest, 2.0]
    figure = Figure(figsize=(11, 1.6 + sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11, color=_INK)
    grid = figure.add_gridspec(3, len(phases), height_ratios=heights)
    _bars(figure.add_subplot(grid[0, :]), phases)
    for column, phase in enumerate(phases):
        _boxes(figure.add_subplot(grid[1, column]), phase, tallest - 1)
        course = figure.add_subplot(grid[2, column])
        course.xaxis.set_major_locator(MaxNLocator(integer=True))
        _course(course, phase)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=130)
    return picture.getvalue()


def _bars(axes: Any, phases: Sequence[Phase]) -> None:
    """Mean milliseconds of each stage, one bar for each direction: they add up to the mean frame."""
    longest = 0.0
    seen: dict[str, Any] = {}
    for place, phase in enumerate(phases):
        rows = stage_rows(phase)
        whole, left = rows[END_TO_END].mean, 0.0
        longest = max(longest, whole)
        for name, row in rows.items():
            if name == END_TO_END:
                continue
            seen[name] = axes.barh(place, row.mean, left=left, height=0.62, color=_colour(name))
            if row.mean > _NARROW * whole:
                ink = _INK if name in ("copies", "other", "windows") else "white"
                text = f"{_short(row.mean)}\n{100 * row.mean / whole:.0f} %"
                axes.text(left + row.mean / 2, place, text, ha="center", va="center", fontsize=8, color=ink)
            left += row.mean
        axes.text(whole, place, f"  {_short(whole)} ms", va="center", fontsize=9, color=_INK)
    axes.set_yticks(range(len(phases)), [phase.direction for phase in phases])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.12 * longest)
    axes.set_xlabel("mean ms a frame", fontsize=8)
    order = [*(name for name in STAGES if name in seen), *sorted(set(seen) - set(STAGES))]
    axes.legend(
        [seen[name] for name in order],
        order,
        ncols=len(order),
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        frameon=False,
        fontsize=8,
    )
    _plain(axes, "x")


def _boxes(axes: Any, phase: Phase, places: int) -> None:
    """How each stage scatters: box from quartile to quartile, whiskers to the extremes, a dot for each frame."""
    rows = [name for name in stage_rows(phase) if name != OTHER]
    samples = [_milliseconds(phase, name) for name in rows]
    spread = np.random.default_rng(0)
    for place, (name, times) in enumerate(zip(rows, samples, strict=True)):
        heights = place + spread.uniform(-0.26, 0.26, len(times))
        axes.plot(times, heights, ".", markersize=2.5, color=_colour(name), alpha=0.45, zorder=1)
    style = {"whis": (0, 100), "widths": 0.5, "zorder": 2, "patch_artist": True}
    # From 3.10 on, matplotlib has `orientation`, and `vert` is on its way out.
    lying: dict[str, Any] = {"orientation": "horizontal"} if _has_orientation() else {"vert": False}
    boxes = axes.boxplot(samples, positions=range(len(rows)), **style, **lying)
    for box, name in zip(boxes["boxes"], rows, strict=True):
        box.set(facecolor=(*_rgb(_colour(name)), 0.25), edgecolor=_INK, linewidth=0.8)
    for part in ("whiskers", "caps", "medians"):
        for line in boxes[part]:
            line.set(color=_INK, linewidth=1.6 if part == "medians" else 0.8)
    for place, times in enumerate(samples):
        axes.text(
            1.01,
            place,
            f"{_short(percentile(times, 50))} | {_short(percentile(times, 99))}",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=8,
            color=_INK,
        )
    axes.text(
        1.01, -0.7, "p50 | p99", transform=axes.get_yaxis_transform(), va="center", fontsize=8, color=_INK
    )
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(places - 0.5, -0.5)
    least, most = min(times.min() for times in samples), max(times.max() for times in samples)
    if least > 0:
        axes.set_xscale("log")
        axes.set_xlim(10 ** np.floor(np.log10(least)), 10 ** np.ceil(np.log10(most * 1.001)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(lambda *_: "")
    text = f"ms; {len(phase.frames)} frames, a dot each; whiskers to the least and the most"
    axes.set_xlabel(text, fontsize=8)
    axes.set_title(phase.direction, fontsize=10, loc="left", color=_INK)
    _plain(axes, "x")


def _course(axes: Any, phase: Phase) -> None:
    """Frame after frame: drift, throttling and single slow frames show here."""
    times = _milliseconds(phase, END_TO_END)
    axes.plot(range(len(times)), times, "-", linewidth=0.8, color=_FAINT, zorder=1)
    axes.plot(range(len(times)), times, ".", markersize=3, color="#0072b2", zorder=2)
    for percent, style in ((50, "-"), (99, "--")):
        level = percentile(times, percent)
        axes.axhline(level, linestyle=style, linewidth=0.9, color="#d55e00", zorder=3)
        axes.text(
            1.01,
            level,
            f"p{percent}",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=8,
            color="#d55e00",
        )
    axes.set_ylim(bottom=0)
    axes.set_xlabel("frame", fontsize=8)
    axes.set_ylabel("end to end, ms", fontsize=8)
    _plain(axes, "y")


def _milliseconds(phase: Phase, name: str) -> NDArray[np.float64]:
    if name == END_TO_END:
        return np.array([1e3 * frame.total for frame in phase.frames])
    return np.array([1e3 * frame.stages.get(name, 0.0) for frame in phase.frames])


def _short(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _colour(name: str) -> str:
    return _COLOURS.get(name, "#555555")


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))


def _has_orientation() -> bool:
    import matplotlib as mpl  # noqa: PLC0415  # imported by `draw` before

    major, minor = (int(part) for part in mpl.__version__.split(".")[:2])
    return (major, minor) >= (3, 10)


def _plain(axes: Any, grid: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, colors=_INK)
    axes.grid(axis=grid, color=_FAINT, linewidth=0.5, zorder=0)
    axes.set_axisbelow(True)
