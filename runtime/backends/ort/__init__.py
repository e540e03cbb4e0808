"""ONNX Runtime on the CPU: the backend that works everywhere."""

import os

# onnxruntime 1.31 sends usage data over the network unless told otherwise before it is first imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
