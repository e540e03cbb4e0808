"""ONNX Runtime: on the CPU the backend that works everywhere; on GPUs by its CUDA and TensorRT providers."""

import os

# onnxruntime 1.31 sends usage data over the network unless told otherwise before it is first imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
