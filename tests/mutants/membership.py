#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Seeded bugs in membership (and in the simulator's kernel, where only a kernel can have them): each
is applied to a private copy of the tree, built, and must be caught by the test that is named.

    tests/mutants/membership.py [NAME...]      all, or some; --list prints them
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
M, S = "userland/membership/", "tests/sim/"
UNIT, SIM = "tests/unit/userland/membership_test", "tests/sim/sim_test"

# name: file, old text, new text, program, test
MUTANTS = {
    "ack-before-majority": (
        M + "proposer.cpp",
        "    if (!majority(proposed_.read_under, yes_) || !majority(proposed_.voters(), yes_))\n"
        "        return Step::none;\n", "",
        UNIT, "MembershipProposer.ChoosesOnlyWithAMajority"),
    "stale-epoch-accepted": (
        S + "kernel.h", "bool takes_stale = false;", "bool takes_stale = true;",
        SIM, "RandomSchedules.KeepThePromises"),
    "newer-epoch-before-adoption": (
        S + "kernel.h", "bool adopts_late = false;", "bool adopts_late = true;",
        SIM, "RandomSchedules.KeepThePromises"),
    "lease-ignored": (
        S + "kernel.h", "bool ignores_lease = false;", "bool ignores_lease = true;",
        SIM, "RandomSchedules.KeepThePromises"),
    "tie-is-majority": (
        M + "value.cpp", "return 2 * static_cast<std::size_t>(present) > set.size();",
        "return 2 * static_cast<std::size_t>(present) >= set.size();",
        UNIT, "MembershipValue.ATieIsNoMajority"),
    "suspect-as-reference": (
        M + "plan.cpp", "plan.reference == no_node || (!replica.suspect && !intact)",
        "plan.reference == no_node || replica.suspect",
        UNIT, "MembershipPlan.ASuspectReplicaIsNoReference"),
    "only-suspect-promoted": (
        M + "plan.cpp", "        plan.cause = Cause::only_suspect;", "        plan.cause = Cause::none;",
        SIM, "Scenario.AfterLossOfAllPowerASuspectReplicaWaitsForTheOther"),
    "promotion-outside-in-sync": (
        M + "plan.cpp", "        if (!is_one(seat, instance, replica))\n            continue;\n", "",
        UNIT, "MembershipPlan.ADiskThatIsNotTheOneInSyncDoesNotCount"),
    "old-disk-counts": (
        M + "plan.cpp", "replica.last_epoch >= seat.joined", "seat.joined != 0",
        SIM, "Scenario.AnOldDiskThatIsPutBackIsNotTheOneInSync"),
    "joiners-own-writes-forgotten": (
        S + "kernel.h", "bool forgets_own = false;", "bool forgets_own = true;",
        SIM, "RandomSchedules.KeepThePromises"),
    "join-given-up": (
        S + "kernel.h", "bool gives_up_join = false;", "bool gives_up_join = true;",
        SIM, "RandomSchedules.KeepThePromises"),
    "openers-not-refused": (
        M + "command.cpp", "    act(RefuseOpens{});\n", "",
        SIM, "Scenario.WithoutAQuorumWhoOpensADeviceIsRefused"),
    "primary-after-the-last-close": (
        M + "command.cpp", "kernel_.stage == Stage::none)\n        want_ = Want::nothing;",
        "kernel_.stage == Stage::none)\n        told_.clear();",
        SIM, "Scenario.WhoOpensADeviceMakesItsNodePrimaryUntilItIsClosed"),
    "drained-node-promoted": (
        M + "command.cpp",
        "            if (options_.drained)\n                return refusal(Cause::drained);\n", "",
        SIM, "Scenario.ADrainedNodeBecomesNobodysPrimary"),
    "dropped-released-at-once": (
        S + "kernel.h", "bool drops_at_once = false;", "bool drops_at_once = true;",
        SIM, "RandomSchedules.KeepThePromises"),
    "dropped-becomes-target": (
        S + "kernel.h", "bool links_dropped = false;", "bool links_dropped = true;",
        SIM, "RandomSchedules.KeepThePromises"),
    "map-keeps-its-base": (
        S + "kernel.h", "bool keeps_base = false;", "bool keeps_base = true;",
        SIM, "RandomSchedules.KeepThePromises"),
    "drain-never-forced": (
        M + "office.cpp", "kernel_.service != Service::draining || force_demote_;",
        "kernel_.service != Service::draining;",
        SIM, "RandomSchedules.KeepThePromises"),
    "two-voters-at-once": (
        M + "proposer.cpp", "difference(voters, best_.voters()) <= 1", "difference(voters, best_.voters()) <= 9",
        UNIT, "MembershipProposer.ChangesOneVoterAtATime"),
    "ballot-not-persisted": (
        M + "acceptor.cpp", "        vote_.promised = message.ballot;\n        changes_++;\n",
        "        vote_.promised = message.ballot;\n",
        UNIT, "MembershipAcceptor.AnswersOnlyWhatIsDurable"),
    "blank-voter-votes": (
        M + "acceptor.cpp",
        "    if (blank())\n        return refuse(from, message.voter, message.ballot, Refusal::blank);\n", "",
        UNIT, "MembershipAcceptor.ABlankVoterDoesNotVoteBeforeItIsEnrolled"),
    "fork-merged": (
        M + "fork.cpp", "return ancestor.discarded || value.epoch < ancestor.epoch ||",
        "return ancestor.discarded || value.epoch != 0 ||",
        SIM, "Scenario.AForkIsNamedAndEndedByOneCommand"),
    "lineage-not-checked": (
        M + "acceptor.cpp",
        "    if (vote_.value && vote_.value->lineage != message.lineage)\n"
        "        return refuse(from, message.voter, message.ballot, Refusal::lineage);\n", "",
        UNIT, "MembershipAcceptor.AnotherVoterIdOrLineageIsNoVote"),
    "promise-not-durable": (
        M + "acceptor.cpp", "        vote_.promised = message.ballot;\n        changes_++;\n",
        "        vote_.promised = message.ballot;\n",
        UNIT, "MembershipExhaustive.OneValueAfterAnother"),
    "answers-while-storing": (
        M + "acceptor.cpp", "held_.front().change <= durable_", "held_.front().change <= storing_",
        UNIT, "MembershipExhaustive.StoresThatOverlap"),
    "stored-covers-all": (
        M + "acceptor.cpp", "    durable_ = storing_;\n}", "    durable_ = storing_ = changes_;\n}",
        UNIT, "MembershipExhaustive.StoresThatOverlap"),
    "promise-ignored": (
        M + "acceptor.cpp", "message.ballot < vote_.promised && !again",
        "message.ballot < vote_.accepted && !again",
        UNIT, "MembershipExhaustive.OneValueAfterAnother"),
    "next-not-promised": (
        M + "acceptor.cpp", "std::max(message.ballot, message.next)", "message.ballot",
        UNIT, "MembershipExhaustive.OneValueAfterAnother"),
    "old-value-read": (
        M + "proposer.cpp", "message.accepted > *best_ballot_)", "message.accepted < *best_ballot_)",
        UNIT, "MembershipExhaustive.OneValueAfterAnother"),
    "answers-of-any-round": (
        M + "proposer.cpp", "    if (stage_ != Stage::accepting || message.ballot != ballot_ ||\n",
        "    if (stage_ != Stage::accepting ||\n",
        UNIT, "MembershipExhaustive.OneValueAfterAnother"),
    "chosen-sticks": (
        M + "acceptor.cpp", "vote_.chosen && vote_.value && vote_.value->is(message.value);", "vote_.chosen;",
        UNIT, "MembershipExhaustive.OneValueAfterAnother"),
    "own-majority-forgotten": (
        M + "proposer.cpp", " || !majority(proposed_.voters(), yes_))", ")",
        UNIT, "MembershipExhaustive.VotersThatChange"),
    "dropped-in-vain-forgotten": (
        M + "plan.cpp", "dropped_in_vain(value, seat, replicas) ? seat.before : seat.instance",
        "seat.instance", SIM, "Scenario.AReplicaThatWasDroppedInVainIsWaitedFor"),
    "join-of-another-epoch": (
        M + "round.cpp", "join->second.epoch == before.epoch &&\n", "\n",
        SIM, "RandomSchedules.KeepThePromises"),
    "drop-not-taken-back": (
        M + "round.cpp", "if (takes_back(before, seat))", "if (false && takes_back(before, seat))",
        SIM, "RandomSchedules.KeepThePromises"),
}


