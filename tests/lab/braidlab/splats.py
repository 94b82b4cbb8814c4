# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds in a kernel log what a kernel under test must never print, and objects without an end.

Patterns follow the kernel's own texts (lib/, kernel/locking/lockdep.c, mm/kasan/report.c ...); a list of
the same kind is kept by blktests (common/rc, _check_dmesg). Order does not matter: the earliest line in
the log is the cause, what follows is its consequence.
"""
import bisect
import re
from dataclasses import dataclass

PATTERNS = [
    ("kasan", r"BUG: KASAN: .*"),
    ("kfence", r"BUG: KFENCE: .*"),
    ("ubsan", r"UBSAN: .*"),
    ("lockdep", r"WARNING: (?:possible circular locking dependency|possible recursive locking|"
                r"inconsistent lock state|possible irq lock inversion|suspicious RCU usage|"
                r"bad unlock balance|held lock freed|lock held when returning|"
                r"nested lock was not taken|possible deadlock|.*-safe -> .*-unsafe lock order).*"),
    ("lockdep", r"BUG: (?:MAX_LOCK|lock |invalid wait context|Invalid wait context|key ).*"),
    ("lockdep", r"INFO: (?:trying to register non-static key|lockdep is turned off).*"),
    ("lockdep", r"WARNING: Nested lock was not taken.*"),
    ("atomic-sleep", r"BUG: (?:sleeping function called from invalid context|"
                     r"scheduling while atomic).*"),
    ("hung-task", r"INFO: task \S+ blocked (?:in I/O wait )?for more than .*"),
    ("soft-lockup", r"BUG: soft lockup.*"),
    ("hard-lockup", r"Watchdog detected hard LOCKUP.*"),
    ("rcu-stall", r"rcu: INFO: .*stall.*"),
    ("workqueue", r"BUG: workqueue lockup.*"),
    ("workqueue", r"workqueue: \S+ is flushing !WQ_MEM_RECLAIM .*"),
    ("oops", r"BUG: (?:kernel NULL pointer dereference|unable to handle|stack guard page).*"),
    ("oops", r"kernel BUG at .*"),
    ("oops", r"general protection fault.*"),
    ("oops", r"Kernel mode (?:fault|signal) .*"),
    ("oops", r"Oops(?:\[#\d+\]|: ).*"),
    ("oops", r"Kernel panic - not syncing: (?:Segfault with no mm|Kernel mode (?:fault|signal)).*"),
    ("refcount", r"refcount_t: .*"),
    ("list", r"list_(?:add|del) corruption.*"),
    ("odebug", r"ODEBUG: .*"),
    ("slab", r"BUG \S+ \(.*\): .*"),
    ("slab", r"kmem_cache_destroy .*: Slab cache still has objects.*"),
    ("bad-page", r"BUG: Bad (?:page|rss).*"),
    ("warning", r"WARNING: CPU: \d+ PID: \d+ at .*"),
    ("panic", r"Kernel panic - not syncing: .*"),
]
KINDS = {kind for kind, _ in PATTERNS} | {
    "kmemleak", "objects", "taint", "unload", "gone", "hang", "silence"}
_ANY = re.compile("|".join(f"(?P<p{n}>{pattern})" for n, (_, pattern) in enumerate(PATTERNS)))
_EXCERPT_LINES = 60


@dataclass(frozen=True)
class Splat:
    kind: str
    headline: str
    excerpt: str


def find(log: str) -> Splat | None:
    """The first splat of a log, with the lines that follow it. None when the log is clean."""
    lines = log.splitlines()
    for at, line in enumerate(lines):
        match = _ANY.search(line)
        if match:
            kind = PATTERNS[int(match.lastgroup[1:])][0]
            return Splat(kind, match.group(0).strip(), "\n".join(lines[at:at + _EXCERPT_LINES]))
    return None


def module_symbols(kallsyms: str) -> list[tuple[int, str]]:
    """The functions of modules in /proc/kallsyms: address and "name [module]", by address."""
    words = [line.split() for line in kallsyms.splitlines() if line.endswith("]")]
    return sorted((int(address, 16), f"{name} {module}") for address, kind, name, module in words
                  if kind in "tT")


def name_addresses(report: str, symbols: list[tuple[int, str]]) -> str:
    """Writes the function beside each bare address, as the kernel does while the module is loaded."""
    def name(match: re.Match) -> str:
        address = int(match[0], 16)
        at = bisect.bisect_right(symbols, (address, "\x7f")) - 1
        if at < 0 or address - symbols[at][0] > 1 << 16:
            return match[0]
        function, module = symbols[at][1].split()
        return f"{function}+{address - symbols[at][0]:#x} {module}"

    return re.sub(r"(?<=^    )0x[0-9a-f]+$", name, report, flags=re.MULTILINE)


_OBJECT = re.compile(r"\b(?P<module>\w+): (?P<kind>[\w-]+) (?P<id>\S+) (?P<what>created|destroyed)$")


def unpaired(log: str) -> list[str]:
    """Objects whose "created" has no "destroyed" in the log, or the other way round, in log order."""
    alive: dict[str, int] = {}
    wrong = []
    for line in log.splitlines():
        match = _OBJECT.search(line.strip())
        if not match:
            continue
        name = f"{match['module']}: {match['kind']} {match['id']}"
        alive[name] = alive.get(name, 0) + (1 if match["what"] == "created" else -1)
        if alive[name] < 0:
            wrong.append(f"{name} destroyed but never created")
            alive[name] = 0
        elif alive[name] > 1:
            wrong.append(f"{name} created twice")
            alive[name] = 1
    return wrong + [f"{name} never destroyed" for name, count in alive.items() if count > 0]


def objects_created(log: str) -> int:
    """How many objects the log shows being created: zero means that pairing them proves nothing."""
    return sum(1 for line in log.splitlines()
               if (m := _OBJECT.search(line.strip())) and m["what"] == "created")


# Taint bits that do not speak of a defect: out-of-tree module, unsigned module, KUnit test module,
# proprietary (never ours), firmware workaround. See Documentation/admin-guide/tainted-kernels.rst.
_HARMLESS_TAINTS = 1 << 12 | 1 << 13 | 1 << 18 | 1 << 11
_TAINTS = {1: "F: module loaded by force", 2: "S: kernel out of specification",
           3: "R: module unloaded by force", 4: "M: machine check", 5: "B: bad page",
           7: "D: oops", 9: "W: warning", 14: "L: soft lockup", 16: "X", 17: "T: randstruct"}


def taints(value: int) -> list[str]:
    """What /proc/sys/kernel/tainted says against the kernel, in words."""
    return [_TAINTS.get(bit, f"bit {bit}") for bit in range(20)
            if value & ~_HARMLESS_TAINTS & (1 << bit)]
