"""What works here, what is missing, and what would install it."""

from __future__ import annotations

import re
import sys
import zipfile
from importlib import metadata

import pytest

from farlook.runtime import doctor
from farlook.runtime.backends import ORDER
from farlook.runtime.backends.ort.probe import probe
from farlook.runtime.bundle import shipped_bundles, shipped_decoders
from farlook.runtime.doctor import Finding, examine, usable


@pytest.fixture
def ship(monkeypatch):
    """Makes a path the bundle that ships as block8-paper."""

    def ship(path):
        monkeypatch.setattr(doctor, "shipped_bundles", lambda: {"block8-paper": path})

    return ship


def group(findings, name):
    return {finding.name: finding for finding in findings if finding.group == name}


def extras():
    return set(metadata.metadata("farlook").get_all("Provides-Extra"))


def test_here_everything_that_coding_needs_works():
    findings = examine()
    assert usable(findings)
    assert all(finding.works for finding in group(findings, "core").values())


def test_every_backend_codec_and_extra_is_looked_at():
    findings = examine()
    assert list(group(findings, "backend")) == ["native", *ORDER, "auto"]
    assert set(group(findings, "codec")) == set(shipped_bundles() | shipped_decoders())
    assert set(group(findings, "extra")) == extras()


def test_versions_are_told():
    findings = examine()
    assert metadata.version("numpy") in group(findings, "core")["farlook"].detail
    assert metadata.version("onnxruntime") in group(findings, "backend")["ort"].detail
    assert f"hypothesis {metadata.version('hypothesis')}" in group(findings, "extra")["dev"].detail


def test_what_is_missing_comes_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda _: None)
    for name, finding in group(examine(), "extra").items():
        assert not finding.works
        assert finding.remedy == f"pip install 'farlook[{name}]'"
        assert "missing: " in finding.detail


def test_what_works_needs_no_remedy():
    assert all(finding.remedy == "" for finding in examine() if finding.works)
    assert all(finding.detail for finding in examine())


@pytest.mark.parametrize("name", ["bundle.json", "entropy.json", "analysis.onnx", "synthesis.onnx"])
def test_a_damaged_member_of_a_bundle_shows(ship, tmp_path, members, name):
    path = tmp_path / "damaged.bundle"
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data[:-9] if member == name else data)
    ship(path)
    finding = group(examine(), "codec")["block8-paper"]
    assert not finding.works
    assert name in finding.detail
    assert re.search("pip install .*farlook", finding.remedy)
    assert not usable(examine())


def test_a_bundle_that_is_not_there_shows(ship, tmp_path):
    ship(tmp_path / "missing.bundle")
    assert not group(examine(), "codec")["block8-paper"].works


def test_without_onnxruntime_block8_is_left(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    probe.cache_clear()
    try:
        findings = examine()
    finally:
        probe.cache_clear()
    assert group(findings, "backend")["ort"].remedy == "pip install 'farlook[cpu]'"
    assert group(findings, "backend")["native"].works
    assert usable(findings)


@pytest.mark.parametrize(
    ("works", "expected"),
    [
        ({"core": [True], "backend": [True, False], "codec": [True]}, True),
        ({"core": [True, False], "backend": [True], "codec": [True]}, False),
        ({"core": [True], "backend": [False, False], "codec": [True]}, False),
        ({"core": [True], "backend": [True], "codec": [True, False]}, False),
        ({"core": [True], "backend": [True], "codec": [True], "extra": [False]}, True),
    ],
)
def test_one_backend_is_enough_and_extras_are_extra(works, expected):
    findings = [Finding(kind, "x", flag, "") for kind, flags in works.items() for flag in flags]
    assert usable(findings) is expected
