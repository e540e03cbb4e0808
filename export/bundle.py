"""Writes bundles; `farlook.runtime.bundle` reads them and says what is in one."""

from __future__ import annotations

import hashlib
import json
import zipfile
from typing import TYPE_CHECKING, Any

from farlook import __version__
from farlook.runtime.bundle import CALIBRATION, MANIFEST, SCHEMA, TABLES, coding_digest
from farlook.runtime.files import atomic_write

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from farlook.runtime.bundle import Bundle

# The same members at the same time of day make the same file.
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)


def write_bundle(
    path: str | os.PathLike[str],
    *,
    coding: Mapping[str, Any],
    entropy: Mapping[str, Any],
    graphs: Mapping[str, bytes],
    training: Mapping[str, Any],
) -> dict[str, Any]:
    """Write a bundle, whole or not at all; equal arguments make equal bytes.

    Args:
        path: Where to.
        coding: What encoder and decoder must share: codec, layout, tile size, quantiser, digest of the weights.
        entropy: The entropy coder's integer tables.
        graphs: Serialized FP32 ONNX models, by name ("analysis", "synthesis").
        training: Seed, data, settings, losses and licence, for people to read.

    Returns:
        The manifest.

    Raises:
        OutputError: The file cannot be written.
    """
    tables = _json(entropy)
    manifest = _manifest({**coding, "entropy_sha256": _sha256(tables)}, training)
    manifest["graphs"] = {
        name: {"fp32": {"file": f"{name}.onnx", "sha256": _sha256(graph)}} for name, graph in graphs.items()
    }
    _write(path, manifest, {"entropy.json": tables, **{f"{name}.onnx": g for name, g in graphs.items()}})
    return manifest


def write_tables_bundle(
    path: str | os.PathLike[str], *, coding: Mapping[str, Any], tables: bytes, training: Mapping[str, Any]
) -> dict[str, Any]:
    """Write a bundle of block8, whole or not at all; equal arguments make equal bytes.

    Args:
        path: Where to.
        coding: What encoder and decoder must share besides the tables: codec; layout, "block8".
        tables: `farlook.kernels.block8_tables.Tables.pack`.
        training: Seed, data, settings, losses and licence, for people to read.

    Returns:
        The manifest.

    Raises:
        OutputError: The file cannot be written.
    """
    manifest = _manifest({**coding, "tables_sha256": _sha256(tables)}, training)
    _write(path, manifest, {TABLES: tables})
    return manifest


def write_ground_bundle(
    path: str | os.PathLike[str], *, coding: Mapping[str, Any], graph: bytes, training: Mapping[str, Any]
) -> dict[str, Any]:
    """Write a bundle of a decoder for the ground, whole or not at all; equal arguments make equal bytes.

    Args:
        path: Where to.
        coding: What the decoder was made for: codec, layout, the digest of block8's bundle, range of steps, halo.
        graph: The serialized FP32 ONNX model.
        training: Seed, data, settings, losses and licence, for people to read.

    Returns:
        The manifest.

    Raises:
        OutputError: The file cannot be written.
    """
    manifest = _manifest(coding, training)
    manifest["graphs"] = {"synthesis": {"fp32": {"file": "synthesis.onnx", "sha256": _sha256(graph)}}}
    _write(path, manifest, {"synthesis.onnx": graph})
    return manifest


def add_graphs(path: str | os.PathLike[str], bundle: Bundle, graphs: Mapping[str, bytes]) -> dict[str, Any]:
    """Write a copy of a bundle of block8 with FP32 graphs beside its tables; the coding digest stays.

    Args:
        path: Where to, whole or not at all; equal arguments make equal bytes.
        bundle: The bundle to copy.
        graphs: Serialized ONNX models, by name ("analysis", "synthesis").

    Returns:
        The manifest.

    Raises:
        BundleError: A member of the bundle is missing or damaged.
        OutputError: The file cannot be written.
    """
    listed = {
        name: {"fp32": {"file": f"{name}.onnx", "sha256": _sha256(graph)}} for name, graph in graphs.items()
    }
    members = bundle.members() | {f"{name}.onnx": graph for name, graph in graphs.items()}
    manifest = {**bundle.manifest, "graphs": listed}
    _write(path, manifest, members)
    return manifest


def add_precisions(
    path: str | os.PathLike[str],
    bundle: Bundle,
    graphs: Mapping[str, Mapping[str, bytes]],
    calibration: Mapping[str, Any],
) -> dict[str, Any]:
    """Write a copy of a bundle with graphs of other precisions beside its own; the coding digest stays.

    Args:
        path: Where to, whole or not at all; equal arguments make equal bytes.
        bundle: The bundle to copy; the graphs of it that `graphs` has too are replaced.
        graphs: Serialized ONNX models, by name ("analysis", "synthesis") and precision ("fp16", "int8").
        calibration: How they were made.

    Returns:
        The manifest.

    Raises:
        BundleError: A member of the bundle is missing or damaged.
        OutputError: The file cannot be written.
    """
    members = bundle.members()
    manifest = {**bundle.manifest, "graphs": {name: dict(kinds) for name, kinds in bundle.graphs.items()}}
    for name, kinds in graphs.items():
        for precision, graph in kinds.items():
            file = f"{name}.{precision}.onnx"
            members[file] = graph
            manifest["graphs"].setdefault(name, {})[precision] = {"file": file, "sha256": _sha256(graph)}
    members[CALIBRATION] = _json(calibration)
    manifest["calibration"] = {"file": CALIBRATION, "sha256": _sha256(members[CALIBRATION])}
    _write(path, manifest, members)
    return manifest


def _manifest(coding: Mapping[str, Any], training: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "farlook": __version__,
        "coding": dict(coding),
        "coding_digest": coding_digest(dict(coding)).hex(),
        "training": dict(training),
    }


def _write(path: str | os.PathLike[str], manifest: Mapping[str, Any], members: Mapping[str, bytes]) -> None:
    with (
        atomic_write(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
    ):
        for name, data in {MANIFEST: _json(manifest), **members}.items():
            archive.writestr(_member(name), data)


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _TIMESTAMP)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = 0o644 << 16
    return member


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"
