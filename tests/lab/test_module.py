# SPDX-License-Identifier: GPL-2.0-or-later
"""braid.ko in each kind of kernel: it loads, answers those who may ask, and goes without a trace.

That nothing stays behind (objects in pairs, no leak, no splat, no taint) is the verdict that the
lab asks of every machine at the end of each test.
"""
import json
import re
from collections import Counter

import pytest
from braidlab import kernels, modules
from braidlab.machine import GUEST

SPEC = kernels.TOP / "kernel/spec/braid.yaml"
UML = [pytest.param(False, id="uml", marks=pytest.mark.uml),
       pytest.param(True, id="uml-debug", marks=pytest.mark.uml_debug)]
KTLS, OBJECT_LOG = 1, 2


def number(name):
    """One of the version numbers that the module is built with."""
    text = (kernels.TOP / "kernel/core/version.h").read_text()
    return int(re.search(rf"#define BRAID_{name}\s+(\d+)\n", text)[1])


API_MIN, API_MAX = number("API_VERSION_MIN"), number("API_VERSION_MAX")


def ask(host, *words, **how):
    """Asks for module-get on a host, or a machine."""
    (answer,) = ask_all(host, [words], **how)
    return answer


def ask_all(host, requests, folder=None, by=()):
    """Asks for module-get several times in one process, through a wrapper such as setpriv."""
    machine = getattr(host, "machine", host)
    files = ([f"{folder}/genl.py", f"{folder}/braid.yaml"] if folder
             else [machine.inside(GUEST / "genl.py"), machine.inside(SPEC)])
    words = [word for request in requests for word in ["--", "module-get", *request]][1:]
    result = host.run([*by, "python3", *files, *words], check=False)
    assert result.rc in (0, 1) and not result.err, result
    answers = [json.loads(line) for line in result.out.splitlines()]
    assert any("error" in answer for answer in answers) == bool(result.rc), result
    return answers


def messages(machine, what):
    """The ids of namespaces' states in the log that were created, or destroyed, in order."""
    return re.findall(rf"braid: netns (\d+) {what}", machine.run(["dmesg"]).out)


def alive(machine):
    return list((Counter(messages(machine, "created"))
                 - Counter(messages(machine, "destroyed"))).elements())


def check_describes_itself(machine):
    config = (machine.kernel.build / ".config").read_text()
    plain, newer, oldest = ask_all(machine, [
        [], [f"api-min={API_MIN}", "api-max=4294967295"],
        [f"api-min={API_MIN}", f"api-max={API_MIN}"]])
    assert plain == {
        "version": (kernels.TOP / "VERSION").read_text().strip(),
        "api-min": API_MIN, "api-max": API_MAX,
        "protocol-min": number("PROTOCOL_VERSION_MIN"),
        "protocol-max": number("PROTOCOL_VERSION_MAX"),
        "features": (KTLS if re.search("^CONFIG_TLS=[ym]$", config, re.M) else 0)
        | (OBJECT_LOG if re.search("^CONFIG_DYNAMIC_DEBUG=y$", config, re.M) else 0),
    }
    assert plain["features"] & OBJECT_LOG, "without it the lab's verdict on objects is none"
    assert newer == {**plain, "api-version": API_MAX}
    assert oldest == {**plain, "api-version": API_MIN}


# Attributes sent, and what the refusal says: error, sentence, attribute, missing attribute.
REFUSED = [
    (["api-min=1"], "EINVAL", "api-min and api-max go together", "api-min", "api-max"),
    (["api-max=1"], "EINVAL", "api-min and api-max go together", "api-max", "api-min"),
    (["api-min=3", "api-max=2"], "EINVAL", "api-max is below api-min", "api-max", None),
    ([f"api-min={API_MAX + 1}", "api-max=4294967295"], "EPROTONOSUPPORT",
     rf"tool too new: module speaks API {API_MIN}\.\.{API_MAX}, upgrade the module", "api-min",
     None),
    # A tool too old cannot be had while the module speaks version 1: there is none below it.
    (["api-min=0", "api-max=1"], "ERANGE", "out of range", "api-min", None),
    (["api-min=1", "api-max=0"], "ERANGE", "out of range", "api-max", None),
    (["99=hex:01000000"], "EINVAL", "Unknown attribute type", "99", None),
    (["0=hex:01000000"], "EINVAL", "Unknown attribute type", "0", None),
    (["features=1"], "EINVAL", "Unknown attribute type", "features", None),
    (["api-min=1", "api-max=1", "version=x"], "EINVAL", "Unknown attribute type", "version", None),
    (["api-min=hex:0100", "api-max=1"], "EINVAL", "invalid attribute length", "api-min", None),
    (["api-min=1", "api-max=hex:"], "EINVAL", "invalid attribute length", "api-max", None),
    (["api-min=1", "api-max=hex:0100000000000000"], "EINVAL", "invalid attribute length", "api-max",
     None),
    (["32769=hex:01000000", "api-max=1"], "EINVAL", "NLA_F_NESTED not expected", "api-min", None),
]


