"""Rate, distortion and speed of codecs over a folder of pictures, in steps that can be stopped and continued.

setup.json       what the figures depend on; a run that differs is refused
points.jsonl     a line for each codec and picture, added when it is done
timings.jsonl    the same, of times; measured after all points, one process alone
crops/           pieces of some pictures, for the report
*.json, *.csv    written at the end: see `farlook.benchmarks.results`
"""

from __future__ import annotations

import json
from itertools import product
from typing import TYPE_CHECKING, Any

from farlook.benchmarks.bench_measure import Job, TimingJob, measure, time_codec, write_crop
from farlook.benchmarks.bench_setup import crop_file, describe, merge
from farlook.benchmarks.bench_workers import in_any_order
from farlook.benchmarks.journal import open_journal, read_journal
from farlook.benchmarks.other_codecs import library
from farlook.benchmarks.pictures import load
from farlook.runtime.errors import OutputError, UsageError
from farlook.runtime.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from farlook.benchmarks.bench_setup import Plan, Setup
    from farlook.benchmarks.journal import Record

    Advance = Callable[[str, int, int], None]

SETUP, POINTS, TIMINGS, CROPS = "setup.json", "points.jsonl", "timings.jsonl", "crops"


def run_bench(plan: Plan, folder: Path, jobs: int, advance: Advance) -> None:
    """Measure what is missing in a folder of results.

    Args:
        plan: What is to be measured.
        folder: New, empty, or of an earlier run of the same setup.
        jobs: Processes that measure quality; times are always measured by one, after that.
        advance: Told what is being done, how many steps of it are done, and of how many.

    Raises:
        UsageError: The folder holds something else, or results of another setup, or another run is writing to it.
        FarlookError: A picture cannot be read, or a codec fails.
    """
    if plan.perceptual:
        library("ssimulacra2")  # or say at once that it is missing
    now = describe(plan)
    _make(folder)
    with open_journal(folder / POINTS) as points, open_journal(folder / TIMINGS) as timings:
        setup = _begin(folder, now)
        _write_originals(plan, setup, folder)
        known = read_journal(folder / POINTS)
        _work(_missing(plan, setup, folder, known), known, jobs, points.append, advance)
        if plan.repeats:
            measured = {_key(record): record for record in known}
            timed = read_journal(folder / TIMINGS)
            todo = _untimed(plan, measured, timed)
            _time(todo, len(timed), timings.append, advance)


def read_setup(folder: Path) -> Setup | None:
    """The setup of a folder of results; None if it has none.

    Raises:
        UsageError: It is damaged.
    """
    path = folder / SETUP
    if not path.exists():
        return None
    try:
        setup = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is damaged: {error}; name another folder") from error
    if not isinstance(setup, dict) or "codecs" not in setup:
        raise UsageError(f"{path} is not the setup of a benchmark; name another folder")
    return setup


def _make(folder: Path) -> None:
    try:
        if folder.is_dir() and any(folder.iterdir()) and not (folder / SETUP).exists():
            raise UsageError(f"{folder} holds other files: name a new or empty folder with -o")
        (folder / CROPS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from error
    if not (folder / SETUP).exists():  # the mark of a folder of ours, should this be stopped right now
        write_bytes(folder / SETUP, b'{"codecs": {}, "format": 0}\n')


def _begin(folder: Path, now: Setup) -> Setup:
    before = read_setup(folder)
    setup = now if before is None or not before["format"] else merge(before, now)
    write_bytes(folder / SETUP, (json.dumps(setup, indent=1) + "\n").encode())
    return setup


def _write_originals(plan: Plan, setup: Setup, folder: Path) -> None:
    for number, path in enumerate(plan.pictures):
        crop = setup["pictures"][path.name].get("crop")
        target = folder / CROPS / crop_file(number, "")
        if crop and not target.exists():
            write_crop(target, load(path, plan.mode), crop)


def _missing(plan: Plan, setup: Setup, folder: Path, known: Sequence[Record]) -> list[Job]:
    """Pictures outside, codecs inside: all codecs are done with one picture before the next is begun."""
    done = {_key(record) for record in known}
    return [
        Job(
            path,
            plan.mode,
            codec,
            tuple(plan.rates),
            setup["reach"],
            plan.perceptual,
            number,
            setup["pictures"][path.name].get("crop"),
            folder / CROPS,
        )
        for (number, path), codec in product(enumerate(plan.pictures), plan.codecs)
        if (path.name, codec) not in done
    ]


def _work(
    todo: Sequence[Job], known: list[Record], jobs: int, keep: Callable[[Record], None], advance: Advance
) -> None:
    """Measure, add to `known`, and keep."""
    before = len(known)
    advance("quality", before, before + len(todo))
    for done, record in enumerate(in_any_order(measure, todo, jobs), start=1):
        keep(record)
        known.append(record)
        advance("quality", before + done, before + len(todo))


def _untimed(plan: Plan, measured: dict[tuple[str, str], Record], timed: Sequence[Record]) -> list[TimingJob]:
    done = {_key(record) for record in timed}
    todo = []
    for path, codec in product(plan.pictures, plan.codecs):
        points = measured[path.name, codec]["points"]
        files = [(p["rate"], p["setting"], p["sha256"]) for p in points if p["rate"] in plan.rates]
        if (path.name, codec) not in done and files:
            todo.append(TimingJob(path, plan.mode, codec, plan.repeats, files))
    return todo


def _time(todo: Sequence[TimingJob], before: int, keep: Callable[[Record], None], advance: Advance) -> None:
    advance("times", before, before + len(todo))
    for done, record in enumerate(in_any_order(time_codec, todo, 1, one_core=True), start=1):
        keep(record)
        advance("times", before + done, before + len(todo))


def _key(record: dict[str, Any]) -> tuple[str, str]:
    return record["picture"], record["codec"]
