"""block8 as a codec: trained tables and the C core, as `encode` and `decode`."""

from __future__ import annotations

import warnings
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.kernels.block8 import Coefficients, Core
from farlook.kernels.block8_tables import Tables
from farlook.runtime.backends.base import FP32
from farlook.runtime.block8.arguments import (
    check_depth,
    check_interleave,
    check_mtu,
    geometry_of,
    geometry_of_sides,
    writable,
)
from farlook.runtime.block8.choice import DecoderChoice
from farlook.runtime.block8.conceal import LossyPicture, conceal, decode_each
from farlook.runtime.block8.decode import GROUPS, check_plausible, decode_tiles, groups_of, synthesise
from farlook.runtime.block8.gpu import is_device_array, picture_of, store_of
from farlook.runtime.block8.job import Job, may_interleave, step_of
from farlook.runtime.block8.neural import NeuralDecoder, choose_decoder, is_asked_for
from farlook.runtime.block8.progressive import decode_layers
from farlook.runtime.block8.rate import code_within
from farlook.runtime.block8.rate_layers import code_layers, code_layers_within
from farlook.runtime.block8.roi import finer_map
from farlook.runtime.block8.stream import DIGEST_BYTES, LAYOUTS, PREAMBLE, Header, read_stream, salvage
from farlook.runtime.block8.stream_encoder import StreamEncoder
from farlook.runtime.block8.threads import in_order, thread_count
from farlook.runtime.block8.tune import PSNR, check_tune, tuned
from farlook.runtime.codec import DEFAULT_QUALITY, Codec
from farlook.runtime.errors import BundleError, UnknownCodecError, UsageError
from farlook.runtime.images import check_image
from farlook.runtime.profile.stages import stage
from farlook.runtime.rate import target_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from farlook.kernels.block8 import Packet
    from farlook.runtime.backends.device import DeviceArray
    from farlook.runtime.bundle import Bundle

DEFAULT_MTU = 1024
AUTO, LINEAR = "auto", "linear"

_BACKENDS = ("auto", "native")


