"""One engine of TensorRT for RTX: the same code as for TensorRT."""

from farlook.runtime.backends.tensorrt.session import EngineSession

__all__ = ["EngineSession"]
