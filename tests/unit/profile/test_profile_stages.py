"""Stages are exclusive, add up, and cost next to nothing while nobody watches."""

import threading
import time

import pytest

from farlook.runtime.profile import stages
from farlook.runtime.profile.stages import STAGES, stage, watching


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    now = [100.0]
    monkeypatch.setattr(stages.time, "perf_counter", lambda: now[0])

    def forward(seconds):
        now[0] += seconds

    return forward


def test_an_inner_stage_stops_the_outer_ones_clock(clock):
    with watching() as watch:
        with stage("windows"):
            clock(1.0)
            with stage("analysis"):
                clock(5.0)
            clock(0.5)
        clock(7.0)
    assert watch.seconds == {"windows": 1.5, "analysis": 5.0}


def test_a_stage_entered_twice_adds_up(clock):
    with watching() as watch:
        for _ in range(2):
            with stage("entropy"):
                clock(0.25)
    assert watch.seconds == {"entropy": 0.5}


def test_an_error_ends_the_stage(clock):
    def fail():
        with stage("entropy"):
            clock(1.0)
            raise ValueError("bad")

    with watching() as watch:
        with pytest.raises(ValueError, match="bad"):
            fail()
        with stage("stream"):
            clock(2.0)
    assert watch.seconds == {"entropy": 1.0, "stream": 2.0}


def test_without_a_watch_every_stage_is_the_same_idle_thing():
    assert stage("entropy") is stage("colour")


def test_threads_are_not_watched():
    with watching() as watch:
        thread = threading.Thread(target=lambda: stage("entropy").__enter__())
        thread.start()
        thread.join()
    assert watch.seconds == {}


def test_a_watch_inside_a_watch_is_its_own(clock):
    with watching() as outer, watching() as inner, stage("colour"):
        clock(1.0)
    assert inner.seconds == {"colour": 1.0}
    assert outer.seconds == {}


@pytest.mark.parametrize(
    ("name", "encodes", "decodes"),
    [
        ("block8", {"coding"}, {"stream", "entropy", "synthesis"}),
        (
            "block8-paper",
            {"colour", "windows", "analysis", "quantisation", "entropy", "stream"},
            {"stream", "entropy", "windows", "quantisation", "synthesis", "colour"},
        ),
    ],
)
def test_codecs_enter_their_stages_and_nothing_is_counted_twice(name, encodes, decodes, request, kodim):
    codec = request.getfixturevalue("block8" if name == "block8" else "codec")
    image = kodim[:96, :128]
    stream = codec.encode(image, quality=40)
    for work, argument, expected in ((codec.encode, image, encodes), (codec.decode, stream, decodes)):
        with watching() as watch:
            start = time.perf_counter()
            work(argument)
            whole = time.perf_counter() - start
        assert set(watch.seconds) == expected <= set(STAGES)
        assert all(seconds >= 0 for seconds in watch.seconds.values())
        assert sum(watch.seconds.values()) <= whole
