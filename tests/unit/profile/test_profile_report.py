"""Rows, JSON and CSV hold every sample, and energy is told apart from idling."""

import csv
import io
import json
from dataclasses import replace

import pytest

from farlook.runtime.profile.layers import Layer, LayerTable
from farlook.runtime.profile.report import as_csv, as_json, energies, remarks, stage_rows, state, throughput
from farlook.runtime.profile.sensors import Course, Sensor


def test_means_of_stages_add_up_to_the_call(made):
    rows = stage_rows(made.phases[0])
    assert list(rows) == ["end to end", "analysis", "entropy", "other"]
    assert rows["end to end"].mean == pytest.approx(20.0)
    assert sum(row.mean for name, row in rows.items() if name != "end to end") == pytest.approx(20.0)
    assert rows["entropy"].minimum == 0.0  # the second frame had none


def test_throughput_is_frames_over_their_times(made):
    rates = throughput(made, made.phases[0])
    assert rates["frames_per_s"] == pytest.approx(50)
    assert rates["megapixels_per_s"] == pytest.approx(50 * 5000 / 1e6)
    assert rates["cores_busy"] == pytest.approx(1)
    assert rates["bits_per_pixel"] == pytest.approx(0.16)


def test_energy_a_frame_and_above_idle(made):
    power = Sensor("VDD_IN", "W", lambda: None, "INA3221 at 1-0040")
    made.idle = [Course(power, (0.0, 1.0), (4.0, 4.0))]
    made.phases[0].courses = [Course(power, (10.0, 12.0), (10.0, 10.0))]
    [energy] = energies(made, made.phases[0])
    assert (energy.watts, energy.joules_per_frame) == (10, 10)
    assert (energy.idle_watts, energy.above_idle_per_frame) == (4, 6)
    made.idle = []
    [energy] = energies(made, made.phases[0])
    assert energy.above_idle_per_frame is None


def test_idling_without_a_power_sensor_is_said_to_be_of_no_use(made):
    made.plan = replace(made.plan, idle=5.0)
    assert "--idle was of no use" in "\n".join(remarks(made))
    power = Sensor("VDD_IN", "W", lambda: None)
    made.phases[0].courses = [Course(power, (10.0, 12.0), (10.0, 10.0))]
    assert "--idle" not in "\n".join(remarks(made))


def test_state_and_throttling(made):
    made.phases[0].courses = [
        Course(Sensor("GPU SM", "MHz", lambda: None), (0, 1, 2), (900.0, 300.0, 600.0)),
        Course(Sensor("over-current OC3", "events", lambda: None), (0, 1), (1.0, 3.0)),
        Course(Sensor("GPU 0 slowed by", "flags", lambda: None, flags={4: "power cap"}), (0, 1), (0.0, 4.0)),
    ]
    clocks, events, flags = state(made.phases[0].courses)
    assert (clocks["least"], clocks["median"], clocks["most"]) == (300, 600, 900)
    assert events["new"] == 2
    assert flags["seen"] == ["power cap"]
    text = "\n".join(remarks(made))
    assert "over-current OC3: 2 new events during encode" in text
    assert "GPU 0 slowed by power cap during encode" in text


def test_remarks_say_what_p99_is_worth_and_who_took_the_processor(made):
    slow = made.phases[1].frames
    made.phases[1].frames = [type(frame)(frame.start, frame.total, 0.0, 1, frame.stages) for frame in slow]
    text = "\n".join(remarks(made))
    assert "fewer than 100 frames (encode, decode)" in text
    assert "decode had a processor for 0 % of the time" in text
    assert "interrupted" not in text


def test_csv_has_a_row_for_every_frame(made):
    rows = list(csv.DictReader(io.StringIO(as_csv(made))))
    assert [(row["direction"], row["frame"]) for row in rows] == [
        ("encode", "0"), ("encode", "1"), ("decode", "0"), ("decode", "1"), ("decode", "2")
    ]  # fmt: skip
    assert float(rows[1]["total_ms"]) == 30
    for row in rows:
        stages = [float(row[f"{name}_ms"]) for name in ("analysis", "entropy", "synthesis", "other")]
        assert sum(stages) == pytest.approx(float(row["total_ms"]), abs=1e-3)


def test_json_has_everything(made):
    table = LayerTable("analysis", "it", (Layer("a", "Conv", "CPU", 1, 0.5),), 0.6, 1, 1)
    report = json.loads(json.dumps(as_json(made, {"encode": {"transform": [0.001, 0.002]}}, [table])))
    assert report["settings"]["target"] == {"quality": 30}
    assert report["picture"] == {"width": 100, "height": 50, "bands": 3}
    encode, decode = report["phases"]
    assert [sample["total_ms"] for sample in encode["samples"]] == pytest.approx([10, 30])
    assert decode["frames"] == 3
    assert encode["ms"]["end to end"]["maximum"] == pytest.approx(30)
    assert report["parts_ms"]["encode"]["transform"]["mean"] == pytest.approx(1.5)
    assert report["layers"][0]["layers"][0]["name"] == "a"
    assert report["memory_bytes"]["after"] == 20_000_000
