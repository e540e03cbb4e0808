"""What a stream of block8 says of itself."""

from __future__ import annotations

from farlook.kernels.block8 import UNIT, step_size
from farlook.runtime.block8.job import quality_of
from farlook.runtime.block8.stream import read_stream, split_packets
from farlook.runtime.info import StreamInfo


def describe(data: bytes) -> StreamInfo:
    """A stream in numbers; see `farlook.runtime.info.info`.

    Raises:
        StreamError: The stream is damaged or cut short.
    """
    header, _ = read_stream(data)
    packets = split_packets(data, cut=header.layout == "progressive")
    return StreamInfo(
        codec="block8",
        digest=header.digest.hex(),
        width=header.geometry.width,
        height=header.geometry.height,
        bands=header.geometry.bands,
        bit_depth=header.geometry.depth,
        quality=round(quality_of(header.step), 1),
        size=len(data),
        packets=len(packets),
        tile=UNIT,
        layout="tiles, interleaved" if header.interleaved else header.layout,
        largest_packet=max(map(len, packets)),
        step=round(step_size(header.step), 3),
    )
