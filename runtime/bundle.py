"""Bundles: what training hands to deployment, read here and written by `farlook.export.bundle`.

A bundle is a zip file, or a directory with the same members: `bundle.json` (the manifest), and either ONNX
graphs and `entropy.json` (integer tables) or, for block8, `tables.bin`; a decoder for the ground has one graph and no
tables, for block8's decode its streams. Every member's SHA-256 is in the manifest
and is checked when it is read. Nothing in a bundle is code or a pickle.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farlook.runtime.errors import BundleError, UnknownCodecError
from farlook.runtime.stream import TILE_LOG2

SCHEMA = 1
MANIFEST = "bundle.json"
TABLES = "tables.bin"
CALIBRATION = "calibration.json"
BLOCK8_LAYOUT = "block8"
GROUND_LAYOUT = "block8-ground"
"""Of bundles with a network that decodes block8's streams; they code nothing."""
SUFFIX = ".bundle"
_WITHOUT_ENTROPY = (BLOCK8_LAYOUT, GROUND_LAYOUT)
MAX_MEMBER_BYTES = 1 << 30
MAX_JSON_BYTES = 1 << 24


@dataclass(frozen=True)
class Bundle:
    """An open bundle.

    Attributes:
        path: Where it was read from.
        manifest: `bundle.json`, as parsed.
    """

    path: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, path: str | Path) -> Bundle:
        """Open a bundle file or directory.

        Raises:
            BundleError: It is missing, not a bundle, damaged, or of a newer schema.
        """
        path = Path(path)
        if not _exists(path):
            raise BundleError(f"there is no bundle {path}")
        try:
            manifest = json.loads(_read_member(path, MANIFEST))
        except (ValueError, RecursionError) as error:
            raise BundleError(f"{path}: {MANIFEST} is not JSON: {error}") from error
        schema = manifest.get("schema") if isinstance(manifest, dict) else None
        if type(schema) is not int or schema < 1:
            raise BundleError(f"{path}: {MANIFEST} has no schema number: not a farlook bundle")
        if schema > SCHEMA:
            raise BundleError(f"{path} has schema {schema}, newer than {SCHEMA}: update farlook")
        bundle = cls(path, manifest)
        if coding_digest(bundle.coding).hex() != bundle._field("coding_digest"):
            raise BundleError(
                f"{path}: the coding digest does not match what it covers: the bundle is damaged"
            )
        if not _is_whole(manifest):
            raise BundleError(
                f"{path}: {MANIFEST} lacks a field, or one has another type: the bundle is damaged"
            )
        return bundle

    @property
    def codec(self) -> str:
        """The codec's name, as in "block8-paper"."""
        return str(self.coding["codec"])

    @property
    def coding(self) -> dict[str, Any]:
        """Everything that encoder and decoder must share; `coding_digest` covers it."""
        coding = self._field("coding")
        if not isinstance(coding, dict):
            raise BundleError(f"{self.path}: {MANIFEST} is damaged: coding is not an object")
        return coding

    @property
    def layout(self) -> str:
        """What the codec's latents are, and so which kind of codec it is: "block8", "block8-paper"."""
        return str(self.coding["layout"])

    @property
    def digest(self) -> bytes:
        """SHA-256 of `coding`; a stream's header carries the first bytes of it."""
        return bytes.fromhex(self._field("coding_digest"))

    @property
    def graphs(self) -> dict[str, dict[str, dict[str, str]]]:
        """The manifest's entries of graphs, by name and precision; a bundle of block8 has none."""
        graphs: dict[str, dict[str, dict[str, str]]] = self.manifest.get("graphs", {})
        return graphs

    def graph(self, name: str, precision: str = "fp32") -> bytes:
        """The ONNX model of one network.

        Args:
            name: "analysis" or "synthesis".
            precision: "fp32"; "fp16" and "int8" too after `farlook calibrate`.

        Raises:
            BundleError: The bundle has no such graph, or it is damaged.
        """
        entries = self.graphs.get(name, {})
        if precision not in entries:
            held = ", ".join(f"{key} {p}" for key, kinds in self.graphs.items() for p in kinds) or "none"
            text = f"{self.path} has no {precision} {name} graph; it holds: {held}"
            if "fp32" in entries:
                text += f"; make one with: farlook calibrate {self.path} --images DIR -o calibrated.bundle"
            raise BundleError(text)
        return self._checked(entries[precision]["file"], entries[precision]["sha256"])

    def entropy(self) -> dict[str, Any]:
        """The integer tables of the entropy coder, `entropy.json`.

        Raises:
            BundleError: They are missing or damaged, or this is a bundle of block8.
        """
        if self.layout in _WITHOUT_ENTROPY:
            raise BundleError(f"{self.path} is a bundle of {self.layout}: it has no entropy.json")
        data = self._checked("entropy.json", self.coding["entropy_sha256"])
        try:
            tables: dict[str, Any] = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise BundleError(f"{self.path}: entropy.json is not JSON: {error}") from error
        return tables

    def calibration(self) -> dict[str, Any] | None:
        """How FP16 and INT8 graphs were made, `calibration.json`; None if this bundle was not calibrated.

        Raises:
            BundleError: It is damaged.
        """
        entry = self.manifest.get("calibration")
        if entry is None:
            return None
        try:
            found: dict[str, Any] = json.loads(self._checked(entry["file"], entry["sha256"]))
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise BundleError(f"{self.path}: the notes of the calibration are damaged: {error!r}") from error
        return found

    def members(self) -> dict[str, bytes]:
        """Every member but the manifest, each checked, by file name.

        Raises:
            BundleError: One is missing or damaged.
        """
        listed = [entry for kinds in self.graphs.values() for entry in kinds.values()]
        if self.manifest.get("calibration"):
            listed.append(self.manifest["calibration"])
        found = {entry["file"]: self._checked(entry["file"], entry["sha256"]) for entry in listed}
        if self.layout == GROUND_LAYOUT:
            return found
        tables = "tables_sha256" if self.layout == BLOCK8_LAYOUT else "entropy_sha256"
        name = TABLES if self.layout == BLOCK8_LAYOUT else "entropy.json"
        return {name: self._checked(name, self.coding[tables])} | found

    def tables(self) -> bytes:
        """block8's trained tables, packed; `farlook.kernels.block8_tables.Tables.unpack` reads them.

        Raises:
            BundleError: They are missing or damaged, or this is a bundle of networks.
        """
        if self.layout != BLOCK8_LAYOUT:
            raise BundleError(f"{self.path} is a bundle of networks: it has no {TABLES}")
        return self._checked(TABLES, self.coding["tables_sha256"])

    def _checked(self, name: str, sha256: str) -> bytes:
        data = _read_member(self.path, name)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise BundleError(f"{self.path}: {name} is damaged: its SHA-256 is not the one in {MANIFEST}")
        return data

    def _field(self, name: str) -> Any:  # JSON
        if name not in self.manifest:
            raise BundleError(f"{self.path}: {MANIFEST} has no {name!r}: not a whole farlook bundle")
        return self.manifest[name]


