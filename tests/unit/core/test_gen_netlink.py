# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/gen-netlink: what it refuses, and that what it writes compiles."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
GENERATOR = ROOT / "scripts/gen-netlink"
SAMPLE = Path(__file__).with_name("sample.yaml")
KERNELS = sorted(Path("/lib/modules").glob("*/build/Module.symvers"))

sys.path.insert(0, str(ROOT / "scripts"))
from gen_netlink.spec import SpecError, parse  # noqa: E402


def run(*arguments):
    return subprocess.run([str(GENERATOR), *map(str, arguments)], capture_output=True, text=True,
                          check=False)


def compile_(command, source, path):
    path.write_text(source, encoding="utf-8")
    done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(name="generated", scope="module")
def generated_fixture(tmp_path_factory):
    out = tmp_path_factory.mktemp("generated")
    done = run("--spec", SAMPLE, "--out", out)
    assert done.returncode == 0, done.stderr
    return out


def dumped(spec):
    """As text, with a copy of whatever the sample shares through anchors."""
    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data):
            return True
    return yaml.dump(spec, Dumper=Plain)


@pytest.fixture(name="spec")
def spec_fixture():
    """The sample spec as data, for a test to break in one place."""
    return yaml.safe_load(dumped(yaml.safe_load(SAMPLE.read_text(encoding="utf-8"))))


# ------------------------------------------------------------ refused specs

SET, GET, FORGET, NTF, GONE = (["operations", "list", i] for i in range(5))
VOLUME, RESOURCE = (["attribute-sets", i] for i in range(2))
ATTRIBUTES = RESOURCE + ["attributes"]
# Positions in the sample's set "resource".
NAME, ID, STATE, OPTIONS, MASK, FORCE, KEY, NEST = 0, 1, 3, 5, 6, 7, 8, 11
DELETE = object()

