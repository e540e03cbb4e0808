"""Export and verification, on networks with the structure of the real ones."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper
from torch import nn
from torch.nn import functional

from farlook.export import GraphSpec, export_graph, graph, verify_graph
from farlook.export.graph import translate
from farlook.export.lower import check_domains
from farlook.kernels.dct_torch import dct2, dct2_matmul, idct2, idct2_matmul
from farlook.runtime.errors import ExportError, MismatchError, UsageError

OPSETS = (17, 18, 19, 20)
ODD_SIZES = ((1, 8, 8), (1, 1, 1), (5, 40, 24), (3, 37, 53))


class DctNet(nn.Module):
    """Convolution, DCT, pointwise, inverse DCT, convolution."""

    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(1, 4, 3, padding=1)
        self.mix = nn.Conv2d(4, 4, 1)
        self.tail = nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, image):
        return self.tail(idct2(functional.relu(self.mix(dct2(self.head(image), 8))), 8))


class BlockAnalysis(nn.Module):
    """8x8 blocks as channels, two sets of latents, and a flag for the blocks that need the second."""

    def __init__(self, colours=1):
        super().__init__()
        self.base = nn.Conv2d(64 * colours, 12, 1, bias=False)
        self.detail = nn.Conv2d(64 * colours, 20, 1)

    def forward(self, image):
        blocks = functional.pixel_unshuffle(image, 8)
        flag = blocks.amax(1, keepdim=True) - blocks.mean(1, keepdim=True) > 0.45
        return self.base(blocks), self.detail(blocks), flag.float()


class BlockSynthesis(nn.Module):
    """Latents to blocks, by the neighbours where the mask is 1, back to a picture."""

    def __init__(self):
        super().__init__()
        self.plain = nn.Conv2d(12, 64, 1)
        self.smooth = nn.Conv2d(12, 64, 3, padding=1, padding_mode="replicate")

    def forward(self, latents, mask):
        blocks = torch.where(mask > 0.5, self.smooth(latents), self.plain(latents))
        return functional.pixel_shuffle(blocks, 8).clamp(0, 1)


def build(module, seed=1):
    torch.manual_seed(seed)
    return module().eval()


def picture(batch, height, width, colours=1):
    """Noise, padded to multiples of 8 by repeating its edge."""
    image = torch.rand(batch, colours, height, width, generator=torch.Generator().manual_seed(3))
    return (functional.pad(image, (0, -width % 8, 0, -height % 8), mode="replicate"),)


def latents(batch, height, width):
    generator = torch.Generator().manual_seed(3)
    rows, cols = -(-height // 8), -(-width // 8)
    y = torch.randn(batch, 12, rows, cols, generator=generator)
    return y, (torch.rand(batch, 1, rows, cols, generator=generator) > 0.5).float()


IMAGE = {"image": ("batch", "1", "8*rows", "8*cols")}


def picture_spec(module, outputs=("result",), inputs=IMAGE, example=picture):
    return GraphSpec("analysis", module, inputs, outputs, example)


def dct_spec():
    return picture_spec(build(DctNet))


def analysis_spec():
    return picture_spec(build(BlockAnalysis), ("base", "detail", "flag"))


def synthesis_spec():
    inputs = {"latents": ("batch", "12", "rows", "cols"), "mask": ("batch", "1", "rows", "cols")}
    return GraphSpec("synthesis", build(BlockSynthesis), inputs, ("image",), latents)


SPECS = (dct_spec, analysis_spec, synthesis_spec)


@cache
def export_once(make, opset):
    return export_graph(make(), opset=opset).SerializeToString()


def exported(make, opset=18):
    """A copy of the exported model, for a test to do with as it likes."""
    return onnx.load_model_from_string(export_once(make, opset))


def operators(model):
    return Counter(node.op_type for node in model.graph.node)


def axes(value):
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def initializer(model, name):
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def damage(model, name):
    """Add 1 to the first element of an initializer."""
    tensor = initializer(model, name)
    values = numpy_helper.to_array(tensor).copy()
    values.flat[0] += 1
    tensor.CopyFrom(numpy_helper.from_array(values, name))


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("make", SPECS)
def test_every_opset_computes_what_torch_does(make, opset):
    spec, model = make(), exported(make, opset)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", opset)]
    assert model.ir_version <= 9  # onnxruntime 1.17
    assert verify_graph(spec, model).largest < 1e-5


@pytest.mark.parametrize("make", SPECS)
def test_sizes_that_were_not_traced(make):
    report = verify_graph(make(), exported(make), sizes=ODD_SIZES)
    assert list(report.differences) == list(ODD_SIZES)
    assert report.largest < 1e-5


def test_axes_keep_their_names_and_stay_free():
    analysis, synthesis = exported(analysis_spec), exported(synthesis_spec)
    assert [axes(value) for value in analysis.graph.input] == [["batch", 1, "8*rows", "8*cols"]]
    assert [axes(value)[1] for value in analysis.graph.output] == [12, 20, 1]
    assert all(
        axes(value)[0::2] + axes(value)[3:] == ["batch", "rows", "cols"] for value in analysis.graph.output
    )
    assert [axes(value) for value in synthesis.graph.output] == [["batch", 1, "8*rows", "8*cols"]]


def test_the_dct_is_two_matmuls_and_views():
    assert operators(exported(dct_spec)) == {
        "Conv": 3, "Relu": 1, "MatMul": 4, "Reshape": 8, "Unsqueeze": 2, "Squeeze": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    "shape", [("rows", "cols"), ("3", "rows", "cols"), ("batch", "2", "3", "rows", "cols")]
)
def test_the_dct_lowers_at_any_rank(shape):
    class Both(nn.Module):
        def forward(self, x):
            return dct2(x, 4), idct2(x, 4)

    def example(batch, height, width):
        sizes = {"batch": batch, "rows": 4 * height, "cols": 4 * width}
        return (torch.rand([sizes.get(name) or int(name) for name in shape]),)

    torch.manual_seed(0)
    names = tuple({"rows": "4*rows", "cols": "4*cols"}.get(name, name) for name in shape)
    value = example(3, 5, 7)[0]
    spec = picture_spec(Both().eval(), ("there", "back"), {"x": names}, example)
    session = onnxruntime.InferenceSession(export_graph(spec).SerializeToString())
    there, back = session.run(None, {"x": value.numpy()})
    np.testing.assert_allclose(there, dct2_matmul(value, 4), atol=1e-5)
    np.testing.assert_allclose(back, idct2_matmul(value, 4), atol=1e-5)


def test_blocks_become_channels_in_one_node_and_back():
    analysis, synthesis = operators(exported(analysis_spec)), operators(exported(synthesis_spec))
    assert analysis["SpaceToDepth"] == synthesis["DepthToSpace"] == synthesis["Pad"] == 1
    assert not {"Shape", "ConvTranspose", "Resize"} & (analysis.keys() | synthesis.keys())


def test_pixel_unshuffle_of_colour_orders_channels_as_torch_does():
    inputs = {"image": ("batch", "3", "8*rows", "8*cols")}
    spec = picture_spec(
        build(lambda: BlockAnalysis(3)), ("a", "b", "flag"), inputs, lambda n, h, w: picture(n, h, w, 3)
    )
    model = export_graph(spec)
    assert operators(model)["SpaceToDepth"] == operators(model)["Gather"] == 1
    assert verify_graph(spec, model).largest < 1e-5


def test_the_same_weights_give_the_same_bytes():
    assert export_graph(dct_spec()).SerializeToString() == export_once(dct_spec, 18)


def test_another_process_gives_the_same_bytes_and_says_nothing():
    script = (
        "import hashlib, runpy, sys; names = runpy.run_path(sys.argv[1]); "
        "model = names['export_graph'](names['synthesis_spec'](), opset=17); "
        "print(hashlib.sha256(model.SerializeToString()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, __file__], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == hashlib.sha256(export_once(synthesis_spec, 17)).hexdigest()
    assert done.stderr == ""


@pytest.mark.parametrize("opset", OPSETS)
def test_nothing_of_this_machine_is_in_the_file(opset):
    text = without_weights(exported(dct_spec, opset))
    for trace in ("/", "\\\\", ".py", "stack_trace", "pkg.", "pytorch", torch.__version__):
        assert trace not in text


def without_weights(model):
    """All the strings of the model, in protobuf's text form; weights may spell anything."""
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")
    return str(model)


