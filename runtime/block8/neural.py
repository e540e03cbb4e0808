"""The ground's decoder of block8: a network that improves what the linear decoder makes of a stream.

    coefficients --C core--> picture, uint8 --.
                 `---------> latents ---------+--network, in windows--> picture, uint8
    steps, lost blocks -----------------------'

It begins where the stream has been decoded: symbols, and so what is lost, do not depend on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.kernels.block8 import step_size
from farlook.runtime.backends import open_graphs
from farlook.runtime.backends.base import FP32, PRECISIONS, GraphSource
from farlook.runtime.block8.latents import blocks_of_units, luma_latents, unit_steps
from farlook.runtime.bundle import GROUND_LAYOUT, find_bundle, shipped_decoders
from farlook.runtime.errors import BackendError, BundleError, UnknownCodecError, UsageError
from farlook.runtime.neural.description import Graph
from farlook.runtime.neural.windows import Window, cut, run
from farlook.runtime.profile.stages import stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from farlook.kernels.block8 import Coefficients, Packet
    from farlook.runtime.backends.base import Session
    from farlook.runtime.block8.stream import Header
    from farlook.runtime.bundle import Bundle

    Floats = NDArray[np.float32]

BLOCK = 8
WINDOW = 1024
"""Side of a window without its halo, in pixels: activations of it take about 200 MB."""

CHOICES = ("auto", "linear", "neural")
"""Decoders; "neural:NAME" takes the network "fast", "best" or "ms-ssim", or the bundle of that path."""

_FAST = "fast"
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_FINEST, _COARSEST = 0, 831


@dataclass(frozen=True)
class GroundCoding:
    """What the manifest of a ground decoder's bundle says.

    Attributes:
        block8: Digest of the bundle whose streams it was trained with, in hex.
        steps: Indices of the finest and the coarsest step that it was trained with.
        halo: Pixels beyond a window that change what comes out of it.
    """

    block8: str
    steps: tuple[int, int]
    halo: int

    @classmethod
    def read(cls, coding: Mapping[str, Any]) -> GroundCoding:
        """Read and check it.

        Raises:
            BundleError: A field is missing, or out of its range.
        """
        try:
            finest, coarsest = (int(step) for step in coding["steps"])
            found = cls(str(coding["block8"]), (finest, coarsest), int(coding["halo"]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise BundleError(f"the manifest of a decoder for the ground is damaged: {error!r}") from error
        if not _FINEST <= finest <= coarsest <= _COARSEST or found.halo not in range(0, 1025, BLOCK):
            raise BundleError(f"the manifest of a decoder for the ground is out of range: {found}")
        return found


class NeuralDecoder:
    """A network for the ground, loaded.

    Args:
        bundle: Of the layout "block8-ground".
        backend: One of `farlook.runtime.backends.ORDER`, or "auto" for the best that works here.
        threads: Threads of one network run; 0 takes all cores.
        precision: Which of the bundle's graphs to run: "fp32", "fp16" or "int8".

    Attributes:
        bundle: What was trained.
        backend: Name of what runs it.
        choice: What that is, and why it.

    Raises:
        BundleError: The bundle is no decoder for block8, or damaged.
        BackendError: No backend can run it.
    """

    def __init__(
        self, bundle: Bundle, backend: str = "auto", threads: int = 0, precision: str = FP32
    ) -> None:
        if bundle.layout != GROUND_LAYOUT:
            raise BundleError(f"{bundle.path} is a bundle of {bundle.codec}: no decoder for block8's streams")
        self.bundle = bundle
        self._coding = GroundCoding.read(bundle.coding)
        opened = open_graphs(backend, [GraphSource.of(bundle, "synthesis", precision)], threads)
        self.backend, self.choice = opened.name, opened.reason
        (self._synthesis,) = opened.sessions

    def check(self, block8: Bundle) -> None:
        """Refuse streams of tables that the network was not trained with.

        Raises:
            BundleError: It was trained with another bundle than this one.
        """
        if self._coding.block8 != block8.digest.hex():
            raise BundleError(
                f"{self.bundle.path} decodes streams of the block8 bundle {self._coding.block8[:8]}, but this is "
                f"{block8.digest[:4].hex()}: take --decoder linear, or train a decoder for it"
            )

    def swap_sessions(self, change: Callable[[str, Session], Session]) -> None:
        """See `farlook.runtime.codec.Codec.swap_sessions`."""
        self._synthesis = change("synthesis", self._synthesis)

    def unsuited(self, header: Header) -> str:
        """Why the network cannot improve a stream's picture; empty if it can."""
        finest = self._coding.steps[0]
        if header.geometry.depth != 8:
            return f"the network is for pictures of 8 bits a sample, this one has {header.geometry.depth}"
        if header.step < finest and not header.has_finer and header.layout == "tiles":
            return (
                f"the stream's step of {step_size(header.step):.3g} is finer than {step_size(finest):.3g}, the "
                "finest that the network was trained with"
            )
        return ""

    def improve(
        self,
        image: NDArray[np.uint8],
        header: Header,
        packets: Sequence[Packet],
        coefficients: Coefficients,
        *,
        core: int = WINDOW,
    ) -> NDArray[np.uint8]:
        """Improve the linear decoder's picture.

        Blocks with a finer step than any that the network was trained with stay as they are.

        Args:
            image: uint8 [height, width] or [height, width, 3].
            header: The stream's.
            packets: Its packets, those that are there.
            coefficients: Decoded; what is lost is concealed.
            core: Side of a window without its halo, in pixels.

        Returns:
            A picture of the same shape.

        Raises:
            BundleError: The graph's output is not what it should be.
            BackendError: The run failed.
        """
        steps = blocks_of_units(unit_steps(coefficients, header, packets), coefficients).astype(np.float32)
        lost = blocks_of_units((coefficients.known == 0).astype(np.float32), coefficients)
        maps: dict[str, NDArray[Any]] = {"step": steps[None], "lost": lost[None]}
        kept = steps < step_size(self._coding.steps[0]) * np.float32(0.999)
        found = image.copy()
        graph = Graph((), self._coding.halo, 0)
        rows, columns = (cut(-(-side // BLOCK) * BLOCK, graph, BLOCK, core) for side in image.shape[:2])
        for down in rows:
            held = slice(down.start // BLOCK, down.stop // BLOCK)
            inputs = {name: array[:, held] for name, array in maps.items()}
            inputs["latents"] = luma_latents(coefficients, (held.start, held.stop))
            for across in columns:
                self._window(image, inputs, down, across, found)
        if kept.any():
            pixels = kept.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)[: image.shape[0], : image.shape[1]]
            found[pixels] = image[pixels]
        return found

    def _window(
        self,
        image: NDArray[np.uint8],
        inputs: Mapping[str, NDArray[Any]],
        down: Window,
        across: Window,
        found: NDArray[np.uint8],
    ) -> None:
        """Improve a window, in `found`; inputs are those of its rows."""
        held = slice(across.start // BLOCK, across.stop // BLOCK)
        with stage("colour"):
            tensors = {name: _floats(array[None, :, :, held]) for name, array in inputs.items()}
            tensors["image"] = _planes(image, down, across)
        with stage("synthesis"):
            picture = run(self._synthesis, tensors, {"picture": tensors["image"].shape})["picture"][0]
        with stage("colour"):
            middle = picture[:, down.kept(1), across.kept(1)]
            target = found[down.target(1), across.target(1)]
            middle = middle[:, : target.shape[0], : target.shape[1]]
            if image.ndim == 2:
                target[:] = _bytes(np.tensordot(_LUMA, middle, 1))
            else:
                target[:] = _bytes(middle).transpose(1, 2, 0)


def open_decoder(
    name: str, block8: Bundle, backend: str = "auto", threads: int = 0, precision: str = FP32
) -> NeuralDecoder:
    """Load a ground decoder for streams of a block8 bundle.

    Args:
        name: "fast", "best" or "ms-ssim", as they ship, or the path of a bundle.
        block8: Whose streams it is to decode.
        backend: See `NeuralDecoder`.
        threads: See `NeuralDecoder`.
        precision: See `NeuralDecoder`.

    Raises:
        UnknownCodecError: There is no such decoder.
        BundleError: It was trained with another bundle.
        BackendError: No backend can run it.
    """
    shipped, known = f"{GROUND_LAYOUT}-{name}", shipped_decoders()
    try:
        bundle = find_bundle(shipped if shipped in known else name)
    except UnknownCodecError as error:
        names = ", ".join(each.removeprefix(f"{GROUND_LAYOUT}-") for each in known)
        raise UnknownCodecError(
            f"there is no network {name!r} for block8, nor a bundle of that path; farlook ships: {names}"
        ) from error
    decoder = NeuralDecoder(bundle, backend, threads, precision)
    decoder.check(block8)
    return decoder


def parse_choice(choice: str) -> tuple[str, str]:
    """Read "auto", "linear", "neural" or "neural:NAME": the kind, and the network's name.

    Raises:
        UsageError: It is none of these.
    """
    kind, colon, name = str(choice).partition(":")
    if kind not in CHOICES or (colon and (kind != "neural" or not name)):
        raise UsageError(
            f"there is no decoder {choice!r}: choose auto, linear, neural, neural:best, neural:ms-ssim or neural:BUNDLE"
        )
    return kind, name or _FAST


def is_asked_for(choice: str, backend: str, precision: str) -> bool:
    """Whether a network was asked for, so that no other decoder may take its place."""
    return parse_choice(choice)[0] == "neural" or backend != "auto" or precision != FP32


def choose_decoder(
    choice: str, block8: Bundle, backend: str = "auto", threads: int = 0, precision: str = FP32
) -> tuple[NeuralDecoder | None, str]:
    """The decoder to work with, None for the linear one, and why.

    Args:
        choice: "auto" takes the network where it ships and a backend runs it; see `parse_choice`.
        block8: Whose streams are to be decoded.
        backend: Of the network: another than "auto" asks for it, as "neural" does.
        threads: Of the network.
        precision: Of the network: another than "fp32" asks for it too.

    Raises:
        UsageError: There is no such choice, no such backend, or no such precision of the linear decoder.
        BundleError: The network was asked for and cannot be had; see `open_decoder`.
        BackendError: The same.
    """
    kind, name = parse_choice(choice)
    if precision not in PRECISIONS:
        raise UsageError(f"there is no precision {precision!r}; choose one of: {', '.join(PRECISIONS)}")
    if kind == "linear":
        if precision != FP32:
            raise UsageError(f"the linear decoder runs no network: there is no {precision} of it")
        return None, "asked for"
    try:
        decoder = open_decoder(name, block8, backend, threads, precision)
    except (BackendError, BundleError) as error:
        if is_asked_for(choice, backend, precision):
            raise
        return None, f"the neural one cannot be had: {error}"
    return decoder, f"{decoder.bundle.codec} on {decoder.backend}"


def _floats(array: NDArray[Any]) -> Floats:
    return np.ascontiguousarray(array, np.float32)


def _planes(image: NDArray[np.uint8], down: Window, across: Window) -> Floats:
    """A window of the picture, its edges repeated: float32 [1, 3, height, width] of 0 to 255."""
    part = image[down.start : down.stop, across.start : across.stop]
    missing = [
        (0, window.stop - window.start - side)
        for window, side in zip((down, across), part.shape[:2], strict=True)
    ]
    bands = part[None].repeat(3, axis=0) if part.ndim == 2 else part.transpose(2, 0, 1)
    return np.pad(bands, [(0, 0), *missing], mode="edge").astype(np.float32)[None]


def _bytes(values: Floats) -> NDArray[np.uint8]:
    return np.rint(values).clip(0, 255).astype(np.uint8)