# (where to put what, the path that must be named, words of the message)
REFUSED = {
    "unknown key": (["surprise"], 1, "surprise", "unknown key"),
    "unknown key of an attribute":
        (ATTRIBUTES + [0, "checkz"], {}, "attribute-sets[1].attributes[0].checkz", "unknown key"),
    "unknown key of a message":
        (GET + ["do", "respond"], {}, "operations.list[1].do.respond", "unknown key"),
    "missing doc": (ATTRIBUTES + [0, "doc"], DELETE, "attribute-sets[1].attributes[0]", "doc"),
    "wrong protocol": (["protocol"], "genetlink-legacy", "protocol", "genetlink"),
    "unknown type":
        (ATTRIBUTES + [1, "type"], "u128", "attribute-sets[1].attributes[1].type", "u128"),
    "unknown type of definition": (["definitions", 0, "type"], "struct", "definitions[0].type",
                                   "struct"),
    "bad name": (ATTRIBUTES + [0, "name"], "na_me", "attribute-sets[1].attributes[0].name",
                 "na_me"),
    "attribute twice": (ATTRIBUTES + [1, "name"], "name", "attribute-sets[1].attributes[1].name",
                        "already defined"),
    "set twice": (VOLUME + ["name"], "resource", "attribute-sets[1].name", "already defined"),
    "definition twice": (["definitions", 1, "name"], "name-max", "definitions[1].name",
                         "already defined"),
    "entry twice": (["definitions", 3, "entries", 1], "none", "definitions[3].entries[1].name",
                    "already defined"),
    "operation twice": (FORGET + ["name"], "resource-get", "operations.list[2].name",
                        "already defined"),
    "group twice": (["mcast-groups", "list"], 2 * [{"name": "events", "flags": ["admin-perm"]}],
                    "mcast-groups.list[1].name", "already defined"),
    "identifier twice": (FORGET + ["name"], "max", "top level", "SAMPLE_CMD_MAX"),
    "no such set": (SET + ["attribute-set"], "nowhere", "operations.list[0].attribute-set",
                    "nowhere"),
    "no such attribute": (SET + ["do", "request", "attributes", 1], "nothing",
                          "operations.list[0].do.request.attributes[1]", "nothing"),
    "attribute listed twice": (SET + ["do", "request", "attributes", 1], "name",
                               "operations.list[0].do.request.attributes[1]", "twice"),
    "no such nest": (ATTRIBUTES + [NEST, "nested-attributes"], "nowhere",
                     "attribute-sets[1].attributes[11].nested-attributes", "nowhere"),
    "nest without a set": (ATTRIBUTES + [NEST, "nested-attributes"], DELETE,
                           "attribute-sets[1].attributes[11]", "nested-attributes"),
    "nest in itself": (ATTRIBUTES + [NEST, "nested-attributes"], "resource",
                       "attribute-sets[1].attributes[11].nested-attributes", "contains itself"),
    "no such enum": (ATTRIBUTES + [STATE, "enum"], "nowhere",
                     "attribute-sets[1].attributes[3].enum", "nowhere"),
    "a const as enum": (ATTRIBUTES + [STATE, "enum"], "name-max",
                        "attribute-sets[1].attributes[3].enum", "name-max"),
    "enum of text": (ATTRIBUTES + [NAME, "enum"], "state", "attribute-sets[1].attributes[0].enum",
                     "string"),
    "enum and checks": (ATTRIBUTES + [STATE, "checks"], {"max": 1},
                        "attribute-sets[1].attributes[3].enum", "its own check"),
    "enum too wide": (["definitions", 3, "value-start"], 300,
                      "attribute-sets[1].attributes[3].enum", "does not fit in u8"),
    "flags too wide": (ATTRIBUTES + [OPTIONS], {
        "name": "options", "type": "u8", "doc": "Narrow.", "enum": "wide"},
        "attribute-sets[1].attributes[5].enum", "does not fit in u8"),
    "no such mask": (ATTRIBUTES + [MASK, "checks", "flags-mask"], "state",
                     "attribute-sets[1].attributes[6].checks.flags-mask", "state"),
    "mask and bound": (ATTRIBUTES + [MASK, "checks", "max"], 3,
                       "attribute-sets[1].attributes[6].checks", "alone"),
    "no such const": (ATTRIBUTES + [NAME, "checks", "max-len"], "nowhere",
                      "attribute-sets[1].attributes[0].checks.max-len", "nowhere"),
    "a check of another type": (ATTRIBUTES + [NAME, "checks", "max"], 3,
                                "attribute-sets[1].attributes[0].checks.max", "string"),
    "bound outside its type": (ATTRIBUTES + [ID, "checks", "max"], 1 << 32,
                               "attribute-sets[1].attributes[1].checks.max", "u32"),
    "negative bound": (ATTRIBUTES + [ID, "checks", "min"], -1,
                       "attribute-sets[1].attributes[1].checks.min", "u32"),
    "bounds upside down": (ATTRIBUTES + [ID, "checks"], {"min": 2, "max": 1},
                           "attribute-sets[1].attributes[1].checks", "min is above max"),
    "length zero": (ATTRIBUTES + [KEY, "checks", "exact-len"], 0,
                    "attribute-sets[1].attributes[8].checks.exact-len", "0"),
    "length beyond a message": (ATTRIBUTES + [NAME, "checks", "max-len"], 65536,
                                "attribute-sets[1].attributes[0].checks.max-len", "65536"),
    "exact and maximal length": (ATTRIBUTES + [KEY, "checks", "max-len"], 32,
                                 "attribute-sets[1].attributes[8].checks.exact-len", "alone"),
    "unbounded text in a request": (ATTRIBUTES + [NAME, "checks"], DELETE,
                                    "attribute-sets[1].attributes[0]", "maximal length"),
    "unbounded text in a request's nest": (VOLUME + ["attributes", 0], {
        "name": "label", "type": "string", "doc": "Text."}, "attribute-sets[0].attributes[0]",
        "maximal length"),
    "list of flags": (ATTRIBUTES + [FORCE, "multi-attr"], True,
                      "attribute-sets[1].attributes[7].multi-attr", "flag"),
    "const without value": (["definitions", 0, "value"], DELETE, "definitions[0]", "value"),
    "const beyond 64 bits": (["definitions", 0, "value"], 1 << 64, "definitions[0].value",
                             "64 bits"),
    "const with entries": (["definitions", 0, "entries"], ["one"], "definitions[0].entries",
                           "const"),
    "flags that start somewhere": (["definitions", 5, "value-start"], 1,
                                   "definitions[5].value-start", "flags"),
    "too many flags": (["definitions", 5, "entries"], [f"f{i}" for i in range(32)],
                       "definitions[5].entries", "31"),
    "open to everybody": (FORGET + ["flags"], DELETE, "operations.list[2]", "admin-perm"),
    "a group open to everybody": (["mcast-groups", "list", 0, "flags"], DELETE,
                                  "mcast-groups.list[0]", "admin-perm"),
    "no kind": (FORGET + ["do"], DELETE, "operations.list[2]", "a do, a dump"),
    "two kinds": (NTF + ["do"], {}, "operations.list[3]", "a do, a dump"),
    "notify of nothing": (NTF + ["notify"], "nothing", "operations.list[3].notify", "nothing"),
    "notify without a group": (NTF + ["mcgrp"], DELETE, "operations.list[3]", "mcgrp"),
    "no such group": (GONE + ["mcgrp"], "nobody", "operations.list[4].mcgrp", "nobody"),
    "do with a group": (GET + ["mcgrp"], "events", "operations.list[1]", "mcgrp"),
    "notify with a set": (NTF + ["attribute-set"], "resource", "operations.list[3]",
                          "attribute-set"),
    "dump with another request": (GET + ["dump", "request", "attributes"], ["id"],
                                  "operations.list[1]", "one policy"),
    "nothing to call": (["operations", "list"], [
        {"name": "gone", "doc": "Gone.", "attribute-set": "resource",
         "event": {"attributes": []}, "mcgrp": "events"}], "operations.list", "called"),
}


