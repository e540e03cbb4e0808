"""The onnx package, which is optional: whoever imports from here is told what to install where it is missing."""

from __future__ import annotations

from farlook.runtime.errors import MissingExtraError

try:
    import onnx
    from onnx import TensorProto, checker, defs, helper, numpy_helper, shape_inference, version_converter
    from onnx.reference import ReferenceEvaluator
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "calibrate", "to write FP16 and INT8 graphs") from error

__all__ = [
    "ReferenceEvaluator",
    "TensorProto",
    "checker",
    "defs",
    "helper",
    "numpy_helper",
    "onnx",
    "shape_inference",
    "version_converter",
]
