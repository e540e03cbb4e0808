"""Every error that farlook raises, in one tree, with the exit code the command line maps it to.

    FarlookError                   1   anything below
    |-- UsageError                 2   arguments that contradict each other or lie outside their range
    |-- ImageError                 3   an image that cannot be read, or is of a kind not supported
    |-- StreamError                4   bytes that are not a decodable farlook stream
    |   |-- TruncatedStreamError   4   the stream ends before its last packet does
    |   |-- CorruptStreamError     4   a checksum or a field does not hold
    |   `-- StreamVersionError     4   a stream of a newer farlook
    |-- BundleError                5   a bundle that is missing, damaged, or not the one a stream needs
    |   `-- UnknownCodecError      5   no codec of that name or number
    |-- BackendError               6   a graph that a backend could not load or run
    |   `-- MissingExtraError      6   a package that is not installed; says the command that installs it
    |-- OutputError                7   a file that could not be written
    |-- TargetError                8   no quality reaches the requested size
    |-- ExportError                9   a model that could not be exported
    |   `-- MismatchError          9   the exported graph and the model disagree
    |-- TrainingError             10   training data or a checkpoint that cannot be used
    `-- CalibrationError          11   ranges that cannot be measured, or a precision that costs more than allowed

Ctrl-C ends the command line with 130. `UsageError` is a `ValueError` too, so that code which knows
nothing of farlook can treat it as one.
"""

from __future__ import annotations


class FarlookError(Exception):
    """Base of every error that farlook raises on purpose."""

    exit_code = 1


class UsageError(FarlookError, ValueError):
    """Arguments contradict each other or lie outside their range."""

    exit_code = 2


class ImageError(FarlookError):
    """An image cannot be read, or is of a kind that is not supported."""

    exit_code = 3


class StreamError(FarlookError):
    """The bytes are not a decodable farlook stream."""

    exit_code = 4


class TruncatedStreamError(StreamError):
    """The stream ends before its last packet does."""


class CorruptStreamError(StreamError):
    """A checksum or a field of the stream does not hold."""


class StreamVersionError(StreamError):
    """The stream was written by a newer farlook."""


class BundleError(FarlookError):
    """A bundle is missing, damaged, or not the one that the stream was made with."""

    exit_code = 5


class UnknownCodecError(BundleError):
    """There is no codec of that name or number."""


class BackendError(FarlookError):
    """A backend could not load or run a graph."""

    exit_code = 6


class MissingExtraError(BackendError):
    """A package is needed that is not installed.

    Args:
        package: The module that could not be imported.
        extra: The farlook extra that installs it.
        purpose: What it is needed for, as in "to run ONNX graphs".
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{package} is needed {purpose}; install it with: pip install 'farlook[{extra}]'")


class OutputError(FarlookError):
    """A file could not be written."""

    exit_code = 7


class TargetError(FarlookError):
    """No quality reaches the requested size."""

    exit_code = 8


class ExportError(FarlookError):
    """A model could not be exported."""

    exit_code = 9


class MismatchError(ExportError):
    """The exported graph and the model it came from give different results."""


class TrainingError(FarlookError):
    """Training data or a checkpoint cannot be used."""

    exit_code = 10


class CalibrationError(FarlookError):
    """Ranges cannot be measured, or a precision costs more than is allowed."""

    exit_code = 11
