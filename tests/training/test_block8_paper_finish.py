"""What turns two trained autoencoders into a codec: synthesis and entropy tables."""

import numpy as np
import pytest
import torch

from farlook.models.block8_paper_finish import QUANTISER, analyse, fit_entropy, fit_synthesis, planes_of
from farlook.models.block8_paper_transforms import Analysis, Synthesis, block_local
from farlook.runtime.layouts.block8_paper import KINDS, Quantiser, read_tables


def pictures(count, bands=3):
    """Random low-pass pictures, 64x80."""
    rng = np.random.default_rng(5)
    for _ in range(count):
        spectrum = np.fft.rfft2(rng.normal(size=(bands, 64, 80)))
        rows, columns = np.fft.fftfreq(64)[:, None], np.fft.rfftfreq(80)[None]
        smooth = np.fft.irfft2(spectrum / (0.02 + np.hypot(rows, columns)) ** 1.2, s=(64, 80))
        levels = np.clip(128 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)
        yield levels[0] if bands == 1 else np.moveaxis(levels, 0, -1)


@pytest.fixture(scope="module")
def weights():
    """G1 and G2 as parts of the two-dimensional DCT: orthonormal, lowest frequencies first."""
    index = np.arange(8)
    basis = np.cos((2 * index + 1) * index[:, None] * np.pi / 16) * np.where(index[:, None], 0.5, 8**-0.5)
    order = [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1)]
    rows = torch.tensor(
        np.stack([np.outer(basis[u], basis[v]).ravel() for u, v in order]), dtype=torch.float32
    )
    return {
        "g1.encoder": rows[:1].contiguous(),
        "g1.decoder": rows[:1].T.contiguous(),
        "g2.encoder": rows,
        "g2.decoder": rows.T.contiguous(),
    }


def error(weights, weight, quality):
    """Mean squared error of quantised latents drawn with a synthesis of `weight`."""
    quantiser, synthesis = Quantiser.from_coding({"quantiser": QUANTISER}), Synthesis(weight)
    total = []
    for picture in pictures(6):
        for kind, plane in planes_of(picture):
            symbols = quantiser.quantise(analyse(Analysis(weights), plane), quality, kind)
            latents = torch.from_numpy(np.moveaxis(symbols.latents, -1, 0).astype(np.float32))[None]
            detailed = torch.from_numpy(symbols.detailed.astype(np.float32))[None, None]
            drawn = synthesis(latents * quantiser.step(quality, kind), detailed)[0, 0].numpy()
            total.append(np.mean((drawn - plane) ** 2))
    return np.mean(total)


def test_block_local_synthesis_is_the_decoders(weights):
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(1, 8, 3, 4, generator=generator)
    detailed = (torch.rand(1, 1, 3, 4, generator=generator) > 0.5).float()
    latents[:, 1:] *= detailed
    image = Synthesis(block_local(weights))(latents, detailed)
    blocks = torch.nn.functional.pixel_unshuffle(image - 128, 8)
    expected = torch.einsum("pk,nkrc->nprc", weights["g2.decoder"], latents)
    assert torch.allclose(blocks, expected, atol=1e-4)


def test_neighbours_lower_the_error(weights):
    fitted = fit_synthesis(weights, pictures(6))
    assert fitted.shape == (128, 9, 3, 3)
    for quality in (20, 50):
        assert error(weights, fitted, quality) < 0.95 * error(weights, block_local(weights), quality)


@pytest.mark.parametrize("bands", [1, 3])
def test_tables_are_whole_for_grey_and_colour(weights, bands):
    entropy = fit_entropy(weights, pictures(3, bands))
    models, _ = read_tables(entropy)
    assert set(models) == set(KINDS)
    assert all(model.latents == 8 for model in models.values())
