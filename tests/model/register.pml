/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The register of userland/membership (CASPaxos: acceptor.*, proposer.*) as a model for Spin;
 * scripts/check-model runs it. Three voters, and two proposers: one Prepare of each, with the
 * ballots of round ROUND_0 and ROUND_1 (1 or 2), and the fast path after it.
 *
 * Modelled: ballots and promises; Prepare and Accept; a vote that is durable before it is answered; a
 * voter that crashes and forgets what was not durable; the promise for the next round that an Accept
 * takes along, and the fast path that uses it; a proposer that stops anywhere. A message that was sent stays: it may be lost (nobody looks at it),
 * doubled (it is looked at twice) and overtaken.
 *
 * Left out: lineages (R8), voters that change (V1, V2), failed disks (R9a), refusals (they only end a
 * round, and a round may end at any time here), and a voter that is sent something while its vote is
 * under way to the disk. tests/unit/userland/membership_exhaustive_test.cpp searches the code itself,
 * with some of these; this is a second opinion on the protocol, which shares no line with it.
 *
 * A crash needs no step of its own: a voter hears, stores and answers in one, and may crash within. An
 * answer that was lost in a crash is one that nobody looks at.
 *
 * Ballots are 1 to 8; odd ones are proposer 0's, even ones proposer 1's. 1, 2, 5 and 6 begin
 * with a Prepare; 3, 4, 7 and 8 are those promised with the Accepts of these. 0 is the first value's. A value is named by the ballot of its first proposal, and follows from parent[] of it.
 *
 * Checked: of two values that were chosen one descends from the other (so nothing that was chosen is
 * lost, and each epoch has one value); what a proposer says to be chosen has a majority on disk.
 *
 * Bugs, each of which must be found, by its -D:
 *   BUG_PROMISE_NOT_DURABLE   a promise is answered before it is stored
 *   BUG_VOTE_NOT_DURABLE      an accepted value is answered before it is stored
 *   BUG_PROMISE_IGNORED       an Accept is not compared with the promise
 *   BUG_NEXT_NOT_PROMISED     an Accept's next ballot is not promised
 *   BUG_OLD_VALUE             a proposer goes on from the oldest value that it is told
 *   BUG_ONE_IS_ENOUGH         a proposer reads from one voter
 */

#ifndef ROUND_0
#define ROUND_0 1
#define ROUND_1 1
#endif
#define BALLOTS 9

#define MAJORITY(set) ((set) == 3 || (set) >= 5)
#ifdef BUG_ONE_IS_ENOUGH
#define ENOUGH(set) ((set) != 0)
#else
#define ENOUGH(set) MAJORITY(set)
#endif
#define NEXT(ballot) ((ballot) & 2 -> ((ballot) & 1 -> (ballot) : (ballot) + 2) : ((ballot) & 1 -> (ballot) + 2 : (ballot)))

/* On the voters' disks. */
byte promised[3], accepted[3];

/* What was sent, by ballot. Accepts with their value. */
bool prepare[BALLOTS], accept[BALLOTS];
byte carried[BALLOTS];
/* Who promised, and which vote each of them told along, 3 * ballot + voter. */
byte promises[BALLOTS], told[3 * BALLOTS];
byte yes[BALLOTS];

/* What nobody knows: who had this vote on disk; a value's predecessor. */
byte durable[BALLOTS], parent[BALLOTS];

inline check_descent(new)
{
	byte other, low, high;

	other = 0;
	do
	:: other < BALLOTS ->
		if
		:: MAJORITY(durable[other]) ->
			/* A value's ancestors have lower ballots. */
			high = (carried[new] > carried[other] -> carried[new] : carried[other]);
			low = (carried[new] > carried[other] -> carried[other] : carried[new]);
			do
			:: high > low -> high = parent[high]
			:: else -> break
			od;
			assert(high == low)
		:: else
		fi;
		other++
	:: else -> break
	od;
	other = 0; low = 0; high = 0
}

