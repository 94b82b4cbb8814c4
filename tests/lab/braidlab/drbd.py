# SPDX-License-Identifier: GPL-2.0-or-later
"""Drives the DRBD 8.4 of Debian's kernels: the replicator that the lab is calibrated with."""
import re

from .cluster import Host
from .disks import Disk

SETUP = "/lib/drbd/drbdsetup-84"
PORT = 7000


class Drbd:
    """One DRBD resource of two hosts, minor 0 on each."""

    device = "/dev/drbd0"

    def __init__(self, hosts: list[Host], disks: list[Disk], protocol: str):
        self.hosts, self.disks, self.protocol = hosts, disks, protocol

    def create(self, host: Host) -> None:
        disk = self.disks[self.hosts.index(host)]
        host.run(["drbdmeta", "--force", "0", "v08", disk.path, "internal", "create-md"])

    def up(self, host: Host) -> None:
        """Loads the module, attaches the disk and looks for the peer."""
        disk, (peer,) = self.disks[self.hosts.index(host)], [h for h in self.hosts if h is not host]
        # drbdmeta may have loaded the module already, so its parameter would come too late.
        host.run("modprobe drbd; echo disabled >/sys/module/drbd/parameters/usermode_helper")
        host.run(["drbdmeta", "0", "v08", disk.path, "internal", "apply-al"])  # after a crash
        host.run([SETUP, "new-resource", "r0"])
        host.run([SETUP, "new-minor", "r0", "0", "0"])
        host.run([SETUP, "attach", "0", disk.path, disk.path, "internal"])
        host.run([SETUP, "connect", "r0", f"ipv4:{host.address}:{PORT}", f"ipv4:{peer.address}:{PORT}",
                  f"--protocol={self.protocol}", "--ping-int=2", "--timeout=20", "--connect-int=1"])

    def primary(self, host: Host, *options: str) -> None:
        host.run([SETUP, "primary", "0", *options])

    def down(self, host: Host) -> None:
        host.run([SETUP, "down", "r0"])
        host.run(["rmmod", "drbd"])

    def state(self, host: Host) -> dict[str, str]:
        """The line of /proc/drbd: cs (connection), ro (roles), ds (disks), this host's first."""
        return dict(re.findall(r"\b(cs|ro|ds):(\S+)", host.run(["cat", "/proc/drbd"]).out))

    def wait_up_to_date(self, host: Host) -> None:
        host.wait_for(lambda: self.state(host).get("ds") == "UpToDate/UpToDate", 30,
                      "DRBD to be UpToDate on both sides")

    def wait_connection(self, host: Host, *states: str) -> None:
        host.wait_for(lambda: self.state(host).get("cs") in states, 30, f"DRBD to be in {states}")
