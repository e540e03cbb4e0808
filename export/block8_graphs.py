"""block8's transform as ONNX graphs, for engines: colour, lapping and DCT as convolutions.

    analysis    image --1x1 conv--> luma ------mirrored rim, 16x16 conv of stride 8--> luma's coefficients
                      `-2x2 conv--> chroma --the same, each plane by itself----------> chroma's coefficients
    synthesis   coefficients --mirrored rim, 3x3 conv over blocks, depth to space--> luma, chroma
                      luma, and chroma at twice its size --1x1 conv--> image

A mirrored rim makes the filter over a border do nothing, as at the picture's edge. The constants are the C core's
integers over 2^15: graphs differ from it by its rounding alone. Pictures have sides that are multiples of 16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.calibration.onnx_package import TensorProto, helper, numpy_helper, onnx
from farlook.runtime.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto

    Matrix = NDArray[np.float64]

OPSETS = range(17, 21)

_IR = 8
_ONE = 32768
_LAP = (
    (-885, 12411, 5050, 2905),
    (-9089, -1933, 9461, 2856),
    (1791, -6106, 1016, 5486),
    (-521, 55, -2163, 2393),
)
_UNLAP = (
    (-4744, -9324, 1586, -846),
    (6594, -6557, -7304, -381),
    (984, 4341, -4148, -4387),
    (417, 213, 1475, -2616),
)
_DCT = (11585, 16069, 15137, 13623, 11585, 9102, 6270, 3196)
_UNIT = 4.0  # coefficients are four times the orthonormal ones of levels
_TO_LUMA = (9798, 19235, 3735)
_TO_CHROMA = ((-5529, -10855, 16384), (16384, -13720, -2664))
_FROM_YCC = (
    (_ONE, 0, _ONE + 13173),
    (_ONE, -11277, -23401),
    (_ONE, 2 * _ONE - 7471, 0),
)


def analysis_graph(bands: int = 3, opset: int = 18) -> ModelProto:
    """Picture to coefficients.

    Args:
        bands: 3 for RGB, 1 for grey.
        opset: 17 to 20.

    Returns:
        The model. Input `image`, float32 [batch, bands, 16*rows, 16*columns], levels of 0 to 255. Outputs
        `luma`, [batch, 64, 2*rows, 2*columns], and of RGB `chroma`, [batch, 128, rows, columns]: channel
        8 u + v is the coefficient of frequency u across and v down, of Cr 64 more; not rounded.

    Raises:
        UsageError: `bands` or `opset` is another one.
    """
    graph = _Graph(bands, opset)
    kernel = _block_kernel(_lapped()) * _UNIT
    weights = np.array([_TO_LUMA if bands == 3 else (_ONE,)]).reshape(1, bands, 1, 1) / _ONE
    luma = graph.conv("luma/colour", "image", weights, bias=np.array([-128.0]))
    graph.conv("luma/lapped_dct", graph.mirror_samples("luma/rim", luma), kernel, stride=8, output="luma")
    if bands == 3:
        pairs = np.tile(np.array(_TO_CHROMA)[:, :, None, None] / (4 * _ONE), (1, 1, 2, 2))
        chroma = graph.conv("chroma/colour", "image", pairs, stride=2)
        rim = graph.mirror_samples("chroma/rim", chroma)
        graph.conv(
            "chroma/lapped_dct", rim, np.tile(kernel, (2, 1, 1, 1)), stride=8, groups=2, output="chroma"
        )
    return graph.model("analysis", [_image(bands)], _coefficients(bands))


def synthesis_graph(bands: int = 3, opset: int = 18) -> ModelProto:
    """Coefficients to picture.

    Args:
        bands: 3 for RGB, 1 for grey.
        opset: 17 to 20.

    Returns:
        The model: inputs as the outputs of `analysis_graph`, output `image` as its input, held within 0 to 255
        and not rounded.

    Raises:
        UsageError: `bands` or `opset` is another one.
    """
    graph = _Graph(bands, opset)
    kernel = _pixel_kernel(_unlapped()) / _UNIT
    luma = graph.conv("luma/lapped_idct", graph.mirror_blocks("luma/rim", "luma", 1), kernel)
    planes = graph.node("DepthToSpace", "luma/pixels", [luma], blocksize=8, mode="CRD")
    if bands == 3:
        rim = graph.mirror_blocks("chroma/rim", "chroma", 2)
        chroma = graph.conv("chroma/lapped_idct", rim, np.tile(kernel, (2, 1, 1, 1)), groups=2)
        pixels = graph.node("DepthToSpace", "chroma/pixels", [chroma], blocksize=8, mode="CRD")
        scales = graph.constant("chroma/scales", np.array([1, 1, 2, 2], np.float32))
        doubled = graph.node(
            "Resize",
            "chroma/doubled",
            [pixels, "", scales],
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )
        planes = graph.node("Concat", "planes", [planes, doubled], axis=1)
    matrix = np.array(_FROM_YCC if bands == 3 else ((_ONE,),)) / _ONE
    levels = graph.conv("colour", planes, matrix[:, :, None, None], bias=np.full(bands, 128.0))
    low, high = (
        graph.constant(name, np.array(value, np.float32)) for name, value in (("black", 0), ("white", 255))
    )
    graph.node("Clip", "clip", [levels, low, high], output="image")
    return graph.model("synthesis", _coefficients(bands), [_image(bands)])


class _Graph:
    """Nodes and constants, while they are gathered."""

    def __init__(self, bands: int, opset: int) -> None:
        if bands not in (1, 3):
            raise UsageError(f"block8 codes pictures of 1 or 3 bands, not {bands}")
        if opset not in OPSETS:
            raise UsageError(f"opset {opset} is not supported; take {OPSETS[0]} to {OPSETS[-1]}")
        self._opset = opset
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self._constants[name] = numpy_helper.from_array(value, name)
        return name

    def node(self, kind: str, name: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        result = output or f"{name}:0"
        self._nodes.append(helper.make_node(kind, inputs, [result], name=name, **attributes))
        return result

    def conv(
        self,
        name: str,
        source: str,
        weights: Matrix,
        *,
        bias: Matrix | None = None,
        stride: int = 1,
        groups: int = 1,
        output: str = "",
    ) -> str:
        inputs = [source, self.constant(f"{name}.weight", weights.astype(np.float32))]
        if bias is not None:
            inputs.append(self.constant(f"{name}.bias", bias.astype(np.float32)))
        shape = list(weights.shape[2:])
        return self.node(
            "Conv", name, inputs, output, kernel_shape=shape, strides=[stride, stride], group=groups
        )

    def mirror_samples(self, name: str, source: str) -> str:
        """Four samples more on every side, the nearest next to the edge."""
        for axis, side in ((3, "x"), (2, "y")):
            first = self.constant("first", np.array([3, 2, 1, 0], np.int64))
            last = self.constant("last", np.array([-1, -2, -3, -4], np.int64))
            before = self.node("Gather", f"{name}/{side}/before", [source, first], axis=axis)
            after = self.node("Gather", f"{name}/{side}/after", [source, last], axis=axis)
            source = self.node("Concat", f"{name}/{side}", [before, source, after], axis=axis)
        return source

    def mirror_blocks(self, name: str, source: str, planes: int) -> str:
        """One block more on every side: a mirrored block has its odd frequencies negated."""
        signs = np.where(np.arange(8) % 2, -1, 1).astype(np.float32)
        across, down = np.repeat(signs, 8), np.tile(signs, 8)
        for axis, side, flips in ((3, "x", across), (2, "y", down)):
            ends = [np.array([0], np.int64), np.array([-1], np.int64)]
            indices = [self.constant(key, end) for key, end in zip(("begin", "end"), ends, strict=True)]
            factors = self.constant(f"{name}/{side}/signs", np.tile(flips, planes).reshape(1, -1, 1, 1))
            rims = []
            for which, index in zip(("before", "after"), indices, strict=True):
                edge = self.node("Gather", f"{name}/{side}/{which}/edge", [source, index], axis=axis)
                rims.append(self.node("Mul", f"{name}/{side}/{which}", [edge, factors]))
            source = self.node("Concat", f"{name}/{side}", [rims[0], source, rims[1]], axis=axis)
        return source

    def model(self, name: str, inputs: list[Any], outputs: list[Any]) -> ModelProto:
        graph = helper.make_graph(self._nodes, name, inputs, outputs, list(self._constants.values()))
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", self._opset)],
            ir_version=_IR,
            producer_name="farlook",
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def _image(bands: int) -> Any:
    return helper.make_tensor_value_info(
        "image", TensorProto.FLOAT, ["batch", bands, "16*rows", "16*columns"]
    )


def _coefficients(bands: int) -> list[Any]:
    luma = helper.make_tensor_value_info("luma", TensorProto.FLOAT, ["batch", 64, "2*rows", "2*columns"])
    chroma = helper.make_tensor_value_info("chroma", TensorProto.FLOAT, ["batch", 128, "rows", "columns"])
    return [luma, chroma][: 1 if bands == 1 else 2]


def _dct() -> Matrix:
    """[frequency, sample], with the C core's constants, of which cosine n has _DCT[n]."""
    cosines = np.array([*_DCT, 0, *(-value for value in _DCT[:0:-1])]) / _ONE  # of n pi / 16, n = 0 to 15
    u, i = np.arange(8)[:, None], np.arange(8)[None, :]
    n = (2 * i + 1) * u % 32
    matrix: Matrix = np.where(n < 16, cosines[n % 16], -cosines[n % 16])
    matrix[0] = _DCT[0] / _ONE
    return matrix


