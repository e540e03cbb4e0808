"""Parts of a call that no clock on the host can tell apart while it runs, each measured by itself.

block8: in a call of `encode`, the C core takes rows of pixels through all parts at once, so that they stay in the
processor's cache. Here the transform (colours included) writes all coefficients to memory, and then quantisation
and entropy coder read them from there: two functions of the same core.

TensorRT engines: copies and engine are put on a stream, and the host waits for the end of all of it. Here events on
the stream time each.

These times do not add up to those of the call; they say where they go.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from farlook.runtime.block8.codec import Block8Codec
from farlook.runtime.block8.job import slices_of, step_of
from farlook.runtime.block8.threads import in_order
from farlook.runtime.codec import DEFAULT_QUALITY
from farlook.runtime.profile.layers import TimesLayers, tapped
from farlook.runtime.profile.measure import DECODE, ENCODE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from farlook.runtime.backends.base import Session
    from farlook.runtime.codec import Codec

Parts = dict[str, dict[str, list[float]]]
"""Seconds of every run, by direction and part."""

TRANSFORM = "transform"
"""Colours and the lapped transform: pixels to coefficients."""
ENTROPY = "entropy coder"
"""Quantisation, contexts and entropy coder: coefficients to packets."""

_DIRECTIONS = {"analysis": ENCODE, "synthesis": DECODE}


def measure_parts(codec: Codec, image: NDArray[Any], target: Mapping[str, Any], runs: int) -> Parts:
    """Time the parts of a codec that has some.

    Args:
        codec: Any codec.
        image: The picture.
        target: Of `Codec.encode`; block8's parts are only timed for a quality, which says the step to code with.
        runs: How often, besides once that does not count.
    """
    if isinstance(codec, Block8Codec):
        return {ENCODE: _block8(codec, image, target, runs)} if not set(target) - {"quality"} else {}
    return _engines(codec, image, target, runs) if _runs_engines(codec) else {}


def _runs_engines(codec: Codec) -> bool:
    found: list[bool] = []

    def look(_: str, session: Session) -> Session:
        found.append(isinstance(session, TimesLayers))
        return session

    codec.swap_sessions(look)
    return any(found)


def _block8(
    codec: Block8Codec, image: NDArray[Any], target: Mapping[str, Any], runs: int
) -> dict[str, list[float]]:
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


def _engines(codec: Codec, image: NDArray[Any], target: Mapping[str, Any], runs: int) -> Parts:
    """Copies and engine, added up over the windows of a frame."""
    with tapped(codec) as taps:
        codec.decode(codec.encode(image, **target))
    parts: Parts = {}
    for network, tap in taps.items():
        found = parts.setdefault(_DIRECTIONS[network], {})
        if not isinstance(tap.session, TimesLayers):
            continue
        for number in range(1 + runs):
            frame: dict[str, float] = defaultdict(float)
            for feed in tap.feeds:
                for name, seconds in tap.session.times(feed).items():
                    frame[name] += seconds
            if number:
                for name, seconds in frame.items():
                    found.setdefault(f"{network}: {name}", []).append(seconds)
    return parts
