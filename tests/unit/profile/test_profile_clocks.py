"""Clocks, temperatures and throttling from a tree of files."""

from farlook.runtime.profile.clocks import clock_sensors, gpu_folders


def read(tree):
    return {sensor.name: (sensor.unit, sensor.read()) for sensor in clock_sensors(tree)}


def test_a_jetson(orin):
    assert read(orin) == {
        "CPU policy0": ("MHz", 729.6),
        "GPU 17000000.gpu": ("MHz", 408.0),
        "cpu": ("C", 47.5),
        "over-current OC1": ("events", 0.0),
        "over-current OC3": ("events", 2.0),
    }


def test_what_the_hardware_says_goes_before_what_was_asked_for(make_tree):
    policy = "sys/devices/system/cpu/cpufreq/policy0"
    tree = make_tree({f"{policy}/scaling_cur_freq": "2601000", f"{policy}/cpuinfo_cur_freq": "649000"})
    assert read(tree) == {"CPU policy0": ("MHz", 649.0)}


def test_cores_that_this_process_may_not_use_are_left_out(make_tree):
    policy = "sys/devices/system/cpu/cpufreq/policy0"
    tree = make_tree({f"{policy}/scaling_cur_freq": "2601000", f"{policy}/affected_cpus": "5000 5001"})
    assert read(tree) == {}


def test_a_thor_has_two_clocks_of_its_gpu(make_tree):
    files = {
        f"sys/class/devfreq/{name}/cur_freq": "1575000000" for name in ("gpu-gpc-0", "gpu-nvd-0", "bwmgr")
    }
    assert [folder.name for folder in gpu_folders(make_tree(files))] == ["gpu-gpc-0", "gpu-nvd-0"]


def test_throttling_of_a_pc_is_the_largest_counter(make_tree):
    at = "sys/devices/system/cpu/cpu{}/thermal_throttle/package_throttle_count"
    assert read(make_tree({at.format(0): "3", at.format(1): "7"})) == {
        "CPU package throttled": ("events", 7.0)
    }


def test_an_empty_tree(make_tree):
    assert read(make_tree({"sys/x": ""})) == {}
