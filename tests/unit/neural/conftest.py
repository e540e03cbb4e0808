"""A neural codec without training: the stand-in that `tests/vectors/make_neural.py` writes."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

import farlook

VECTORS = Path(__file__).parents[2] / "vectors" / "neural"


@pytest.fixture(scope="session")
def vectors():
    """The folder of golden streams."""
    return VECTORS


@pytest.fixture(scope="session")
def standin_path():
    """The stand-in's bundle."""
    return VECTORS / "standin.bundle"


@pytest.fixture(scope="session")
def standin(standin_path):
    """The stand-in, on one thread."""
    pytest.importorskip("onnxruntime")
    return farlook.Codec.load(standin_path, threads=1)


@pytest.fixture(scope="session")
def standin_members(standin_path):
    """The members of its bundle: name to bytes."""
    with zipfile.ZipFile(standin_path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def members(standin_members):
    """For `make_bundle`, which then makes changed stand-ins."""
    return standin_members


@pytest.fixture
def described(standin_members):
    """Its manifest's `coding`, to be changed."""
    return json.loads(standin_members["bundle.json"])["coding"]


@pytest.fixture
def entropy(standin_members):
    """Its tables, to be changed."""
    return json.loads(standin_members["entropy.json"])
