"""TensorRT: one path for versions 10.3 to 11, shared with TensorRT for RTX."""
