"""The graphs of a bundle at a precision, whether they are in it or can be made of those that are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farlook.runtime.errors import BundleError, UsageError

if TYPE_CHECKING:
    from farlook.runtime.bundle import Bundle

PRECISIONS = ("fp32", "fp16", "int8")


def graph_at(bundle: Bundle, name: str, precision: str) -> bytes:
    """One graph of a bundle, with inputs and outputs of FP32.

    A bundle that was not calibrated has FP32 graphs only; FP16 is then made of them here.

    Args:
        bundle: Of any codec with networks.
        name: "analysis" or "synthesis".
        precision: One of `PRECISIONS`.

    Returns:
        A serialized ONNX model.

    Raises:
        UsageError: There is no such precision.
        BundleError: The bundle has no such graph, or it is damaged; or INT8 is asked for, and the bundle was
            not calibrated.
        MissingExtraError: FP16 has to be made, and onnx is not installed.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"there is no precision {precision!r}; choose one of: {', '.join(PRECISIONS)}")
    held = bundle.graphs.get(name, {})
    if precision == "fp16" and "fp16" not in held and "fp32" in held:
        from farlook.calibration.fp16 import to_fp16  # noqa: PLC0415  # needs onnx
        from farlook.calibration.graphs import check, read_graph  # noqa: PLC0415  # needs onnx

        label = f"{bundle.path}: {name}"
        return check(to_fp16(read_graph(bundle.graph(name), label)).model, label)
    if precision == "int8" and "int8" not in held and "fp32" in held:
        raise BundleError(
            f"{bundle.path} has no INT8 graphs: measure ranges on pictures with "
            f"farlook calibrate {bundle.path} --images DIR -o calibrated.bundle"
        )
    return bundle.graph(name, precision)
