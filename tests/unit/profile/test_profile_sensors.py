"""Energy from power and from counters, and polling beside the work."""

import time

import pytest

from farlook.runtime.profile.sensors import Course, Sensor, sampled


def sensor(unit, **facts):
    return Sensor("it", unit, lambda: None, **facts)


def test_power_is_integrated_by_trapezoids():
    course = Course(sensor("W"), (0.0, 1.0, 3.0), (10.0, 20.0, 0.0))
    assert course.joules == pytest.approx(15 + 20)
    assert course.watts == pytest.approx(35 / 3)


def test_a_counter_gives_its_growth_also_over_its_end():
    assert Course(sensor("J"), (0.0, 2.0), (5.0, 9.0)).joules == 4
    assert Course(sensor("J", wrap=100.0), (0.0, 1.0, 2.0), (98.0, 1.0, 2.0)).joules == pytest.approx(4)


def test_one_look_gives_no_energy():
    assert Course(sensor("W"), (0.0,), (10.0,)).joules is None
    assert Course(sensor("J"), (0.0,), (10.0,)).watts is None
    assert Course(sensor("MHz"), (0.0, 1.0), (1.0, 1.0)).joules is None


def test_flags_are_gathered_over_all_looks():
    course = Course(sensor("flags", flags={4: "power cap", 8: "slowdown"}), (0, 1, 2), (1.0, 4.0, 0.0))
    assert course.seen_flags == ["power cap"]


def test_polling_looks_at_the_begin_the_end_and_between():
    values = iter(range(1000))
    with sampled([Sensor("n", "W", lambda: float(next(values)))], interval=0.01) as courses:
        assert courses == []
        time.sleep(0.1)
    [course] = courses
    assert len(course.values) >= 3
    assert course.values == tuple(float(n) for n in range(len(course.values)))
    assert list(course.times) == sorted(course.times)


def test_a_sensor_that_never_answers_is_left_out():
    with sampled([Sensor("silent", "W", lambda: None), Sensor("loud", "C", lambda: 1.0)]) as courses:
        pass
    assert [course.sensor.name for course in courses] == ["loud"]


def test_courses_are_kept_when_the_work_fails():
    kept = []

    def work():
        with sampled([Sensor("n", "W", lambda: 1.0)]) as courses:
            kept.append(courses)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert [len(course.values) for course in kept[0]] == [2]


def test_without_sensors_there_is_nothing():
    with sampled([]) as courses:
        pass
    assert courses == []
