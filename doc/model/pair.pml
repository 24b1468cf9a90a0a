/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Both ends of one connection: does every exchange end, and end well?  Nobody injects here; segments
 * are lost, one end may refuse, one broker may be restarted.  Judged: where nobody refused and no
 * broker died, both ends latch and the data arrive; otherwise no end waits for a peer that also
 * waits.  Tokens T3 and T4 are two segments each, and the second is sent when the first is
 * acknowledged, as with a window of one segment.
 *
 *	initiator sends  T1 | T3 T3 | data		acceptor sends  T2 | T4 T4 data
 */
#include "defences.pml"

#ifndef LOSSES
#define LOSSES 2
#endif
#define INITIATOR 0
#define ACCEPTOR 1
#define PEER(end) (1 - (end))

bool requires_in[2], requires_out[2], sa_in[2], sa_out[2];
byte written[2];      /* segments that the application gave its kernel */
byte acknowledged[2]; /* of these */
byte received[2];
byte under_mark[2]; /* of the token's segments */
bool owes[2];	    /* an acknowledgement */
bool is_complete[2], is_dead[2], is_failure_last[2], is_broken[2];
byte losses;
bool has_refused, has_restarted;

#define LEAVES(end) (!requires_out[end] || sa_out[end])
#define ARRIVES(end) (LEAVES(end) && \
	(requires_out[end] -> sa_in[PEER(end)] : !requires_in[PEER(end)]))

/* TCP of one end, as sender; what its peer's kernel does with a segment at once is here too. */
proctype Tcp(byte me)
{
end:	do
	/* the next segment arrives, with what it acknowledges */
	:: atomic { acknowledged[me] < written[me] && received[PEER(me)] == acknowledged[me] &&
		ARRIVES(me) ->
		received[PEER(me)]++;
		under_mark[PEER(me)] = under_mark[PEER(me)] +
			(requires_out[me] && received[PEER(me)] >= 2 && received[PEER(me)] <= 3);
		owes[PEER(me)] = true;
		acknowledged[PEER(me)] = received[me] }
	/* or is lost */
	:: atomic { acknowledged[me] < written[me] && losses < LOSSES -> losses++ }
	/* its acknowledgement arrives, or not */
	:: atomic { owes[me] ->
		owes[me] = false;
		acknowledged[PEER(me)] =
			(ARRIVES(me) -> received[me] : acknowledged[PEER(me)]) }
	:: atomic { owes[me] && losses < LOSSES -> losses++; owes[me] = false }
	/* sent again since no acknowledgement came; tried where the answer can get through */
	:: atomic { acknowledged[me] < received[PEER(me)] && !owes[PEER(me)] && ARRIVES(me) &&
		ARRIVES(PEER(me)) -> owes[PEER(me)] = true }
	od
}

/* The context dies: undone where it may be, and the peer is told. */
inline fail(me)
{
	atomic {
		printf("end %d fails\n", me);
		is_dead[me] = true;
		if
		:: !requires_in[me] && me == INITIATOR && under_mark[me] == 0 ->
			requires_out[me] = false; sa_in[me] = false; sa_out[me] = false
		:: else
		fi;
		written[me]++;
		is_failure_last[me] = true
	}
}

#define READS_FAILURE(me) (is_failure_last[PEER(me)] && received[me] == written[PEER(me)])

inline refuse_or_not(me)
{
	if
	:: true
	:: atomic { !has_refused -> has_refused = true; goto failing }
	fi
}

active proctype Initiator()
{
	run Tcp(INITIATOR); run Tcp(ACCEPTOR);
	written[INITIATOR] = 1;
	received[INITIATOR] >= 1 || READS_FAILURE(INITIATOR);
	if
	:: READS_FAILURE(INITIATOR) -> is_dead[INITIATOR] = true; goto finished
	:: else
	fi;
	refuse_or_not(INITIATOR);
	/* RESERVE */
	atomic { sa_in[INITIATOR] = true; sa_out[INITIATOR] = true };
	requires_out[INITIATOR] = HAS_OUT_POLICY;
	written[INITIATOR] = 3;
	received[INITIATOR] >= 3 || READS_FAILURE(INITIATOR);
	if
	:: READS_FAILURE(INITIATOR) -> is_dead[INITIATOR] = true; goto finished
	:: else
	fi;
	refuse_or_not(INITIATOR);
	if
	:: is_broken[INITIATOR] || (HAS_C && under_mark[INITIATOR] < 2) -> goto failing
	:: else
	fi;
	/* LATCH */
	requires_out[INITIATOR] = true;
	requires_in[INITIATOR] = HAS_A;
	atomic { is_complete[INITIATOR] = true; printf("initiator COMPLETE\n") };
	written[INITIATOR] = 4;
	goto finished;
failing:
	fail(INITIATOR);
finished:
	skip
}

active proctype Acceptor()
{
	received[ACCEPTOR] >= 1;
	refuse_or_not(ACCEPTOR);
	/* RESERVE */
	sa_in[ACCEPTOR] = true;
	written[ACCEPTOR] = 1;
	received[ACCEPTOR] >= 3 || READS_FAILURE(ACCEPTOR);
	if
	:: READS_FAILURE(ACCEPTOR) -> is_dead[ACCEPTOR] = true; goto finished
	:: else
	fi;
	refuse_or_not(ACCEPTOR);
	if
	:: is_broken[ACCEPTOR] || (HAS_C && under_mark[ACCEPTOR] < 2) -> goto failing
	:: else
	fi;
	/* LATCH */
	sa_out[ACCEPTOR] = true;
	requires_out[ACCEPTOR] = true;
	requires_in[ACCEPTOR] = HAS_A;
	atomic { is_complete[ACCEPTOR] = true; printf("acceptor COMPLETE\n") };
	written[ACCEPTOR] = 4;
	goto finished;
failing:
	fail(ACCEPTOR);
finished:
	skip
}

active proctype Restart() /* of a broker: a reservation and its SAs are gone, a latch stays */
{
	byte who;

	if
	:: true
	:: who = INITIATOR; goto restart
	:: who = ACCEPTOR; goto restart
	fi;
	goto finished;
restart:
	atomic {
		if
		:: sa_in[who] && !is_complete[who] && !requires_in[who] && !is_dead[who] ->
			has_restarted = true;
			is_broken[who] = true;
			sa_in[who] = false;
			sa_out[who] = false;
			printf("broker of end %d started again\n", who)
		:: else
		fi
	};
finished:
	skip
}

/* TCP gives up where something waits for an acknowledgement; who then still waits, waits for ever. */
#define IS_STUCK(end) (acknowledged[end] < written[end] || is_dead[end] || is_broken[end])

active proctype Judge()
{
	timeout;
	if
	:: !has_refused && !has_restarted && !(is_complete[0] && is_complete[1]) ->
		VIOLATION("violation: nobody refused, and the exchange does not end\n")
	:: !has_refused && !has_restarted && is_complete[0] && is_complete[1] &&
		(received[0] < 4 || received[1] < 4 || acknowledged[0] < 4 || acknowledged[1] < 4) ->
		VIOLATION("violation: both ends are latched, and data do not arrive\n")
	:: (has_refused || has_restarted) && !IS_STUCK(0) && !IS_STUCK(1) &&
		!(is_complete[0] && is_complete[1]) ->
		VIOLATION("violation: each end waits for the other\n")
	:: else
	fi
}
