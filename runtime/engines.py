"""Engines: a cache of compiled graphs beside a bundle, each with a fingerprint of what it was made of and for.

    mine.bundle
    mine.bundle.engines/
    |-- mfca.analysis.1f0c9b2e.fp16.tensorrt.engine   the library's bytes; the number is the graph's
    |-- mfca.analysis.1f0c9b2e.fp16.tensorrt.json     `Fingerprint`
    `-- timing.10.3.0.cache                           how fast the library found kernels to be; TensorRT only

Nothing here needs TensorRT. An engine is loaded only if its fingerprint agrees with the bundle and with this
machine, and its bytes with the fingerprint: an engine made elsewhere may run with wrong results, or crash.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farlook import __version__
from farlook.runtime.errors import BackendError
from farlook.runtime.files import write_bytes
from farlook.runtime.machine import version_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farlook.runtime.backends.base import GraphSource
    from farlook.runtime.machine import Machine

SCHEMA = 1
FP16_PASS = 2
"""Number of the pass of `farlook.calibration.fp16`, which makes FP16 graphs of bundles that hold none; one more
whenever it makes another graph of the same one, so that engines of the older graph are known. It is here as the
runtime does without the pass. tests/unit/engines/test_engine_pass.py notices."""

FOLDER_VARIABLE = "FARLOOK_ENGINES"
"""Environment variable: where engines are looked for, instead of beside their bundles."""

LIBRARIES = {"tensorrt": "tensorrt", "rtx": "tensorrt_rtx"}
"""For each backend that runs engines, the module that makes and runs them."""

_KINDS: dict[str, type] = {"str": str, "int": int, "tuple[int, ...]": tuple}
_SHIPPED = Path(__file__).parent / "bundles"
_DIGITS = 8
_MAX_JSON = 1 << 20


@dataclass(frozen=True)
class Fingerprint:
    """What an engine was made of and for.

    Attributes:
        codec: The bundle's codec.
        graph: "analysis" or "synthesis".
        precision: "fp32", "fp16" or "int8".
        source: SHA-256 of the bundle's FP32 graph.
        digest: SHA-256 of the ONNX model that was compiled.
        library: "tensorrt" or "tensorrt_rtx".
        version: Its version.
        sm: Compute capabilities times ten that it runs on.
        gpu: The GPU that it was built on; empty where none was needed.
        cuda: CUDA of the driver that it was built with, as in 12060; 0 where none was needed.
        jetpack: Version of JetPack, or of Jetson Linux; empty on other machines.
        platform: System and processor, as in "linux-aarch64".
        shapes: For each input its smallest, best and largest shape.
        flags: Settings of the build.
        farlook: Version that built it.
        sha256: Of the engine's bytes.
    """

    codec: str
    graph: str
    precision: str
    source: str
    digest: str
    library: str
    version: str
    sm: tuple[int, ...]
    gpu: str
    cuda: int
    jetpack: str
    platform: str
    shapes: dict[str, list[list[int]]]
    flags: dict[str, Any]
    farlook: str
    sha256: str

    def to_json(self) -> bytes:
        """As the file holds it."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1, sort_keys=True).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Fingerprint:
        """Read it back.

        Raises:
            ValueError: It is none, or of another farlook's kind.
        """
        try:
            found = json.loads(data)
            if found["schema"] != SCHEMA:
                raise ValueError(f"its fingerprint has schema {found['schema']}, not {SCHEMA}")
            values = {field.name: found[field.name] for field in fields(cls)}
            values["sm"] = tuple(map(int, values["sm"]))
            for field in fields(cls):
                kind = _KINDS.get(str(field.type), dict)
                if not isinstance(values[field.name], kind):
                    raise TypeError(f"{field.name} is {values[field.name]!r}")
        except (KeyError, OverflowError, TypeError, RecursionError, json.JSONDecodeError) as error:
            raise ValueError(f"its fingerprint is damaged: {error!r}") from error
        return cls(**values)


def engine_folder(bundle: Path, codec: str) -> Path:
    """Where a bundle's engines are: beside it, or for one that ships with farlook in the user's cache."""
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given)
    if bundle.resolve().parent != _SHIPPED.resolve():
        return bundle.with_name(f"{bundle.name}.engines")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "farlook" / "engines" / codec


def engine_path(folder: Path, source: GraphSource, backend: str) -> Path:
    """The engine's file; its fingerprint's ends in .json.

    The graph's digest is in the name, so that bundles of one codec may share a folder.
    """
    digest = source.digests.get(source.precision) or source.digests.get("fp32", "")
    parts = (source.codec, source.name, digest[:_DIGITS], source.precision, backend, "engine")
    return folder / ".".join(part for part in parts if part)


def write_engine(path: Path, engine: bytes, fingerprint: Fingerprint) -> None:
    """Write an engine, then its fingerprint: torn in between, the old fingerprint does not fit the new engine.

    Raises:
        OutputError: The folder is not writable, or the disk is full.
    """
    write_bytes(path, engine)
    write_bytes(path.with_suffix(".json"), fingerprint.to_json())


def find_engine(source: GraphSource, backend: str) -> Path:
    """The file of an engine that may be there.

    Raises:
        BackendError: There is none; the text has the command that builds it.
    """
    path = engine_path(engine_folder(source.bundle, source.codec), source, backend)
    if not path.is_file():
        others = sorted(
            each.name
            for each in path.parent.glob(f"{source.codec}.{source.name}.*.engine")
            if each.name.endswith(f".{source.precision}.{backend}.engine")
        )
        hint = f" (of other graphs than the bundle's there are: {', '.join(others)})" if others else ""
        raise BackendError(f"there is no engine {path}{hint}: build it with {build_command(source, backend)}")
    return path


