/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Verdict (d) alone, with numbers that go round: the attacker shows the filter clear segments and any
 * that the peer has sent in ESP, of which it may have sent more than half of all numbers; TCP takes
 * those that lie in its window, and the program reads at once.  When the record passes, no clear
 * segment that TCP took may end behind where ESP went on with the stream, which is where the token is.
 *
 * Scaled down: 16 numbers for 2^32, 8 stretches of 2 for those of 2^23, a window of 2 for what the
 * receive buffer allows.
 */
#include "defences.pml"

#define NUMBERS 16
#define STRETCH 2
#define STRETCHES 8
#define WINDOW 2 /* the largest that the socket can have offered */
#ifndef FAR
#define FAR 2 /* from the anchor; further is poison.  Twice that and LONG: less than half of all numbers */
#endif
#define LONG 4 /* octets of an ESP segment, or 1 */
#define STEPS 4
#define DISTANCE(from, to) (((to) + NUMBERS - (from)) % NUMBERS)
#define IS_BEFORE(number, other) (DISTANCE(other, number) >= NUMBERS / 2) /* by signed difference */
#define IS_BEHIND(number, other) (DISTANCE(other, number) > 0 && !IS_BEFORE(number, other))

bool present[STRETCHES];
byte end_of[STRETCHES]; /* the highest end in this stretch */
bool has_esp, is_poisoned;
byte anchor, lowest, highest; /* of what came in ESP */
byte expected;		      /* by TCP; all the same in which stretch, but not where in it */
bool has_token;
byte token;	     /* where ESP first went on with the stream */
bool taken[NUMBERS]; /* a clear segment with this end is in a queue, or was read */

inline record_clear(end)
{
	if
	:: HAS_STRETCHES ->
		if
		:: !present[(end) / STRETCH] || end_of[(end) / STRETCH] < (end) ->
			end_of[(end) / STRETCH] = end
		:: else
		fi;
		present[(end) / STRETCH] = true
	:: else -> /* one maximum, in the place of the first */
		if
		:: !present[0] || IS_BEHIND(end, end_of[0]) -> end_of[0] = end
		:: else
		fi;
		present[0] = true
	fi
}

inline record_esp(number, end)
{
	if
	:: !has_esp ->
		has_esp = true;
		anchor = number;
		lowest = number;
		highest = end
	:: else ->
		is_poisoned = is_poisoned ||
			(HAS_ANCHOR && (DISTANCE(anchor, number) + FAR) % NUMBERS >= 2 * FAR);
		lowest = (IS_BEFORE(number, lowest) -> number : lowest);
		highest = (IS_BEHIND(end, highest) -> end : highest)
	fi
}

/* What overlaps with what has come is cut off. */
inline receive_esp(number, octets)
{
	if
	:: DISTANCE(number, expected) < (octets) ->
		if
		:: !has_token ->
			has_token = true;
			token = expected
		:: else
		fi;
		expected = (number + octets) % NUMBERS
	:: else
	fi
}

/* The highest end of the start's own stretch; of all others up to the reach: any end. */
inline judge_whole()
{
	passes = passes && !(present[lowest / STRETCH] && end_of[lowest / STRETCH] > lowest);
	for (place : 1 .. (lowest % STRETCH + reach) / STRETCH) {
		passes = passes && !present[(lowest / STRETCH + place) % STRETCHES]
	}
}

/* By the highest ends alone. */
inline judge_ends()
{
	for (place : 0 .. STRETCHES - 1) {
		passes = passes && !(present[place] && DISTANCE(lowest, end_of[place]) > 0 &&
			DISTANCE(lowest, end_of[place]) <= reach)
	}
}

active proctype Attacker()
{
	byte i, number, octets, place, reach;
	bool passes, is_violated;

	select(expected : 0 .. STRETCH - 1);
	for (i : 1 .. STEPS) {
		select(number : 0 .. NUMBERS - 1);
		if
		:: /* a clear segment, in order or out of it */
			d_step {
				printf("attacker: a clear segment that ends at %d\n", number);
				record_clear(number)
			};
			if
			:: DISTANCE(expected, number) > 0 && DISTANCE(expected, number) <= WINDOW ->
				taken[number] = true;
				if
				:: expected = number
				:: skip
				fi
			:: else
			fi
		:: /* so many octets in ESP */
			if
			:: octets = 1
			:: octets = LONG
			fi;
			d_step {
				printf("attacker: %d in ESP from %d on\n", octets, number);
				record_esp(number, (number + octets) % NUMBERS);
				receive_esp(number, octets);
				octets = 0
			}
		fi
	}
	skip;
	d_step {
		passes = has_esp && !is_poisoned;
		reach = WINDOW + (COUNTS_SPAN -> DISTANCE(lowest, highest) : 0);
		if
		:: HAS_STRETCHES && COUNTS_WHOLE -> judge_whole()
		:: else -> judge_ends()
		fi;
		/* What ends further off ended before the token. */
		for (place : 1 .. NUMBERS - STEPS * WINDOW / 2 - 1) {
			is_violated = is_violated || taken[(token + place) % NUMBERS]
		}
	}
	if
	:: passes && has_token && is_violated -> VIOLATION("violation: the record passes, and clear bytes wait behind the start of ESP\n")
	:: else
	fi
}
