"""Builds with a TensorRT that is not there: a process of its own, as Polygraphy settles for one library in each.

python build_with_fake.py VERSION FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import fake_cuda
import fake_tensorrt

from farlook.export import engine as engines
from farlook.export.engine_config import Settings
from farlook.export.engine_shapes import parse_sizes
from farlook.runtime.backends.base import GraphSource
from farlook.runtime.backends.tensorrt.library import Library
from farlook.runtime.bundle import find_bundle
from farlook.runtime.errors import FarlookError
from farlook.runtime.machine import Gpu, Machine

HALF = [{"type": "CONVOLUTION", "out": "a", "kind": "HALF"}]
SETTINGS = {
    "plain": Settings(),
    "all": Settings(
        workspace=1 << 28, optimisation=2, version_compatible=True, hardware_compatible="ampere_plus"
    ),
    "same": Settings(hardware_compatible="same"),
    "broken": Settings(),
    "engine of fp32": Settings(),
    "engine of one in a hundred": Settings(),
    "engine of half": Settings(),
    "engine of nothing": Settings(),
    "engine that does not tell": Settings(),
    "engine that is fused": Settings(),
    "engine that is fused in part": Settings(),
    "engine of a fused region alone": Settings(),
    "fp32 engine that is fused": Settings(),
    "engine of names": Settings(),
    "engine of fused names": Settings(),
    "no driver": Settings(),
}

CONVOLUTION = {"type": "CaskConvolution", "out": "a", "kind": "FLOAT"}
FUSED = {"type": "Myelin", "out": "a", "kind": "FLOAT"}
ENGINES = {
    "engine of fp32": [CONVOLUTION],
    "engine of one in a hundred": 99 * [CONVOLUTION] + [CONVOLUTION | {"takes": "HALF"}],
    "engine of half": [
        CONVOLUTION,
        CONVOLUTION | {"takes": "HALF"},
        {"type": "Reformat", "out": "b", "kind": "FLOAT"},
    ],
    "engine of nothing": [],
    "engine that does not tell": [{"out": "a", "kind": "?"}],
    "engine that is fused": [CONVOLUTION, FUSED],
    "engine that is fused in part": [CONVOLUTION | {"takes": "HALF"}, FUSED],
    "engine of a fused region alone": [FUSED],
    "fp32 engine that is fused": [CONVOLUTION, FUSED],
    "engine of names": ["conv1", "conv2 + relu"],
    "engine of fused names": ["{ForeignNode[conv1...conv2]}"],
}
"""Layers that the inspector tells of."""


def main(version, folder):
    machine = Machine(Gpu("Orin", 87, 1 << 33, integrated=True), "", "540.4", 12060, None, "linux-aarch64")
    engines.this_machine = lambda: machine
    module = fake_tensorrt.make(version, fake_cuda.FakeCuda())
    sys.modules["tensorrt"] = module
    found = {name: build(module, Path(folder), name, settings) for name, settings in SETTINGS.items()}
    found["files"] = sorted(path.name for path in Path(folder).iterdir())
    found["times of a refused engine"] = "timing" in " ".join(
        path.name for path in (Path(folder) / "engine of fp32").iterdir()
    )
    sys.stdout.write(json.dumps(found))


def build(module, folder, name, settings):
    """Build the analysis of block8-paper, or of what stands for it; what came of it."""
    precision = "fp32" if name.startswith("fp32") else "fp16"
    layers = [layer | {"kind": "FLOAT"} for layer in HALF] if precision == "fp32" else HALF
    layers = layers + ([{"type": "BROKEN", "out": "b", "kind": "HALF"}] if name == "broken" else [])
    if name in ENGINES:
        engine = json.dumps({"layers": ENGINES[name]}).encode()
        module.Builder.build_serialized_network = lambda self, network, config: (
            module.built.append(config) or engine
        )
        folder /= name
    if name == "no driver":
        module = fake_tensorrt.make(module.__version__, fake_cuda.FakeCuda(), gpu=None)
    bundle, phases = find_bundle("block8-paper"), []
    graph = json.dumps(layers).encode()
    source = GraphSource(bundle.path, bundle.codec, "analysis", precision, {"fp32": "a"}, lambda: graph)
    sizes = parse_sizes("8x8,64x32,128x64", 8)
    library = Library("tensorrt", module)
    try:
        built = engines.build_engine(
            library, bundle, source, sizes, settings, folder, lambda *phase: phases.append(phase)
        )
    except FarlookError as error:
        kept = [path.name for path in folder.glob("*.engine")]
        return {"error": f"{type(error).__name__}: {error}", "engines": kept}
    config = module.built[-1]
    return {
        "flags": config._flags,
        "pool": getattr(config, "_pool", None),
        "level": type(config.builder_optimization_level).__name__,
        "phases": phases,
        "layers": built.layers,
        "fingerprint": json.loads(built.fingerprint.to_json()),
        "profile": config._profile.shapes,
    }


main(*sys.argv[1:])
