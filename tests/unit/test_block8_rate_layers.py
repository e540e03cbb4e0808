"""block8's layout "progressive": cut streams show the whole picture, budgets are kept."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import farlook
from farlook.export.bundle import write_tables_bundle
from farlook.kernels.block8_tables import Tables
from farlook.runtime.block8.stream import split_packets
from farlook.runtime.bundle import find_bundle
from farlook.runtime.errors import BundleError, TargetError, TruncatedStreamError


def psnr(image, reference):
    return 10 * np.log10(255**2 / np.mean((image.astype(float) - reference) ** 2))


@pytest.fixture(scope="module")
def layered(tmp_path_factory):
    """A codec that has tables for refinements, untrained ones if the shipped one has none."""
    tables = Tables.unpack(find_bundle("block8").tables())
    if not tables.refinements:
        even = np.full(32, 1 << 14, np.uint16)
        sets = tuple(dataclasses.replace(one, changes=even) for one in tables.sets)
        tables = dataclasses.replace(tables, refinements=sets, refinement_limits=tables.limits)
    path = tmp_path_factory.mktemp("layered") / "layered.bundle"
    coding = {"codec": "block8", "layout": "block8"}
    write_tables_bundle(path, coding=coding, tables=tables.pack(), training={})
    return farlook.Codec.load(path)


@pytest.fixture(scope="module")
def stream(layered, kodim):
    return layered.encode(kodim, quality=60, layout="progressive")


def test_a_cut_stream_shows_the_whole_picture(layered, kodim, stream):
    first = len(split_packets(stream)[0])
    fidelities = []
    for share in (0.02, 0.1, 0.3, 1):
        image = layered.decode(stream[: max(first, int(share * len(stream)))])
        assert image.shape == kodim.shape
        fidelities.append(psnr(image, kodim))
    assert fidelities == sorted(fidelities)
    assert fidelities[0] > 17
    assert fidelities[-1] > 35


def test_a_cut_inside_the_first_packet_is_refused(layered, stream):
    with pytest.raises(TruncatedStreamError):
        layered.decode(stream[:60])


def test_a_stream_tells_its_layout(layered, stream):
    told = farlook.info(stream)
    assert told.layout == "progressive"
    assert told.packets == len(split_packets(stream))
    assert farlook.info(stream[:-5]).packets == told.packets - 1
    assert farlook.info(layered.encode(np.zeros((8, 8), np.uint8))).layout == "tiles"


def test_threads_change_nothing(layered, kodim, stream):
    assert layered.encode(kodim, quality=60, layout="progressive", threads=1) == stream


@pytest.mark.parametrize("budget", [1500, 6000, 40_000])
def test_budgets_are_kept_and_used(layered, kodim, budget):
    stream = layered.encode(kodim, budget=budget, layout="progressive")
    assert 0.85 * budget <= len(stream) <= budget
    assert layered.decode(stream).shape == kodim.shape
    assert not layered.decode_lossy(stream).concealed.all()


def test_a_budget_without_room_for_a_packet_says_what_would_fit(layered, kodim):
    with pytest.raises(TargetError, match="bytes at least, more than the 30 asked for"):
        layered.encode(kodim, budget=30, layout="progressive")


def test_lost_packets_of_layers_are_made_up_for(layered, kodim, stream):
    packets = split_packets(stream)
    picture = layered.decode_lossy([packet for number, packet in enumerate(packets) if number % 9 != 4])
    assert psnr(picture.image, kodim) > 16


def test_tables_without_refinements_are_refused(tmp_path, grey):
    tables = dataclasses.replace(
        Tables.unpack(find_bundle("block8").tables()), refinements=(), refinement_limits=()
    )
    coding = {"codec": "block8", "layout": "block8"}
    write_tables_bundle(tmp_path / "plain.bundle", coding=coding, tables=tables.pack(), training={})
    with pytest.raises(BundleError, match="trained without refinements"):
        farlook.Codec.load(tmp_path / "plain.bundle").encode(grey, layout="progressive")