def check_names_what_it_refuses(machine):
    answers = ask_all(machine, [row[0] for row in REFUSED])
    for answer, row in zip(answers, REFUSED, strict=True):
        words, error, sentence, attribute, missing = row
        assert re.search(sentence, answer.pop("message", "")), f"{words}: {answer}"
        assert answer == {"error": error, "attribute": attribute, "missing": missing}, words


# In a network namespace that is his, but without the capability in the initial user namespace.
OWNER = """
unshare --user --map-root-user --net sleep 1000 >/dev/null 2>&1 &
until [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.1; done
rc=0
nsenter --net=/proc/$!/ns/net setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin "$@" || rc=$?
kill $!
exit $rc
"""

# Who is refused, and by whom: braid's own check gives a reason, that of generic netlink does not.
STRANGERS = [
    (["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"], ""),
    (["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"], "CAP_SYS_ADMIN"),
    (["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"], ""),
    (["unshare", "--user", "--map-root-user"], ""),
    (["unshare", "--user", "--map-root-user", "--net"], ""),
    (["sh", "-c", OWNER, "sh"], "CAP_SYS_ADMIN"),
]

# A socket is opened by one and used by another: neither a privileged program that was handed a
# socket for its output, nor one that gave up its privileges, speaks for root.
HANDED_ON = """
import ctypes, sys
sys.path.insert(0, sys.argv[1])
import genl
header, caps = (ctypes.c_uint32 * 2)(0x20080522), (ctypes.c_uint32 * 6)()  # caps[0]: effective ones
libc, sys_admin = ctypes.CDLL(None), 1 << 21

def with_sys_admin(wanted):
    assert libc.capget(header, caps) == 0
    caps[0] = caps[0] & ~sys_admin | wanted * sys_admin
    assert libc.capset(header, caps) == 0

spec = genl.Spec(sys.argv[1] + "/braid.yaml")
for opener, sender in [(True, False), (False, True), (True, True)]:
    with_sys_admin(opener)
    client = genl.Client(spec)
    with_sys_admin(sender)
    try:
        print("served", client.request("module-get")["version"])
    except genl.Refused as refused:
        print(genl.error_name(refused.errno))
"""


def check_refuses_strangers(machine):
    # The checkout may lie where only root can read.
    machine.run(["install", "-D", "-m", "644", "-t", "/run/genl",
                 machine.inside(GUEST / "genl.py"), machine.inside(SPEC)])
    for wrapper, reason in STRANGERS:
        answer = ask(machine, folder="/run/genl", by=wrapper)
        assert answer.get("error") == "EPERM", f"{wrapper}: {answer}"
        assert reason in answer["message"], wrapper
    out = machine.run(["python3", "-c", HANDED_ON, "/run/genl"]).out
    assert re.fullmatch("EPERM\nEPERM\nserved .*\n", out), out
    assert ask(machine, folder="/run/genl", by=["setpriv", "--bounding-set=+all"])["version"]


def check_follows_namespaces(machine, count):
    """Namespaces made and removed while the module is there; the last outlives it."""
    before = len(messages(machine, "created"))
    machine.run(f"for i in $(seq {count}); do ip netns add n$i; done;"
                f"for i in $(seq {count - 1}); do ip netns del n$i; done")
    assert len(messages(machine, "created")) == before + count
    machine.wait_for(lambda: len(alive(machine)) == 2, 10, "all but two namespaces to go")
    machine.unload("braid")
    assert not alive(machine)
    machine.run(f"ip netns del n{count}")


