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


def layer_types(layers: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many layers give out tensors of each precision, as in {"fp16": 31}; empty if the layers do not tell."""
    found: Counter[str] = Counter()
    for layer in layers:
        texts = [
            str(value)
            for output in layer.get("Outputs", [])
            if isinstance(output, dict)
            for key, value in output.items()
            if _SAYS_TYPE.search(key)
        ]
        found.update(name for name, pattern in _TYPES.items() if any(map(pattern.search, texts)))
    return dict(found)
