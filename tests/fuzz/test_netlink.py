# SPDX-License-Identifier: GPL-2.0-or-later
"""P7 for netlink callers: whatever bytes they send, the module answers as its spec says, and stays.

Grammar and judge of the messages come from kernel/spec/braid.yaml (braidlab/guest/netlink_fuzz.py):
an operation or attribute that is added there is sent, wrongly, from then on.
"""
import json

import pytest
from braidlab import kernels
from braidlab.machine import GUEST

MESSAGES = 20000


@pytest.mark.uml_debug
def test_wrong_messages(lab):
    machine = lab.uml(debug=True)
    lab.load_braid(machine)
    spec = machine.inside(kernels.TOP / "kernel/spec/braid.yaml")
    seed = lab.rng("netlink").getrandbits(32)
    result = json.loads(machine.run(["python3", machine.inside(GUEST / "netlink_fuzz.py"), spec,
                                     str(seed), str(MESSAGES)], timeout=60).out)
    print(result)
    outcomes, told = result["outcomes"], result["strangers"]
    assert sum(outcomes.values()) >= MESSAGES
    assert outcomes["accepted"] > MESSAGES / 50 and outcomes["EINVAL"] > MESSAGES / 20
    assert {"ERANGE", "EOPNOTSUPP", "ENOENT", "EPROTONOSUPPORT", "EEXIST", "ESTALE",
            "silence"} <= set(outcomes)
    assert len(result["used"]) >= 20 and min(result["used"].values()) > 100

    assert {line.split(" ", 1)[1] for line in told} <= {"EPERM", "EACCES"}, told
    assert sum(told.values()) > 100

    answer = machine.run(["python3", machine.inside(GUEST / "genl.py"), spec, "module-get"]).out
    assert json.loads(answer)["version"] == (kernels.TOP / "VERSION").read_text().strip()
