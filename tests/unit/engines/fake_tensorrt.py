"""A stand-in for TensorRT that has the names of one version, as NVIDIA publishes them, and no others.

`tensorrt_surface.json` holds the names. What farlook touches does something: its engines give y = x + x for
float32 x of shape [n], and networks come from ONNX bytes that are a list of layers as JSON. Whatever else is asked
for by a name that the version has is there and does nothing; a name that it does not have is an AttributeError.

Engines are as touchy as TensorRT's: a run that is recorded before one at the context's shapes fails, and a recorded run
gives no numbers once its context was told other shapes, or is gone.
"""

from __future__ import annotations

import ctypes
import json
import weakref
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np

SURFACE = json.loads((Path(__file__).parent / "tensorrt_surface.json").read_text())["versions"]
REMOVED = ("FP16", "INT8", "BF16", "OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS")
"""Flags of builders that version 10 has and 11 has not: the surface must know the difference."""


class Member:
    """A value of an enumeration."""

    def __init__(self, name, value):
        self.name, self.value = name, value

    def __int__(self):
        return self.value

    def __le__(self, other):
        return self.value <= other.value


def enumeration(name, names):
    members = {each: Member(each, number) for number, each in enumerate(names)}
    return type(name, (), {**members, "__members__": members})


def restricted(name, allowed, behaviour):
    """A class with the names of one version; those in `behaviour` do something."""

    def get(self, key):
        if not key.startswith("_") and key not in allowed:
            raise AttributeError(f"this TensorRT has no {name}.{key}")
        return object.__getattribute__(self, key)

    def put(self, key, value):
        if not key.startswith("_") and key not in allowed:
            raise AttributeError(f"this TensorRT has no {name}.{key}")
        object.__setattr__(self, key, value)

    idle = {key: (lambda self, *_, **__: None) for key in allowed}
    # What a program derives from may have methods of its own.
    guards = {} if behaviour.get("_open") else {"__getattribute__": get, "__setattr__": put}
    return type(name, (), idle | behaviour | guards)


def make(version, cuda, gpu=True):
    """The module of a version.

    `cuda` is the FakeCuda that it runs on; `gpu` whether engines can be loaded, None where there is no driver at all.
    """
    surface = SURFACE[version]
    module = ModuleType("tensorrt")
    module.__version__ = version
    for name, members in surface["enums"].items():
        setattr(module, name, enumeration(name, members))
    module.float32 = module.DataType.FLOAT
    module.nptype = lambda kind: {"FLOAT": np.float32, "HALF": np.float16}[kind.name]
    module.built = []
    for name, allowed in surface["classes"].items():
        behaviour = _behaviour(module, cuda, gpu).get(name, {})
        strange = {key for key in behaviour if not key.startswith("_")} - set(allowed)
        assert not strange, f"TensorRT {version} has no {strange} in {name}"
        setattr(module, name, restricted(name, set(allowed), behaviour))
    module.ILogger.ERROR = Member("ERROR", 1)
    return module


def _behaviour(module, cuda, gpu):
    return {
        "ILogger": {"_open": True},
        "IProfiler": {"_open": True},
        "IProgressMonitor": {"_open": True},
        "Builder": _builder(module, gpu),
        "OnnxParser": _parser(module),
        "INetworkDefinition": _network(module),
        "IBuilderConfig": _config(),
        "Runtime": _runtime(module, gpu),
        "ICudaEngine": _engine(module, cuda),
        "IExecutionContext": _context(module, cuda),
        "EngineInspector": _inspector(),
    }


