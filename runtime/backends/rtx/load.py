"""Engines of TensorRT for RTX to sessions: the same code as for TensorRT."""

from farlook.runtime.backends.tensorrt.load import open_graphs

__all__ = ["open_graphs"]
