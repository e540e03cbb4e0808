"""What works here, what is missing, and the command that installs it."""

from __future__ import annotations

import platform
import re
import sys
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np

from farlook.kernels.block8 import Core
from farlook.kernels.block8_tables import Tables
from farlook.kernels.checksum import crc32c
from farlook.runtime.backends import AUTO, probe_backends
from farlook.runtime.bundle import (
    BLOCK8_LAYOUT,
    GROUND_LAYOUT,
    Bundle,
    find_bundle,
    shipped_bundles,
    shipped_decoders,
)
from farlook.runtime.codec import Codec
from farlook.runtime.doctor_machine import look_at_machine
from farlook.runtime.engines import LIBRARIES
from farlook.runtime.errors import BundleError, FarlookError
from farlook.runtime.finding import Finding

if TYPE_CHECKING:
    from farlook.runtime.backends.base import Probe

_NOTES = {
    "cpu": "networks on the CPU; not together with gpu, which installs the same module",
    "gpu": "networks on NVIDIA GPUs by ONNX Runtime; not together with cpu",
    "tensorrt": "on a Jetson, TensorRT comes with JetPack: sudo apt-get install tensorrt python3-libnvinfer",
    "rtx": "engines for RTX GPUs, which it builds without a GPU, too",
}


_CLOSE = 8
"""Levels by which a small picture may differ from what it decodes to."""


def examine() -> list[Finding]:
    """Look at the core, the machine, every backend, every shipped codec and every extra."""
    return [*_core(), *look_at_machine(), *_backends(), *_codecs(), *_extras()]


def usable(findings: list[Finding]) -> bool:
    """Whether pictures can be coded: the core, a backend and all shipped codecs work."""
    by_group = {
        group: [f.works for f in findings if f.group == group] for group in ("core", "backend", "codec")
    }
    return all(by_group["core"]) and any(by_group["backend"]) and all(by_group["codec"])


def _core() -> list[Finding]:
    correct = crc32c(b"123456789") == 0xE3069283
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("numpy", "pillow"))
    return [
        Finding("core", "python", True, f"{platform.python_version()} on {platform.platform()}"),
        Finding("core", "farlook", True, f"{metadata.version('farlook')} with {versions}"),
        Finding(
            "core", "C core", correct, "checksums right" if correct else "wrong checksum: reinstall farlook"
        ),
    ]


def _backends() -> list[Finding]:
    probes = probe_backends()
    found = [Finding("backend", p.name, p.works, p.detail, p.remedy) for p in probes]
    return [_native(), *found, _auto(probes)]


def _auto(probes: list[Probe]) -> Finding:
    """Which backend "auto" takes for networks."""
    order = [probe.name for probe in probes if probe.name in AUTO and probe.works]
    if not order:
        return Finding(
            "backend", "auto", False, "no backend runs networks here", "pip install 'farlook[cpu]'"
        )
    needs = "".join(
        f"; {name} for those that farlook build made engines of" for name in order if name in LIBRARIES
    )
    first = next((name for name in order if name not in LIBRARIES), order[0])
    return Finding("backend", "auto", True, f"networks run by {first}{needs}")


def _native() -> Finding:
    """Whether the C core codes and decodes a small picture with block8."""
    ramp = np.arange(64, dtype=np.uint8).reshape(8, 8)
    try:
        core = Core(Tables.unpack(find_bundle(BLOCK8_LAYOUT).tables()))
        codec = Codec.load(BLOCK8_LAYOUT, threads=1)
        error = np.abs(codec.decode(codec.encode(ramp, quality=90)).astype(int) - ramp).max()
    except FarlookError as failure:
        return Finding("backend", "native", False, str(failure), "pip install --force-reinstall farlook")
    detail = f"block8 by the C core, {core.variant}"
    return Finding("backend", "native", bool(error <= _CLOSE), detail)


def _codecs() -> list[Finding]:
    findings = []
    for name, path in (shipped_bundles() | shipped_decoders()).items():
        try:
            bundle = Bundle.open(path)
            if bundle.layout == BLOCK8_LAYOUT:
                bundle.tables()
            else:
                if bundle.layout != GROUND_LAYOUT:
                    bundle.entropy()
                for graph in bundle.graphs:
                    bundle.graph(graph)
            findings.append(Finding("codec", name, True, f"bundle {bundle.digest[:4].hex()}"))
        except BundleError as error:
            findings.append(
                Finding("codec", name, False, str(error), "pip install --force-reinstall farlook")
            )
    return findings


def _extras() -> list[Finding]:
    """Every extra of the installed package, as its metadata lists them."""
    packages: dict[str, list[str]] = {}
    for requirement in metadata.requires("farlook") or []:
        match = re.match(
            r"(?P<name>[\w.-]+)[^;]*;(?P<marker>.*extra == ['\"](?P<extra>[\w-]+)['\"].*)", requirement
        )
        if match and match["name"] != "farlook":
            names = packages.setdefault(match["extra"], [])
            names += [match["name"]] if _applies(match["marker"]) else []
    return [_extra(extra, names) for extra, names in packages.items()]


def _extra(extra: str, names: list[str]) -> Finding:
    versions = {name: _version(name) for name in names}
    missing = [name for name, version in versions.items() if version is None]
    parts = [", ".join(f"{name} {version}" for name, version in versions.items() if version)]
    if not names:
        parts.append("not from PyPI on this machine")
    if missing:
        parts.append(f"missing: {', '.join(missing)}")
    works = bool(names) and not missing
    note = "" if works else _NOTES.get(extra, "")
    # onnxruntime and onnxruntime-gpu are one module: with one there, installing the other breaks both.
    rival = {"cpu": "onnxruntime-gpu", "gpu": "onnxruntime"}.get(extra)
    remedy = f"pip install 'farlook[{extra}]'" if missing and not (rival and _version(rival)) else ""
    return Finding("extra", extra, works, "; ".join(filter(None, [*parts, note])), remedy)


def _applies(marker: str) -> bool:
    """Whether a requirement is one for this Python and machine; knows the markers that pyproject.toml uses."""
    machine = re.search(r"platform_machine == ['\"](\w+)['\"]", marker)
    python = re.search(r"python_version >= ['\"](\d+)\.(\d+)['\"]", marker)
    return (machine is None or machine[1] == platform.machine()) and (
        python is None or sys.version_info >= (int(python[1]), int(python[2]))
    )


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
