"""The loop of a profile: load, warm up, then encode and decode frame by frame, and time every one of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from farlook.runtime.backends.base import FP32
from farlook.runtime.codec import Codec
from farlook.runtime.errors import UsageError
from farlook.runtime.profile.machine import describe_machine, machine_sensors, warnings_for
from farlook.runtime.profile.memory import cuda_bytes, own_pid, peak_bytes, reset_peak, resident_bytes
from farlook.runtime.profile.nvml import find_gpu
from farlook.runtime.profile.sensors import INTERVAL, Course, Sensor, sampled
from farlook.runtime.profile.stages import OTHER, watching
from farlook.runtime.profile.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

ENCODE, DECODE = "encode", "decode"
DIRECTIONS = (ENCODE, DECODE)
DEFAULT_RUNS, DEFAULT_WARMUP = 50, 5

_DAY = 86400.0
_ON_GPU = ("tensorrt", "rtx", "ort-cuda", "ort-trt")


@dataclass(frozen=True)
class Plan:
    """What to profile.

    Attributes:
        codec: A codec's name, or the path of a bundle.
        backend: As for `Codec.load`.
        precision: As for `Codec.load`.
        threads: As for `Codec.load`.
        target: The one of `quality`, `bpp` and `budget` to encode for, by name; empty for quality 50.
        directions: Any of `DIRECTIONS`, in the order in which they are measured.
        warmup: Frames in each direction that are not measured.
        runs: Frames in each direction; None to go by `duration`.
        duration: Seconds in each direction, pauses included; None to go by `runs`.
        idle_gap: Seconds of sleep before every frame, as between the frames of a camera.
        idle: Seconds for which to look at the machine's idle power before anything else; 0 for not at all.
        interval: Seconds between two looks at the sensors; 0 for none at all.
    """

    codec: str | Path
    backend: str = "auto"
    precision: str = FP32
    threads: int = 0
    target: dict[str, float] = field(default_factory=dict)
    directions: tuple[str, ...] = DIRECTIONS
    warmup: int = DEFAULT_WARMUP
    runs: int | None = DEFAULT_RUNS
    duration: float | None = None
    idle_gap: float = 0.0
    idle: float = 0.0
    interval: float = INTERVAL

    def check(self) -> None:
        """Refuse what makes no sense.

        Raises:
            UsageError: A number lies outside its range, or none or both of `runs` and `duration` are given.
        """
        if (self.runs is None) == (self.duration is None):
            raise UsageError("give runs or a duration, not both")
        if (self.runs is not None and self.runs < 1) or (self.duration is not None and not self.duration > 0):
            raise UsageError("there must be a frame to measure: runs of 1 or more, or a duration above 0 s")
        if self.warmup < 0 or not all(
            0 <= pause <= _DAY for pause in (self.idle_gap, self.idle, self.interval)
        ):
            raise UsageError("warm-up, pauses and intervals cannot be below 0, nor a pause longer than a day")
        if not self.directions or set(self.directions) - set(DIRECTIONS):
            raise UsageError(f"a direction is one of: {', '.join(DIRECTIONS)}")


@dataclass(frozen=True)
class Frame:
    """One frame, measured.

    Attributes:
        start: Seconds since the profile began.
        total: Seconds that the call took.
        cpu: Seconds of processor time that all threads of the process used meanwhile.
        size: Bytes of the stream.
        stages: Seconds of each stage; with "other", what lies outside of them, they add up to `total`.
    """

    start: float
    total: float
    cpu: float
    size: int
    stages: dict[str, float]


@dataclass
class Phase:
    """All frames of one direction.

    Attributes:
        direction: "encode" or "decode".
        frames: In the order in which they were measured.
        cold: Seconds of the first call of all, which no warm-up went before; None if there was no warm-up.
        peak_bytes: Most memory of the process while they ran; None where the system does not tell.
        courses: What the sensors told while they ran.
    """

    direction: str
    frames: list[Frame] = field(default_factory=list)
    cold: float | None = None
    peak_bytes: int | None = None
    courses: list[Course] = field(default_factory=list)


@dataclass
class Profile:
    """What was measured.

    Attributes:
        plan: What was asked for.
        shape: Of the picture.
        bundle: Codec and digest of the bundle.
        backend: What ran it.
        choice: Why this backend, where that is known.
        machine: What `farlook.runtime.profile.machine.describe_machine` found.
        warnings: What makes the figures shaky.
        load_seconds: Time to open the codec.
        memory: Bytes of the process "before" and "after" the codec was opened; what it holds on the GPU at the end
            ("device"), or where no one tells that, by how much the memory in use there grew ("device_growth").
        peak_is_since_reset: Whether peaks are those of each phase; else they are those of the whole process.
        idle: What the sensors told before anything ran.
        phases: One for each direction that was begun.
        interrupted: Ctrl-C ended it early.
    """

    plan: Plan
    shape: tuple[int, ...]
    bundle: dict[str, str] = field(default_factory=dict)
    backend: str = ""
    choice: str = ""
    machine: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    load_seconds: float = 0.0
    memory: dict[str, int] = field(default_factory=dict)
    peak_is_since_reset: bool = False
    idle: list[Course] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    interrupted: bool = False

    @property
    def pixels(self) -> int:
        """Of the picture."""
        return self.shape[0] * self.shape[1]

    @property
    def measured(self) -> list[Phase]:
        """Phases that have a frame."""
        return [phase for phase in self.phases if phase.frames]


def measure(
    plan: Plan,
    image: NDArray[Any],
    on_frame: Callable[[str, int, float], None] | None = None,
    tree: Tree | None = None,
) -> tuple[Profile, Codec]:
    """Measure a codec on a picture.

    Ctrl-C ends it: what was measured by then is what it gives back, as long as there is a frame.

    Args:
        plan: What to profile.
        image: uint8 [height, width] or [height, width, 3]; uint16 if the codec takes it.
        on_frame: Called after every frame, warm-up included, with the direction, the number of frames done in it,
            and how far along the whole is, 0 to 1.
        tree: Where /sys and /proc are.

    Returns:
        The profile, and the codec that it was made with.

    Raises:
        UsageError: The plan makes no sense.
        KeyboardInterrupt: Ctrl-C came before the first frame.
        FarlookError: See `Codec.load`, `Codec.encode` and `Codec.decode`.
    """
    plan.check()
    tree = tree or Tree()
    began = time.perf_counter()
    machine = describe_machine(tree)
    profile = Profile(plan, image.shape, machine=machine, warnings=warnings_for(machine))
    sensors = machine_sensors(tree) if plan.interval else []
    if plan.idle and sensors:
        with sampled(sensors, plan.interval) as profile.idle:
            time.sleep(plan.idle)
    codec = _load(profile)
    loop = _Loop(profile, codec, image, sensors, began, on_frame)
    try:
        loop.run()
    except KeyboardInterrupt:
        if not profile.measured:
            raise
        profile.interrupted = True
    _note_device(profile)
    return profile, codec


def _load(profile: Profile) -> Codec:
    plan = profile.plan
    profile.memory = {"before": resident_bytes() or 0, "device_before": _device_used(plan.backend) or 0}
    start = time.perf_counter()
    codec = Codec.load(plan.codec, plan.backend, plan.threads, plan.precision)
    profile.load_seconds = time.perf_counter() - start
    profile.memory["after"] = resident_bytes() or 0
    profile.backend, profile.choice = codec.backend, getattr(codec, "choice", "")
    profile.bundle = {
        "codec": codec.bundle.codec,
        "digest": codec.bundle.digest.hex(),
        "path": str(codec.bundle.path),
    }
    return codec


class _Loop:
    """The frames of a profile."""

    def __init__(
        self,
        profile: Profile,
        codec: Codec,
        image: NDArray[Any],
        sensors: list[Sensor],
        began: float,
        on_frame: Callable[[str, int, float], None] | None,
    ) -> None:
        self._profile, self._plan = profile, profile.plan
        self._codec, self._image = codec, image
        self._sensors, self._began = sensors, began
        self._on_frame = on_frame or (lambda *_: None)
        self._stream = b""

    def run(self) -> None:
        """All directions, one after the other, so that memory and energy of each can be told."""
        for direction in self._plan.directions:
            phase = Phase(direction)
            self._profile.phases.append(phase)
            if direction == DECODE and not self._stream:
                self._encode()
            self._warm_up(phase)
            self._profile.peak_is_since_reset = reset_peak()
            try:
                with sampled(self._sensors, self._plan.interval) as phase.courses:
                    for _ in self._due():
                        phase.frames.append(self._timed(direction))
                        self._tell(phase)
            finally:
                phase.peak_bytes = peak_bytes()

    def _warm_up(self, phase: Phase) -> None:
        for number in range(self._plan.warmup):
            frame = self._timed(phase.direction)
            if number == 0:
                phase.cold = frame.total
            self._tell(phase)

    def _due(self) -> Iterator[None]:
        """Once for each frame, after the pause before it."""
        plan, start, number = self._plan, time.perf_counter(), 0
        while number < plan.runs if plan.runs else time.perf_counter() - start < (plan.duration or 0.0):
            if plan.idle_gap:
                time.sleep(plan.idle_gap)
            yield
            number += 1

    def _timed(self, direction: str) -> Frame:
        work = self._encode if direction == ENCODE else self._decode
        with watching() as watch:
            cpu, start = time.process_time(), time.perf_counter()
            work()
            end, cpu_end = time.perf_counter(), time.process_time()
        total = end - start
        stages = dict(watch.seconds)
        stages[OTHER] = total - sum(stages.values())
        return Frame(start - self._began, total, cpu_end - cpu, len(self._stream), stages)

    def _encode(self) -> None:
        target: dict[str, Any] = self._plan.target
        self._stream = self._codec.encode(self._image, **target)

    def _decode(self) -> None:
        self._codec.decode(self._stream)

    def _tell(self, phase: Phase) -> None:
        plan, done = self._plan, len(phase.frames)
        share = 0.0
        if plan.runs:
            share = done / plan.runs
        elif phase.frames and plan.duration:
            share = min((phase.frames[-1].start - phase.frames[0].start) / plan.duration, 1.0)
        before = len(self._profile.phases) - 1
        self._on_frame(phase.direction, done, (before + share) / len(plan.directions))


def _device_used(backend: str) -> int | None:
    """Bytes taken on the GPU by all processes; None where no one tells."""
    gpu, _ = find_gpu()
    used = gpu.used_megabytes() if gpu else None
    if used is not None:
        return round(used * 1e6)
    # Asking CUDA makes a context, so only where one is wanted anyway: on a Jetson, whose NVML tells nothing.
    return cuda_bytes() if backend in _ON_GPU else None


def _note_device(profile: Profile) -> None:
    """Note what this process holds on the GPU; where no one tells, by how much all memory in use there grew."""
    before = profile.memory.pop("device_before")
    gpu, _ = find_gpu()
    own, used = gpu.process_bytes(own_pid()) if gpu else None, _device_used(profile.backend)
    if own is not None:
        profile.memory["device"] = own
    elif used is not None:
        profile.memory["device_growth"] = used - before
