"""One file or a directory of files, with a progress bar; a bad file does not stop the others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from farlook.runtime.errors import FarlookError, ImageError, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

STDERR = Console(stderr=True, highlight=False)


def progress_bar() -> Progress:
    """The bar that long work shows, on the error output so that results can be piped."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=STDERR,
        transient=True,
    )


def work_through(
    source: Path,
    target: Path,
    *,
    suffixes: Iterable[str],
    new_suffix: str,
    work: Callable[[Path, Path], str],
) -> None:
    """Apply `work` to a file, or to every file with one of `suffixes` under a directory.

    Args:
        source: File or directory.
        target: The file to write; the directory to write to if `source` is one.
        suffixes: Which files of a directory to take, as in (".png", ".jpg").
        new_suffix: Suffix of the files written to a directory.
        work: Reads the first path, writes the second, returns a line to print.

    Raises:
        FarlookError: The one file failed, or any of a directory's did; the others are done all the same.
    """
    if not source.is_dir():
        STDERR.print(work(source, target))
        return
    found = sorted(path for path in source.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
    if not found:
        raise ImageError(f"no files with the suffix {', '.join(sorted(suffixes))} in {source}")
    if target.exists() and not target.is_dir():
        raise OutputError(f"{source} is a directory, so {target} must be one too, but it is a file")
    targets = _targets(source, target, found, new_suffix)
    failures: list[FarlookError] = []
    with progress_bar() as progress:
        task = progress.add_task(f"{source}", total=len(found))
        for path, output in zip(found, targets, strict=True):
            try:
                _make_folder(output.parent)
                STDERR.print(work(path, output))
            except FarlookError as error:
                failures.append(error)
                STDERR.print(f"[red]failed[/red] {path}: {error}", soft_wrap=True)
            progress.advance(task)
    if failures:
        summary = FarlookError(f"{len(failures)} of {len(found)} files failed; the first: {failures[0]}")
        summary.exit_code = failures[0].exit_code
        raise summary


def _targets(source: Path, target: Path, found: list[Path], new_suffix: str) -> list[Path]:
    """Where each file goes; a.png and a.jpg of one folder keep their old suffix to stay apart."""
    plain = [target / path.relative_to(source).with_suffix(new_suffix) for path in found]
    return [
        target / path.relative_to(source).with_name(path.name + new_suffix)
        if plain.count(output) > 1
        else output
        for path, output in zip(found, plain, strict=True)
    ]


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the directory {folder}: {error.strerror or error}") from error