def test_export_and_verification_are_silent(capfd):
    spec = synthesis_spec()
    verify_graph(spec, export_graph(spec, opset=17))
    assert capfd.readouterr() == ("", "")


def test_a_damaged_weight_is_found_where_it_is():
    spec, model = dct_spec(), exported(dct_spec)
    damage(model, "mix.weight")
    culprit = next(node for node in model.graph.node if "mix.weight" in node.input)
    with pytest.raises(
        MismatchError, match=rf"'result' differs by .* first appears in node '{culprit.name}' \(Conv\)"
    ):
        verify_graph(spec, model)


def test_a_damaged_dct_is_found_among_the_nodes_that_torch_has_no_value_for():
    spec, model = dct_spec(), exported(dct_spec)
    culprit = next(node for node in model.graph.node if node.op_type == "MatMul")
    damage(model, culprit.input[1])
    with pytest.raises(MismatchError) as caught:
        verify_graph(spec, model)
    assert f"node '{culprit.name}' (MatMul)" in str(caught.value)
    assert "(Conv)" not in str(caught.value)


@pytest.mark.parametrize("opset", OPSETS)
def test_damage_to_one_of_several_outputs_names_it(opset):
    spec, model = analysis_spec(), exported(analysis_spec, opset)
    damage(model, "detail.bias")
    with pytest.raises(MismatchError, match=r"analysis: 'detail' differs by 1 .*batch 1, 64 x 64;.*\(Conv\)"):
        verify_graph(spec, model)


