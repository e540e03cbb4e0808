"""How far a network looks: so much halo a window needs, for its middle to come out as of the whole picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farlook.runtime.errors import ExportError, MissingExtraError

try:
    import torch
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "train", "to export models") from error

if TYPE_CHECKING:
    from torch import Tensor, nn

_TOLERANCE = 1e-6


def measure_reach(
    module: nn.Module, first: tuple[Tensor, ...], second: tuple[Tensor, ...], stride: int
) -> int:
    """Find the reach of a network by trying: what lies farther than it changes nothing.

    The two inputs are mixed: the first near the middle, the second around it, and what comes out of the middle
    `stride` x `stride` pixels is compared with what the first alone gives. So attention over cells and pooling count
    too, as long as they repeat with the stride.

    Args:
        module: The network; it returns a tensor or a tuple of tensors [n, c, h, w].
        first: Its inputs for a square picture of an odd number of strides, without values of note: noise.
        second: Other noise of the same shapes; inputs of one position are not mixed.
        stride: Pixels by which windows are shifted against each other.

    Returns:
        Pixels, a multiple of the stride.

    Raises:
        ExportError: The network reaches beyond the picture: make it larger, or the network more local.
    """
    blocks = max(_side(tensor) for tensor in first)
    with torch.no_grad():
        want = _outputs(module, first)
        pixels = max(blocks, *(_side(tensor) for tensor in want))
        middles = pixels // stride // 2
        for reach in range(middles):
            mixed = tuple(
                _mixed(near, far, pixels, stride, reach) for near, far in zip(first, second, strict=True)
            )
            pairs = zip(want, _outputs(module, mixed), strict=True)
            if all(_agree(a, b, pixels, stride) for a, b in pairs):
                return reach * stride
    raise ExportError(
        f"the network looks farther than {middles * stride} pixels: no window can give it what it sees"
    )


def _outputs(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    found = module(*inputs)
    return (found,) if isinstance(found, torch.Tensor) else tuple(found)


def _side(tensor: Tensor) -> int:
    return int(tensor.shape[-1])


def _mixed(near: Tensor, far: Tensor, pixels: int, stride: int, reach: int) -> Tensor:
    """`near` within `reach` strides of the middle block, `far` elsewhere."""
    if _side(near) == 1:
        return near
    step = pixels // _side(near)
    middle = pixels // stride // 2
    window = slice((middle - reach) * stride // step, (middle + 1 + reach) * stride // step)
    mixed = far.clone()
    mixed[..., window, window] = near[..., window, window]
    return mixed


def _agree(want: Tensor, got: Tensor, pixels: int, stride: int) -> bool:
    step = pixels // _side(want)
    middle = slice(pixels // stride // 2 * stride // step, (pixels // stride // 2 + 1) * stride // step)
    a, b = want[..., middle, middle], got[..., middle, middle]
    return bool((a - b).abs().max() <= _TOLERANCE * max(1.0, float(a.abs().max())))
