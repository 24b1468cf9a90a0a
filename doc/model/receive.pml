/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one end reads: its kernel, the client library with the broker's steps, the application, the
 * peer, and the attacker.  Acceptor (token = T3) and initiator (token = T4) run the same steps here:
 * look, recorder, look again; the token comes; verdict.  Judged: no byte that the application reads
 * behind COMPLETE came in the clear, is missing, or is a clear end of the stream.
 *
 * The stream, a segment each: 1 what stands before the token in its own message, 2 and 3 the token,
 * from 4 on data.  What came before (T1 or T2) has been read, so the kernel expects 1.
 */
#include "defences.pml"

#ifndef INJECTIONS
#define INJECTIONS 1 /* of each attacker */
#endif
#ifndef ATTACKERS
#define ATTACKERS 2
#endif
#ifndef READS_AHEAD
#define READS_AHEAD 1 /* the application has a buffer of its own */
#endif
/* How long a segment that passed the filter's place when there was no filter can be on its way to
 * the queue, unless somebody waits for it: until the peer's answer to what is sent then (false), or
 * for ever. */
#ifndef LINGERS
#define LINGERS 0
#endif
#ifndef ELSEWHERE
#define ELSEWHERE 1 /* also exchanges whose tokens do not travel on this socket */
#endif
#ifndef ELSEWHERE_TALKS
#define ELSEWHERE_TALKS 0
#endif

#ifndef LAST
#define LAST 4
#endif
#define ENDS (LAST + 2)
/* What the peer says in ESP: all of it, or, where nothing makes it so, the data only. */
#define PEER_FIRST (HAS_OUT_POLICY || is_elsewhere -> 1 : 4)

/* What a place in the stream holds. */
#define NOTHING 0
#define ESP 1	/* the peer's, under the mark */
#define EVIL 2	/* the attacker's own octets */
#define FIN 3	/* the attacker's end of the stream */
#define COPY_1 4 /* first and second half of the token, come in the clear */
#define COPY_2 5

/* --- the socket --- */
byte cell[ENDS];
bool is_missing[ENDS]; /* skipped when it was read: the urgent octet */
byte expected = 1;     /* rcv_nxt */
byte copied = 1;       /* what the application took from the kernel */
byte used = 1;	       /* what it looked at */
byte out_of_order;     /* segments in that queue */
byte urgent;
bool has_ended;
bool counts_more;	/* tcpi_rcv_ooopack is not what it was when the queues were empty */
bool counts_more_since; /* ... since TCP_INFO was last read */

/* --- policy and recorder --- */
bool requires_esp, has_filter, drops;
byte start, clear_end, protected;
byte unfiltered; /* segments on their way to the queue that no filter saw */

bool is_elsewhere;  /* the token does not travel on this socket */
bool is_sent;	    /* the peer has what it needs for the token */
bool is_token_seen; /* the attacker could read it */
bool is_complete, is_dead;
bool has_begun; /* the first attacker */

#define QUEUES_ARE_EMPTY (copied == expected && out_of_order == 0)

inline enqueue(place, what)
{
	if
	:: has_ended || place < expected || cell[place] != NOTHING
	:: else ->
		cell[place] = what;
		if
		:: place > expected ->
			out_of_order++;
			counts_more = true;
			counts_more_since = true
		:: else -> expected++
		fi;
		do
		:: expected <= LAST + 1 && !(cell[expected - 1] == FIN) &&
			cell[expected] != NOTHING ->
			out_of_order--;
			expected++
		:: else -> break
		od;
		has_ended = cell[expected - 1] == FIN
	fi
}

/* --- the peer: its segments in any order, or never --- */
proctype Peer()
{
	byte place;

	do
	:: atomic {
		is_sent && (LINGERS || unfiltered == 0) &&
			(!is_elsewhere || is_complete || ELSEWHERE_TALKS) ->
		is_token_seen = !HAS_OUT_POLICY;
		select(place : PEER_FIRST .. LAST);
		if
		:: cell[place] != ESP ->
			protected = (has_filter && protected < 2 -> protected + 1 : protected);
			start = (has_filter && (start == 0 || place < start) -> place : start);
			printf("peer: segment %d in ESP\n", place);
			enqueue(place, ESP)
		:: else
		fi;
		place = 0
	   }
	:: is_dead -> break
	od
}

/* --- the attacker: each process a processor on which a segment can stop between two steps --- */
proctype Attacker(bool is_first)
{
	byte i, place, what;
	bool bypasses; /* out of an xfrm interface: no socket policy matches */
	bool has_mark; /* a firewall stamps, from COMPLETE on */
	bool is_urgent, is_dropped, was_unfiltered, late_mode;

	for (i : 1 .. INJECTIONS) {
		atomic {
			is_first || has_begun; /* they are alike: one order is enough */
			has_begun = true;
			select(place : 1 .. LAST);
			if
			:: what = EVIL
			:: what = FIN
			:: what = NOTHING; is_urgent = true
			:: is_token_seen -> what = COPY_1
			:: is_token_seen -> what = COPY_2
			fi;
			if
			:: bypasses = requires_esp
			:: has_mark = is_complete /* not both: one broken rule at a time */
			:: skip
			fi;
			is_dropped = requires_esp && !bypasses
		}
		if
		:: is_dropped -> goto next
		:: else
		fi;
		if
		:: atomic { !has_filter -> unfiltered++; was_unfiltered = true }
		:: atomic { has_filter && has_mark -> skip }
		:: atomic { has_filter && !has_mark && RECORDS_FIRST ->
			clear_end = (place + 1 > clear_end -> place + 1 : clear_end) };
			is_dropped = drops
		:: atomic { has_filter && !has_mark && !RECORDS_FIRST -> late_mode = drops };
			clear_end = (place + 1 > clear_end -> place + 1 : clear_end);
			is_dropped = late_mode
		fi;
		if
		:: is_dropped -> goto next
		:: else
		fi;
		atomic {
			if
			:: has_mark -> printf("attacker: a firewall now stamps the mark on what is clear\n")
			:: bypasses -> printf("attacker: the next comes out of an xfrm interface\n")
			:: else
			fi;
			if
			:: is_urgent && place >= copied ->
				urgent = place;
				printf("attacker: a clear urgent mark at %d is set\n", place)
			:: is_urgent && place < copied
			:: !is_urgent ->
				if
				:: what == EVIL -> printf("attacker: a clear segment at %d is queued\n", place)
				:: what == FIN -> printf("attacker: a clear FIN at %d is queued\n", place)
				:: else -> printf("attacker: half of the token, read in the clear, is queued at %d\n", place)
				fi;
				enqueue(place, what)
			fi;
			unfiltered = unfiltered - was_unfiltered
		}
next:
		atomic {
			is_urgent = false; is_dropped = false; was_unfiltered = false;
			bypasses = false; has_mark = false; late_mode = false;
			place = 0; what = 0
		}
	}
}

