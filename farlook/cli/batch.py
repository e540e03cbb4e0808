"""One file or a directory of files, with a progress bar; a bad file does not stop the others."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.text import Text

from farlook.runtime.errors import BackendError, FarlookError, ImageError, OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

STDERR = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
"""Prints a name as it is: `[red]`, `:smile:` and more than 80 letters are all names of files."""


def one_line(text: str) -> str:
    """`text` on one line, with escapes for what would steer the terminal or cannot be printed."""
    line = re.sub(r"\s*[\r\n]\s*", " ", text.strip())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def is_folder(path: Path) -> bool:
    """Whether it is a directory; what is wrong with a path that cannot be looked at is said where it is read."""
    try:
        return path.is_dir()
    except OSError:
        return False


@contextmanager
def progress_bar(total: int) -> Iterator[Callable[[], None]]:
    """Show a bar for long work, on the error output if that is a terminal; yields what moves it one on."""
    if not STDERR.is_interactive:
        yield lambda: None
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=STDERR, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.advance(task)


def work_through(
    source: Path,
    target: Path,
    *,
    suffixes: Iterable[str],
    new_suffix: str,
    work: Callable[[Path, Path], str],
    none_found: type[FarlookError],
) -> None:
    """Apply `work` to a file, or to every file with one of `suffixes` under a directory.

    Args:
        source: File or directory.
        target: The file to write; the directory to write to if `source` is one.
        suffixes: Which files of a directory to take, as in (".png", ".jpg").
        new_suffix: Suffix of the files written to a directory.
        work: Reads the first path, writes the second, returns a line to print.
        none_found: What to raise if a directory holds no file with one of `suffixes`.

    Raises:
        FarlookError: The one file failed, or any of a directory's did; the others are done all the same.
    """
    if not is_folder(source):
        if _is_same(source, target):
            raise OutputError(f"cannot write {target}: it is the input")
        STDERR.print(one_line(work(source, target)))
        return
    found = _find(source, suffixes)
    if not found:
        raise none_found(f"no files with the suffix {', '.join(sorted(suffixes))} in {source}")
    _make_folder(target)
    targets = _targets(source, target, found, new_suffix)
    failures: list[tuple[str, FarlookError]] = []
    with progress_bar(len(found)) as advance:
        for path, output in zip(found, targets, strict=True):
            try:
                _make_folder(output.parent)
                STDERR.print(one_line(work(path, output)))
            except (UsageError, BackendError):  # no fault of this file: the next ones would fail alike
                raise
            except FarlookError as error:
                text = str(error) if str(path) in str(error) else f"{path}: {error}"
                failures.append((text, error))
                STDERR.print(Text.assemble(("failed", "red"), f" {one_line(text)}"))
            advance()
    if failures:
        text, first = failures[0]
        summary = FarlookError(f"{len(failures)} of {len(found)} files failed; the first: {text}")
        summary.exit_code = first.exit_code
        raise summary


def _find(source: Path, suffixes: Iterable[str]) -> list[Path]:
    """Files with one of `suffixes` under a directory, hidden ones left out."""
    try:
        inside = (path.relative_to(source) for path in source.rglob("*") if path.suffix.lower() in suffixes)
        visible = [path for path in inside if not any(part.startswith(".") for part in path.parts)]
        return sorted(source / path for path in visible if (source / path).is_file())
    except OSError as error:
        raise ImageError(f"cannot look through {source}: {error.strerror or error}") from error


def _targets(source: Path, target: Path, found: list[Path], new_suffix: str) -> list[Path]:
    """Where each file goes; a.png and a.jpg of one folder keep their old suffix to stay apart."""
    short = [target / path.relative_to(source).with_suffix(new_suffix) for path in found]
    long = [target / path.relative_to(source).with_name(path.name + new_suffix) for path in found]
    wanted = Counter(short)
    mixed = [long[index] if wanted[output] > 1 else output for index, output in enumerate(short)]
    return mixed if len(set(mixed)) == len(mixed) else long  # long: next to both there is a.png.png


def _is_same(source: Path, target: Path) -> bool:
    try:
        return source.is_file() and source.samefile(target)
    except OSError:
        return False


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(f"{folder} must be a directory, but it is a file") from error
    except OSError as error:
        raise OutputError(f"cannot make the directory {folder}: {error.strerror or error}") from error
