# SPDX-License-Identifier: GPL-2.0-or-later
"""The packaged systemd units, under a systemd of their own: sandbox, watchdog, restart, what boots with them."""
import shlex

import pytest
from braidlab import modules
from braidlab.kernels import TOP
from braidlab.satellite import VmResource

UNITS = "/units"
# What the units of a whole system are there for is not: empty ones in their place.
TARGETS = ("sysinit", "basic", "shutdown", "network")
BOOT = f"""
hostname >/etc/hostname
mkdir -p {UNITS}/braid-satellite.service.d {UNITS}/multi-user.target.wants
cp %(packaged)s/*.service {UNITS}
for target in {" ".join(TARGETS)} multi-user; do printf '[Unit]\\nDefaultDependencies=no\\n' >{UNITS}/$target.target; done
for unit in %(enabled)s; do ln -s {UNITS}/$unit.service {UNITS}/multi-user.target.wants; done
printf '[Service]\\nWatchdogSec=%(watchdog)s\\nStandardError=append:/lab/units-satellite-.log\\n' >{UNITS}/braid-satellite.service.d/lab.conf
ln -sf %(braidadm)s %(satellite)s /usr/local/sbin
exec unshare --pid --mount --fork --kill-child --mount-proc env -i container=lab PATH=$PATH \
    SYSTEMD_UNIT_PATH={UNITS} SYSTEMD_LOG_TARGET=console \
    /lib/systemd/systemd --unit=multi-user.target >/lab/systemd.log 2>&1
"""


class UnitsResource(VmResource):
    """Its daemons and resources are what systemd starts and ends."""

    def systemctl(self, node, *words, check=True):
        """Within its namespaces: systemd knows nobody outside of them."""
        return node.host.run("exec nsenter --target $(pgrep -o -x systemd) --pid --mount env SYSTEMD_IGNORE_CHROOT=1 "
                             + shlex.join(["systemctl", *words]), check=check, timeout=60)

    def boot(self, node, *enabled):
        inside = node.host.machine.inside
        node.host.start(BOOT % {"packaged": inside(TOP / "packaging/systemd"), "enabled": " ".join(enabled),
                                "watchdog": 6 * self.slow, "braidadm": inside(modules.braidadm()),
                                "satellite": inside(modules.satellite())})
        node.wait(lambda: self.systemctl(node, "is-system-running", check=False).out.strip() in
                  ("running", "degraded"), "systemd to be there")

    def property(self, node, name):
        return self.systemctl(node, "show", "--value", "--property", name, "braid-satellite").out.strip()

    def wait_restarted(self, node, restarts):
        node.wait(lambda: int(self.property(node, "NRestarts")) > restarts, "systemd to start it again", 60)
        node.wait(lambda: self.property(node, "ActiveState") == "active", "it to be ready")
        node.wait(lambda: self.show(node)["ready"], "it to answer")

    def prepare(self, node):
        super().prepare(node)
        self.boot(node)

    def start_daemon(self, node):
        self.systemctl(node, "start", "braid-satellite")
        self.daemons[node] = None

    def stop_daemon(self, node):
        self.systemctl(node, "stop", "braid-satellite")
        assert self.property(node, "Result") == "success"
        self.daemons.pop(node)

    def bring_up(self, node):
        self.load(node.host.machine)
        self.systemctl(node, "start", "braid")

    def power_on(self, node):
        node.control.forget()
        node.io.forget()
        node.host.power_on()
        self.mount(node)
        node.host.run(f"mkdir -p /etc/braid && ln -sfn {self.folder(node)}/pki /etc/braid/pki")
        self.write_configuration(node)
        self.load(node.host.machine)
        self.boot(node, "braid-satellite", "braid")
        self.daemons[node] = None


@pytest.mark.vm
def test_what_systemd_runs(lab):
    """P9: whatever systemd does about the daemon, I/O and the resources go on; a host that boots joins."""
    with lab.qemu(["a", "b"], "6.12") as cluster:
        r = UnitsResource(cluster, rng=lab.rng("braid"), load=lab.load_braid, size=8 << 20)
        try:
            r.up()
            a, b = r.nodes
            r.begin(a)
            pid = r.property(a, "MainPID")
            status = "/proc/$(pgrep -x braid-satellite)/status"
            assert int(a.host.run(f"awk '/VmLck/ {{print $2}}' {status}").out) > 1000, "its memory is locked"
            a.wait(lambda: "1 of 1 resources run, 1 of 1 peers are connected" in r.property(a, "StatusText"),
                   "systemd to be told the status")

            job = r.writer_job(a)
            job.wait(20)
            for signal in ("KILL", "STOP"):
                restarts = int(r.property(a, "NRestarts"))
                r.systemctl(a, "kill", "--signal", signal, "braid-satellite")
                r.wait_restarted(a, restarts)
                assert r.property(a, "MainPID") != pid
                job.wait(20, timeout=60)
                a.wait_service("serving")
            r.systemctl(a, "stop", "braid-satellite")
            job.wait(20)
            r.systemctl(a, "start", "braid-satellite")
            r.systemctl(a, "reload", "braid-satellite")
            r.wait_in_sync(a, b)

            b.host.power_cut()
            job.must_hang()  # of two votes both are needed
            r.power_on(b)
            r.wait_in_sync(a, b)
            job.wait(20, timeout=60)
            job.stop()
            r.check_data(a)
            r.compare([a, b])

            r.systemctl(b, "stop", "braid")
            assert b.is_gone()
            assert r.property(b, "ActiveState") == "active", "the daemon stays"
            r.systemctl(b, "start", "braid")
            r.wait_in_sync(a, b)
        except Exception as error:
            for node in r.running:
                log = node.host.machine.share / "systemd.log"
                error.add_note(log.read_text()[-3000:] if log.exists() else f"{node}: no systemd")
            error.add_note(r.describe())
            raise
        r.down()