def run(copy: Path, program: str, test: str) -> subprocess.CompletedProcess:
    # More schedules than the unit lane runs: some bugs need a rare one.
    return subprocess.run([copy / "build/mutant" / program, f"--gtest_filter={test}"],
                          env={**os.environ, "BRAID_SIM_SEEDS": "12000"},
                          capture_output=True, text=True, timeout=900, check=False)


def build(copy: Path) -> None:
    subprocess.run(["cmake", "--build", "build/mutant", "-j2", "--target", "membership_test", "sim_test"],
                   cwd=copy, check=True, stdout=subprocess.DEVNULL)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if unknown := set(options.names) - set(MUTANTS):
        parser.error(f"no such mutant: {', '.join(sorted(unknown))}; --list prints them")
    if options.list:
        for name, (file, _old, _new, _program, test) in MUTANTS.items():
            print(f"{name:30} {file:34} {test}")
        return 0
    survivors = []
    sound = set()
    with tempfile.TemporaryDirectory(prefix="braid-mutants-") as folder:
        copy = Path(folder) / "tree"
        shutil.copytree(TOP, copy, ignore=shutil.ignore_patterns("build", ".git"))
        subprocess.run(["cmake", "-S", ".", "-B", "build/mutant", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                        "-DBRAID_WERROR=OFF"], cwd=copy, check=True, stdout=subprocess.DEVNULL)
        build(copy)
        for name in options.names or MUTANTS:
            file, old, new, program, test = MUTANTS[name]
            path = copy / file
            text = path.read_text()
            if text.count(old) != 1:
                sys.exit(f"{name}: its text is {text.count(old)} times in {file}: bring the mutant up to date")
            if test not in sound:
                done = run(copy, program, test)
                if done.returncode != 0 or "1 test from" not in done.stdout:
                    sys.exit(f"{name}: {test} must run and pass without the mutant:\n{done.stdout[-2000:]}")
                sound.add(test)
            path.write_text(text.replace(old, new))
            build(copy)
            caught = run(copy, program, test).returncode != 0
            print(f"{name:30} {'caught by' if caught else 'SURVIVES'} {test}", flush=True)
            if not caught:
                survivors.append(name)
            path.write_text(text)
            build(copy)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
