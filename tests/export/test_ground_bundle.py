"""A ground decoder with fresh weights becomes a bundle, and the runtime computes what torch does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import farlook
from farlook.cli.app import app
from farlook.models import checkpoint
from farlook.models.ground import GroundConfig, GroundDecoder
from farlook.models.ground_bundle import export_ground
from farlook.models.neural_finish import as_halves
from farlook.runtime.bundle import Bundle, find_bundle
from farlook.runtime.errors import TrainingError


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A small network that says something, as a training run leaves it."""
    torch.manual_seed(2)
    network = GroundDecoder(GroundConfig(8, 1, 8, 1))
    torch.nn.init.normal_(network.tail.weight, std=0.02)
    network.load_state_dict(as_halves(network.state_dict()))
    meta = {
        "codec": "block8-ground",
        "block8": find_bundle("block8").digest.hex(),
        "config": {"size": "tiny", "network": {"width": 8, "depth": 1, "wide": 8, "wide_depth": 1}}
        | {"draw": {"steps": [300, 650]}},
        "data": {"used": 0},
        "figures": {},
        "torch": torch.__version__,
    }
    path = tmp_path_factory.mktemp("ground") / "model.safetensors"
    checkpoint.save(path, network.state_dict(), meta)
    return path, network.eval()


@pytest.fixture(scope="module")
def made(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("made") / "tiny.bundle"
    result = CliRunner().invoke(app, ["export", "block8-ground", "-o", str(path), "-w", str(weights[0])])
    assert result.exit_code == 0, result.output
    return path


def test_the_manifest_says_what_it_decodes(made):
    bundle = Bundle.open(made)
    assert bundle.layout == "block8-ground"
    assert bundle.codec == "block8-ground-tiny"
    assert bundle.coding["block8"] == find_bundle("block8").digest.hex()
    assert bundle.coding["steps"] == [300, 650]
    assert bundle.coding["halo"] == 40


def test_the_runtime_computes_what_torch_does(made, weights, kodim):
    codec = farlook.Codec.load("block8", threads=1)
    image = np.ascontiguousarray(kodim[:96, :128])
    stream = codec.encode(image, quality=20)
    found = codec.decode(stream, decoder=f"neural:{made}")
    linear = codec.decode(stream)
    tensors = {}
    network, _ = codec.choose_decoder(f"neural:{made}")
    run = network._synthesis.run

    def spy(inputs):
        tensors.update(inputs)
        return run(inputs)

    network._synthesis.run = spy
    codec.decode(stream, decoder=network)
    with torch.no_grad():
        given = [torch.from_numpy(tensors[name]) for name in ("image", "latents", "step", "lost")]
        expected = weights[1](*given)[0].numpy().transpose(1, 2, 0)
    assert np.abs(found - expected.clip(0, 255)).max() < 0.51
    np.testing.assert_array_equal(tensors["image"][0].transpose(1, 2, 0), linear)


def test_equal_weights_make_equal_bundles(made, weights, tmp_path):
    export_ground(tmp_path / "again.bundle", weights[0])
    assert (tmp_path / "again.bundle").read_bytes() == made.read_bytes()


def test_weights_without_their_record_are_refused(weights, tmp_path):
    saved = checkpoint.load(weights[0])
    meta = {name: value for name, value in saved.meta.items() if name != "figures"}
    checkpoint.save(tmp_path / "w.safetensors", saved.tensors, meta)
    with pytest.raises(TrainingError, match="lacks figures"):
        export_ground(tmp_path / "w.bundle", tmp_path / "w.safetensors")