def check_loads_again(machine, times):
    for _ in range(times):
        machine.load(modules.braid(machine.kernel) / "braid.ko")
        assert ask(machine)["version"]
        machine.unload("braid")
        assert ask(machine) == {"error": "ENOENT", "message": "the kernel has no family braid",
                                "attribute": None, "missing": None}


@pytest.fixture
def machine(lab, debug):
    it = lab.uml(debug=debug)
    lab.load_braid(it)
    return it


@pytest.mark.parametrize("debug", UML)
def test_it_describes_itself(machine):
    check_describes_itself(machine)


@pytest.mark.parametrize("debug", UML)
def test_a_refusal_names_the_attribute(machine):
    check_names_what_it_refuses(machine)


@pytest.mark.parametrize("debug", UML)
def test_only_root_is_served(machine):
    check_refuses_strangers(machine)


@pytest.mark.parametrize("debug", UML)
def test_namespaces_come_and_go(machine):
    check_follows_namespaces(machine, 50)


@pytest.mark.parametrize("debug", UML)
def test_it_loads_again(machine):
    machine.unload("braid")
    check_loads_again(machine, 5)


@pytest.mark.parametrize("debug", UML)
def test_every_host_of_a_cluster_is_answered(lab, machine):
    """Hosts that were there when the module came, and one that was not."""
    machine.unload("braid")
    with lab.namespaces(machine, ["a", "b", "c"]) as cluster:
        cluster["c"].power_cut()
        lab.load_braid(machine)
        cluster["c"].power_on()
        answers = [ask(host) for host in cluster.hosts]
        assert answers == [ask(machine)] * 3 and answers[0]["version"]
        assert len(set(messages(machine, "created"))) >= 4, "each host has a state of its own"


@pytest.mark.vm
@pytest.mark.parametrize("series", ["6.1", "6.12"])
def test_with_debians_kernel(lab, series):
    with lab.qemu(["a"], series) as cluster:
        machine = cluster["a"].machine
        lab.load_braid(machine)
        check_describes_itself(machine)
        check_names_what_it_refuses(machine)
        check_refuses_strangers(machine)
        check_follows_namespaces(machine, 10)
        check_loads_again(machine, 2)


@pytest.mark.parametrize("debug", UML)
def test_kunit(lab, debug):
    machine = lab.uml(debug=debug, options=("kunit.enable=1",))
    machine.load(lab.load_braid(machine) / "braid_test.ko")
    expected = {"braid_" + file.name.removesuffix("_test.c")
                for file in (kernels.TOP / "kernel/test").glob("*_test.c")}
    assert expected >= {"braid_version", "braid_netlink", "braid_netns"}
    folder = "/sys/kernel/debug/kunit"
    assert set(machine.run(["ls", folder]).out.split()) == expected
    for suite in expected:
        results = machine.read(f"{folder}/{suite}/results")
        check_ktap(results, suite)


def check_ktap(text, suite):
    """The suite ran to its end, with all the cases that it planned, and each of them is ok."""
    assert not re.search(r"not ok|# SKIP|Bail out", text), text
    assert re.search(rf"^ok \d+ {suite}\n+\Z", text, re.M), text
    planned = re.search(rf"^    # Subtest: {suite}\n    1\.\.(\d+)$", text, re.M)
    ran = re.findall(r"^    ok (\d+) ", text, re.M)
    assert ran == [str(case + 1) for case in range(int(planned[1]))] != [], text


@pytest.mark.uml_debug
def test_a_load_that_fails_leaves_nothing(lab):
    """Each allocation of the module's init fails in turn, with several namespaces to undo."""
    # Each unload waits for several RCU grace periods.
    machine = lab.uml(debug=True, options=("rcupdate.rcu_expedited=1",))
    machine.run("ip netns add a; ip netns add b")
    module = modules.braid(machine.kernel) / "braid.ko"
    result = json.loads(machine.run(["python3", machine.inside(GUEST / "fail_nth.py"),
                                     machine.inside(module), "dyndbg=+p"], timeout=60).out)
    print(result)
    assert set(result["refused"]) == {"ENOMEM"} and result["survived"] > 0
    created = Counter(messages(machine, "created"))
    assert created == Counter(messages(machine, "destroyed"))
    # Some loads were refused on the way through the namespaces, and some after all of them.
    assert len(created) == 3 and min(created.values()) > result["loaded"], created
    assert max(created.values()) > min(created.values()), created

    machine.load(module)
    assert ask(machine)["version"]