@pytest.mark.parametrize("where, what, path, words", REFUSED.values(), ids=REFUSED.keys())
def test_refuses(spec, where, what, path, words):
    spec["definitions"].append({"name": "wide", "type": "flags", "doc": "Nine bits.",
                                "entries": [f"bit{i}" for i in range(9)]})
    parse(dumped(spec))
    place = spec
    for step in where[:-1]:
        place = place[step]
    if what is DELETE:
        del place[where[-1]]
    else:
        place[where[-1]] = what
    with pytest.raises(SpecError) as caught:
        parse(dumped(spec))
    assert str(caught.value).startswith(path + ": ")
    assert words in str(caught.value)[len(path):]


def test_refuses_a_group_that_nothing_is_sent_to(spec):
    spec["mcast-groups"]["list"].append({"name": "silent", "flags": ["admin-perm"]})
    with pytest.raises(SpecError, match=r'^mcast-groups\.list\[1\]: .*"silent"'):
        parse(dumped(spec))


@pytest.mark.parametrize("text, words", [
    ("name: one\nname: two\n", 'line 2: key "name" is given twice'),
    ("name: [\n", "not readable as YAML"),
    ("", "None is not of type 'object'"),
    ("- name\n", "is not of type 'object'"),
])
def test_refuses_text(text, words):
    with pytest.raises(SpecError) as caught:
        parse(text)
    assert words in str(caught.value)


def test_error_names_file_and_key_and_fails(tmp_path, spec):
    broken = tmp_path / "broken.yaml"
    spec["operations"]["list"][0]["attribute-set"] = "nowhere"
    broken.write_text(dumped(spec), encoding="utf-8")
    done = run("--spec", broken, "--out", tmp_path)
    assert done.returncode == 2
    assert done.stderr == (f"gen-netlink: {broken}: operations.list[0].attribute-set: "
                           'no attribute set named "nowhere"\n')
    assert list(tmp_path.iterdir()) == [broken]


def test_missing_spec_fails(tmp_path):
    done = run("--spec", tmp_path / "absent.yaml", "--out", tmp_path)
    assert done.returncode == 2
    assert "absent.yaml" in done.stderr


# ---------------------------------------------------------------- --check


def test_the_project_is_up_to_date():
    done = run("--check")
    assert (done.returncode, done.stderr) == (0, "")


