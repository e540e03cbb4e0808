"""Exports one network to an ONNX graph that is standard, dynamic in its sizes, and the same every time.

GraphSpec --trace--> ExportedProgram --translate--> ONNXProgram --to_opset_17, tidy, check--> ModelProto
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from farlook.export.quiet import quiet
from farlook.runtime.errors import ExportError, MissingExtraError, UsageError

try:
    import onnx
    import torch
    from torch.export import Dim

    from farlook.export.lower import TRANSLATED, check_domains, translations
    from farlook.export.opset import to_opset_17
    from farlook.export.tidy import tidy
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "train", "to export models") from error

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torch.onnx import ONNXProgram

    from farlook.export.spec import Axis, GraphSpec

OPSETS = range(17, 21)
MAX_WEIGHTS = 2**31 - 2**20
"""Bytes: one protobuf holds 2 GiB, and the graph itself needs some."""

# Torch takes a size of 1 for a constant, and equal sizes for equal: so two of everything, and height unlike
# width. Both are multiples of 64, the largest stride there is.
_TRACE_SIZE = (2, 128, 192)


def export_graph(spec: GraphSpec, *, opset: int = 18) -> onnx.ModelProto:
    """Export `spec` with its weights inside, checked by onnx, with shapes inferred.

    Args:
        spec: What to export.
        opset: 17 to 20. onnxruntime's static quantiser refuses 21 and up.

    Raises:
        UsageError: `opset` is another one, the module is in training mode, or its example does not fit its
            axes.
        ExportError: The module cannot be traced with its declared axes, an operator has no translation or
            needs a newer opset, a node is not standard ONNX, or the weights do not fit into one file.
    """
    if opset not in OPSETS:
        raise UsageError(f"opset {opset} is not supported; take {OPSETS[0]} to {OPSETS[-1]}")
    model = translate(spec, trace(spec), max(opset, 18)).model_proto
    check_domains(model, spec.name)
    if opset == 17:
        to_opset_17(model, spec.name)
    tidy(model, spec)
    return _checked(model, spec, opset)


def trace(spec: GraphSpec) -> ExportedProgram:
    """Trace the module with symbols for its free sizes.

    Raises:
        UsageError: The module is in training mode, or its example does not fit its axes.
        ExportError: It cannot be traced, or its weights are too large.
    """
    if spec.module.training:
        raise UsageError(f"{spec.name}: the module is in training mode; call .eval() before exporting it")
    weights = sum(tensor.nbytes for tensor in spec.module.state_dict().values())
    if weights > MAX_WEIGHTS:
        raise ExportError(f"{spec.name}: {weights} bytes of weights do not fit into one file of 2 GiB")
    example = spec.make_inputs(*_TRACE_SIZE)
    axes = _dynamic_shapes(spec)
    try:
        with quiet(), torch.no_grad():
            program = torch.export.export(spec.module, example, dynamic_shapes=axes, strict=False)
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:  # torch.export raises all of these
        raise ExportError(f"{spec.name}: untraceable with the axes {dict(spec.inputs)}: {error}") from error
    results = len(program.graph_signature.user_outputs)
    if results != len(spec.outputs):
        raise UsageError(f"{spec.name}: the module returns {results} tensors for {len(spec.outputs)} outputs")
    return program


def translate(spec: GraphSpec, program: ExportedProgram, opset: int) -> ONNXProgram:
    """Write `program` as ONNX of `opset`, 18 or above; the result also holds the decomposed program.

    Raises:
        ExportError: An operator has no translation; names the node and the operator.
    """
    try:
        with quiet():
            result = torch.onnx.export(
                program,
                input_names=list(spec.inputs),
                output_names=list(spec.outputs),
                opset_version=opset,
                custom_translation_table=translations(),
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise ExportError(f"{spec.name}: {_untranslatable(program) or _root(error)}") from error
    return cast("ONNXProgram", result)  # None is for the exporter that this one replaces


def _dynamic_shapes(spec: GraphSpec) -> tuple[dict[int, Dim | None], ...]:
    """Return torch's description of the axes; a name is one `Dim` wherever it occurs."""
    dims: dict[str, Dim] = {}

    def dim(axis: Axis) -> Dim | None:
        if axis.name is None:
            return None
        root = dims.setdefault(axis.name, Dim(axis.name))
        return root if axis.factor == 1 else axis.factor * root

    return tuple({index: dim(axis) for index, axis in enumerate(spec.axes(name))} for name in spec.inputs)


def _untranslatable(program: ExportedProgram) -> str | None:
    """Name the first node of a domain that is neither torch's own nor translated here."""
    for node in program.graph.nodes:
        namespace = getattr(node.target, "namespace", "aten")
        if namespace not in TRANSLATED:
            return f"node {node.name!r} ({node.target}) is of the untranslated domain {namespace!r}"
    return None


def _root(error: BaseException) -> str:
    """Return what went wrong at first; the exporter wraps it in advice on reporting bugs."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"cannot be written as ONNX: {error}"


def _checked(model: onnx.ModelProto, spec: GraphSpec, opset: int) -> onnx.ModelProto:
    """Return `model` with shapes inferred.

    Raises:
        ExportError: It is not of `opset`, as where the exporter's converter gave up, or is not valid ONNX.
    """
    written = model.opset_import[0].version
    if written != opset:
        raise ExportError(f"{spec.name}: torch wrote opset {written} instead of {opset}")
    try:
        model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"{spec.name}: the graph is not valid ONNX: {error}") from error
    return model
