"""Runs a verb and turns what it raises into one line and an exit code; `farlook.runtime.errors` lists them."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import typer
from typer.main import get_command

from farlook.cli.app import app
from farlook.cli.batch import one_line
from farlook.runtime.errors import FarlookError, OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code."""
    try:
        result = get_command(app).main(list(arguments), prog_name="farlook", standalone_mode=False)
    except FarlookError as error:
        return _fail(str(error), error.exit_code)
    except MemoryError:
        return _fail("out of memory", FarlookError.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        result = INTERRUPTED
    except OSError as error:  # verbs turn those of their own files into FarlookErrors
        return _fail_output(error)
    except Exception as error:
        if hasattr(error, "exit_code") and hasattr(error, "show"):  # click's own: a wrong option and the like
            error.show()
            return int(error.exit_code)
        raise
    if result == INTERRUPTED:  # typer returns it for Ctrl-C, and prints nothing
        return _fail("interrupted; nothing half-written was left behind", INTERRUPTED)
    return result if isinstance(result, int) else 0


def _fail_output(error: OSError) -> int:
    # What is still buffered must not fail again when Python closes the output.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):  # the reader has gone
        return FarlookError.exit_code
    where = error.filename or "the output"
    return _fail(f"cannot write {where}: {error.strerror or error}", OutputError.exit_code)


def _fail(message: str, exit_code: int) -> int:
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(f"farlook: {one_line(message)}\n")
    return exit_code
