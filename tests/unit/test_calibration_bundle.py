"""Bundles with graphs of several precisions, and the notes of their calibration."""

from __future__ import annotations

import json
import zipfile

import pytest

from farlook.export.bundle import add_precisions
from farlook.runtime.bundle import Bundle
from farlook.runtime.errors import BundleError

NOTES = {"version": 1, "method": "mse"}


@pytest.fixture
def made(shipped, tmp_path):
    """A copy of block8-paper's bundle with an INT8 graph that is none."""
    path = tmp_path / "made.bundle"
    add_precisions(path, Bundle.open(shipped), {"analysis": {"int8": b"graph"}}, NOTES)
    return path


def test_graphs_are_added_and_all_else_stays(made, shipped):
    before, after = Bundle.open(shipped), Bundle.open(made)
    assert after.digest == before.digest
    assert after.graph("analysis", "int8") == b"graph"
    assert after.graph("analysis") == before.graph("analysis")
    assert after.entropy() == before.entropy()
    assert after.calibration() == NOTES
    assert before.calibration() is None
    assert set(after.members()) == set(before.members()) | {"analysis.int8.onnx", "calibration.json"}


def test_calibrating_again_replaces(made, tmp_path):
    again = tmp_path / "again.bundle"
    add_precisions(again, Bundle.open(made), {"analysis": {"int8": b"other"}}, NOTES | {"method": "absmax"})
    assert Bundle.open(again).graph("analysis", "int8") == b"other"
    assert Bundle.open(again).calibration()["method"] == "absmax"


def test_equal_arguments_make_equal_bytes(made, shipped, tmp_path):
    again = tmp_path / "again.bundle"
    add_precisions(again, Bundle.open(shipped), {"analysis": {"int8": b"graph"}}, NOTES)
    assert again.read_bytes() == made.read_bytes()


def test_missing_graphs_say_what_makes_them(made):
    with pytest.raises(BundleError, match=r"no int8 synthesis graph; .*farlook calibrate"):
        Bundle.open(made).graph("synthesis", "int8")


@pytest.mark.parametrize("member", ["analysis.int8.onnx", "calibration.json"])
def test_damaged_members_are_named(made, tmp_path, member):
    damaged = tmp_path / "damaged.bundle"
    with zipfile.ZipFile(made) as old, zipfile.ZipFile(damaged, "w") as new:
        for name in old.namelist():
            new.writestr(name, b"{}" if name == member else old.read(name))
    bundle = Bundle.open(damaged)
    with pytest.raises(BundleError, match=f"{member} is damaged"):
        bundle.members()


@pytest.mark.parametrize("entry", [7, {}, {"file": "calibration.json", "sha256": 3}])
def test_a_manifest_that_lies_about_its_notes_is_damaged(made, tmp_path, entry):
    damaged = tmp_path / "damaged.bundle"
    with zipfile.ZipFile(made) as old, zipfile.ZipFile(damaged, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "bundle.json":
                data = json.dumps(json.loads(data) | {"calibration": entry}).encode()
            new.writestr(name, data)
    with pytest.raises(BundleError, match="damaged"):
        Bundle.open(damaged).calibration()
