"""Draws rankings of groups."""

from __future__ import annotations

import io
import math
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from farlook.runtime.errors import MissingExtraError, OutputError
from farlook.runtime.files import check_destination, write_bytes

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from farlook.calibration.sensitivity import Cost

FORMATS = (".png", ".svg", ".pdf")
_SHOWN = 40


def check_plot(path: str | os.PathLike[str]) -> None:
    """Refuse what cannot be drawn, before the work whose result it shows.

    Raises:
        OutputError: The suffix is unknown, or the file cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    if Path(path).suffix.lower() not in FORMATS:
        raise OutputError(f"cannot draw {path}: its suffix is none of {', '.join(FORMATS)}")
    check_destination(path)
    if find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib", "calibrate", "to draw")


def draw_costs(costs: Sequence[Cost], path: str | os.PathLike[str], title: str) -> None:
    """Draw the worst groups as bars, BD-rate in per cent.

    Raises:
        OutputError: The suffix is unknown, or the file cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    check_plot(path)
    from matplotlib.figure import Figure  # noqa: PLC0415  # optional, and slow to import

    shown = list(reversed(costs[:_SHOWN]))
    known = [cost.change.bd_rate for cost in costs if math.isfinite(cost.change.bd_rate)]
    figure = Figure(figsize=(8, 1.5 + 0.2 * len(shown)), layout="constrained")
    axes = figure.add_subplot()
    values = [min(cost.change.bd_rate, max(known, default=1.0)) for cost in shown]
    colours = ["tab:blue" if cost.network == "analysis" else "tab:orange" for cost in shown]
    axes.barh([f"{cost.network} {cost.node}" for cost in shown], values, color=colours)
    axes.set_xlabel("BD-rate, %")
    axes.set_title(title if len(shown) == len(costs) else f"{title} (the worst {len(shown)} of {len(costs)})")
    axes.grid(axis="x", alpha=0.3)
    axes.tick_params(axis="y", labelsize=7)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=Path(path).suffix[1:].lower(), dpi=150)
    write_bytes(path, buffer.getvalue())
