"""From torch to ONNX: `GraphSpec` says what to export, `export_graph` does it, `verify_graph` proves it.

    GraphSpec --graph--> torch.export --lower--> ONNX --opset, tidy--> ModelProto --verify--> Verification

`export_c` writes block8's encoder as C for a flight computer; it needs neither torch nor onnx.

The names load on first use, so importing this package imports neither torch nor onnx; where one of them is
missing, using a name raises `MissingExtraError`, which says what to install.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from farlook.export.c_source import CSource, export_c
    from farlook.export.graph import export_graph
    from farlook.export.spec import GraphSpec
    from farlook.export.verify import Verification, verify_graph

__all__ = ["CSource", "GraphSpec", "Verification", "export_c", "export_graph", "verify_graph"]

_HOMES = {
    "CSource": "c_source",
    "GraphSpec": "spec",
    "Verification": "verify",
    "export_c": "c_source",
    "export_graph": "graph",
    "verify_graph": "verify",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
