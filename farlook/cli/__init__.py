"""The `farlook` command. One small module a verb; `run.py` maps errors to exit codes."""

from __future__ import annotations

import io
import signal
import sys

TERMINATED = 143


def _say_what_is_missing(error: ModuleNotFoundError) -> int:
    from farlook.runtime.errors import BackendError, MissingExtraError

    name = error.name or ""
    if name.partition(".")[0] in ("typer", "rich", "click"):
        missing: BackendError = MissingExtraError(name, "cli", "for the command line")
    elif name in ("farlook.kernels._native", "numpy", "PIL", "_cffi_backend"):
        missing = BackendError(
            f"{name} is not there: the installation is not whole; run pip install farlook again"
        )
    else:
        raise error
    sys.stderr.write(f"farlook: {missing}\n")
    return missing.exit_code


def main() -> None:
    """Entry point of the `farlook` command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names that the terminal's encoding lacks
    try:
        from farlook.cli.run import run
    except ModuleNotFoundError as error:
        sys.exit(_say_what_is_missing(error))
    except KeyboardInterrupt:
        sys.stderr.write("farlook: interrupted; nothing was begun\n")
        sys.exit(130)
    # Like Ctrl-C, so that half-written files are removed when a service manager ends the command.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    sys.exit(run(sys.argv[1:]))
