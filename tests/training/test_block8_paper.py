from __future__ import annotations

import numpy as np
import pytest
import torch

from farlook.models.block8_paper import (
    ACTIVATIONS,
    Block8PaperConfig,
    BlockAutoencoder,
    block_errors,
    canonical,
    latent_gains,
    pack,
    pca_error,
    pca_pair,
    second_moment,
    unpack,
)
from farlook.models.data import sample_blocks
from farlook.runtime.errors import UsageError


@pytest.fixture(scope="module")
def blocks(pictures) -> torch.Tensor:
    return torch.from_numpy(sample_blocks(pictures, 150, 0))


@pytest.mark.parametrize(("depth", "count"), [(2, 128), (4, 1040), (6, 2320), (8, 5392)])
def test_parameter_counts_are_the_papers(depth, count):
    assert sum(weight.numel() for weight in BlockAutoencoder(1, depth).parameters()) == count


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_shapes(activation, blocks):
    autoencoder = BlockAutoencoder(6, 4, activation)
    pixels = blocks[:5].float()
    assert autoencoder.encode(pixels).shape == (5, 6)
    assert torch.equal(autoencoder(pixels), autoencoder.decode(autoencoder.encode(pixels)))
    assert autoencoder(pixels).shape == (5, 64)


def test_activation_follows_the_latents_but_not_the_last_layer(blocks):
    autoencoder = BlockAutoencoder(8, 4, "relu", seed=2)
    pixels = blocks[:100].float()
    assert (autoencoder.encode(pixels) >= 0).all()
    assert (autoencoder(pixels) < 128).any()


def test_grey_needs_no_latents():
    grey = torch.full((1, 64), 128.0)
    for activation in ("none", "elu", "relu", "swish"):
        autoencoder = BlockAutoencoder(4, 4, activation)
        assert torch.equal(autoencoder.encode(grey), torch.zeros(1, 4))
        assert torch.equal(autoencoder(grey), grey)


def test_weights_follow_the_seed():
    first, again, other = (
        torch.cat([weight.flatten() for weight in BlockAutoencoder(4, 6, seed=seed).parameters()])
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("depth", [2, 4, 8])
@pytest.mark.parametrize("latents", [1, 8])
def test_canonical_form_is_the_same_function(depth, latents, blocks):
    learned = BlockAutoencoder(latents, depth, seed=3)
    for weight in learned.parameters():
        weight.data += 0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    moment = second_moment(blocks)
    encoder, decoder = canonical(*learned.matrices(), moment)

    composed = learned.matrices()[1] @ learned.matrices()[0]
    assert torch.allclose((decoder @ encoder).double(), composed, atol=1e-5 * float(composed.abs().max()))
    assert torch.allclose(decoder.T @ decoder, torch.eye(latents), atol=1e-6)
    covariance = encoder.double() @ moment @ encoder.double().T
    variances = covariance.diagonal()
    assert (variances[:-1] >= variances[1:]).all()
    assert (covariance - torch.diag(variances)).abs().max() < 1e-5 * variances.max()
    largest = decoder.gather(0, decoder.abs().argmax(dim=0, keepdim=True))
    assert (largest > 0).all()


def test_canonical_form_forgets_which_basis_was_learned(blocks):
    moment = second_moment(blocks)
    encoder, decoder = pca_pair(moment, 4)
    mixing = torch.randn(4, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    mixed = canonical(mixing @ encoder.double(), decoder.double() @ mixing.inverse(), moment)
    assert torch.allclose(mixed[0], encoder, atol=1e-4)
    assert torch.allclose(mixed[1], decoder, atol=1e-4)


def test_pca_agrees_with_the_singular_values(blocks):
    centred = blocks.double().numpy() - 128
    spectrum = np.linalg.svd(centred, compute_uv=False) ** 2 / len(blocks)
    moment = second_moment(blocks)
    assert pca_error(moment, 6) == pytest.approx(spectrum[6:].sum() / 64, rel=1e-9)
    encoder, decoder = pca_pair(moment, 6)
    best = unpack({"encoder": encoder, "decoder": decoder}, 2, "none")
    assert float(block_errors(best, blocks).mean()) == pytest.approx(pca_error(moment, 6), rel=1e-5)


def test_gains_of_a_canonical_network_are_one(blocks):
    encoder, decoder = pca_pair(second_moment(blocks), 4)
    best = unpack({"encoder": encoder, "decoder": decoder}, 2, "none")
    assert torch.allclose(latent_gains(best, blocks), torch.ones(4), atol=1e-5)


def test_gains_predict_small_errors(blocks):
    autoencoder = BlockAutoencoder(4, 4, "elu", seed=4)
    gains = latent_gains(autoencoder, blocks)
    with torch.no_grad():
        latents = autoencoder.encode(blocks.float())
        for index in range(4):
            moved = latents.clone()
            moved[:, index] += 1e-2
            change = (autoencoder.decode(moved) - autoencoder.decode(latents)) / 1e-2
            measured = change.square().sum(dim=1).mean().sqrt()
            assert float(gains[index]) == pytest.approx(float(measured), rel=2e-2)


def test_a_dead_latent_has_no_gain(blocks):
    autoencoder = BlockAutoencoder(4, 4, "relu")
    autoencoder.get_parameter("decoder.0.weight").data[:, 2] = 0
    gains = latent_gains(autoencoder, blocks)
    assert gains[2] == 0
    assert (gains[[0, 1, 3]] > 0).all()


@pytest.mark.parametrize(("depth", "activation"), [(2, "none"), (6, "linear"), (4, "swish")])
def test_unpack_undoes_pack(depth, activation, blocks):
    learned = BlockAutoencoder(4, depth, activation, seed=9)
    packed = pack(learned, blocks)
    again = unpack(packed, depth, activation)
    pixels = blocks[:50].float()
    assert torch.allclose(again(pixels), learned(pixels), atol=2e-3)
    linear = {"encoder", "decoder"}
    assert set(packed) == linear if learned.linear else set(packed) > {"gains"}


def test_matrices_refuse_an_activation():
    with pytest.raises(UsageError, match="activation"):
        BlockAutoencoder(4, 4, "elu").matrices()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("latents", 3),
        ("depth", 5),
        ("activation", "tanh"),
        ("seed", -1),
        ("steps", 0),
        ("batch", 0),
        ("per_image", 0),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("g2_threshold", -1.0),
        ("g2_threshold", float("inf")),
    ],
)
def test_config_names_what_is_out_of_range(name, value):
    with pytest.raises(UsageError, match=name):
        Block8PaperConfig(**{name: value})