def _builder(module, gpu):
    def init(self, logger):
        if gpu is None:
            logger.log(module.ILogger.ERROR, "CUDA initialization failure with error: 35")
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._logger = logger

    def create_network(self, flags=0):
        assert flags == 1 << int(module.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        network = module.INetworkDefinition()
        network._layers, network._inputs = [], []
        return network

    def create_builder_config(self):
        config = module.IBuilderConfig()
        config._flags = []
        return config

    def build(self, network, config):
        watch = getattr(config, "_watch", None)
        if watch is not None:
            watch.phase_start("Building", None, 2)
            go_on = watch.step_complete("Building", 0)
            watch.phase_finish("Building")
            if not go_on:
                return None
        if any(layer["type"] == "BROKEN" for layer in network._layers):
            self._logger.log(module.ILogger.ERROR, "Error Code 10: no implementation: out of memory")
            return None
        module.built.append(config)
        return json.dumps({"layers": network._layers}).encode()

    return {
        "__init__": init,
        "create_network": create_network,
        "create_builder_config": create_builder_config,
        "create_optimization_profile": lambda self: _Profile(),
        "build_serialized_network": build,
    }


class _Profile:
    def __init__(self):
        self.shapes = {}

    def set_shape(self, name, *shapes):
        self.shapes[name] = shapes

    def __bool__(self):
        return True


def _config():
    return {
        "set_flag": lambda self, flag: self._flags.append(flag.name),
        "clear_flag": lambda self, flag: None,
        "set_memory_pool_limit": lambda self, pool, size: setattr(self, "_pool", (pool.name, size)),
        "create_timing_cache": lambda self, data: SimpleNamespace(serialize=lambda: b"times"),
        "set_timing_cache": lambda self, cache, ignore_mismatch: setattr(self, "_times", cache),
        "get_timing_cache": lambda self: self._times,
        "add_optimization_profile": lambda self, profile: setattr(self, "_profile", profile),
        "progress_monitor": property(
            lambda self: self._watch, lambda self, watch: setattr(self, "_watch", watch)
        ),
    }


def _tensor(name, kind, module, shape=(), names=()):
    return SimpleNamespace(
        name=name,
        dtype=getattr(module.DataType, kind),
        shape=shape,
        is_shape_tensor=False,
        get_dimension_name=lambda axis: names[axis],
    )


def _layer(fields, module):
    outputs = [_tensor(fields["out"], fields["kind"], module)]
    return SimpleNamespace(
        type=getattr(module.LayerType, fields["type"], SimpleNamespace(name=fields["type"])),
        name=fields["out"],
        num_outputs=1,
        get_output=lambda _: outputs[0],
        get_input=lambda _: SimpleNamespace(name=fields.get("in", "")),
    )


def _network(module):
    def add_elementwise(self, first, second, operation):
        total = _tensor("sum", "FLOAT", module)
        self._layers.append({"type": "ELEMENTWISE", "out": "y", "kind": "FLOAT"})
        return SimpleNamespace(get_output=lambda _: total)

    return {
        "num_layers": property(lambda self: len(self._layers)),
        "get_layer": lambda self, index: _layer(self._layers[index], module),
        "num_inputs": property(lambda self: len(self._inputs)),
        "get_input": lambda self, index: self._inputs[index],
        "add_input": lambda self, name, kind, shape: _tensor(name, "FLOAT", module, shape),
        "add_elementwise": add_elementwise,
        "__iter__": lambda self: iter([]),
    }


def _parser(module):
    def init(self, network, logger):
        self._network, self._errors = network, []

    def parse(self, model):
        try:
            self._network._layers = json.loads(model)
        except ValueError:
            self._errors = [_error("cannot parse the model", "", "")]
            return False
        unknown = [layer for layer in self._network._layers if layer["type"] == "UNKNOWN"]
        self._errors = [_error("no such operator", layer["out"], "Foo") for layer in unknown]
        names = ("batch", None, "8*rows", "8*columns")
        self._network._inputs = [_tensor("image", "FLOAT", module, (-1, 1, -1, -1), names)]
        return not unknown

    return {
        "__init__": init,
        "parse": parse,
        "num_errors": property(lambda self: len(self._errors)),
        "get_error": lambda self, index: self._errors[index],
    }


def _error(text, name, operator):
    return SimpleNamespace(
        desc=lambda: text, node_name=lambda: name, node_operator=lambda: operator, node=lambda: 3
    )


def _runtime(module, gpu):
    def init(self, logger):
        if gpu is None:
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._logger = logger

    def deserialize(self, data):
        try:
            fields = json.loads(data)
        except ValueError:
            self._logger.log(module.ILogger.ERROR, "the engine is damaged")
            return None
        if not gpu:
            self._logger.log(module.ILogger.ERROR, "CUDA driver version is insufficient")
            return None
        engine = module.ICudaEngine()
        engine._fields = fields
        return engine

    return {"__init__": init, "deserialize_cuda_engine": deserialize}


_TENSORS = ("x", "y")
_SCRATCH = 96
_PROFILE = ((1,), (8,), (64,))


def _engine(module, cuda):
    def create_execution_context(self, *arguments):
        if cuda.contexts >= cuda.most_contexts:
            return None
        cuda.contexts += 1
        context = module.IExecutionContext()
        context._addresses, context._length, context._broken = {}, None, self._fields.get("broken", False)
        context._set_up, context._scratch = None, None
        context._shared = bool(arguments) and arguments[0].name == "USER_MANAGED"
        weakref.finalize(context, lambda: setattr(cuda, "contexts", cuda.contexts - 1))
        return context

    def create_engine_inspector(self):
        inspector = module.EngineInspector()
        inspector._fields = self._fields
        return inspector

    return {
        "num_io_tensors": property(lambda self: 2),
        "get_tensor_name": lambda self, index: _TENSORS[index],
        "get_tensor_mode": lambda self, name: (
            module.TensorIOMode.INPUT if name == "x" else module.TensorIOMode.OUTPUT
        ),
        "get_tensor_dtype": lambda self, name: module.DataType.FLOAT,
        "get_tensor_shape": lambda self, name: (-1,),
        "get_tensor_profile_shape": lambda self, name, profile: _PROFILE,
        "device_memory_size_v2": property(lambda self: _SCRATCH),
        "create_execution_context": create_execution_context,
        "create_engine_inspector": create_engine_inspector,
    }


def _context(module, cuda):
    def set_input_shape(self, name, shape):
        self._length = shape[0]
        return True

    def set_device_memory(self, memory, size):
        assert size >= _SCRATCH
        self._scratch = memory

    def set_tensor_address(self, name, address):
        self._addresses[name] = address
        return True

    def execute(self, stream):
        if self._broken or (cuda.recording is not None and self._set_up != self._length):
            return False
        cuda.calls.append("execute")
        assert cuda.device == 0
        assert not self._shared or self._scratch in cuda.memory
        alive, recorded = weakref.ref(self), cuda.recording is not None
        if not recorded:
            self._set_up = self._length
        source, target, length = self._addresses["x"], self._addresses["y"], self._length
        watch = getattr(self, "_watch", None)

        def work():
            x, y = (
                np.frombuffer((ctypes.c_char * (4 * length)).from_address(address), np.float32)
                for address in (source, target)
            )
            context = alive()
            y[:] = x + x if not recorded or (context is not None and context._length == length) else np.nan
            if watch is not None:
                watch.report_layer_time("sum", 2.0)

        cuda.enqueue(work)
        return True

    return {
        "set_input_shape": set_input_shape,
        "set_device_memory": set_device_memory,
        "get_tensor_shape": lambda self, name: (self._length,),
        "set_tensor_address": set_tensor_address,
        "execute_async_v3": execute,
        "profiler": property(lambda self: self._watch, lambda self, watch: setattr(self, "_watch", watch)),
    }


def _inspector():
    def information(self, form):
        kinds = {"FLOAT": "Row major linear FP32", "HALF": "Half", "INT8": "Int8 NC/32HW32"}
        layers = [
            layer  # a name alone, as of engines without details
            if isinstance(layer, str)
            else {
                "Name": layer["out"],
                "LayerType": layer.get("type", ""),
                "Inputs": [{"Format/Datatype": kinds.get(layer.get("takes", layer["kind"]), "")}],
                "Outputs": [{"Format/Datatype": kinds.get(layer["kind"], "")}],
            }
            for layer in self._fields["layers"]
        ]
        return json.dumps({"Layers": layers})

    return {"get_engine_information": information}
