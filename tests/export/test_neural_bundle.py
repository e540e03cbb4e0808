"""Networks with fresh weights become bundles, and the runtime computes what torch does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import farlook
from farlook.calibration import neural_weights
from farlook.models import checkpoint
from farlook.models.gains import LEVELS
from farlook.models.neural_bundle import LEVELS as RATES
from farlook.models.neural_bundle import export_neural, write_neural_bundle
from farlook.models.neural_codecs import CODECS, build
from farlook.models.neural_finish import picture_symbols
from farlook.runtime.errors import TrainingError

pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module", params=sorted(CODECS))
def made(request, tmp_path_factory, kodim):
    """A codec's network, its tables from two pieces of a picture, and its bundle."""
    from farlook.calibration.neural_entropy import fit_entropy

    torch.manual_seed(1)
    network = build(request.param)
    pieces = [np.ascontiguousarray(kodim[:192, :256]), np.ascontiguousarray(kodim[256:448, 300:556])]
    batch = torch.from_numpy(np.stack(pieces)).permute(0, 3, 1, 2).float() / 255
    network.start_at(batch)
    for parameter in network.parameters():
        if parameter.dim() == 4 and not parameter.detach().any():
            torch.nn.init.normal_(parameter, std=0.01)  # else many branches do nothing yet
    network.eval()
    samples = {latent.name: [] for latent in network.latents}
    for piece in pieces:
        for name, parts in picture_symbols(network, piece, range(0, LEVELS, 12)):
            samples[name].extend(parts)
    before, neural_weights.ITERATIONS = neural_weights.ITERATIONS, 2
    tables = fit_entropy(samples, network.coding())
    neural_weights.ITERATIONS = before
    path = tmp_path_factory.mktemp(request.param) / "fresh.bundle"
    write_neural_bundle(path, network, tables, training={})
    return network, tables, path


def test_the_runtime_computes_what_torch_does(made, kodim):
    network, _, path = made
    codec = farlook.Codec.load(path, threads=1)
    image = np.ascontiguousarray(kodim[100:228, 200:392])
    header, symbols = codec.symbols(codec.encode(image, quality=70))
    assert codec.coding.level(header.quality) == header.quality - 1 == 69
    at = torch.full((1,), 69 / (RATES - 1))
    with torch.no_grad():
        for name, expected in network.symbols(
            torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255, at
        ).items():
            assert (symbols[name] != expected[0].numpy()).mean() < 1e-3
        inverse = {name: gain(at)[1] for name, gain in network.gains.items()}
        latents = {
            n: torch.from_numpy(v.astype(np.float32))[None] * inverse.get(n, 1.0) for n, v in symbols.items()
        }
        picture = network.synthesise(latents, at.reshape(1, 1, 1, 1))[0].permute(1, 2, 0).numpy()
    expected = np.clip(np.rint(picture * 255), 0, 255).astype(int)
    decoded = codec.decode(codec.encode(image, quality=70)).astype(int)
    assert np.abs(decoded - expected).max() <= 1
    assert np.mean((decoded - image) ** 2) < 400


def test_windows_leave_no_seam(made, kodim, monkeypatch):
    """The measured halo is enough: several windows give what one gives."""
    from farlook.runtime.neural import windows

    _, _, path = made
    codec = farlook.Codec.load(path, threads=1)
    image = np.ascontiguousarray(np.concatenate([kodim[:, :320], kodim[::-1, :320]])[:800])
    stream = codec.encode(image, quality=50)
    whole = codec.decode(stream).astype(int)
    monkeypatch.setattr(windows.analyse, "__defaults__", (256,))
    monkeypatch.setattr(windows.synthesise, "__defaults__", (256,))
    again, expected = (codec.symbols(each)[1] for each in (codec.encode(image, quality=50), stream))
    for name, values in expected.items():
        assert (again[name] != values).mean() < 1e-3
    assert np.abs(codec.decode(stream) - whole).max() <= 1


def test_weights_without_tables_or_of_another_codec_are_refused(made, tmp_path):
    network, tables, _ = made
    meta = {"codec": network.name, "config": {"options": {}}, "data": {}, "figures": {}, "torch": "2"}
    path = tmp_path / "model.safetensors"
    checkpoint.save(path, dict(network.state_dict()), meta)
    with pytest.raises(TrainingError, match="entropy"):
        export_neural(tmp_path / "a.bundle", path)
    checkpoint.save(path, dict(network.state_dict()), {**meta, "entropy": tables})
    other = next(name for name in CODECS if name != network.name)
    with pytest.raises(TrainingError, match=network.name):
        export_neural(tmp_path / "a.bundle", path, other)
    assert not (tmp_path / "a.bundle").exists()
