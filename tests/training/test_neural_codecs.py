"""fera, aara, mrdcae and mfca as networks: sizes, what they compute before training, their mechanisms."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
from torch import nn

import farlook
from farlook.models.blocks import conv
from farlook.models.complexity import complexity
from farlook.models.gains import LEVELS
from farlook.models.losses import PRESETS, loss_of
from farlook.models.neural import STRIDE
from farlook.models.neural_codecs import CODECS, build
from farlook.models.neural_finish import padded, picture_symbols
from farlook.runtime.errors import UsageError
from farlook.runtime.images import read_image

NAMES = tuple(CODECS)
SWITCHES = [(name, each.name) for name in NAMES for each in fields(CODECS[name][1])]


def awake(name, **options):
    """A codec in which no branch is zero, as it would be at first."""
    torch.manual_seed(3)
    codec = build(name, options)
    for layer in codec.modules():
        if isinstance(layer, nn.Conv2d) and not layer.weight.any():
            nn.init.normal_(layer.weight, std=0.02)
    return codec.eval()


@pytest.fixture(scope="module")
def photo():
    """A photograph, [1, 3, 128, 192] of 0 to 1."""
    sample = next(iter(sorted((farlook_samples()).glob("*.png"))))
    pixels = read_image(sample)[:128, :192]
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float() / 255


def farlook_samples():
    from pathlib import Path

    return Path(farlook.__file__).parent / "samples"


@pytest.mark.parametrize("name", NAMES)
def test_size_is_for_the_edge(name):
    counted = complexity(build(name))
    assert counted.parameters <= 3_000_000
    assert counted.encoder_kmac <= 20
    if name == "mfca":
        assert counted.decoder_kmac < counted.encoder_kmac


def test_multiply_adds_are_counted_per_pixel():
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        conv(48, 64, 3)(torch.zeros(1, 48, 32, 32))
    assert counter.get_total_flops() == 2 * 48 * 64 * 9 * 32 * 32


@pytest.mark.parametrize("name", NAMES)
def test_an_untrained_codec_is_a_transform_coder_already(name, photo):
    codec = build(name).eval()
    codec.start_at(photo)
    errors, rates = [], []
    with torch.no_grad():
        for level in (0.0, 0.5, 1.0):
            coded = codec(photo, torch.tensor([level]))
            assert coded.image.shape == photo.shape
            errors.append(float((coded.image - photo).square().mean()))
            rates.append(float(coded.bpp))
    assert errors[0] > errors[1] > errors[2]
    assert rates[0] < rates[1] < rates[2]
    assert errors[2] < 10**-2.8


@pytest.mark.parametrize("name", NAMES)
def test_the_decoder_sees_symbols_and_level_alone(name, photo):
    codec = awake(name)
    level = torch.full((1, 1, 1, 1), 0.6)
    with torch.no_grad():
        symbols = codec.symbols(photo, level.flatten())
        gains = {key: codec.inverse_gain(key, level) for key in codec.gains}
        decoded = codec.synthesise({k: v * gains.get(k, 1) for k, v in symbols.items()}, level)
        assert torch.allclose(decoded, codec(photo, level.flatten()).image, atol=1e-5)
    for spec in codec.latents:
        values = symbols[spec.name]
        assert values.shape == (1, spec.channels, 128 // spec.stride, 192 // spec.stride)
        assert torch.equal(values, values.round())
        if spec.values:
            assert values.min() >= 0
            assert values.max() < spec.values


@pytest.mark.parametrize(("name", "by"), [("mfca", "importance"), ("mrdcae", "saliency")])
def test_what_the_map_closes_is_not_coded(name, by, photo):
    codec = awake(name)
    scores = codec.importance.score if name == "mfca" else codec.saliency.score[-1]
    nn.init.normal_(scores.weight, std=2.0)
    bits = []
    for bias in (-6.0, 0.0):
        with torch.no_grad():
            (codec.importance if name == "mfca" else codec.saliency).by_level.fill_(bias)
            symbols = codec.symbols(photo, torch.tensor([0.9]))
            coded = codec(photo, torch.tensor([0.9]))
            bits.append(sum(float(coded.bits[spec.name]) for spec in codec.latents if spec.gate))
        for spec in codec.latents:
            if spec.gate is None:
                continue
            factor = symbols[spec.name].shape[-1] // symbols[by].shape[-1]
            places = symbols[by].repeat_interleave(factor, -1).repeat_interleave(factor, -2)[0, 0]
            for value, kept in enumerate(spec.gate.table):
                assert not symbols[spec.name][0, kept:, places == value].any()
    assert bits[0] < 0.6 * bits[1]


@pytest.mark.parametrize("name", NAMES)
def test_symbols_depend_on_what_is_near(name, photo):
    codec = awake(name)
    wide = torch.cat([photo[..., :64, :]] * 4, dim=-1)
    changed = wide.clone()
    changed[..., :32] = torch.rand(1, 3, 64, 32)
    with torch.no_grad():
        one, other = (codec.symbols(image, torch.tensor([0.7])) for image in (wide, changed))
    for key, values in one.items():
        half = values.shape[-1] // 2
        assert torch.equal(values[..., half:], other[key][..., half:])
        assert not torch.equal(values, other[key]) or key in codec.map_priors


@pytest.mark.parametrize(("name", "switch"), SWITCHES)
def test_every_mechanism_can_be_switched_off(name, switch, photo):
    whole, codec = awake(name), awake(name, **{switch: False})
    level = torch.tensor([0.5])
    with torch.no_grad():
        coded = codec(photo, level)
    assert torch.isfinite(coded.image).all()
    if switch != "illumination":
        assert complexity(codec) != complexity(whole)


def test_illumination_changes_training_pictures_and_only_there(photo):
    batch, generator = photo.repeat(8, 1, 1, 1), torch.Generator().manual_seed(0)
    changed = build("mrdcae").augment(batch, generator)
    same = [bool(torch.equal(a, b)) for a, b in zip(changed, batch, strict=True)]
    assert any(same)
    assert not all(same)
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert torch.equal(build("mrdcae", {"illumination": False}).augment(batch, generator), batch)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", NAMES)
def test_every_weight_learns(name, preset, photo):
    codec = awake(name).train()
    images, levels = photo[..., :64, :64].repeat(2, 1, 1, 1), torch.tensor([0.3, 0.8])
    loss = loss_of(name, preset)(codec(images, levels, torch.Generator().manual_seed(0)), images, levels)
    loss.backward()
    idle = {key.split(".")[0] for key, weight in codec.named_parameters() if weight.grad is None}
    assert not idle
    assert torch.isfinite(loss)


def test_manifest_describes_levels_latents_gates_and_gains():
    coding = build("mrdcae").coding()
    assert (coding["levels"], coding["stride"]) == (LEVELS, STRIDE)
    saliency, low, medium, high = coding["latents"]
    assert saliency == {"name": "saliency", "channels": 1, "stride": 32}
    assert "gate" not in low
    assert medium["gate"]["by"] == high["gate"]["by"] == "saliency"
    assert len(low["gains"]["forward"]) == len(low["gains"]["inverse"]) == 8
    assert {len(row) for row in low["gains"]["forward"]} == {64}


def test_pictures_of_any_size_become_symbols():
    image = np.random.default_rng(0).integers(0, 256, (45, 70), dtype=np.uint8)
    assert padded(image).shape == (64, 96, 3)
    assert (padded(image)[45:, :70, 1] == image[44]).all()
    found = dict(picture_symbols(awake("mfca"), image, (0, 35)))
    assert [level for level, _ in found["y"]] == [0, 35]
    assert found["y"][0][1].shape == (192, 4, 6)
    assert found["y"][0][1].dtype == np.int32


def test_unknown_names_are_refused():
    with pytest.raises(UsageError, match="no neural codec 'jpeg'"):
        build("jpeg")
    with pytest.raises(UsageError, match="aara has no wings"):
        build("aara", {"wings": False})
    with pytest.raises(UsageError, match="dct or multi_scale"):
        build("fera", {"dct": False, "multi_scale": False})
