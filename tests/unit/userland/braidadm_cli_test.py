# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the built braidadm: braidadm_cli_test.py BRAIDADM SOURCE-ROOT"""

import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

BRAIDADM = pathlib.Path(sys.argv[1]).resolve()
SOURCE = pathlib.Path(sys.argv[2]).resolve()
VERSION = (SOURCE / "VERSION").read_text().strip()


def run(*arguments, **options):
    return subprocess.run(
        [BRAIDADM, *arguments], capture_output="stdout" not in options, text=True,
        timeout=60, check=False, **options)


def verbs():
    """The verbs that --help lists."""
    listing = run("--help").stdout.partition("Verbs:\n")[2]
    return re.findall(r"^  ([a-z-]+) ", listing, re.MULTILINE)


def complete(*words):
    """What the completion offers for the last of the words."""
    script = f"""
        source {SOURCE}/packaging/completion/braidadm.bash
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _braidadm
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    shell = subprocess.run(["bash", "-c", script, "bash", "braidadm", *words],
                           capture_output=True, text=True, timeout=60, check=True)
    return shell.stdout.split()


@unittest.skipIf(os.path.exists("/sys/module/braid"), "the module is loaded here")
class NotLoaded(unittest.TestCase):
    def test_version_says_so(self):
        result = run("version")
        self.assertEqual(result.returncode, 3)
        self.assertRegex(result.stdout, rf"\Abraidadm:  {re.escape(VERSION)} \(netlink API 1\)\n\Z")
        self.assertRegex(result.stderr, r"\Abraidadm: kernel module braid: not loaded")
        self.assertIn("modprobe braid", result.stderr)

    def test_json_tells_the_running_kernel(self):
        result = run("version", "--json")
        self.assertEqual(result.returncode, 3)
        report = json.loads(result.stdout)
        self.assertEqual(report["tool"]["version"], VERSION)
        self.assertEqual(report["kernel"]["release"], os.uname().release)
        self.assertIs(report["module"]["loaded"], False)
        if not report["module"]["installed"]:
            self.assertIn(f"linux-headers-{os.uname().release}", result.stderr)

    def test_version_option_succeeds(self):
        result = run("--version")
        self.assertEqual(result.returncode, 0)
        self.assertIn(VERSION, result.stdout)


@unittest.skipUnless(os.path.exists("/sys/module/braid"), "the module is not loaded here")
class Loaded(unittest.TestCase):
    """For a host of the lab, as root."""

    def test_root_sees_everything(self):
        result = run("version", "--json")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        report = json.loads(result.stdout)
        self.assertEqual(report["module"]["version"], VERSION)
        self.assertEqual(list(report["module"]), [
            "loaded", "version", "api-min", "api-max", "api-version", "protocol-min",
            "protocol-max", "features"])
        self.assertIn(f"module:    {VERSION} ", run("version").stdout)

    def test_others_see_the_version(self):
        result = run("version", "--json", user=65534, group=65534, extra_groups=[])
        self.assertEqual(result.returncode, 1)
        self.assertEqual(json.loads(result.stdout)["module"], {"loaded": True, "version": VERSION})
        self.assertIn("as root", result.stderr)


class Anywhere(unittest.TestCase):
    def test_usage_errors_have_status_2_and_no_output(self):
        for arguments in [], ["versoin"], ["version", "--jsn"], ["version", "more"]:
            with self.subTest(arguments):
                result = run(*arguments)
                self.assertEqual(result.returncode, 2)
                self.assertEqual(result.stdout, "")
                self.assertRegex(result.stderr, r"\Abraidadm: ")

    def test_help_goes_to_standard_output(self):
        result = run("--help")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("version", verbs())

    def test_full_disk_is_an_error(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            result = run("--help", stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stderr, "braidadm: standard output: cannot be written\n")

    def test_completion_offers_the_verbs(self):
        offered = [word for word in complete("") if not word.startswith("-")]
        self.assertEqual(offered, verbs())

    def test_completion_offers_the_options_of_each_verb(self):
        for verb in verbs():
            with self.subTest(verb):
                options = re.findall(r"--[a-z-]+", run(verb, "--help").stdout)
                self.assertEqual(set(complete(verb, "--")), set(options))

    def test_manual_has_a_section_for_each_verb(self):
        page = (SOURCE / "packaging/man/braidadm.8").read_text()
        self.assertEqual(re.findall(r"^\.SS (\S+)$", page, re.MULTILINE), verbs())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
