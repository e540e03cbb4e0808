"""What an engine is made of, as TensorRT's inspector tells it."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from farlook.runtime.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from farlook.runtime.backends.tensorrt.library import Library

_TYPES = {
    "fp32": re.compile(r"\b(FP32|Float|float32|kFLOAT)\b"),
    "fp16": re.compile(r"\b(FP16|Half|float16|kHALF)\b"),
    "int8": re.compile(r"\b(Int8|INT8|kINT8)\b"),
}
FUSED = "fused"
_FUSED = re.compile(r"myelin|foreignnode", re.IGNORECASE)
_COMPUTE = re.compile(r"conv|gemm|matmul|matrix[ _]?multiply|fully[ _]?connected", re.IGNORECASE)
_SAYS_TYPE = re.compile(r"data\s*type|format", re.IGNORECASE)


def engine_layers(library: Library, engine: Any) -> list[dict[str, Any]]:
    """The layers of a loaded engine, as the inspector's JSON has them.

    Engines that were built with details (those of `farlook build` are) tell each layer's inputs, outputs and
    tactic; others only names, which come as {"Name": ...}.

    Raises:
        BackendError: The inspector gives no JSON.
    """
    inspector = engine.create_engine_inspector()
    text = inspector.get_engine_information(library.module.LayerInformationFormat.JSON)
    try:
        layers = json.loads(text)["Layers"]
    except (ValueError, KeyError, TypeError) as error:
        raise BackendError(f"{library.name} {library.version} gives no list of layers: {error!r}") from error
    return [layer if isinstance(layer, dict) else {"Name": str(layer)} for layer in layers]


def compute_types(layers: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many convolutions and matrix products run in each precision, as far as the layers tell.

    What counts is the type of the weights, or else of the first input: an INT8 convolution may give out FP16.
    Layers without details do not tell. Regions that were fused into one layer, with tensors of FP32 around them, may
    be of any precision inside; they are counted as "fused".
    """
    found: Counter[str] = Counter()
    for layer in layers:
        kind = " ".join(str(layer.get(key, "")) for key in ("LayerType", "ParameterType"))
        if _FUSED.search(f"{kind} {layer.get('Name', '')}"):
            lower = {
                name
                for each in ("Inputs", "Outputs")
                for tensor in _tensors(layer, each)
                for name in _types(tensor)
            }
            found.update(lower - {"fp32"} or {FUSED})
        elif _COMPUTE.search(kind):
            found.update(_compute_type(layer))
    return dict(found)


def layer_types(layers: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many layers give out tensors of each precision, as in {"fp16": 31}; empty if the layers do not tell."""
    found: Counter[str] = Counter()
    for layer in layers:
        found.update({name for output in _tensors(layer, "Outputs") for name in _types(output)})
    return dict(found)


def _compute_type(layer: Mapping[str, Any]) -> list[str]:
    """The precision of a layer, or nothing."""
    weights = layer.get("Weights")
    if isinstance(weights, dict) and (found := _named(str(weights.get("Type", "")))):
        return found[:1]
    for tensor in (*_tensors(layer, "Inputs")[:1], *_tensors(layer, "Outputs")):
        if found := _types(tensor):
            return found[:1]
    return []


def _tensors(layer: Mapping[str, Any], which: str) -> list[dict[str, Any]]:
    tensors = layer.get(which)
    return [tensor for tensor in tensors if isinstance(tensor, dict)] if isinstance(tensors, list) else []


def _types(tensor: Mapping[str, Any]) -> list[str]:
    """The types that a tensor's entries name."""
    return _named(" ".join(str(value) for key, value in tensor.items() if _SAYS_TYPE.search(key)))


def _named(text: str) -> list[str]:
    return [name for name, pattern in _TYPES.items() if pattern.search(text)]
