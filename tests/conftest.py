# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of all tests that use the lab (tests/lab/README.md)."""
import os
import shutil
import time
from pathlib import Path

import pytest
from braidlab import kernels, qemu
from braidlab.lab import Lab, Options
from braidlab.modules import BUILD

LANES = {
    "host": "on this machine, no guest",
    "uml": "in User-Mode Linux, plain",
    "uml_debug": "in User-Mode Linux with KASAN, lockdep, kmemleak and fault injection",
    "vm": "in QEMU with Debian's kernels",
}
RAN = {}  # lane: [passed, failed, seconds]


def pytest_addoption(parser):
    parser.addoption("--seed", type=int, default=int(os.environ.get("BRAID_SEED", time.time())),
                     help="repeats the random choices of an earlier run")
    parser.addoption("--long", action="store_true", help="also run the tests that are marked long")
    parser.addoption("--keep-logs", action="store_true", help="keep logs of tests that passed")


def pytest_configure(config):
    for lane, text in LANES.items():
        config.addinivalue_line("markers", f"{lane}: {text}")
    config.addinivalue_line("markers", "long: left out without --long")
    config.braid_options = Options.draw(config.getoption("seed"))
    config.braid_logs = BUILD / "lab-logs" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"


def pytest_report_header(config):
    accel = "kvm" if qemu.has_kvm() else "tcg (software emulation)"
    return [f"seed: {config.getoption('seed')} ({config.braid_options})",
            f"qemu: {accel}; kernels: " + ", ".join(
                kernels.debian(series).release for series in ("6.1", "6.12"))]


def pytest_collection_modifyitems(config, items):
    if not config.getoption("long"):
        left_out = [item for item in items if item.get_closest_marker("long")]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item not in left_out]
    for item in items:
        if not any(item.get_closest_marker(lane) for lane in LANES):
            item.add_marker("host")


def lane_of(item):
    return next(lane for lane in LANES if item.get_closest_marker(lane))


@pytest.fixture
def lab(request):
    """A Lab for one test. What it logged is kept, and its place printed, when the test failed."""
    config, name = request.config, request.node.name
    folder = config.braid_logs / "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
    seed = config.getoption("seed")
    it = Lab(seed, config.braid_options, request.node.nodeid, folder)
    request.node.braid_lab = it
    yield it
    report = getattr(request.node, "braid_report", None)
    it.end(verdict=report is not None and report.passed)
    if report is not None and report.passed and not config.getoption("keep_logs"):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call":
        item.braid_report = report
    report.braid_lane = lane_of(item)
    if report.failed and (it := getattr(item, "braid_lab", None)) is not None:
        report.sections.append(("lab", f"logs: {it.folder}\nrepeat with: --seed={it.seed}"))


def pytest_runtest_logreport(report):
    """Counts what ran; in the main process, where tests run in several (pytest -n)."""
    if report.when == "call" or report.failed:  # a verdict can also come after a test that passed
        lane = RAN.setdefault(report.braid_lane, [0, 0, 0.0])
        lane[0 if report.passed else 1] += 1
        lane[2] += report.duration


def pytest_terminal_summary(terminalreporter):
    terminalreporter.section("lanes")
    for lane, text in LANES.items():
        passed, failed, seconds = RAN.get(lane, (0, 0, 0.0))
        terminalreporter.write_line(
            f"{lane:10} {passed:3} passed {failed:3} failed {seconds:7.1f} s  {text}")


@pytest.fixture(scope="session")
def top() -> Path:
    return kernels.TOP