class Block8Codec(Codec):
    """The flagship: integer from pixels to bytes and back, by the C core.

    Args:
        bundle: What was trained.
        backend: "native", or "auto", which is the same.
        threads: How many to work with where a call does not say; 0 takes all cores.
        variant: The C core's vector width, see `farlook.kernels.block8.Core`; all give the same bytes.
    """

    options = ("mtu", "layout", "interleave", "roi", "depth", "tune", "threads")
    deep = True

    def __init__(
        self, bundle: Bundle, backend: str = "auto", threads: int = 0, variant: str = "auto"
    ) -> None:
        if bundle.codec != "block8":
            raise UnknownCodecError(
                f"{bundle.path} is of the codec {bundle.codec!r}, unknown to this farlook"
            )
        if backend not in _BACKENDS:
            raise UsageError(
                f"there is no backend {backend!r} for block8: choose one of: {', '.join(_BACKENDS)}"
            )
        self.bundle = bundle
        self.backend = "native"
        self._threads = thread_count(threads)
        self._digest = bundle.digest[:DIGEST_BYTES]
        self._core = Core(Tables.unpack(bundle.tables()), variant)
        self._decoders: dict[tuple[str, str, str], tuple[NeuralDecoder | None, str]] = {}

    def encode(
        self,
        image: Any,  # NDArray[Any], or an array on a GPU
        *,
        quality: float | None = None,
        bpp: float | None = None,
        budget: int | None = None,
        mtu: int = DEFAULT_MTU,
        layout: str = "tiles",
        interleave: bool = True,
        roi: Sequence[Sequence[float]] = (),
        depth: int | None = None,
        tune: str = PSNR,
        threads: int = 0,
    ) -> bytes:
        """Compress a picture.

        Args:
            image: Grey, [height, width], or RGB, [height, width, 3], sides of 1 to 16384; uint8 or uint16. uint8 may
                lie on an NVIDIA GPU (CuPy, torch, anything with `__cuda_array_interface__` or DLPack):
                it is transformed there, and the bytes are the same.
            quality: 1 (smallest) to 100 (best), fractions allowed; 50 if nothing is given.
            bpp: Target in bits a pixel, never exceeded.
            budget: Target in bytes, never exceeded.
            mtu: Most bytes of a packet, 64 to 16384.
            layout: "tiles", where every packet decodes alone, or "progressive", where a stream that is cut
                anywhere shows the whole picture.
            interleave: Put 32x32 pixels that touch into different packets, in the layout "tiles": around what
                is lost, the rest of the picture is there to fill it in from. Costs 2 to 4 % more bytes; pictures of
                a packet or two are not interleaved.
            roi: Regions (x, y, width, height[, weight]) in pixels that get more of the bytes; a weight of 4,
                the default, brings their error down to about a quarter. Layout "tiles" only.
            depth: Bits of a sample that count, 9 to 16, of a uint16 picture; 16 if not given.
            tune: "psnr", or "ms-ssim": no latents above half the highest frequency, finer steps where there is
                little contrast. Best decoded by the network "ms-ssim", readable by every decoder; a quality takes
                more bytes than by "psnr". Layout "tiles" only.
            threads: 0 takes as many as the codec was opened with; the bytes do not depend on it.

        Returns:
            The stream, headers and checksums included.

        Raises:
            ImageError: The array is not a picture that can be coded, or has samples of more than `depth` bits.
            UsageError: More than one target is given, or an option lies outside its range.
            TargetError: Even the coarsest steps take more than `bpp` or `budget` allow.
        """
        job = self._job(image, mtu=mtu, interleave=interleave, roi=roi, depth=depth, threads=threads)
        with stage("coding"):
            return b"".join(_pieces(job, quality, bpp, budget, layout, tune))

    def encode_into(
        self,
        image: NDArray[Any],
        buffer: Any,  # whatever offers a buffer
        *,
        quality: float | None = None,
        bpp: float | None = None,
        budget: int | None = None,
        **options: Any,
    ) -> int:
        """Compress a picture into memory of the caller's, slice by slice.

        Args:
            image: As for `encode`.
            buffer: A bytearray, a writable memoryview or a contiguous array, from whose front on is written.
            quality: As for `encode`.
            bpp: As for `encode`.
            budget: As for `encode`.
            options: The other options of `encode`.

        Returns:
            Bytes of the stream.

        Raises:
            UsageError: The buffer is read-only, or too small: the text says how many bytes are needed. What it
                held is lost all the same. Or see `encode`.
            ImageError: See `encode`.
            TargetError: See `encode`.
        """
        view = writable(buffer)
        self.check_options(options)
        layout, tune = options.pop("layout", "tiles"), options.pop("tune", PSNR)
        used = 0
        for piece in _pieces(self._job(image, **options), quality, bpp, budget, layout, tune):
            if used + len(piece) <= len(view):
                view[used : used + len(piece)] = piece
            used += len(piece)
        if used > len(view):
            raise UsageError(f"the buffer has {len(view)} bytes, but the stream takes {used}")
        return used

    def stream_encoder(
        self,
        width: int,
        height: int,
        *,
        bands: int = 1,
        depth: int = 8,
        quality: float = DEFAULT_QUALITY,
        mtu: int = DEFAULT_MTU,
        interleave: bool = True,
    ) -> StreamEncoder:
        """An encoder that takes a picture row by row and holds some rows of it only.

        Args:
            width: Pixels, 1 to 16384.
            height: Pixels, 1 to 16384.
            bands: 1 for grey, 3 for RGB.
            depth: Bits of a sample, 8 to 16.
            quality: 1 to 100, fractions allowed.
            mtu: Most bytes of a packet.
            interleave: As for `encode`.

        Raises:
            UsageError: A number lies outside its range.
        """
        geometry = geometry_of_sides(width, height, bands, depth)
        target_bytes(width * height, quality, None, None, whole=False)
        settings = self._core.settings(
            geometry,
            step=step_of(quality),
            mtu=check_mtu(mtu),
            digest=self._digest,
            interleave=check_interleave(interleave) and may_interleave(geometry),
        )
        return StreamEncoder(self._core, geometry, settings)

    def decode(
        self, data: bytes, *, threads: int = 0, decoder: str | NeuralDecoder | DecoderChoice = LINEAR
    ) -> NDArray[Any]:
        """Rebuild a picture from its whole stream; one of the layout "progressive" may be cut anywhere.

        Args:
            data: The stream.
            threads: 0 takes as many as the codec was opened with.
            decoder: "linear" gives the same bytes on every machine; "neural" lets a network improve on it, see
                `choose_decoder`; "auto" takes the network where it can be had, and the linear decoder, with a
                RuntimeWarning, if it fails. Steps finer than the network was trained with are left to the linear
                decoder, by "auto" pictures of more than 8 bits, too. Or what `pick_decoder` found, which tells
                afterwards what was taken.

        Returns:
            uint8, or uint16 if it was made of more than 8 bits: [height, width] or [height, width, 3].

        Raises:
            StreamError: The stream is damaged, cut short, or no farlook stream.
            BundleError: The stream was made with another bundle than this codec's, or the network for another.
            UsageError: There is no such decoder, or "neural" was asked for and the picture has more than 8 bits.
            BackendError: "neural" was asked for, and no backend can run it, or its run failed.
        """
        header, packets, coefficients = self._read(data, threads)
        return self._picture(header, packets, coefficients, self._thread_count(threads), decoder)

    def choose_decoder(
        self, choice: str = "auto", backend: str = "auto", precision: str = FP32
    ) -> tuple[NeuralDecoder | None, str]:
        """Find what decodes, once for every choice.

        Args:
            choice: "linear"; "neural", the network "fast" as it ships, "neural:best" or "neural:PATH" of a bundle;
                or "auto": the network if a backend can run it.
            backend: Of the network.
            precision: Of the network: "fp32", "fp16" or "int8".

        Returns:
            The network, None for the linear decoder, and why.

        Raises:
            UsageError: There is no such choice.
            FarlookError: "neural" was asked for, or a precision, and cannot be had here.
        """
        key = (choice, backend, precision)
        if key not in self._decoders:
            self._decoders[key] = choose_decoder(choice, self.bundle, backend, self._threads, precision)
        return self._decoders[key]

    def pick_decoder(self, choice: str = AUTO, backend: str = "auto", precision: str = FP32) -> DecoderChoice:
        """What decodes, for `decode` and `decode_lossy`; it tells after every picture which decoder that was.

        Args:
            choice: See `choose_decoder`.
            backend: Of the network.
            precision: Of the network.

        Raises:
            UsageError: See `choose_decoder`.
            FarlookError: See `choose_decoder`.
        """
        network, reason = self.choose_decoder(choice, backend, precision)
        asked_for = is_asked_for(choice, backend, precision)
        return DecoderChoice(network, reason, falls_back=choice == AUTO, asked_for=asked_for)

    def decode_to_device(self, data: bytes, *, device: int = 0, threads: int = 0) -> DeviceArray:
        """Rebuild a picture of 8 bits a sample on an NVIDIA GPU: the same pixels as `decode` with the linear decoder.

        Args:
            data: The stream.
            device: Number of the GPU.
            threads: As for `decode`.

        Returns:
            uint8 [height, width] or [height, width, 3], which `torch.as_tensor`, `cupy.asarray` and DLPack take
            without a copy.

        Raises:
            StreamError: See `decode`.
            BundleError: See `decode`.
            ImageError: The picture has more than 8 bits a sample.
            BackendError: The GPU cannot be used, or failed.
        """
        return picture_of(self._read(data, threads)[2], device)

    def decode_lossy(
        self,
        pieces: bytes | Sequence[bytes],
        *,
        threads: int = 0,
        decoder: str | NeuralDecoder | DecoderChoice = LINEAR,
    ) -> LossyPicture:
        """Rebuild a picture from what is left of its stream.

        Args:
            pieces: Packets, in any order, some of them missing, there twice or damaged; or one stream with gaps.
            threads: 0 takes as many as the codec was opened with.
            decoder: As for `decode`; the network repairs what was filled in, too.

        Returns:
            The picture, lost units filled in from their neighbours, and which blocks those are.

        Raises:
            StreamError: No packet that repeats the stream's header is whole.
            BundleError: The stream was made with another bundle than this codec's, or the network for another.
            UsageError: See `decode`.
            BackendError: See `decode`.
        """
        header, packets = salvage([pieces] if isinstance(pieces, (bytes, bytearray)) else pieces)
        self._check_digest(header)
        threads = self._thread_count(threads)
        if header.layout == "progressive":
            coefficients = decode_layers(self._core, header, packets, lossy=True)
        else:
            coefficients = Coefficients(header.geometry)
            groups = groups_of(packets, GROUPS * threads)
            work = partial(decode_each, self._core, header, coefficients=coefficients)
            for _ in in_order(work, groups, threads):
                pass
        lost = int(np.count_nonzero(coefficients.known == 0))
        concealed = conceal(coefficients)
        image = self._picture(header, packets, coefficients, threads, decoder)
        return LossyPicture(image, concealed, header.geometry.units, lost, len(packets))

    def _job(
        self,
        image: NDArray[Any],
        *,
        mtu: int = DEFAULT_MTU,
        interleave: bool = True,
        roi: Sequence[Sequence[float]] = (),
        depth: int | None = None,
        threads: int = 0,
    ) -> Job:
        store = None
        if is_device_array(image):
            geometry, store = store_of(image)
            check_depth(np.dtype(np.uint8), depth)
        else:
            image = check_image(image, deep=True)
            geometry = geometry_of(image, depth)
        return Job(
            self._core,
            image,
            geometry,
            check_mtu(mtu),
            self._digest,
            finer_map(geometry, roi),
            self._thread_count(threads),
            check_interleave(interleave) and may_interleave(geometry),
            store,
        )

    def _read(self, data: bytes, threads: int) -> tuple[Header, Sequence[Packet], Coefficients]:
        """A whole stream's packets and coefficients."""
        self.check_codec(data)
        with stage("stream"):
            header, packets = read_stream(data)
        self._check_digest(header)
        with stage("entropy"):
            coefficients = self._decoded(header, packets, self._thread_count(threads))
            if header.layout == "progressive":  # a cut may leave units out
                conceal(coefficients)
        return header, packets, coefficients

    def _decoded(self, header: Header, packets: Sequence[Packet], threads: int) -> Coefficients:
        if header.layout == "progressive":
            return decode_layers(self._core, header, packets)
        check_plausible(header, packets)
        return decode_tiles(self._core, header, packets, threads)

    def _picture(
        self,
        header: Header,
        packets: Sequence[Packet],
        coefficients: Coefficients,
        threads: int,
        decoder: str | NeuralDecoder | DecoderChoice,
    ) -> NDArray[Any]:
        """The picture of coefficients, improved by the network if one is chosen and suits."""
        if isinstance(decoder, DecoderChoice):
            chosen = decoder
        elif isinstance(decoder, NeuralDecoder):
            chosen = DecoderChoice(decoder, "given")
        else:
            chosen = self.pick_decoder(decoder)
        chosen.check(header)
        with stage("synthesis"):
            image = synthesise(self._core, header, coefficients, threads)
        image = chosen.improve(image, header, packets, coefficients)
        if chosen.failure and chosen is not decoder:  # whoever gave the choice can see for themselves
            warnings.warn(f"block8 decoded linearly, {chosen.failure}", RuntimeWarning, stacklevel=3)
        return image

    def _check_digest(self, header: Header) -> None:
        if header.digest != self._digest:
            raise BundleError(
                f"the stream was made with a block8 bundle of digest {header.digest.hex()}, but "
                f"{self.bundle.path} is {self._digest.hex()}: decode it with the bundle it was made with"
            )

    def _thread_count(self, threads: int) -> int:
        return thread_count(threads) if threads else self._threads


def _pieces(
    job: Job, quality: float | None, bpp: float | None, budget: int | None, layout: str, tune: str
) -> Iterable[bytes]:
    """The stream's bytes, piece by piece; everything is checked before the first."""
    check_tune(tune)
    limit = target_bytes(job.geometry.width * job.geometry.height, quality, bpp, budget, whole=False)
    room = None if limit is None else limit - len(PREAMBLE)
    step = step_of(DEFAULT_QUALITY if quality is None else quality)
    if layout == "tiles":
        job = tuned(job, tune)
        return chain([PREAMBLE], job.code(step) if room is None else code_within(job, room))
    if layout not in LAYOUTS:
        raise UsageError(f"there is no layout {layout!r}; choose one of: {', '.join(LAYOUTS)}")
    if tune != PSNR:
        raise UsageError(f"tune {tune} needs the layout tiles")
    if job.finer is not None:
        raise UsageError("regions of interest need the layout tiles")
    return chain([PREAMBLE], code_layers(job, step) if room is None else code_layers_within(job, room))
