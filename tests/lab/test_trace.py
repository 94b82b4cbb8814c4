# SPDX-License-Identifier: GPL-2.0-or-later
"""The tracepoints (kernel/trace.h): what one write, one resync and one connection leave in the trace."""
import re

import pytest
from braidlab.braid import MESSAGES, mirror

TRACING = "/sys/kernel/debug/tracing/"


def events(machine):
    """What was traced: (name, fields) in order."""
    found = []
    for line in machine.read(TRACING + "trace").splitlines():
        event = re.search(r": (braid_\w+): (.*)", line)
        if event:
            found.append((event[1], dict(word.split("=", 1) for word in event[2].split() if "=" in word)))
    return found


@pytest.mark.uml
def test_what_is_traced(lab):
    """Each stage of a request in its order, with its fields; and copies, streams and adoptions."""
    with mirror(lab, "ab") as r:
        a, b = r.nodes
        machine = a.host.machine
        machine.write(TRACING + "events/braid/enable", "1")
        fd = a.open()
        machine.write(TRACING + "trace", "")
        assert a.request(pwrite=fd, at=8192, count=4096, seed=1) == {}
        a.close(fd)
        traced = [(name, fields) for name, fields in events(machine)
                  if fields.get("type") == str(MESSAGES["WRITE"])]
        (first,) = [fields for name, fields in traced if name == "braid_submit"]
        assert (first["offset"], first["bytes"], first["minor"]) == ("8192", "4096", str(a.minors[0]))
        mine = [(name, fields) for name, fields in traced if fields["id"] == first["id"]]
        names = [name for name, _ in mine]
        assert sorted(names) == sorted(["braid_submit", "braid_local_done", "braid_sent", "braid_answered",
                                        "braid_complete"])
        assert names[0] == "braid_submit" and names[-1] == "braid_complete"
        assert all(fields["status"] == "0" for _, fields in mine)
        at = {name: int(fields["node"]) for name, fields in mine}
        assert at["braid_local_done"] == at["braid_complete"] == a.id
        assert at["braid_sent"] == at["braid_answered"] == b.id
        assert int(dict(mine)["braid_complete"]["generation"]) > 0

        machine.write(TRACING + "trace", "")
        r.disconnect(a, b)
        r.drop(b)
        r.write(a, count=5)
        r.connect(a, b)
        r.sync(b)
        traced = events(machine)
        assert {fields["error"] for name, fields in traced if name == "braid_copied"} == {"0"}
        assert sum(int(fields["bytes"]) for name, fields in traced if name == "braid_copied") >= 5 * 4096
        streams = [fields for name, fields in traced if name == "braid_stream"]
        assert len(streams) == 8, "two went down and two came up, on both nodes"
        adopted = [int(fields["epoch"]) for name, fields in traced
                   if name == "braid_adopted" and fields["node"] == str(a.id)]
        assert adopted == [r.config.epoch - 1, r.config.epoch]
        machine.write(TRACING + "events/braid/enable", "0")
        r.compare()
