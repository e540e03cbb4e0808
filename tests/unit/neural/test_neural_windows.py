"""Networks in windows give what they give of the whole picture."""

from __future__ import annotations

import numpy as np
import pytest

import farlook
from farlook.runtime.errors import BundleError
from farlook.runtime.neural import windows
from farlook.runtime.neural.description import Coding, Graph
from farlook.runtime.neural.windows import analyse, cut, run, synthesise


@pytest.mark.parametrize("length", [16, 1024, 1072, 1088, 4096, 16384])
@pytest.mark.parametrize("blend", [0, 16, 64])
def test_windows_weigh_every_pixel_once_and_bring_their_halo(length, blend):
    graph = Graph(("image",), 32, blend)
    weights = np.zeros(length)
    for window in cut(length, graph, 16):
        assert window.start in (0, window.first - 32)
        assert window.stop in (length, window.last + 32)
        assert window.start % 16 == window.stop % 16 == 0
        assert window.stop - window.start <= 1024 + 2 * 32 + blend
        weights[window.target(1)] += window.weights(1)
    np.testing.assert_allclose(weights, 1)


def big(kodim):
    """1500 x 1100 pixels of the photograph, mirrored: windows of 256 cut it 6 x 5 times."""
    rows = np.concatenate([kodim, kodim[::-1], kodim], axis=0)
    return np.ascontiguousarray(np.concatenate([rows, rows[:, ::-1]], axis=1)[:1100, :1500])


def test_windows_leave_no_seam(standin, kodim, monkeypatch):
    """Symbols and pixels of a picture in many windows are those of one window."""
    image = big(kodim)
    monkeypatch.setattr(windows.analyse, "__defaults__", (1 << 14,))
    monkeypatch.setattr(windows.synthesise, "__defaults__", (1 << 14,))
    stream = standin.encode(image, quality=70)
    whole = standin.decode(stream)
    monkeypatch.setattr(windows.analyse, "__defaults__", (256,))
    monkeypatch.setattr(windows.synthesise, "__defaults__", (256,))
    again = standin.encode(image, quality=70)
    cut_symbols, symbols = standin.symbols(again)[1], standin.symbols(stream)[1]
    for name in symbols:
        assert (cut_symbols[name] != symbols[name]).mean() < 1e-5
    assert np.abs(standin.decode(stream).astype(int) - whole).max() <= 1
    assert (standin.decode(stream) != whole).mean() < 1e-3


class Averaging:
    """Networks that average over all they see, as no halo can make up for."""

    def run(self, inputs):
        if "image" in inputs:
            image = inputs["image"]
            mean = image.mean(dtype=np.float32)
            shape = (1, 1, image.shape[2] // 16, image.shape[3] // 16)
            return {
                "m": np.full(shape, mean, np.float32),
                "y": np.full((1, 24, 2 * shape[2], 2 * shape[3]), mean),
            }
        y = inputs["y"]
        return {"image": np.full((1, 3, 8 * y.shape[2], 8 * y.shape[3]), y.mean(dtype=np.float32))}


@pytest.mark.parametrize("blend", [0, 64])
def test_windows_fade_into_each_other(described, blend):
    """A ramp of brightness seen through averages has steps; blended, it has slopes instead."""
    described["analysis"].update(halo=32, blend=blend)
    described["synthesis"].update(halo=32, blend=blend)
    coding = Coding.read(described)
    ramp = np.broadcast_to(np.linspace(0, 255, 800).astype(np.uint8)[:, None], (800, 640))
    latents = analyse(Averaging(), coding, ramp, {}, core=256)

    def tensors(rows, columns):
        y = latents["y"][None, :, rows.start // 8 : rows.stop // 8, columns.start // 8 : columns.stop // 8]
        return {"y": y}

    image = synthesise(Averaging(), coding, (800, 640), tensors, core=256)
    steepest = np.abs(np.diff(image[..., 0].astype(int), axis=0)).max()
    assert image.shape == (800, 640, 3)
    assert image[0, 0, 0] < 80 < 170 < image[-1, -1, 0]
    assert steepest <= 4 if blend else steepest > 20


def test_memory_is_that_of_windows(standin, monkeypatch):
    """No graph sees more than a window of a tall picture."""
    seen = []

    class Spy:
        def __init__(self, session):
            self.session = session

        def run(self, inputs):
            seen.extend(array.shape[2] * array.shape[3] for array in inputs.values())
            return self.session.run(inputs)

    monkeypatch.setattr(standin, "_analysis", Spy(standin._analysis))
    monkeypatch.setattr(standin, "_synthesis", Spy(standin._synthesis))
    image = np.resize(np.arange(251, dtype=np.uint8), (16384, 40))
    assert standin.decode(standin.encode(image, quality=10)).shape == image.shape
    assert max(seen) <= (1024 + 2 * 16) * 48


@pytest.mark.parametrize(
    "outputs",
    [
        {},
        {"image": np.zeros((1, 3, 16, 8), np.float32)},
        {"image": np.zeros((1, 3, 16, 16))},
    ],
    ids=["missing", "another shape", "another type"],
)
def test_graphs_that_do_not_keep_their_promise_are_named(outputs):
    class Liar:
        def run(self, inputs):
            return outputs

    with pytest.raises(BundleError, match="'image' as float32"):
        run(Liar(), {}, {"image": (1, 3, 16, 16)})


def test_numbers_that_are_none_do_not_stop_the_decoder(standin, monkeypatch):
    class Broken:
        def run(self, inputs):
            y = inputs["y"]
            return {"image": np.full((1, 3, 8 * y.shape[2], 8 * y.shape[3]), np.nan, np.float32)}

    stream = standin.encode(np.zeros((20, 20, 3), np.uint8))
    monkeypatch.setattr(standin, "_synthesis", Broken())
    assert standin.decode(stream).max() == 0


def test_gains_and_level_reach_a_graph_that_asks_for_them(standin, make_bundle, monkeypatch):
    codec = farlook.Codec.load(
        make_bundle(
            lambda manifest: manifest["coding"]["analysis"].update(inputs=["image", "level", "gain_y"])
        )
    )
    given = {}

    class Asking:
        def run(self, inputs):
            given.update({name: array for name, array in inputs.items() if name != "image"})
            found = standin._analysis.run({"image": inputs["image"]})
            return found | {"y": found["y"] * inputs["gain_y"]}

    monkeypatch.setattr(codec, "_analysis", Asking())
    image = np.random.default_rng(4).integers(0, 256, (48, 32, 3), dtype=np.uint8)
    symbols = codec.symbols(codec.encode(image, quality=30))[1]
    expected = standin.symbols(standin.encode(image, quality=30))[1]
    assert given["level"].shape == (1, 1, 1, 1)
    assert given["level"].item() == pytest.approx(7 / 24)
    assert given["gain_y"].shape == (1, 24, 1, 1)
    for name in expected:
        np.testing.assert_array_equal(symbols[name], expected[name])
