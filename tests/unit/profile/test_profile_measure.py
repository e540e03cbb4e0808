"""The loop: frames are counted, timed and kept, and Ctrl-C loses none."""

import time
from itertools import pairwise

import pytest

from farlook.runtime.errors import UnknownCodecError, UsageError
from farlook.runtime.profile.measure import DECODE, ENCODE, Plan, measure


@pytest.fixture
def image(kodim):
    return kodim[:64, :96]


def plan(**changes):
    return Plan("block8", **{"threads": 1, "warmup": 1, "runs": 3, "interval": 0.0, **changes})


def test_every_frame_is_kept_and_its_stages_add_up(image):
    profile, codec = measure(plan(), image)
    assert [(phase.direction, len(phase.frames)) for phase in profile.phases] == [(ENCODE, 3), (DECODE, 3)]
    for phase in profile.phases:
        assert phase.cold > 0
        for frame in phase.frames:
            assert sum(frame.stages.values()) == pytest.approx(frame.total)
            assert frame.stages["other"] >= 0
            assert frame.size == len(codec.encode(image))
    starts = [frame.start for phase in profile.phases for frame in phase.frames]
    assert starts == sorted(starts)
    assert profile.backend == codec.backend == "native"
    assert profile.bundle["digest"] == codec.bundle.digest.hex()
    assert profile.pixels == 64 * 96
    assert not profile.interrupted


def test_targets_reach_the_encoder(image):
    profile, _ = measure(plan(target={"budget": 300}, directions=(ENCODE,), runs=1), image)
    assert profile.phases[0].frames[0].size <= 300


def test_decode_alone_needs_no_measured_encode(image):
    profile, _ = measure(plan(directions=(DECODE,), warmup=0), image)
    [phase] = profile.phases
    assert (phase.direction, len(phase.frames), phase.cold) == (DECODE, 3, None)


def test_a_duration_ends_the_phase_and_counts_its_pauses(image):
    start = time.perf_counter()
    profile, _ = measure(plan(runs=None, duration=0.1, idle_gap=0.02, directions=(ENCODE,)), image)
    assert time.perf_counter() - start >= 0.1
    frames = profile.phases[0].frames
    assert 1 <= len(frames) <= 6
    gaps = [after.start - before.start - before.total for before, after in pairwise(frames)]
    assert all(gap >= 0.019 for gap in gaps)


def test_progress_goes_from_warm_up_to_the_end(image):
    seen = []
    measure(plan(), image, lambda *row: seen.append(row))
    assert seen[0] == (ENCODE, 0, 0.0)
    assert seen[3][:2] == (ENCODE, 3)
    assert seen[-1] == (DECODE, 3, 1.0)
    assert [share for *_, share in seen] == sorted(share for *_, share in seen)


def test_ctrl_c_gives_what_was_measured(image):
    def stop(direction, frames, share):
        if (direction, frames) == (DECODE, 2):
            raise KeyboardInterrupt

    profile, _ = measure(plan(), image, stop)
    assert profile.interrupted
    assert [len(phase.frames) for phase in profile.measured] == [3, 2]
    assert profile.phases[1].peak_bytes


def test_ctrl_c_before_any_frame_is_passed_on(image):
    def stop(direction, frames, share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(plan(), image, stop)


def test_sensors_of_a_recorded_machine(image, orin):
    profile, _ = measure(plan(interval=0.01, idle=0.03, runs=2), image, tree=orin)
    for courses in (profile.idle, *(phase.courses for phase in profile.phases)):
        [course] = [each for each in courses if each.sensor.name == "VDD_GPU_SOC"]
        assert course.watts == pytest.approx(6.0)
    assert any("jetson_clocks" in text for text in profile.warnings)


@pytest.mark.parametrize(
    "changes",
    [
        {"runs": None},
        {"duration": 1.0},
        {"runs": 0},
        {"runs": None, "duration": 0.0},
        {"warmup": -1},
        {"idle_gap": -1.0},
        {"idle_gap": float("inf")},
        {"idle": float("nan")},
        {"directions": ()},
        {"directions": ("sideways",)},
    ],
)
def test_plans_that_make_no_sense(image, changes):
    with pytest.raises(UsageError):
        measure(plan(**changes), image)


def test_no_such_codec_or_precision(image):
    with pytest.raises(UnknownCodecError):
        measure(Plan("nothing", interval=0.0), image)
    with pytest.raises(UsageError):
        measure(plan(precision="fp16"), image)  # block8 has no networks
