"""Settings and makers of damaged things for the unit tests."""

from __future__ import annotations

import hashlib
import json
import zipfile

import pytest
from hypothesis import settings

from farlook.runtime.bundle import coding_digest, shipped_bundles

settings.register_profile("unit", derandomize=True, deadline=None, database=None, max_examples=50)
settings.load_profile("unit")


@pytest.fixture(scope="session")
def shipped():
    """The path of block8-paper's bundle."""
    return shipped_bundles()["block8-paper"]


@pytest.fixture
def members(shipped):
    """The members of block8-paper's bundle: name to bytes."""
    with zipfile.ZipFile(shipped) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def make_bundle(tmp_path, members):
    """A maker of bundles that are the shipped one but for a change, with digests that hold.

    `change_manifest` and `change_entropy` alter the parsed JSON in place.
    """

    def make(change_manifest=None, change_entropy=None, name="made.bundle"):
        manifest, entropy = json.loads(members["bundle.json"]), json.loads(members["entropy.json"])
        if change_entropy is not None:
            change_entropy(entropy)
        tables = json.dumps(entropy).encode()
        manifest["coding"]["entropy_sha256"] = hashlib.sha256(tables).hexdigest()
        if change_manifest is not None:
            change_manifest(manifest)
        if isinstance(manifest.get("coding"), dict):
            manifest["coding_digest"] = coding_digest(manifest["coding"]).hex()
        made = members | {"bundle.json": json.dumps(manifest).encode(), "entropy.json": tables}
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, data in made.items():
                archive.writestr(member, data)
        return path

    return make
