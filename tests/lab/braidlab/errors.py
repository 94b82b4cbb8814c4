# SPDX-License-Identifier: GPL-2.0-or-later
"""How a run of the lab goes wrong. Each says which machine, what, and where its log is."""


class LabError(Exception):
    """The lab could not do what a test asked of it."""


class KernelFailure(LabError):
    """A kernel under test panicked, oopsed, warned, leaked or left objects behind.

    kind is one of splats.KINDS, headline the kernel's own line.
    """

    def __init__(self, machine: str, kind: str, headline: str, excerpt: str = ""):
        self.machine, self.kind, self.headline, self.excerpt = machine, kind, headline, excerpt
        super().__init__(f"{machine}: {kind}: {headline}" + (f"\n{excerpt}" if excerpt else ""))


class MachineGone(KernelFailure):
    """A machine stopped (powered off, rebooted, crashed) when nobody had asked it to."""

    def __init__(self, machine: str, headline: str, excerpt: str = ""):
        super().__init__(machine, "gone", headline, excerpt)


class Hang(KernelFailure):
    """A machine, or a command in its kernel, stopped answering."""

    def __init__(self, machine: str, headline: str, excerpt: str = ""):
        super().__init__(machine, "hang", headline, excerpt)


class CommandFailed(LabError):
    """A command ended with another exit code than 0."""

    def __init__(self, host: str, argv: list[str], rc: int, out: str, err: str):
        self.host, self.argv, self.rc, self.out, self.err = host, argv, rc, out, err
        super().__init__(f"{host}: {' '.join(argv)}: exit code {rc}\n{out}{err}")


class WaitTimeout(LabError):
    """A condition that a test waited for did not come true."""