def test_check_names_stale_and_missing_files_and_writes_nothing(tmp_path):
    assert run("--spec", SAMPLE, "--out", tmp_path).returncode == 0
    assert run("--spec", SAMPLE, "--out", tmp_path, "--check").returncode == 0
    source = tmp_path / "kernel/netlink_gen.c"
    source.write_text(source.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    changed = source.read_bytes()
    (tmp_path / "kernel/uapi/linux/sample.h").unlink()
    done = run("--spec", SAMPLE, "--out", tmp_path, "--check")
    assert done.returncode == 1
    assert re.findall(r"gen-netlink: (\S+) is stale", done.stderr) == [
        "kernel/uapi/linux/sample.h", "kernel/netlink_gen.c"]
    assert source.read_bytes() == changed
    assert not (tmp_path / "kernel/uapi/linux/sample.h").exists()


def test_files_say_what_they_are(generated):
    for path in (path for path in generated.rglob("*") if path.is_file()):
        first, second = path.read_text(encoding="utf-8").splitlines()[:2]
        assert "SPDX-License-Identifier: GPL-2.0" in first
        assert second.startswith("/* Do not edit:")


# --------------------------------------------------------- what is written


def test_policies(generated):
    text = (generated / "kernel/netlink_gen.c").read_text(encoding="utf-8")
    flat = " ".join(text.split())
    for row in [
            "[SAMPLE_A_RESOURCE_NAME] = { .type = NLA_NUL_STRING, .len = SAMPLE_NAME_MAX }",
            "[SAMPLE_A_RESOURCE_ID] = NLA_POLICY_MIN(NLA_U32, 1)",
            "[SAMPLE_A_RESOURCE_BIG_ID] = NLA_POLICY_FULL_RANGE(NLA_U32, "
            "&sample_nl_resource_big_id_range)",
            "sample_nl_resource_big_id_range = { .min = 100000, .max = 4294967295ULL, }",
            "[SAMPLE_A_RESOURCE_STATE] = NLA_POLICY_MAX(NLA_U8, 2)",
            "[SAMPLE_A_RESOURCE_LEVEL] = NLA_POLICY_RANGE(NLA_U32, 3, 4)",
            "[SAMPLE_A_RESOURCE_OPTIONS] = NLA_POLICY_MASK(NLA_U32, 0x7)",
            "[SAMPLE_A_RESOURCE_MASK] = NLA_POLICY_MASK(NLA_U64, 0x7)",
            "[SAMPLE_A_RESOURCE_FORCE] = { .type = NLA_FLAG }",
            "[SAMPLE_A_RESOURCE_KEY] = NLA_POLICY_EXACT_LEN(32)",
            "[SAMPLE_A_RESOURCE_BLOB] = NLA_POLICY_RANGE(NLA_BINARY, 4, SAMPLE_NAME_MAX)",
            "[SAMPLE_A_RESOURCE_PACKET] = { .type = NLA_BINARY, .len = 60000 }",
            "[SAMPLE_A_RESOURCE_VOLUME] = NLA_POLICY_NESTED(sample_volume_nl_policy)",
            "[SAMPLE_A_RESOURCE_ANY] = { .type = NLA_S32 }",
            "[SAMPLE_A_VOLUME_OFFSET] = NLA_POLICY_RANGE(NLA_S64, SAMPLE_LOWEST, 5)",
            "sample_nl_volume_delta_range = { .min = -70000, .max = 2147483647, }"]:
        assert row in flat
    # Not asked for, and so not accepted.
    assert "SAMPLE_A_RESOURCE_TEXT" not in text
    assert "SAMPLE_A_RESOURCE_PADDING" not in text


def test_operations(generated):
    text = (generated / "kernel/netlink_gen.c").read_text(encoding="utf-8")
    table = text[text.index("sample_nl_ops[3]"):]
    rows = {row["cmd"]: row for row in (
        dict(re.findall(r"\.(\w+)\s*= (\w+),", body))
        for body in re.findall(r"\t\{\n(.*?)\n\t\},", table, re.S)[:3])}
    assert rows["SAMPLE_CMD_RESOURCE_GET"] == {
        "cmd": "SAMPLE_CMD_RESOURCE_GET",
        "doit": "sample_nl_resource_get_doit",
        "start": "sample_nl_dump_start",
        "dumpit": "sample_nl_resource_get_dumpit",
        "policy": "sample_nl_resource_get_policy",
        "maxattr": "SAMPLE_A_RESOURCE_NAME",
        "flags": "GENL_ADMIN_PERM",
    }
    assert rows["SAMPLE_CMD_RESOURCE_FORGET"]["policy"] == "sample_nl_no_policy"
    assert rows["SAMPLE_CMD_RESOURCE_FORGET"]["maxattr"] == "1"
    assert "[1] = { .type = NLA_REJECT }" in text
    assert all(row["flags"] == "GENL_ADMIN_PERM" for row in rows.values())


def test_uapi_header_is_c_and_counts_right(generated, tmp_path):
    compile_(["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only",
              f"-I{generated}/kernel/uapi"], """
        #include <linux/sample.h>
        _Static_assert(SAMPLE_FAMILY_VERSION == 1, "");
        _Static_assert(SAMPLE_NAME_MAX == 64, "");
        _Static_assert(SAMPLE_SIZE_MAX == 0x100000000000, "");
        _Static_assert(3 * SAMPLE_LOWEST == -15, "");
        _Static_assert(SAMPLE_STATE_NONE == 0 && SAMPLE_STATE_NEW == 2, "");
        _Static_assert(SAMPLE_LEVEL_DEFAULT == 3 && SAMPLE_LEVEL_REGISTER == 4, "");
        _Static_assert(SAMPLE_OPTION_FAST == 1 && SAMPLE_OPTION_BOTH_WAYS == 4, "");
        _Static_assert(SAMPLE_A_RESOURCE_NAME == 1 && SAMPLE_A_RESOURCE_ID == 2, "");
        _Static_assert(SAMPLE_A_RESOURCE_MAX == 17, "");
        _Static_assert(SAMPLE_CMD_RESOURCE_SET == 1 && SAMPLE_CMD_MAX == 5, "");
        const char group[] = SAMPLE_MCGRP_EVENTS;
        """, tmp_path / "uapi.c")


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_userland_tables(generated, tmp_path, compiler):
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler}")
    compile_([compiler, "-std=c++20", "-Wall", "-Wextra", "-Werror", "-pedantic",
              "-fsyntax-only", f"-I{generated}"], """
        #include "userland/sys/netlink_gen.h"
        namespace n = sample::netlink;
        static_assert(n::family_name == "sample" && n::group_events == "events");
        static_assert(n::name_max == 64 && n::lowest == -5 && n::size_max == 1ULL << 44);
        static_assert(n::enumeration::option.flags && !n::enumeration::level.flags);
        static_assert(n::enumeration::level.entries[0].name == "default");
        static_assert(n::enums::level::register_ == 4 && n::enums::option::both_ways == 4);
        static_assert(n::attr::resource::new_ == 15 && n::attr::volume::delta == 4);
        constexpr auto& volume = n::set::resource.attributes[n::attr::resource::volume - 1];
        static_assert(volume.name == "volume" && volume.multi);
        static_assert(volume.type == n::AttributeType::nest && volume.nested == &n::set::volume);
        static_assert(n::set::resource.attributes[3].enumeration == &n::enumeration::state);
        static_assert(n::op::resource_get.call->reply.size() == 6);
        static_assert(n::op::resource_get.dump->request[0] == n::attr::resource::name);
        static_assert(n::op::resource_forget.call->request.empty() && !n::op::resource_forget.dump);
        static_assert(!n::op::resource_ntf.call && n::op::resource_ntf.event.size() == 6);
        static_assert(n::op::resource_gone.group == "events" && n::op::resource_gone.id == 5);
        static_assert(n::operations.size() == 5 && n::attribute_sets.size() == 2);
        """, tmp_path / "tables.cpp")


@pytest.mark.parametrize("symvers", KERNELS, ids=lambda path: path.parent.parent.name)
def test_kernel_source_compiles_with_each_kernel(generated, tmp_path, symvers):
    shutil.copytree(generated / "kernel", tmp_path / "kernel")
    module = tmp_path / "kernel"
    (module / "Kbuild").write_text("obj-m := netlink_gen.o\nccflags-y := -I$(src) -Werror\n",
                                   encoding="utf-8")
    done = subprocess.run(["make", "-C", str(symvers.parent), f"M={module}", "W=1",
                           "netlink_gen.o"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (module / "netlink_gen.o").exists()


def test_some_kernel_was_there():
    assert KERNELS, "no kernel headers: apt install linux-headers-amd64"
