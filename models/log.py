"""The log of a training run: `log.csv`, and on demand `log.json` and `log.png`, all rewritten as it grows."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import TYPE_CHECKING, Any

from farlook.runtime.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LOG = "log.csv"
LOG_JSON = "log.json"
PLOT = "log.png"

Row = dict[str, Any]


def mean_row(step: int, stage: str, steps: Sequence[Mapping[str, float]]) -> Row:
    """One row of the log: the means of what the steps since the last row measured."""
    names = list(steps[0])
    return {
        "step": step,
        "stage": stage,
        **{name: math.fsum(one[name] for one in steps) / len(steps) for name in names},
    }


def write_log(folder: Path, rows: Sequence[Row], *, plot: bool = False) -> None:
    """Write the rows, each file whole or not at all.

    Args:
        folder: Of the run.
        rows: From `mean_row`.
        plot: Write `log.json` and, if matplotlib is installed, `log.png` too.

    Raises:
        OutputError: A file cannot be written.
    """
    columns = list(dict.fromkeys(["step", "stage", "loss", *sorted({name for row in rows for name in row})]))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(folder / LOG, text.getvalue().encode())
    if plot:
        write_bytes(folder / LOG_JSON, json.dumps(list(rows), indent=1).encode())
        _write_plot(folder / PLOT, rows)


def _write_plot(path: Path, rows: Sequence[Row]) -> None:
    """Draw one panel for each measured quantity over the steps."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return
    names = [name for name in (rows[-1] if rows else {}) if name not in ("step", "stage")]
    if not names:
        return
    figure = Figure(figsize=(4.5 * len(names), 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        shown = [row for row in rows if name in row]
        axes.plot([row["step"] for row in shown], [row[name] for row in shown], linewidth=1)
        axes.set(title=name, xlabel="step")
        axes.grid(alpha=0.3)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=100)
    write_bytes(path, image.getvalue())
