# SPDX-License-Identifier: GPL-2.0-or-later
"""The option auto-promote: whoever opens a device for writing makes its host Primary."""
import pytest
from braidlab.satellite import managed

HOSTS = {"names": ["a", "b", "c"], "witnesses": ["c"], "options": "auto-promote yes;"}


UML = [pytest.param(False, id="uml", marks=pytest.mark.uml),
       pytest.param(True, id="uml-debug", marks=[pytest.mark.uml_debug, pytest.mark.long])]


def closed(r, node):
    """As stamp.py does when it has written."""
    node.wait(lambda: node.state()["service"] == "secondary", "its host to be Secondary again")
    assert r.adm(node, "role", r.name).out == "Secondary\n"
    for it in r.nodes:  # until then whoever opens the device there is refused
        it.wait(lambda it=it: r.show(it)["writer"] is None, "nobody to be Primary, as all know")


@pytest.mark.parametrize("debug", UML)
def test_whoever_opens_a_device(lab, debug):
    """P1, P4: becomes Primary, unless another host is; and Secondary when all is closed."""
    with managed(lab, **HOSTS, debug=debug) as r:
        a, b, _ = r.nodes
        r.write(a, count=50)
        # Told to be Primary: closing does not end that, and the other one is refused.
        assert b.open() == "EROFS" and b.open(write=False) == "EMEDIUMTYPE"
        a.wait_service("serving")
        assert b.state()["service"] == "secondary"
        r.adm(a, "secondary", r.name)
        closed(r, a)
        assert b.open(write=False) == "EMEDIUMTYPE" and b.state()["service"] == "secondary"

        r.write(b, count=50)
        closed(r, b)
        kept = a.open()
        r.check_data(a)
        a.request(close=kept)
        closed(r, a)

        # Of several programs the last one counts; a daemon that was started anew knows, too.
        first, second = b.open(), b.open()
        b.request(close=first)
        assert a.open() == "EROFS"
        r.kill_daemon(b)
        r.start_daemon(b)
        b.wait(lambda: r.show(b)["ready"], "the daemon to be back")
        b.wait_service("serving")
        b.request(close=second)
        closed(r, b)

        r.adm(a, "primary", r.name)
        r.write(a, count=50)
        r.wait_in_sync(a, b)  # a may not have reached b when it was promoted
        a.wait_service("serving")
        r.compare([a, b])


@pytest.mark.parametrize("debug", UML)
def test_who_waits_to_open_a_device(lab, debug):
    """P8: is refused when this host cannot be Primary, can be killed, and holds up no down."""
    with managed(lab, **HOSTS, debug=debug) as r:
        a, b, c = r.nodes
        r.write(a, count=50)
        a.host.power_cut()
        c.host.power_cut()
        b.wait(lambda: not any(it["up"] for it in r.show(b)["members"] if it["name"] != "b"), "the others to be gone")
        waiting = b.send_request(open=b.device(), write=True)
        b.wait(lambda: b.dump("volume-get")[0]["waiting-opens"] == 1, "it to wait")
        assert waiting(timeout=60)["error"] == "EROFS"
        assert b.dump("volume-get")[0]["waiting-opens"] == 0

        # Without a daemon only its end, or the device's, ends the waiting.
        r.kill_daemon(b)
        opener = b.host.start(["dd", "if=/dev/zero", f"of={b.device()}", "count=1"])
        b.wait(lambda: b.dump("volume-get")[0]["waiting-opens"] == 1, "it to wait")
        opener.kill()
        opener.wait(10, check=False)
        assert b.dump("volume-get")[0]["waiting-opens"] == 0
        opener = b.host.start(["dd", "if=/dev/zero", f"of={b.device()}", "count=1"])
        b.wait(lambda: b.dump("volume-get")[0]["waiting-opens"] == 1, "it to wait")
        r.adm(b, "down", r.name, check=False)
        assert opener.wait(10, check=False).rc != 0
        b.wait(b.is_gone, "the resource to be gone")

        r.start_daemon(b)
        r.adm(b, "up", r.name)
        r.power_on(c)
        r.power_on(a)
        r.wait_in_sync(a, b)
        r.write(b, count=50)
        closed(r, b)
        r.adm(a, "primary", r.name)
        r.check_data(a)
        r.compare([a, b])