/* --- the application --- */
inline copy_one()
{
	is_missing[copied] = urgent == copied;
	urgent = (urgent == copied -> 0 : urgent);
	copied++
}

proctype Reader() /* stdio: takes what is there, whoever needs it */
{
	do
	:: d_step { copied < expected && !is_dead -> copy_one() }
	:: is_dead -> break
	od
}

/* --- client library and broker --- */
inline look() /* kbind_check_stream() */
{
	do
	:: !HAS_E || !counts_more -> break
	:: HAS_E && counts_more ->
		counts_more_since = false;
		if
		:: atomic { QUEUES_ARE_EMPTY -> counts_more = counts_more_since; break }
		:: !QUEUES_ARE_EMPTY
		fi
	:: HAS_E && counts_more -> is_dead = true; break /* pending for too long */
	od;
	if
	:: HAS_F && urgent != 0 -> is_dead = true
	:: else
	fi
}

inline judge() /* recorder_judge(), on a record read field by field */
{
	atomic { judged_start = start; judged_bytes = protected };
	if
	:: HAS_RECORDER && HAS_C && (judged_start == 0 || judged_bytes < 2) -> is_dead = true
	:: HAS_RECORDER && HAS_D && judged_start != 0 && clear_end > judged_start -> is_dead = true
	:: else
	fi;
	judged_start = 0; judged_bytes = 0
}

/* Takes the next octet of the stream from the buffer, or from the kernel. */
inline take()
{
	if
	:: atomic { READS_AHEAD && used < copied -> skip }
	:: atomic { !READS_AHEAD && used < expected -> copy_one() }
	fi
}

inline read_token()
{
	do
	:: is_elsewhere -> printf("attacker: the token goes another way\n"); break
	:: !is_elsewhere -> take();
		atomic {
			what = cell[used];
			if
			:: what == FIN || (halves == 1 && is_missing[used]) -> is_dead = true
			:: halves == 0 && !is_missing[used] &&
				(what == COPY_1 || (what == ESP && used == 2)) -> halves = 1
			:: halves == 1 && !is_missing[used] ->
				halves = 2;
				is_dead = !(what == COPY_2 || (what == ESP && used == 3))
			:: else /* framing, whoever wrote it */
			fi;
			used++;
			what = 0
		};
		if
		:: is_dead || halves == 2 -> break
		:: !is_dead && halves < 2 && used <= LAST
		:: !is_dead && halves < 2 && used > LAST -> is_dead = true; break
		fi
	od
}

inline read_data()
{
	do
	:: used > LAST + 1 -> break
	:: used <= LAST + 1 -> take();
		if
		:: is_missing[used] ->
			VIOLATION("violation: an octet of the protected stream is missing\n")
		:: !is_missing[used] && cell[used] == FIN ->
			VIOLATION("violation: a clear FIN ends the protected stream\n")
		:: !is_missing[used] && cell[used] != FIN && cell[used] != ESP ->
			VIOLATION("violation: a clear octet is read after COMPLETE\n")
		:: else
		fi;
		used++
	od
}

#define DIES_IF_DEAD if :: is_dead -> goto end_dead :: else fi

active proctype End()
{
	byte judged_start, judged_bytes, halves, what;

	atomic {
		if
		:: is_elsewhere = ELSEWHERE
		:: is_elsewhere = false
		fi;
		run Peer(); run Attacker(true);
		if
		:: ATTACKERS > 1 -> run Attacker(false)
		:: else
		fi;
		if
		:: READS_AHEAD -> run Reader()
		:: else
		fi
	}
	/* RESERVE */
	look(); DIES_IF_DEAD;
	atomic { has_filter = HAS_RECORDER; printf("recorder on\n") };
	if
	:: HAS_GRACE -> unfiltered == 0
	:: else
	fi;
	if
	:: HAS_SECOND_LOOK -> look()
	:: else
	fi;
	DIES_IF_DEAD;
	is_sent = true;
	read_token(); DIES_IF_DEAD;
	printf("token read\n");
	/* LATCH */
	judge(); DIES_IF_DEAD;
	requires_esp = HAS_A;
	drops = HAS_B;
	judge(); DIES_IF_DEAD;
	look(); DIES_IF_DEAD;
	atomic { is_complete = true; printf("COMPLETE\n") };
	has_filter = has_filter && STAYS;
end_reading:
	read_data();
end_dead:
	skip
}
