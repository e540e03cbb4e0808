"""`farlook calibrate`: from a bundle of FP32 to one with FP16 and INT8 graphs beside them."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from farlook.calibration.distortion import QUALITIES, Meter
from farlook.calibration.fp16 import to_fp16
from farlook.calibration.networks import SWEEP, Network, measure_ranges, open_networks
from farlook.calibration.ranges import METHODS, PERCENTILE
from farlook.calibration.sensitivity import BUDGET, Mixture, keep_worst
from farlook.calibration.subjects import fitter, open_subject
from farlook.export.bundle import add_precisions
from farlook.runtime.errors import UsageError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Mapping
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

    from farlook.calibration.pictures import PictureSet
    from farlook.runtime.bundle import Bundle

    Progress = Callable[[int], AbstractContextManager[Callable[[], None]]]

MADE = ("fp16", "int8")
AUTO = "auto"
METHOD = "mse"
_RANKED, _METERED_SIDE = 4, 256
_LEAST_HELD, _MOST_HELD = 4, 12
"""Pictures that a budget is measured on, and ranges are not: a third of the usable ones, within these."""
_LEAST_MEASURED = 4


@dataclass(frozen=True)
class Settings:
    """How to calibrate.

    Attributes:
        method: How thresholds are chosen, one of `farlook.calibration.ranges.METHODS`.
        percentile: For the method "percentile".
        precisions: Which graphs to make, some of `MADE`.
        keep: Names of groups to leave in FP16; `AUTO` alone finds them.
        budget: BD-rate in per cent that INT8 may cost on average, for `AUTO`.
        threads: Threads of one run; 0 takes all cores.
    """

    method: str = METHOD
    percentile: float = PERCENTILE
    precisions: tuple[str, ...] = MADE
    keep: tuple[str, ...] = ()
    budget: float = BUDGET
    threads: int = 0

    def check(self) -> None:
        """Refuse what makes no sense.

        Raises:
            UsageError: Says what.
        """
        if self.method not in METHODS:
            raise UsageError(f"there is no method {self.method!r}; choose one of: {', '.join(METHODS)}")
        if not 0 < self.percentile <= 100:
            raise UsageError(f"a percentile lies above 0 and is at most 100, not {self.percentile}")
        if not self.precisions or not set(self.precisions) <= set(MADE):
            raise UsageError(
                f"precisions to make are {', '.join(MADE)}, not {', '.join(self.precisions) or 'none'}"
            )
        if AUTO in self.keep and len(self.keep) > 1:
            raise UsageError(f"keep {AUTO}, or nodes by name, not both")
        if self.keep and "int8" not in self.precisions:
            raise UsageError(
                "nodes are kept in FP16 in INT8 graphs only: add int8 to --precisions, or keep none"
            )
        if not self.budget >= 0:
            raise UsageError(f"a budget is a BD-rate in per cent from 0, not {self.budget}")


DEFAULT = Settings()


def _no_progress(_: int) -> AbstractContextManager[Callable[[], None]]:
    return nullcontext(lambda: None)


def calibrate(
    bundle: Bundle,
    output: str | os.PathLike[str],
    pictures: PictureSet,
    settings: Settings = DEFAULT,
    report: Callable[[str], None] = lambda _: None,
    progress: Progress = _no_progress,
) -> dict[str, Any]:
    """Measure ranges, choose what stays in FP16, and write a bundle with graphs of all precisions.

    Args:
        bundle: With FP32 graphs.
        output: The bundle to write, whole or not at all.
        pictures: What to measure on.
        settings: See `Settings`.
        report: Told what was found, a line at a time.
        progress: Opens a bar of a number of steps; yields what is called after each.

    Returns:
        The new bundle's `calibration.json`.

    Raises:
        UsageError: The settings make no sense, the bundle has no networks, or a node to keep is none of its groups.
        CalibrationError: No picture is usable, a range cannot be represented, or the budget cannot be held.
        BundleError, BackendError, OutputError: As they say.
    """
    settings.check()
    networks = open_networks(bundle)
    if settings.keep != (AUTO,):
        _check_names(networks, settings.keep)
    finds = settings.keep == (AUTO,)
    held = _hold_out(pictures) if finds else {}
    with progress(len(pictures)) as advance:
        measure_ranges(
            bundle, networks, pictures, settings.method, settings.percentile, settings.threads, advance
        )
    notes: dict[str, Any] = {
        "version": 1,
        "pictures": pictures.describe(),
        "qualities": list(SWEEP),
        "method": settings.method,
        "percentile": settings.percentile if settings.method == "percentile" else None,
        "precisions": list(settings.precisions),
    }
    kept = {name: [n for n in _groups(network) if n in settings.keep] for name, network in networks.items()}
    if finds:
        mixture = find_mixture(bundle, networks, pictures, held, settings, report, progress)
        kept = mixture.kept
        notes["budget"] = settings.budget
        notes["bd_rate"] = round(mixture.change.bd_rate, 4)
        notes["bd_rate_error"] = None if mixture.change.error is None else round(mixture.change.error, 4)
        notes["judged_on"] = {"pictures": mixture.pictures, "held_out": bool(held), "side": _METERED_SIDE}
    graphs = {name: _graphs(network, settings.precisions, kept[name]) for name, network in networks.items()}
    notes["networks"] = {name: _describe(network, kept[name]) for name, network in networks.items()}
    add_precisions(output, bundle, graphs, notes)
    return notes


def find_mixture(
    bundle: Bundle,
    networks: Mapping[str, Network],
    pictures: PictureSet,
    held: Mapping[str, NDArray[np.uint8]],
    settings: Settings,
    report: Callable[[str], None] = lambda _: None,
    progress: Progress = _no_progress,
) -> Mixture:
    """Find the groups to leave in FP16.

    Groups are ranked on the middle of a few of the pictures that ranges were measured on, and the budget is
    measured on those held out. Where none are, it is measured on the first, which flatters it.

    Raises:
        CalibrationError: The budget cannot be held.
    """
    few = pictures.few(_RANKED, _METERED_SIDE)
    with progress(len(few) + len(held)) as advance:
        ranker = open_meter(bundle, few, settings.threads, advance)
        meter = open_meter(bundle, list(held.values()), settings.threads, advance) if held else ranker
    report(_judges(held, len(few), pictures))
    opened: list[AbstractContextManager[Callable[[], None]]] = []

    def bar(steps: int) -> Callable[[], None]:
        opened.append(progress(steps))
        return opened[0].__enter__()

    try:
        found = keep_worst(meter, networks, settings.budget, settings.threads, report, bar, ranker)
    finally:
        for each in opened:
            each.__exit__(None, None, None)
    return replace(found, pictures=len(held) or len(few))


def _hold_out(pictures: PictureSet) -> dict[str, NDArray[np.uint8]]:
    usable = pictures.usable(3 * _MOST_HELD)  # more change nothing
    count = min(max(usable // 3, _LEAST_HELD), _MOST_HELD)
    return pictures.hold_out(count, _METERED_SIDE, _LEAST_MEASURED)


def _judges(held: Mapping[str, object], few: int, pictures: PictureSet) -> str:
    """What a budget is measured on."""
    if held:
        return f"the budget is measured on {len(held)} pictures that ranges are not measured on: {', '.join(held)}"
    return (
        f"the budget is measured on {few} of the pictures that ranges are measured on, as only {pictures.used} of "
        f"{len(pictures)} can be used, and it takes {_LEAST_HELD + _LEAST_MEASURED} to hold some out: others will "
        "cost more"
    )


def open_meter(
    bundle: Bundle,
    pictures: list[NDArray[np.uint8]],
    threads: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> Meter:
    """A meter of the bundle's FP32 codec in ONNX Runtime."""
    fitted = list(map(fitter(bundle), pictures))
    return Meter(open_subject(bundle, "ort", threads), fitted, QUALITIES, advance)


def _groups(network: Network) -> list[str]:
    return [group.name for group in network.groups]


def _check_names(networks: Mapping[str, Network], names: Collection[str]) -> None:
    known = {name for network in networks.values() for name in _groups(network)}
    unknown = sorted(set(names) - known)
    if unknown:
        raise UsageError(
            f"no network has a quantised node {', '.join(unknown)}: `farlook sensitivity` lists the names, as in "
            f"{', '.join(sorted(known)[:3])}"
        )


def _graphs(network: Network, precisions: Collection[str], kept: Collection[str]) -> dict[str, bytes]:
    return {each: network.fp16() if each == "fp16" else network.int8(kept) for each in precisions}


def _describe(network: Network, kept: Collection[str]) -> dict[str, Any]:
    return {
        "kept_fp16": sorted(kept),
        "kept_fp32": to_fp16(network.model, ranges=network.magnitudes).kept,
        "quantised": [name for name in _groups(network) if name not in kept],
        "thresholds": {name: float(value) for name, value in sorted(network.thresholds.items())},
        "magnitudes": {name: float(value) for name, value in sorted(network.magnitudes.items())},
    }
