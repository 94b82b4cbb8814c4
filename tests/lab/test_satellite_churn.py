# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts with the node daemon under load while at random they are lost, cut off, switched, and their daemons
killed: P1 to P4. What was drawn is printed first; --seed repeats it."""
import pytest
from braidlab.satellite import managed


class Churn:
    def __init__(self, r, rng):
        self.r, self.rng = r, rng
        self.a, self.b, self.c = r.nodes
        self.primary, self.other = self.a, self.b
        self.job = r.writer_job(self.primary)
        self.job.wait(20)

    # Faults

    def daemons_die(self):
        for node in self.rng.sample(self.r.nodes, self.rng.randint(1, 3)):
            self.r.kill_daemon(node)
            self.r.start_daemon(node)
        self.job.wait(20)

    def link_fails(self):
        link = self.r.cluster.link(*self.rng.choice([("a", "b"), ("a", "c"), ("b", "c")]))
        towards = self.rng.choice([None, link.a, link.b])
        link.cut(towards=towards)
        self.disturb()
        self.job.wait(30, timeout=60)
        link.heal()

    def other_dies(self):
        node = self.rng.choice([self.other, self.c])
        node.host.power_cut()
        self.disturb()
        self.job.wait(30, timeout=60)
        self.r.power_on(node)

    def primary_dies(self):
        self.primary.host.power_cut()
        self.job.process.wait(30, check=False)
        self.disturb()
        self.swap()
        self.r.power_on(self.other)

    def primary_is_cut_off(self):
        links = [self.r.cluster.link(self.primary.host.name, it.host.name) for it in (self.other, self.c)]
        for link in links:
            link.cut()
        self.disturb()
        old, old_job = self.primary, self.job
        self.swap()
        for link in links:
            link.heal()
        old.wait(lambda: old.state()["service"] == "secondary", "the deposed Primary to give up", 60)
        old_job.process.wait(30, check=False)

    def primary_is_switched(self):
        self.job.stop()
        self.r.adm(self.primary, "secondary", self.r.name)
        self.disturb()
        self.swap()

    def power_is_lost(self):
        order = self.rng.sample(self.r.nodes, 3)
        for node in order:
            node.host.power_cut()
        self.job.process.wait(30, check=False)
        for node in self.rng.sample(self.r.nodes, 3):
            self.r.power_on(node)
        self.disturb()
        if self.rng.random() < 0.5:
            self.primary, self.other = self.other, self.primary
        self.begin()

    # Between them

    def disturb(self):
        """Kills a daemon in the middle of it, and starts it again."""
        if self.rng.random() < 0.5:
            node = self.rng.choice(self.r.running)
            self.r.kill_daemon(node)
            self.r.start_daemon(node)

    def swap(self):
        self.primary, self.other = self.other, self.primary
        self.begin()

    def begin(self):
        self.r.take_over(self.primary, 90)
        self.r.check_data(self.primary)
        self.job = self.r.writer_job(self.primary)
        self.job.wait(20, timeout=60)

    def step(self, number):
        others = [self.daemons_die, self.link_fails, self.other_dies]
        primary = [self.primary_dies, self.primary_is_cut_off, self.primary_is_switched, self.power_is_lost]
        fault = self.rng.choice(others + primary)
        if fault in primary or self.rng.random() < 0.5:  # else it comes into the resync of the one before
            self.r.wait_in_sync(self.a, self.b, timeout=120)
        print(f"step {number}: {fault.__name__}, {self.primary} is Primary", flush=True)
        fault()


@pytest.mark.parametrize("debug, steps", [
    pytest.param(False, 5, id="uml", marks=pytest.mark.uml),
    pytest.param(False, 150, id="uml-long", marks=[pytest.mark.uml, pytest.mark.long]),
    pytest.param(True, 60, id="uml-debug", marks=[pytest.mark.uml_debug, pytest.mark.long])])
def test_random_faults(lab, debug, steps):
    with managed(lab, ["a", "b", "c"], witnesses=["c"], debug=debug) as r:
        churn = Churn(r, lab.rng("churn"))
        for number in range(steps):
            churn.step(number)
        r.wait_in_sync(churn.a, churn.b, timeout=120)
        churn.job.stop()
        r.check_data(churn.primary)
        r.compare([churn.a, churn.b])
