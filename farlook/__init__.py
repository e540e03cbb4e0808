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
    from farlook.runtime.errors import FarlookError
    from farlook.runtime.info import StreamInfo, info

__version__ = "0.1.0"
__all__ = ["Codec", "FarlookError", "StreamInfo", "__version__", "decode", "encode", "info"]

_HOMES = {
    "Codec": "farlook.runtime.codec",
    "FarlookError": "farlook.runtime.errors",
    "StreamInfo": "farlook.runtime.info",
    "decode": "farlook.face",
    "encode": "farlook.face",
    "info": "farlook.runtime.info",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'farlook' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
