"""The report's tables as markdown, for a repository's pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farlook.benchmarks.page_data import set_name
from farlook.benchmarks.page_styles import label
from farlook.benchmarks.report import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from farlook.benchmarks.results import Metric, Results

_NAMED = 8
"""Pictures of a set that are named one by one, if they are no more."""

_HEAD = """# {title}

Measured by `farlook bench`, written by `farlook report --markdown` on {processor} ({versions}):

{commands}

Real files, every header included; at each rate the largest file that is not larger. Bytes at equal quality are BD-rates
(PCHIP over the logarithm of the rate) from {low:g} to {high:g} bits a pixel, per picture, then averaged, in per cent:
less than 0 is fewer bytes. SSIM and MS-SSIM count as -10 log10(1 - x). *No container*: without AVIF's boxes
and WebP's RIFF header. [n]: pictures that could be compared, where it is not all."""


def markdown(title: str, every: Sequence[Results], folders: Sequence[Path]) -> str:
    """Tables of every set of results: bytes of farlook's codecs against the others', quality at every rate, speed.

    Args:
        title: The heading.
        every: Sets of results.
        folders: Where each is, as the commands say it.
    """
    setup = every[0].setup
    versions = ", ".join(f"{k} {v}" for k, v in setup["versions"].items() if v != "not installed")
    commands = "\n".join(
        f"    {_command(results, folder)}" for results, folder in zip(every, folders, strict=True)
    )
    rates = every[0].rates
    head = _HEAD.format(
        title=title,
        processor=setup["machine"]["processor"],
        versions=versions,
        commands=commands,
        low=rates[0],
        high=rates[-1],
    )
    return "\n\n".join([head, *(part for results in every for part in _set(results))]) + "\n"


def _command(results: Results, folder: Path) -> str:
    setup = results.setup
    rates = ",".join(f"{rate:g}" for rate in results.rates)
    grey = " --grey" if setup["mode"] != "rgb" else ""
    codecs = ",".join(results.codecs)
    measured = f"--rates {rates}{grey} --repeats {setup['repeats']}"
    return f"farlook bench {setup['set']}/ -o {folder.name}/ --codec {codecs} {measured}"


def _set(results: Results) -> Iterator[str]:
    yield f"## {set_name(results)}, {len(results.pictures)} pictures"
    if len(results.pictures) <= _NAMED:
        yield f"{', '.join(results.pictures)}."
    for codec in results.codecs:
        if codec.startswith("farlook:"):
            yield _bytes_table(results, codec)
    yield _quality_table(results, results.metrics[0])
    if results.timed is not None:
        yield _speed_table(results)


def _bytes_table(results: Results, tested: str) -> str:
    rows = []
    for anchor in results.codecs:
        if anchor == tested:
            continue
        for bare in (False, True) if results.container(anchor) else (False,):
            cells = [_delta(results, tested, anchor, metric, bare=bare) for metric in results.metrics]
            rows.append([label(anchor) + (", no container" if bare else ""), *cells])
    header = [f"bytes of {label(tested)}, %, against", *(metric.label for metric in results.metrics)]
    return table(header, rows)


def _delta(results: Results, tested: str, anchor: str, metric: Metric, *, bare: bool) -> str:
    found = results.delta(tested, anchor, metric, bare=bare)
    if found is None:
        return "-"
    few = f" [{found.pictures}]" if found.pictures < len(results.pictures) else ""
    return f"{found.rate:+.1f}{few}"


def _quality_table(results: Results, metric: Metric) -> str:
    digits = 4 if metric.similarity else 2
    rows = []
    for codec in results.codecs:
        means = {point["rate"]: point[metric.key] for point in results.means(codec)}
        cells = [
            f"{means[rate]:.{digits}f}" if rate in means else f"[{len(results.at(codec, rate))}]"
            for rate in results.rates
        ]
        rows.append([label(codec), *cells])
    unit = f", {metric.unit}" if metric.unit else ""
    return table([f"{metric.label}{unit}", *(f"{rate:g}" for rate in results.rates)], rows)


def _speed_table(results: Results) -> str:
    rows = []
    for codec in results.codecs:
        spreads = [results.speed(codec, what) for what in ("encode", "decode")]
        cells = [
            text
            for spread in spreads
            for text in (
                (f"{spread.median:.3g}", f"{spread.low:.3g} to {spread.high:.3g}") if spread else ("-", "-")
            )
        ]
        rows.append([label(codec), *cells])
    header = ["megapixels a second, one core", "encode", "quartiles", "decode", "quartiles"]
    timed = results.timed
    when = f"\n\nTimed {timed.first} to {timed.last}" if timed else ""
    load = f", load average {timed.low:.2f} to {timed.high:.2f}" if timed and timed.low is not None else ""
    return f"{table(header, rows)}{when}{load}; the measurement itself is a load of 1."
