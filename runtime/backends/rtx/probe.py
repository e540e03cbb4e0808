"""Does TensorRT for RTX work here?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from farlook.runtime.backends.tensorrt import probe as tensorrt

if TYPE_CHECKING:
    from farlook.runtime.backends.base import Probe


def probe(backend: str = "rtx") -> Probe:
    """See `farlook.runtime.backends.tensorrt.probe.probe`."""
    return tensorrt.probe(backend)