def coding_digest(coding: dict[str, Any]) -> bytes:
    """SHA-256 of the canonical JSON of a manifest's `coding` object."""
    text = json.dumps(coding, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).digest()


def find_bundle(name_or_path: str | Path) -> Bundle:
    """Open a bundle by its path, or one that ships with farlook by its codec's name.

    Raises:
        UnknownCodecError: It is neither a path that exists nor the name of a shipped codec.
        BundleError: See `Bundle.open`.
    """
    shipped = shipped_bundles()
    known = shipped | shipped_decoders()
    if str(name_or_path) in known:
        return Bundle.open(known[str(name_or_path)])
    if _exists(Path(name_or_path)):
        return Bundle.open(name_or_path)
    raise UnknownCodecError(
        f"there is no codec or bundle {str(name_or_path)!r}; farlook ships: {', '.join(sorted(shipped))}"
    )


def shipped_bundles() -> dict[str, Path]:
    """The codecs' bundles inside the package: codec name to path."""
    return {name: path for name, path in _packaged().items() if not name.startswith(GROUND_LAYOUT)}


def shipped_decoders() -> dict[str, Path]:
    """The bundles of decoders for the ground inside the package: name, as in "block8-ground-fast", to path."""
    return {name: path for name, path in _packaged().items() if name.startswith(GROUND_LAYOUT)}


def _packaged() -> dict[str, Path]:
    folder = Path(__file__).parent / "bundles"
    return {path.name.removesuffix(SUFFIX): path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long
        return False


def _is_whole(manifest: dict[str, Any]) -> bool:
    """Whether the fields that are used unasked are there and of their types."""
    try:
        coding = manifest["coding"]
        if coding["layout"] == BLOCK8_LAYOUT:
            return all(isinstance(coding[key], str) for key in ("codec", "tables_sha256"))
        graphs, ground = manifest["graphs"], coding["layout"] == GROUND_LAYOUT
        entries = [entry for precisions in graphs.values() for entry in precisions.values()]
        texts = [coding["codec"], coding["layout"], coding["block8" if ground else "entropy_sha256"]]
        texts += [entry[key] for entry in entries for key in ("file", "sha256")]
        if not all(isinstance(text, str) for text in texts):
            return False
        return "synthesis" in graphs if ground else int(coding["tile_log2"]) in TILE_LOG2
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return False


def _read_member(path: Path, name: str) -> bytes:
    limit = MAX_JSON_BYTES if name.endswith(".json") else MAX_MEMBER_BYTES
    if Path(name).name != name:
        raise BundleError(f"{path}: {MANIFEST} names the member {name!r}, which is not a plain name")
    try:
        if path.is_dir():
            with (path / name).open("rb") as member:
                data = member.read(limit + 1)
            if len(data) > limit:
                raise BundleError(f"{path}: {name} is larger than {limit} bytes")
            return data
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(name).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise BundleError(f"{path}: {name} is compressed by another method than deflate")
            if archive.getinfo(name).file_size > limit:
                raise BundleError(f"{path}: {name} is larger than {limit} bytes")
            return archive.read(name)
    except (KeyError, FileNotFoundError) as error:
        raise BundleError(f"{path} has no {name}: not a farlook bundle") from error
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        raise BundleError(f"cannot read {name} of {path}: {error}") from error
