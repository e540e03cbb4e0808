"""The `farlook` command. One small module a verb; `run.py` maps errors to exit codes."""

from __future__ import annotations

import io
import sys


def main() -> None:
    """Entry point of the `farlook` command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names that the terminal's encoding lacks
    try:
        from farlook.cli.run import run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("typer", "rich", "click"):
            raise
        from farlook.runtime.errors import MissingExtraError

        missing = MissingExtraError(error.name, "cli", "for the command line")
        sys.stderr.write(f"farlook: {missing}\n")
        sys.exit(missing.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("farlook: interrupted; nothing was begun\n")
        sys.exit(130)
    sys.exit(run(sys.argv[1:]))
