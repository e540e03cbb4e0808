"""What `farlook profile` prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from farlook.cli.batch import one_line
from farlook.runtime.profile.layers import LayerTable
from farlook.runtime.profile.measure import Phase, Profile
from farlook.runtime.profile.parts import Parts
from farlook.runtime.profile.report import energies, remarks, stage_rows, state, throughput
from farlook.runtime.profile.statistics import Statistics

_MOST_LAYERS = 20
_FILE_WIDTH = 160


def print_profile(measured: Profile, parts: Parts, tables: Sequence[LayerTable]) -> None:
    """Print a profile for people.

    Args:
        measured: With at least one measured frame.
        parts: What `farlook.runtime.profile.parts.measure_parts` gave.
        tables: What `farlook.runtime.profile.layers.measure_layers` gave.
    """
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not console.is_terminal:  # a file is as wide as its tables
        console.width = _FILE_WIDTH
    console.print(headline(measured))
    for line in _machine_lines(measured):
        console.print(one_line(line))
    for phase in measured.measured:
        console.print()
        _print_phase(console, measured, phase)
        if parts.get(phase.direction):
            _print_parts(console, parts[phase.direction])
    console.print()
    console.print(_memory_line(measured))
    for layer_table in tables:
        console.print()
        _print_layers(console, layer_table)
    for remark in remarks(measured):
        console.print(one_line(f"note: {remark}"))


def headline(measured: Profile) -> str:
    """Codec, backend, size and target on one line."""
    plan = measured.plan
    precision = "" if measured.backend == "native" else f" ({plan.precision})"
    bands = "grey" if len(measured.shape) == 2 else "RGB"
    target = ", ".join(f"{name} {value}" for name, value in plan.target.items()) or "quality 50"
    threads = f"{plan.threads} thread{'s' if plan.threads > 1 else ''}" if plan.threads else "all cores"
    return one_line(
        f"{measured.bundle['codec']}{precision} on {measured.backend}, "
        f"{measured.shape[1]}x{measured.shape[0]} {bands}, {target}, {threads}"
    )


def _machine_lines(measured: Profile) -> list[str]:
    machine = measured.machine
    first = [machine.get("board"), machine.get("cpu"), f"{machine.get('cores')} cores"]
    if "jetson_linux" in machine:
        first.append(f"Jetson Linux {machine['jetson_linux']}")
    if "power_mode" in machine:
        first.append(f"power mode {machine['power_mode']}")
    if "governor" in machine:
        first.append(f"governor {', '.join(machine['governor'])}")
    if "gpu" in machine:
        first.append(f"{machine['gpu'].get('name')}, driver {machine['gpu'].get('driver')}")
    return [
        ", ".join(str(part) for part in first if part),
        *filter(None, [measured.choice.partition("; not ")[0]]),
    ]


def _print_phase(console: Console, measured: Profile, phase: Phase) -> None:
    rows = stage_rows(phase)
    whole = next(iter(rows.values())).mean
    table = _table(f"{phase.direction}, ms", "mean", "share", "p50", "p90", "p95", "p99", "max", "jitter")
    for name, row in rows.items():
        table.add_row(name, _ms(row.mean), f"{100 * row.mean / whole:.1f} %", *_tail(row))
    console.print(table)
    rates = throughput(measured, phase)
    console.print(
        f"{len(phase.frames)} frames, {rates['frames_per_s']:.2f} frames/s, {rates['megapixels_per_s']:.2f} MP/s, "
        f"{rates['cores_busy']:.2f} cores busy, {rates['bytes']:.0f} bytes, {rates['bits_per_pixel']:.3f} bpp"
        + (f"; the first call took {1e3 * phase.cold:.1f} ms" if phase.cold is not None else "")
    )
    for energy in energies(measured, phase):
        text = f"{energy.name}: {energy.watts:.2f} W, {1e3 * energy.joules_per_frame:.1f} mJ a frame"
        if energy.above_idle_per_frame is not None:
            text += f", {1e3 * energy.above_idle_per_frame:.1f} mJ above {energy.idle_watts:.2f} W idle"
        console.print(one_line(f"{text} ({energy.source})"))
    for row_state in state(phase.courses):
        if "median" in row_state:
            console.print(
                one_line(
                    f"{row_state['name']}: {row_state['least']:.0f} to {row_state['most']:.0f} {row_state['unit']}"
                )
            )


def _print_parts(console: Console, parts: dict[str, list[float]]) -> None:
    table = _table("its parts alone, ms", "mean", "", "p50", "p90", "p95", "p99", "max", "jitter")
    for name, times in parts.items():
        row = Statistics.of([1e3 * time for time in times])
        table.add_row(name, _ms(row.mean), "", *_tail(row))
    console.print(table)
    console.print("(one after the other, which the call above does not do: they do not add up to it)")


def _tail(row: Statistics) -> tuple[str, ...]:
    return tuple(map(_ms, (row.p50, row.p90, row.p95, row.p99, row.maximum, row.jitter)))


def _ms(value: float) -> str:
    """Milliseconds in few letters, so that nine columns fit a terminal of 80."""
    return f"{value:.3f}" if value < 10 else f"{value:.2f}" if value < 100 else f"{value:.1f}"


def _memory_line(measured: Profile) -> str:
    memory = measured.memory
    texts = [
        f"{memory['before'] / 1e6:.1f} MB before the codec was opened, {memory['after'] / 1e6:.1f} after"
    ]
    when = "of" if measured.peak_is_since_reset else "by the end of"
    texts += [
        f"peak {when} {phase.direction}: {phase.peak_bytes / 1e6:.1f} MB "
        f"(+{(phase.peak_bytes - memory['before']) / 1e6:.1f})"
        for phase in measured.measured
        if phase.peak_bytes is not None
    ]
    if "device" in memory:
        texts.append(f"on the GPU {memory['device'] / 1e6:.1f} MB")
    if "device_growth" in memory:
        texts.append(f"in use on the GPU {memory['device_growth'] / 1e6:+.1f} MB, all programs")
    return f"memory: {'; '.join(texts)}; opened in {1e3 * measured.load_seconds:.0f} ms"


def _print_layers(console: Console, layers: LayerTable) -> None:
    whole = layers.sum_seconds or 1.0
    kinds = _table(f"{layers.network}, by operator", "layers", "ms a frame", "share")
    for kind, count, seconds in layers.by_kind():
        kinds.add_row(one_line(kind), str(count), _ms(1e3 * seconds), f"{100 * seconds / whole:.1f} %")
    console.print(kinds)
    table = _table(f"{layers.network}, slowest layers", "operator", "calls", "ms a frame", "share", "by")
    for layer in layers.layers[:_MOST_LAYERS]:
        times = (f"{layer.calls:g}", _ms(1e3 * layer.seconds), f"{100 * layer.seconds / whole:.1f} %")
        table.add_row(one_line(layer.name), one_line(layer.kind), *times, one_line(layer.detail))
    console.print(table)
    left = len(layers.layers) - _MOST_LAYERS
    console.print(
        f"{len(layers.layers)} layers, {1e3 * layers.sum_seconds:.2f} ms a frame"
        + (f" of {1e3 * layers.run_seconds:.2f} ms for the network" if layers.run_seconds else "")
        + f", by {layers.how}, {layers.runs} runs of {layers.windows} windows"
        + (f"; {left} faster ones are in --json" if left > 0 else "")
        + (f"; {layers.note}" if layers.note else "")
    )


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    return table