def _border(weights: tuple[tuple[int, ...], ...]) -> Matrix:
    """The filter of eight samples around a border, [result, sample]."""
    w = np.array(weights) / _ONE
    matrix = np.eye(8)
    after, before = np.arange(4, 8), np.arange(3, -1, -1)
    for i in range(4):
        for j in range(4):
            for row, sign in ((after[i], 1), (before[i], -1)):
                matrix[row, after[j]] += sign * w[i, j]
                matrix[row, before[j]] -= sign * w[i, j]
    return matrix


def _lapped() -> Matrix:
    """[frequency, sample] of a block and the four samples each side."""
    both = np.zeros((16, 16))
    both[:8, :8] = both[8:, 8:] = _border(_LAP)
    return _dct() @ both[4:12]


def _unlapped() -> Matrix:
    """[sample, block, frequency] of a block and those each side."""
    blocks = np.zeros((24, 24))
    for block in range(3):
        part = slice(8 * block, 8 * block + 8)
        blocks[part, part] = _dct().T
    filters = np.eye(24)
    filters[4:12, 4:12] = filters[12:20, 12:20] = _border(_UNLAP)
    return (filters @ blocks)[8:16].reshape(8, 3, 8)


def _block_kernel(line: Matrix) -> Matrix:
    """[8 u + v, 1, y, x] from [frequency, sample]."""
    kernel: Matrix = np.einsum("ux,vy->uvyx", line, line).reshape(64, 1, 16, 16)
    return kernel


def _pixel_kernel(line: Matrix) -> Matrix:
    """[8 y + x, 8 u + v, block row, block column] from [sample, block, frequency]."""
    kernel: Matrix = np.einsum("xcu,yrv->yxuvrc", line, line).reshape(64, 64, 3, 3)
    return kernel
