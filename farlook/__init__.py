"""farlook: learned image compression that runs at the edge.

    stream = farlook.encode(image, bpp=0.2)   # uint8 [height, width] or [height, width, 3] -> bytes
    image = farlook.decode(stream)

Names are imported when they are first used: `import farlook` costs milliseconds, and nothing here imports
torch. Every error that farlook raises derives from `FarlookError`; `farlook.runtime.errors` draws the tree.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from farlook.face import decode, encode
    from farlook.runtime.codec import Codec
    from farlook.runtime.errors import (
        BackendError,
        BundleError,
        CorruptStreamError,
        ExportError,
        FarlookError,
        ImageError,
        MismatchError,
        MissingExtraError,
        OutputError,
        StreamError,
        StreamVersionError,
        TargetError,
        TrainingError,
        TruncatedStreamError,
        UnknownCodecError,
        UsageError,
    )
    from farlook.runtime.info import StreamInfo, info

__version__ = "0.1.0"
__all__ = [
    "BackendError",
    "BundleError",
    "Codec",
    "CorruptStreamError",
    "ExportError",
    "FarlookError",
    "ImageError",
    "MismatchError",
    "MissingExtraError",
    "OutputError",
    "StreamError",
    "StreamInfo",
    "StreamVersionError",
    "TargetError",
    "TrainingError",
    "TruncatedStreamError",
    "UnknownCodecError",
    "UsageError",
    "__version__",
    "decode",
    "encode",
    "info",
]

_HOMES = {
    "Codec": "farlook.runtime.codec",
    "StreamInfo": "farlook.runtime.info",
    "decode": "farlook.face",
    "encode": "farlook.face",
    "info": "farlook.runtime.info",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'farlook' has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, "farlook.runtime.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
