"""Manifests of neural codecs: what they say, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import farlook
from farlook.runtime.errors import BundleError
from farlook.runtime.neural.description import Coding


def test_qualities_are_spread_over_the_levels(described):
    coding = Coding.read(described)
    levels = [coding.level(quality) for quality in range(1, 101)]
    assert levels == sorted(levels)
    assert (levels[0], levels[-1]) == (0, coding.levels - 1)
    counts = np.bincount(levels)
    assert counts[1:-1].min() >= 4
    assert counts.max() <= 5


def test_a_hundred_levels_are_the_qualities(described):
    coding = Coding.read(described | {"levels": 100})
    assert [coding.level(quality) for quality in range(1, 101)] == list(range(100))


def test_gains_are_interpolated_geometrically(described):
    described["latents"][1]["gains"] = {
        "forward": [[1.0] * 24, [16.0] * 24],
        "inverse": [[1.0] * 24, [0.25] * 24],
    }
    latent = Coding.read(described).latent("y")
    assert latent.gain(0).tolist() == [1.0] * 24
    np.testing.assert_allclose(latent.gain(0.25), 2.0)
    np.testing.assert_allclose(latent.inverse_gain(0.5), 0.5)
    assert latent.gain(1).tolist() == [16.0] * 24


def test_contexts_see_earlier_latents_on_grids_that_divide(described):
    coding = Coding.read(described)
    assert coding.earlier(coding.latent("m")) == []
    assert [latent.name for latent in coding.earlier(coding.latent("y"))] == ["m"]
    described["latents"][1] = described["latents"][1] | {"stride": 16}
    described["latents"].append({"name": "z", "channels": 2, "stride": 16})
    described["latents"][0] = described["latents"][0] | {"stride": 16}
    coding = Coding.read(described)
    assert [latent.name for latent in coding.earlier(coding.latent("z"))] == ["m", "y"]


DAMAGE = {
    "no latents": lambda d: d.update(latents=[]),
    "a latent twice": lambda d: d["latents"].append(d["latents"][0]),
    "too few levels": lambda d: d.update(levels=1),
    "levels no number": lambda d: d.update(levels="36"),
    "an odd stride": lambda d: d.update(stride=12),
    "a stride that the latent's does not divide": lambda d: d["latents"][0].update(stride=32),
    "a latent without channels": lambda d: d["latents"][1].update(channels=0),
    "channels unlike the gains": lambda d: d["latents"][1].update(channels=25),
    "a name that is none": lambda d: d["latents"][0].update(name="m m"),
    "a gain of 0": lambda d: d["latents"][1]["gains"]["forward"][0].__setitem__(3, 0.0),
    "a gain that is no number": lambda d: d["latents"][1]["gains"]["inverse"][0].__setitem__(3, float("nan")),
    "rows of gains that differ": lambda d: d["latents"][1]["gains"]["inverse"].pop(),
    "a gate by nothing": lambda d: d["latents"][1]["gate"].update(by="x"),
    "a gate by itself": lambda d: d["latents"][1]["gate"].update(by="y"),
    "a gate without a table": lambda d: d["latents"][1]["gate"].update(table=[]),
    "a gate of too many channels": lambda d: d["latents"][1]["gate"]["table"].append(25),
    "a gate on a finer grid": lambda d: d["latents"][0].update(stride=4),
    "a gate by several channels": lambda d: d["latents"][0].update(channels=2),
    "an input that is none": lambda d: d["analysis"].update(inputs=["picture"]),
    "no inputs": lambda d: d["synthesis"].update(inputs=[]),
    "gains of a map": lambda d: d["analysis"].update(inputs=["image", "gain_m"]),
    "a halo off the stride": lambda d: d["analysis"].update(halo=8),
    "a negative halo": lambda d: d["synthesis"].update(halo=-16),
    "an endless halo": lambda d: d["synthesis"].update(halo=1 << 20),
    "no synthesis": lambda d: d.pop("synthesis"),
    "latents that are no list": lambda d: d.update(latents=3),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_bundle_that_contradicts_itself_is_refused(make_bundle, damage):
    with pytest.raises(BundleError, match="damaged"):
        farlook.Codec.load(make_bundle(lambda manifest: damage(manifest["coding"])))


TABLE_DAMAGE = {
    "no tables": lambda e: e.pop("tables"),
    "a table too few": lambda e: e["tables"].pop(),
    "a probability of 0": lambda e: e["tables"][0].__setitem__(0, 0),
    "a sum that is not 1": lambda e: e["tables"][0].__setitem__(0, 2),
    "a latent without weights": lambda e: e["latents"].pop("y"),
    "weights of too few channels": lambda e: e["latents"]["y"]["order"].pop(),
    "classes no number": lambda e: e.update(classes="many"),
}


@pytest.mark.parametrize("damage", TABLE_DAMAGE.values(), ids=TABLE_DAMAGE)
def test_damaged_tables_are_refused(make_bundle, damage):
    with pytest.raises(BundleError, match="damaged"):
        farlook.Codec.load(make_bundle(change_entropy=damage))
