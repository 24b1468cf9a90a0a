/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Verdict (d) alone, with numbers that go round: the attacker shows the filter any three clear
 * segments, of which TCP queues those that lie in its window; the program may have read what came in
 * ESP before, and what came in the clear and comes again in ESP.  When the record passes, none that was
 * queued may end behind the start of ESP.
 *
 * Scaled down: 32 numbers for 2^32, 8 stretches of 4 for those of 2^23, a window of 5 for what the
 * receive buffer allows.
 */
#include "defences.pml"

#define NUMBERS 32
#define STRETCH 4
#define STRETCHES 8
#define WINDOW 5 /* the largest window that the socket can have offered */
#define AHEAD 8 /* the most that is read of both */
#define DISTANCE(from, to) (((to) + NUMBERS - (from)) % NUMBERS)
#define IS_BEHIND(end, far) (DISTANCE(start, end) > 0 && DISTANCE(start, end) <= (far))

bool present[STRETCHES];
byte end_of[STRETCHES]; /* the highest end in this stretch */
byte start;		/* of ESP; all the same where it lies, so tried everywhere */
byte reach;		/* behind it, that the record is asked for */
byte edge;		/* of TCP's window, as far behind it */
bool has_queued_behind;

inline record(end)
{
	if
	:: HAS_STRETCHES ->
		if
		:: !present[(end) / STRETCH] || end_of[(end) / STRETCH] < (end) ->
			end_of[(end) / STRETCH] = end
		:: else
		fi;
		present[(end) / STRETCH] = true
	:: else -> /* one maximum, in the place of the first, compared by signed difference */
		if
		:: !present[0] -> end_of[0] = end
		:: present[0] && DISTANCE(end_of[0], end) > 0 &&
			DISTANCE(end_of[0], end) < NUMBERS / 2 -> end_of[0] = end
		:: else
		fi;
		present[0] = true
	fi
}

/* The highest end of the start's own stretch; of all others up to the reach: any end. */
inline judge_whole()
{
	passes = !(present[start / STRETCH] && end_of[start / STRETCH] > start);
	for (place : 1 .. (start % STRETCH + reach) / STRETCH) {
		passes = passes && !present[(start / STRETCH + place) % STRETCHES]
	}
}

/* By the highest ends alone. */
inline judge_ends()
{
	for (place : 0 .. STRETCHES - 1) {
		passes = passes && !(present[place] && IS_BEHIND(end_of[place], reach))
	}
}

active proctype Attacker()
{
	byte i, end, place;
	byte ahead; /* what came in ESP, and was read */
	byte again; /* what had come in the clear, was read, and came again in ESP */
	bool passes = true;

	select(start : 0 .. NUMBERS - 1);
	select(ahead : 0 .. AHEAD);
	select(again : 0 .. AHEAD - ahead);
	skip; /* a loop may not lead straight into a d_step */
	d_step {
		edge = WINDOW + ahead + again;
		reach = WINDOW + (COUNTS_AHEAD -> ahead : 0) + (COUNTS_AGAIN -> again : 0);
		ahead = 0;
		again = 0
	}
	/* Two are as many as may hide one another; three are needed to lead round, wherever that is. */
	for (i : 1 .. (edge > WINDOW -> 2 : 3)) {
		select(end : 0 .. NUMBERS - 1);
		skip;
		d_step {
			printf("attacker: a clear segment that ends %d behind the start of ESP\n",
				DISTANCE(start, end));
			record(end);
			has_queued_behind = has_queued_behind || IS_BEHIND(end, edge)
		}
	}
	skip;
	d_step {
		if
		:: HAS_STRETCHES && COUNTS_WHOLE -> judge_whole()
		:: else -> judge_ends()
		fi
	}
	if
	:: passes && has_queued_behind -> VIOLATION("violation: the record passes, and clear bytes wait behind the start of ESP\n")
	:: else
	fi
}
