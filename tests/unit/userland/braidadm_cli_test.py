# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the built braidadm: braidadm_cli_test.py BRAIDADM SOURCE-ROOT"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

BRAIDADM = pathlib.Path(sys.argv[1]).resolve()
SOURCE = pathlib.Path(sys.argv[2]).resolve()
sys.path.insert(0, str(SOURCE / "tests/lab"))
from braidlab import metadata  # noqa: E402: needs the line before
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

    def test_completion_knows_the_verbs_of_cert(self):
        listing = run("cert", "--help").stdout.partition("Verbs:\n")[2]
        names = re.findall(r"^  ([a-z]+) ", listing, re.MULTILINE)
        self.assertEqual([word for word in complete("cert", "") if not word.startswith("-")], names)
        for name in names:
            with self.subTest(name):
                options = re.findall(r"--[a-z-]+", run("cert", name, "--help").stdout)
                self.assertEqual(set(complete("cert", name, "--")), set(options))

    def test_manual_has_a_section_for_each_verb(self):
        page = (SOURCE / "packaging/man/braidadm.8").read_text()
        self.assertEqual(re.findall(r"^\.SS (\S+)$", page, re.MULTILINE), verbs())


class Metadata(unittest.TestCase):
    """What create-md writes, read by the decoder that knows the format's document alone."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.disk, self.meta = (pathlib.Path(folder.name) / name for name in ("disk", "meta"))
        for path, size in (self.disk, 100 << 20), (self.meta, 8 << 20):
            path.touch()
            os.truncate(path, size)

    def compare(self, *where):
        created = run("create-md", "--device", self.disk, *where, "--node", "5", "--volume", "2",
                      "--block-size", "4096", "--max-peers", "2")
        self.assertEqual((created.returncode, created.stderr), (0, ""))
        it = metadata.Metadata(self.disk, self.meta if where else None)
        sb = it.superblock
        self.assertEqual([copy.sequence for copy in it.superblocks], [2, 1])
        self.assertEqual((sb.node, sb.volume, sb.block_size, sb.max_slots, sb.slots, sb.config.writer),
                         (5, 2, 4096, 3, {}, None))
        self.assertEqual((sb.config.epoch, sb.voter, sb.instance, it.vote, it.active), (0, 0, 0, b"", set()))
        dumped = json.loads(run("dump-md", "--device", self.disk, *where, "--json").stdout)
        self.assertEqual(dumped["superblock"]["uuid"].replace("-", ""), sb.uuid.hex())
        for name in "data_bytes", "votes_offset", "log_offset", "slots_offset", "slot_bytes":
            self.assertEqual(dumped["superblock"][name.replace("_", "-")], getattr(sb, name))
        wiped = run("wipe-md", "--device", self.disk, *where)
        self.assertEqual((wiped.returncode, wiped.stderr), (0, ""))
        self.assertRaisesRegex(metadata.Invalid, "no valid copy", lambda: it.superblock)
        return sb

    def test_internal(self):
        self.assertEqual(self.compare().data_bytes + 8192 + 32768 + 8192 + 3 * 8192, 100 << 20)

    def test_external(self):
        self.assertEqual(self.compare("--meta-device", self.meta).data_bytes, 100 << 20)

    def test_a_real_file_system_is_found_and_kept(self):
        subprocess.run(["mkfs.ext4", "-q", self.disk, "90M"], check=True)
        before = self.disk.read_bytes()[:90 << 20]
        options = "--device", self.disk, "--node", "1", "--volume", "0"
        refused = run("create-md", *options)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("carries ext4 (filesystem)", refused.stderr)
        self.assertEqual(run("create-md", *options, "--force").returncode, 0)
        self.assertEqual(self.disk.read_bytes()[:90 << 20], before)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