def read_engine(
    source: GraphSource, backend: str, version: str, machine: Machine
) -> tuple[bytes, Fingerprint]:
    """An engine that is whole, and made of this graph for this machine.

    Args:
        source: The graph.
        backend: "tensorrt" or "rtx".
        version: Of the library here.
        machine: This one.

    Raises:
        BackendError: There is no such engine; or it is damaged, or was made of another graph, or for another
            machine or library: the text says what differs, and which command builds it anew. Or there is no GPU.
    """
    path = find_engine(source, backend)
    try:
        fingerprint = Fingerprint.from_json(_read(path.with_suffix(".json"), _MAX_JSON))
        engine = _read(path, None)
        if hashlib.sha256(engine).hexdigest() != fingerprint.sha256:
            raise ValueError("its SHA-256 is not the one in its fingerprint: it is damaged or half written")
        found = differences(fingerprint, source, LIBRARIES[backend], version, machine)
    except (OSError, ValueError) as error:
        found = [str(error)]
    if found:
        raise BackendError(
            f"the engine {path} is not used: {'; '.join(found)}; rebuild it with {build_command(source, backend)}"
        )
    if machine.gpu is None:
        raise BackendError(f"the engine {path} cannot run here: {machine.problem}")
    return engine, fingerprint


def differences(
    fingerprint: Fingerprint, source: GraphSource, library: str, version: str, machine: Machine
) -> list[str]:
    """What of a fingerprint does not fit a graph, a library and a machine; empty if all does.

    A machine without a GPU fits every GPU: what else differs is worth telling there, too.
    """
    asked = {"codec": source.codec, "graph": source.name, "precision": source.precision, "library": library}
    if library == LIBRARIES["tensorrt"]:
        asked["jetpack"] = jetpack(machine)
    found = [
        f"its {name} is {getattr(fingerprint, name) or 'none'}, not {wanted or 'none'}"
        for name, wanted in asked.items()
        if getattr(fingerprint, name) != wanted
    ]
    found += _other_graph(fingerprint, source.digests)
    found += _other_version(fingerprint, library, version)
    return found + _other_gpu(fingerprint, machine)


def build_command(source: GraphSource, backend: str) -> str:
    """The command that builds an engine."""
    shipped = source.bundle.resolve().parent == _SHIPPED.resolve()
    target = "rtx" if backend == "rtx" else "local"
    what = source.codec if shipped else source.bundle
    return f"farlook build {what} --precision {source.precision} --target {target}"


def jetpack(machine: Machine) -> str:
    """JetPack's version, or that of Jetson Linux where the package nvidia-jetpack is not installed."""
    if machine.jetson is None:
        return ""
    return machine.jetson.jetpack or machine.jetson.l4t


def _other_graph(fingerprint: Fingerprint, digests: Mapping[str, str]) -> list[str]:
    held = {"source": digests.get("fp32"), "digest": digests.get(fingerprint.precision)}
    if any(digest is not None and getattr(fingerprint, name) != digest for name, digest in held.items()):
        return ["it was built of another graph than the bundle's"]
    if held["digest"] is not None:
        return []
    # The graph was made for the build.
    if fingerprint.farlook != __version__:
        return [f"its graph was made by farlook {fingerprint.farlook}, not {__version__}"]
    number = fingerprint.flags.get("fp16_pass")
    if fingerprint.precision == "fp16" and number != FP16_PASS:
        return [f"its graph was made by FP16 pass {number or 'unknown'}, not {FP16_PASS}"]
    return []


def _other_version(fingerprint: Fingerprint, library: str, version: str) -> list[str]:
    """Engines run with the version that made them; version-compatible ones with later ones of the same major."""
    built, here = _numbers(fingerprint.version), _numbers(version)
    compatible = fingerprint.flags.get("version_compatible") and built[:1] == here[:1] and built <= here
    if built == here or compatible:
        return []
    return [f"it was built by {library} {fingerprint.version}, not {version}"]


def _other_gpu(fingerprint: Fingerprint, machine: Machine) -> list[str]:
    found = []
    if fingerprint.platform != machine.platform and fingerprint.library == LIBRARIES["tensorrt"]:
        found.append(f"it was built on {fingerprint.platform}, not {machine.platform}")
    if machine.gpu is None:
        return found
    level = str(fingerprint.flags.get("hardware_compatible") or "none")
    if level == "ampere_plus":
        if machine.gpu.sm < 80:
            found.append(f"it is for compute capability 8.0 and up, not {_capability(machine.gpu.sm)}")
    elif machine.gpu.sm not in fingerprint.sm:
        built = ", ".join(map(_capability, fingerprint.sm))
        found.append(f"it is for compute capability {built}, not {_capability(machine.gpu.sm)}")
    elif level == "none" and fingerprint.gpu and fingerprint.gpu != machine.gpu.name:
        found.append(f"it was built on {fingerprint.gpu}, not {machine.gpu.name}")
    if machine.cuda < fingerprint.cuda:
        older, newer = version_text(machine.cuda), version_text(fingerprint.cuda)
        found.append(f"the driver here serves CUDA {older}, older than {newer}, which it was built with")
    return found


def _capability(sm: int) -> str:
    return f"{sm // 10}.{sm % 10}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _read(path: Path, limit: int | None) -> bytes:
    with path.open("rb") as file:
        return file.read() if limit is None else file.read(limit)
