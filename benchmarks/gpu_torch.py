"""The neural codecs' networks in PyTorch on a GPU, as a reference: eager, compiled, and as CUDA graphs.

Weights are those of a bundle's ONNX graphs, whose initialisers have torch's names.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.benchmarks.gpu_block8 import milliseconds
from farlook.calibration.onnx_package import numpy_helper, onnx
from farlook.runtime.backends.ort.load import load
from farlook.runtime.bundle import find_bundle
from farlook.runtime.errors import BackendError, MissingExtraError, UsageError
from farlook.runtime.neural.description import LAYOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from farlook.runtime.bundle import Bundle

    Part = tuple[str, Callable[[], Any]]

_SIZE = (1088, 1088)
_NOT_IN_GRAPHS = ("gains.", "priors.", "map_priors.", "importance.by_level")
"""What is an input of the graphs, or only needed for training and for the entropy coder."""


def measure_torch(bundles: Sequence[str], seconds: float) -> Iterator[Part]:
    """The parts: each a name, and what gives its results.

    Args:
        bundles: Codecs or paths; those that are not neural are passed over, and said so.
        seconds: Of every measurement.
    """
    for name in bundles:
        for graph in ("analysis", "synthesis"):
            yield f"{name} torch {graph}", partial(_measure, name, graph, seconds)


def _measure(name: str, graph: str, seconds: float) -> dict[str, Any]:
    bundle = find_bundle(name)
    if bundle.layout != LAYOUT:
        raise UsageError(f"{name} is no neural codec: there is no torch network to compare with")
    try:
        import torch  # noqa: PLC0415  # optional, and slow to import
    except ImportError as error:
        raise MissingExtraError("torch", "train", "as a reference") from error
    if not torch.cuda.is_available():
        raise BackendError(f"torch {torch.__version__} sees no GPU: install one with CUDA")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    spec = _spec(bundle, graph)
    found: dict[str, Any] = {"torch": torch.__version__}
    for precision, kind in (("fp32", torch.float32), ("fp16", torch.float16)):
        module = spec.module.to("cuda", kind)
        inputs = [tensor.to("cuda", kind) for tensor in spec.make_inputs(1, *_SIZE)]
        for way, make in (("eager", _eager), ("compiled", _compiled), ("CUDA graph", _recorded)):
            try:
                work = make(module, inputs)
                found[f"{precision} {way}"] = milliseconds(work, seconds)
            except Exception as error:  # noqa: BLE001  # one way's failure must not lose the others
                found[f"{precision} {way}"] = {"error": f"{type(error).__name__}: {error}"}
        if precision == "fp32":
            found["differences from onnxruntime"] = _differences(bundle, spec, module, inputs)
    return found


def _spec(bundle: Bundle, graph: str) -> Any:  # GraphSpec
    """What torch runs, with the bundle's weights.

    Raises:
        BackendError: The graphs lack weights that the network computes with.
    """
    import torch  # noqa: PLC0415  # optional, and slow to import

    from farlook.models.neural_bundle import graph_specs  # noqa: PLC0415  # needs torch
    from farlook.models.neural_codecs import build  # noqa: PLC0415  # needs torch

    network = build(bundle.codec, bundle.manifest["training"].get("config", {}).get("options", {}))
    state = network.state_dict()
    found = {}
    for name in bundle.graphs:
        for constant in onnx.load_from_string(bundle.graph(name)).graph.initializer:
            key = constant.name.removeprefix("network.")
            if key in state:
                found[key] = torch.from_numpy(numpy_helper.to_array(constant).copy())
    missing = [key for key in state if key not in found and not key.startswith(_NOT_IN_GRAPHS)]
    if missing:
        raise BackendError(f"{bundle.path}: its graphs lack the weights {', '.join(missing[:5])}")
    network.load_state_dict(state | found)
    return next(spec for spec in graph_specs(network.eval()) if spec.name == graph)


def _eager(module: Any, inputs: list[Any]) -> Callable[[], object]:
    import torch  # noqa: PLC0415  # optional, and slow to import

    def work() -> None:
        with torch.inference_mode():
            module(*inputs)
        torch.cuda.synchronize()

    return work


def _compiled(module: Any, inputs: list[Any]) -> Callable[[], object]:
    import torch  # noqa: PLC0415  # optional, and slow to import

    return _eager(torch.compile(module), inputs)


def _recorded(module: Any, inputs: list[Any]) -> Callable[[], object]:
    import torch  # noqa: PLC0415  # optional, and slow to import

    side: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.inference_mode(), torch.cuda.stream(side):
        for _ in range(3):  # what is allocated and chosen once is done before it is recorded
            module(*inputs)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.inference_mode(), torch.cuda.graph(graph):
        module(*inputs)

    def work() -> None:
        graph.replay()
        torch.cuda.synchronize()

    return work


def _differences(bundle: Bundle, spec: Any, module: Any, inputs: list[Any]) -> dict[str, float]:
    """Of each output, the largest difference from the bundle's graph in ONNX Runtime on the CPU."""
    import torch  # noqa: PLC0415  # optional, and slow to import

    with torch.inference_mode():
        given = module(*inputs)
    outputs = given if isinstance(given, tuple) else (given,)
    feeds = {name: tensor.cpu().numpy() for name, tensor in zip(spec.inputs, inputs, strict=True)}
    right = load(bundle.graph(spec.name), spec.name).run(feeds)
    pairs = zip(spec.outputs, outputs, strict=True)
    return {name: float(np.abs(output.cpu().numpy() - right[name]).max()) for name, output in pairs}
