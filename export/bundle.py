"""Writes bundles; `farlook.runtime.bundle` reads them and says what is in one."""

from __future__ import annotations

import hashlib
import json
import zipfile
from typing import TYPE_CHECKING, Any

from farlook import __version__
from farlook.runtime.bundle import MANIFEST, SCHEMA, coding_digest
from farlook.runtime.files import atomic_write

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

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
    shared = {**coding, "entropy_sha256": hashlib.sha256(tables).hexdigest()}
    manifest = {
        "schema": SCHEMA,
        "farlook": __version__,
        "coding": shared,
        "coding_digest": coding_digest(shared).hex(),
        "graphs": {
            name: {"fp32": {"file": f"{name}.onnx", "sha256": hashlib.sha256(graph).hexdigest()}}
            for name, graph in graphs.items()
        },
        "training": dict(training),
    }
    members = {MANIFEST: _json(manifest), "entropy.json": tables}
    members |= {f"{name}.onnx": graph for name, graph in graphs.items()}
    with (
        atomic_write(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
    ):
        for name, data in members.items():
            archive.writestr(_member(name), data)
    return manifest


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _TIMESTAMP)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = 0o644 << 16
    return member


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"
