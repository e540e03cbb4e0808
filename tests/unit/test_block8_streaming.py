"""One encoder over several slices, fed row by row, writes what an encoder for each slice does."""

from __future__ import annotations

import numpy as np
import pytest

from farlook.kernels.block8 import Core, Encoder, Geometry
from farlook.kernels.block8_tables import Tables
from farlook.runtime.block8.job import joined, slices_of
from farlook.runtime.bundle import find_bundle


@pytest.fixture(scope="module")
def core():
    return Core(Tables.unpack(find_bundle("block8").tables()))


# Slices of 14 rows of units, 448 pixels: pictures that end in, on and after the rows that a border's filter takes in.
@pytest.mark.parametrize(
    ("height", "piece"), [(449, 1), (455, 7), (456, 40), (457, 448), (480, 449), (901, 1000)]
)
@pytest.mark.parametrize("bands", [1, 3])
def test_slices_come_out_of_one_encoder_as_of_their_own(core, kodim, grey, bands, height, piece):
    photo = kodim if bands == 3 else grey
    image = np.concatenate([np.concatenate([photo, photo], 1)] * 2)[:height, :1201].copy()
    geometry = Geometry(1201, height, bands, 8)
    settings = core.settings(geometry, step=400, mtu=500)
    slices = slices_of(geometry)
    assert len(slices) > 1
    apart = [packet for begin, end in slices for packet in core.encode_rows(image, begin, end, settings)]
    encoder = Encoder(core, 0, geometry.units_y, settings)
    together = [
        packet for row in range(0, height, piece) for packet in encoder.push(image[row : row + piece])
    ]
    assert joined(together) == joined(apart)
    assert [packet.first for packet in together] == [packet.first for packet in apart]
