"""Runs a verb and turns what it raises into one line and an exit code; `farlook.runtime.errors` lists them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer
from typer.main import get_command

from farlook.cli.app import app
from farlook.runtime.errors import FarlookError

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
        return _fail("interrupted; nothing half-written was left behind", INTERRUPTED)
    except BrokenPipeError:
        # The reader has gone; what is still buffered must not fail again when Python closes the output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FarlookError.exit_code
    except Exception as error:
        if hasattr(error, "exit_code") and hasattr(error, "show"):  # click's own: a wrong option and the like
            error.show()
            return int(error.exit_code)
        raise
    return result if isinstance(result, int) else 0


def _fail(message: str, exit_code: int) -> int:
    sys.stderr.write(f"farlook: {' '.join(message.split())}\n")
    return exit_code
