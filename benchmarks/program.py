"""What every benchmark's command line has in common: arguments, errors, progress, processes."""

from __future__ import annotations

import argparse
import shlex
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from farlook.models.progress import progress_bars
from farlook.runtime.errors import FarlookError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Job = TypeVar("Job")
Result = TypeVar("Result")


def make_parser(script: str, text: str, output: str) -> argparse.ArgumentParser:
    """A parser with the options that all benchmarks have.

    Args:
        script: The program's file, as in "block8_rd.py".
        text: Its module's docstring, with an example.
        output: The markdown file that it writes unless told otherwise.
    """
    parser = argparse.ArgumentParser(
        prog=f"python benchmarks/{script}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--output", type=Path, default=Path(output), help="markdown file to write (default: %(default)s)"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    return parser


def add_processes(parser: argparse.ArgumentParser) -> None:
    """Add `--processes`."""
    parser.add_argument(
        "--processes", type=positive, default=2, help="pictures coded at once (default: %(default)s)"
    )


def positive(text: str) -> int:
    """A whole number above 0, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def names(text: str) -> list[str]:
    """Names with commas between them, for argparse."""
    return [name.strip() for name in text.split(",") if name.strip()]


def run_program(
    parser: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace, str], None],
    arguments: Sequence[str] | None,
) -> int:
    """Parse and run; `run` also gets the command as a line to print. Gives the exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = parser.parse_args(given)
    try:
        if not options.output.parent.is_dir():  # not after an hour of measuring
            raise UsageError(f"there is no folder {options.output.parent} to write {options.output.name} in")
        run(options, " ".join([parser.prog, shlex.join(given)]).rstrip())
    except FarlookError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def each(
    work: Callable[[Job], Result], jobs: Sequence[Job], *, processes: int, label: str, quiet: bool
) -> list[Result]:
    """Do every job, in `processes` processes, under a progress bar; results in the jobs' order."""
    results = []
    with progress_bars(not quiet) as report:
        for done, result in enumerate(_mapped(work, jobs, processes), start=1):
            results.append(result)
            report(label, done, len(jobs))
    return results


def _mapped(work: Callable[[Job], Result], jobs: Sequence[Job], processes: int) -> Iterator[Result]:
    if processes == 1:
        yield from map(work, jobs)
        return
    # Not forked: ONNX Runtime's threads do not survive that.
    with ProcessPoolExecutor(min(processes, len(jobs)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, jobs)
