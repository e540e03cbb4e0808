"""TensorRT for RTX: the path of `farlook.runtime.backends.tensorrt` with another library."""
