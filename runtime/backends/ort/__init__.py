"""ONNX Runtime on the CPU: the backend that works everywhere."""