/* A crash may come before it is stored. */
inline hear_prepare(self, ballot)
{
	bool stored;

	if
	:: stored = true
	:: stored = false
	fi;
	if
	:: stored -> promised[self] = ballot
	:: else
	fi;
#ifndef BUG_PROMISE_NOT_DURABLE
	if
	:: stored ->
#endif
		told[3 * ballot + self] = accepted[self];
		promises[ballot] = promises[ballot] | (1 << self);
#ifndef BUG_PROMISE_NOT_DURABLE
	:: else
	fi;
#endif
	stored = false
}

inline hear_accept(self, ballot)
{
	bool stored;

	if
	:: stored = true
	:: stored = false
	fi;
	if
	:: stored ->
		accepted[self] = ballot;
#ifdef BUG_NEXT_NOT_PROMISED
		promised[self] = ballot;
#else
		promised[self] = NEXT(ballot);
#endif
		durable[ballot] = durable[ballot] | (1 << self);
		if
		:: MAJORITY(durable[ballot]) -> check_descent(ballot)
		:: else
		fi
	:: else
	fi;
#ifndef BUG_VOTE_NOT_DURABLE
	if
	:: stored ->
#endif
		yes[ballot] = yes[ballot] | (1 << self);
#ifndef BUG_VOTE_NOT_DURABLE
	:: else
	fi;
#endif
	stored = false
}

proctype Voter(byte self)
{
	byte ballot;

end:	do
	:: atomic {
		select(ballot : 1 .. BALLOTS - 1);
		if
		:: prepare[ballot] && ballot > promised[self] -> hear_prepare(self, ballot)
#ifdef BUG_PROMISE_IGNORED
		:: accept[ballot] && ballot != accepted[self] -> hear_accept(self, ballot)
#else
		:: accept[ballot] && ballot >= promised[self] && ballot != accepted[self] ->
			hear_accept(self, ballot)
#endif
		:: else
		fi;
		ballot = 0
	}
	od
}

/* The latest vote among those that `from`, a set of voters, told. */
inline read(ballot, from)
{
	byte voter, vote;
	bool any;

	voter = 0;
	any = false;
	do
	:: voter < 3 ->
		vote = told[3 * ballot + voter];
		if
#ifdef BUG_OLD_VALUE
		:: (from & (1 << voter)) && (!any || vote < best) -> best = vote; any = true
#else
		:: (from & (1 << voter)) && (!any || vote > best) -> best = vote; any = true
#endif
		:: else
		fi;
		voter++
	:: else -> break
	od;
	voter = 0; vote = 0; any = false
}

/* The value after this one, or this one again. */
inline propose(ballot, from)
{
	if
	:: carried[ballot] = ballot; parent[ballot] = from
	:: carried[ballot] = from
	fi;
	accept[ballot] = true
}

proctype Proposer(byte self, round)
{
	byte ballot, next, from, best;

end:	do
	:: atomic {
		next = 4 * round - 3 + self;
		if
		:: !prepare[next] && !accept[next] -> prepare[next] = true; ballot = next
		:: else
		fi;
		next = 0
	}
	/* Enough promises: more may have arrived than it heard. */
	:: atomic {
		ballot != 0 && !accept[ballot] ->
		select(from : 1 .. 7);
		if
		:: (from & promises[ballot]) == from && ENOUGH(from) ->
			read(ballot, from);
			propose(ballot, carried[best])
		:: else
		fi;
		from = 0;
		best = 0
	}
	/* Chosen: the next round needs no Prepare, if it has kept that in mind. */
	:: atomic {
		ballot != 0 && accept[ballot] && MAJORITY(yes[ballot]) ->
		assert(MAJORITY(durable[ballot]));
		next = NEXT(ballot);
		if
		:: next != ballot && !prepare[next] -> propose(next, carried[ballot]); ballot = next
		:: ballot = 0
		fi;
		next = 0
	}
	od
}

init
{
	durable[0] = 7;
	atomic {
		run Voter(0);
		run Voter(1);
		run Voter(2);
		run Proposer(0, ROUND_0);
		run Proposer(1, ROUND_1)
	}
}
