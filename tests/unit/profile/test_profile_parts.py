"""Parts that are measured by themselves."""

import pytest

from farlook.runtime.profile.parts import ENTROPY, TRANSFORM, measure_parts


def test_block8s_transform_and_entropy_coder(block8, kodim):
    parts = measure_parts(block8, kodim[:128, :128], {"quality": 40}, 3)
    assert set(parts) == {"encode"}
    assert {name: len(times) for name, times in parts["encode"].items()} == {TRANSFORM: 3, ENTROPY: 3}
    assert all(time > 0 for times in parts["encode"].values() for time in times)


def test_a_search_for_a_rate_has_no_step_to_take_apart(block8, kodim):
    assert measure_parts(block8, kodim[:64, :64], {"bpp": 0.5}, 1) == {}


def test_networks_on_the_cpu_have_no_parts(codec, kodim):
    assert measure_parts(codec, kodim[:64, :64], {}, 1) == {}


def test_copies_and_engines_are_added_up_over_windows(codec, kodim, monkeypatch):
    class Engine:
        def __init__(self, session):
            self.run = session.run
            self.layers = list

        def layer_times(self, inputs):
            return []

        def times(self, inputs):
            return {"copies in": 1e-4, "engine": 3e-3}

    for name in ("_analysis", "_synthesis"):
        monkeypatch.setattr(codec, name, Engine(getattr(codec, name)))
    parts = measure_parts(codec, kodim[:64, :64], {}, 2)
    assert parts["encode"] == {
        "analysis: copies in": [pytest.approx(3e-4)] * 2,  # three planes
        "analysis: engine": [pytest.approx(9e-3)] * 2,
    }
    assert list(parts["decode"]) == ["synthesis: copies in", "synthesis: engine"]
