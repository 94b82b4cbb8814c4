# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run of the lab tells its reader: seed and options first, logs of a failure kept and named."""
import os
import re
import subprocess
import sys
from pathlib import Path

from braidlab.lab import Options

FAILS = """
import pytest

def test_fails(lab):
    machine = lab.local()
    machine.run("echo the reason >&2; exit 7")

def test_passes(lab):
    assert lab.local().run("echo fine").out == "fine\\n"
"""


def run_pytest(top, tmp_path, *arguments):
    (tmp_path / "test_it.py").write_text(FAILS)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "-c",
         top / "pytest.ini", "--rootdir", tmp_path, *arguments, tmp_path / "test_it.py"],
        env={**os.environ, "PYTHONPATH": f"{top}/tests:{top}/tests/lab", "BRAID_BUILD": str(tmp_path),
             "PYTHONDONTWRITEBYTECODE": "1"},
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def test_a_failure_is_repeatable_and_leaves_its_logs(top, tmp_path):
    result = run_pytest(top, tmp_path, "--seed=77")
    assert result.returncode == 1, result.stdout
    options = str(Options.draw(77))
    assert result.stdout.index(f"seed: 77 ({options})") < result.stdout.index("test_it.py")
    assert "exit code 7" in result.stdout and "the reason" in result.stdout
    assert "repeat with: --seed=77" in result.stdout
    logs = re.search(r"^logs: (.*)$", result.stdout, re.MULTILINE)
    assert (Path(logs[1]) / "local.console").exists()
    assert not list(Path(logs[1]).parent.glob("test_passes*")), "a passed test keeps nothing"
    assert re.search(r"host +1 passed +1 failed", result.stdout)


def test_logs_of_passed_tests_are_kept_on_demand(top, tmp_path):
    run_pytest(top, tmp_path, "--keep-logs", "-k", "passes")
    assert list(tmp_path.glob("lab-logs/*/test_passes/local.console"))


def test_options_depend_on_the_seed_only():
    assert Options.draw(5) == Options.draw(5)
    assert len({Options.draw(seed) for seed in range(32)}) == 4, "every combination turns up"