def test_values_without_torchs_names_still_lead_to_the_output():
    spec, model = dct_spec(), exported(dct_spec)
    damage(model, "mix.weight")
    for index, node in enumerate(model.graph.node):
        for values in (node.input, node.output):
            for position, name in enumerate(values):
                if name not in {"image", "result"} and name not in {t.name for t in model.graph.initializer}:
                    values[position] = f"renamed_{name}"
        node.name = f"n{index}"
    del model.graph.value_info[:]
    with pytest.raises(
        MismatchError, match=rf"first appears in node 'n{len(model.graph.node) - 1}' \(Conv\) or in"
    ):
        verify_graph(spec, model)


def test_damage_is_found_at_sizes_below_what_tracing_assumed():
    spec, model = analysis_spec(), exported(analysis_spec)
    damage(model, "base.weight")
    with pytest.raises(MismatchError, match=r"'base' differs .* batch 1, 5 x 3; .* \(Conv\)$"):
        verify_graph(spec, model, sizes=[(1, 5, 3)])


def test_nan_agrees_with_nothing():
    spec = dct_spec()
    with torch.no_grad():
        spec.module.mix.weight[0] = torch.nan
    with pytest.raises(MismatchError, match=r"differs by nan.*\(Conv\)"):
        verify_graph(spec, export_graph(spec))


def test_the_tolerance_is_the_callers():
    spec, model = dct_spec(), exported(dct_spec)
    largest = verify_graph(spec, model).largest
    assert largest > 0
    with pytest.raises(MismatchError):
        verify_graph(spec, model, tolerance=largest / 10)


def test_a_graph_with_other_names_is_refused():
    with pytest.raises(MismatchError, match=r"inputs are \['image'\], those declared \['latents', 'mask'\]"):
        verify_graph(synthesis_spec(), exported(dct_spec))


def test_an_operator_without_a_translation_is_named():
    with torch.library._scoped_library("elsewhere", "FRAGMENT") as library:
        library.define("twice(Tensor x) -> Tensor")
        library.impl("twice", lambda x: 2 * x, "CompositeExplicitAutograd")
        library.impl("twice", torch.empty_like, "Meta")

        class Foreign(nn.Module):
            def forward(self, image):
                return torch.ops.elsewhere.twice(image)

        with pytest.raises(
            ExportError, match=r"node 'twice' \(elsewhere\.twice.*untranslated domain 'elsewhere'"
        ):
            export_graph(picture_spec(Foreign().eval()))


def test_a_custom_domain_is_refused_also_inside_a_branch():
    values = [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])]
    inner = helper.make_graph(
        [helper.make_node("Gelu", ["x"], ["y"], "deep", domain="com.microsoft")], "b", [], []
    )
    outer = helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
    model = helper.make_model(helper.make_graph([outer], "g", values, values))
    with pytest.raises(ExportError, match=r"'deep' \(Gelu\) is of the custom domain 'com\.microsoft'"):
        check_domains(model, "analysis")


@pytest.mark.parametrize("opset", [16, 21])
def test_other_opsets_are_refused(opset):
    with pytest.raises(UsageError, match=f"opset {opset} is not supported; take 17 to 20"):
        export_graph(dct_spec(), opset=opset)


def test_what_opset_17_cannot_say_is_named():
    class Mish(nn.Module):
        def forward(self, image):
            return functional.mish(image)

    spec = picture_spec(Mish().eval())
    assert verify_graph(spec, export_graph(spec)).largest < 1e-5
    with pytest.raises(
        ExportError, match=r"node '.*' \(Mish\) has no form in opset 17; export with 18 to 20"
    ):
        export_graph(spec, opset=17)


def test_a_conversion_that_the_exporter_gave_up_is_no_success(monkeypatch):
    monkeypatch.setattr(graph, "translate", lambda spec, program, _: translate(spec, program, 18))
    with pytest.raises(ExportError, match="torch wrote opset 18 instead of 20"):
        export_graph(dct_spec(), opset=20)


def test_a_module_that_fixes_a_free_axis_is_refused():
    class Fixed(nn.Module):
        def forward(self, image):
            return image.reshape(2, 1, 128, 192)

    with pytest.raises(ExportError, match="untraceable with the axes"):
        export_graph(picture_spec(Fixed().eval()))


def test_a_module_in_training_mode_is_refused():
    with pytest.raises(UsageError, match=r"call \.eval\(\)"):
        export_graph(picture_spec(build(DctNet).train()))


def test_outputs_are_counted():
    with pytest.raises(UsageError, match="returns 3 tensors for 1 outputs"):
        export_graph(picture_spec(build(BlockAnalysis)))


def test_weights_that_do_not_fit_into_one_file_are_refused(monkeypatch):
    monkeypatch.setattr("farlook.export.graph.MAX_WEIGHTS", 100)
    with pytest.raises(ExportError, match="bytes of weights do not fit into one file"):
        export_graph(dct_spec())
