"""The parts of block8's encoder, each by itself.

In a call of `encode`, the C core takes rows of pixels through all parts at once, so that they stay in the
processor's cache: no clock can stand between them. Here the transform (colours included) writes all coefficients to
memory, and then quantisation and entropy coder read them from there: two functions of the same core. Their times
do not add up to that of the call; they say where it goes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from farlook.runtime.block8.codec import Block8Codec
from farlook.runtime.block8.job import slices_of, step_of
from farlook.runtime.block8.threads import in_order
from farlook.runtime.codec import DEFAULT_QUALITY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from farlook.runtime.codec import Codec

TRANSFORM = "transform"
"""Colours and the lapped transform: pixels to coefficients."""
ENTROPY = "entropy coder"
"""Quantisation, contexts and entropy coder: coefficients to packets."""


def encoder_parts(
    codec: Codec, image: NDArray[Any], target: Mapping[str, Any], runs: int
) -> dict[str, list[float]]:
    """Time the parts of block8's encoder.

    Args:
        codec: Any codec.
        image: The picture.
        target: Of `Codec.encode`; only a quality says which step to code with.
        runs: How often, besides once that does not count.

    Returns:
        Seconds of every run, by part; empty for other codecs and other targets.
    """
    if not isinstance(codec, Block8Codec) or set(target) - {"quality"}:
        return {}
    job = codec._job(image)  # the same picture, threads and core as a call of encode
    slices, settings = slices_of(job.geometry), job.settings(step_of(target.get("quality", DEFAULT_QUALITY)))
    times: dict[str, list[float]] = {TRANSFORM: [], ENTROPY: []}
    for number in range(1 + runs):
        start = time.perf_counter()
        stores = list(
            in_order(lambda rows: job.core.store_rows(job.image, *rows, settings), slices, job.threads)
        )
        middle = time.perf_counter()
        work = [(store, *rows) for store, rows in zip(stores, slices, strict=True)]
        for _ in in_order(lambda part: job.core.encode_stored(*part, settings), work, job.threads):
            pass
        end = time.perf_counter()
        if number:
            times[TRANSFORM].append(middle - start)
            times[ENTROPY].append(end - middle)
    return times
