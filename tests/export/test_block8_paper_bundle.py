"""The shipped bundle comes from the shipped weights, and the runtime computes what torch does."""

import numpy as np
import onnx
import pytest
import torch

from farlook.models import checkpoint
from farlook.models.block8_paper_bundle import SHIPPED, export_block8_paper
from farlook.models.block8_paper_transforms import Analysis
from farlook.runtime.bundle import Bundle, find_bundle
from farlook.runtime.codec import Codec
from farlook.runtime.errors import ExportError, OutputError, TrainingError


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "block8-paper.bundle"
    export_block8_paper(path)
    return path


def test_shipped_bundle_is_the_shipped_weights(exported):
    shipped, made = find_bundle("block8-paper"), Bundle.open(exported)
    assert made.digest == shipped.digest
    assert made.entropy() == shipped.entropy()


def test_exporting_twice_gives_the_same_file(exported, tmp_path):
    export_block8_paper(tmp_path / "again.bundle")
    assert (tmp_path / "again.bundle").read_bytes() == exported.read_bytes()


def test_bundle_codes_a_picture(exported, kodim):
    codec = Codec.load(exported)
    stream = codec.encode(kodim[:100, :150], quality=40)
    assert codec.decode(stream).shape == (100, 150, 3)


@pytest.mark.parametrize("name", ["analysis", "synthesis"])
@pytest.mark.parametrize("opset", [17, 20])
def test_graphs_are_standard_onnx_of_the_opset(tmp_path, name, opset):
    export_block8_paper(tmp_path / "x.bundle", opset=opset)
    model = onnx.load_from_string(Bundle.open(tmp_path / "x.bundle").graph(name))
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", opset)]


def test_runtime_and_torch_agree_on_the_latents(kodim):
    image = kodim[:64, :96, 1]
    codec = Codec.load("block8-paper")
    analysis = Analysis(checkpoint.load(SHIPPED).tensors)
    g1, g2, error = analysis(torch.from_numpy(image.astype(np.float32))[None, None])
    [latents] = codec._layout.analyse(codec._analysis, [image])
    assert np.allclose(latents.g1, g1[0, 0], atol=1e-2)
    assert np.allclose(latents.g2, np.moveaxis(g2[0].numpy(), 0, -1), atol=1e-2)
    assert np.allclose(latents.error, error[0, 0], rtol=1e-3, atol=1e-2)


def test_weights_of_another_codec_are_refused(tmp_path):
    checkpoint.save(tmp_path / "other.safetensors", {"w": torch.zeros(1)}, {"codec": "fera"})
    with pytest.raises(TrainingError, match="fera"):
        export_block8_paper(tmp_path / "x.bundle", tmp_path / "other.safetensors")


def test_networks_with_an_activation_are_refused(tmp_path):
    checkpoint.save(tmp_path / "relu.safetensors", {"w": torch.zeros(1)}, {"codec": "block8-paper"})
    with pytest.raises(ExportError, match="activation"):
        export_block8_paper(tmp_path / "x.bundle", tmp_path / "relu.safetensors")


def test_unwritable_output_is_an_error(tmp_path):
    with pytest.raises(OutputError, match="missing"):
        export_block8_paper(tmp_path / "missing" / "x.bundle")


def test_weights_that_lack_a_part_are_refused(tmp_path):
    saved = checkpoint.load(SHIPPED)
    tensors = {name: tensor for name, tensor in saved.tensors.items() if name != "synthesis.weight"}
    checkpoint.save(tmp_path / "part.safetensors", tensors, saved.meta)
    with pytest.raises(TrainingError, match=r"lacks synthesis\.weight"):
        export_block8_paper(tmp_path / "x.bundle", tmp_path / "part.safetensors")


def test_only_the_shipped_weights_have_the_projects_licence(exported, tmp_path):
    assert Bundle.open(exported).manifest["training"]["licence"] == "Apache-2.0"
    export_block8_paper(tmp_path / "x.bundle", SHIPPED)
    assert Bundle.open(tmp_path / "x.bundle").manifest["training"]["licence"] == "not stated"
