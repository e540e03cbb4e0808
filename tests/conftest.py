"""Pictures and codecs that many tests share."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import farlook


@pytest.fixture(scope="session")
def kodim_path():
    """The photograph that ships with farlook: 768 x 512 pixels, RGB."""
    return Path(farlook.__file__).parent / "samples" / "kodim23.png"


@pytest.fixture(scope="session")
def kodim(kodim_path):
    """Its pixels: uint8 [512, 768, 3], read-only."""
    with Image.open(kodim_path) as image:
        pixels = np.array(image)
    pixels.flags.writeable = False
    return pixels


@pytest.fixture(scope="session")
def grey(kodim):
    """Its luma: uint8 [512, 768], read-only."""
    luma = np.array(Image.fromarray(kodim).convert("L"))
    luma.flags.writeable = False
    return luma


@pytest.fixture(scope="session")
def codec():
    """The codec block8-paper, on one thread."""
    return farlook.Codec.load("block8-paper", threads=1)


@pytest.fixture(scope="session")
def block8():
    """The default codec, on two threads."""
    return farlook.Codec.load("block8", threads=2)


@pytest.fixture(autouse=True)
def listening():
    """Ctrl-C works in tests, and in the processes that they start, even where the shell has turned it off.

    Shells do so for background jobs, and what is ignored is inherited.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
